"""Our server with clients of other makes: messages, fragments, Pings, subprotocols, and every way to end."""

import asyncio
from typing import Any, Final

import pytest

from server.context import Route
from server.dialects.echo import EchoDialect
from server.kinds import MIB

from ..conftest import NO_RATES, Serve, eventually
from .conftest import ALL, IN_PYTHON, echo_url, of, on_one_loop
from .peers import Ending, Message, Open, Peer
from .scripted import ScriptError

pytestmark = pytest.mark.real

LARGE: Final = 16 * MIB
WIDE: Final[dict[str, Any]] = {**NO_RATES, "max_message_size": LARGE, "max_fragments": 8192}
# 16 MiB in octets; the longer ones are so by one.
TEXT: Final = "aé" * (LARGE // 3) + "a"
LONGER_TEXT: Final = "é" + TEXT[:-1]
LONGER_BINARY: Final = (bytes(range(250)) * (LARGE // 250 + 1))[: LARGE + 1]
BINARY: Final = LONGER_BINARY[:-1]


async def echo(peer: Peer, message: Message) -> None:
    await peer.send(message)
    assert message == await peer.receive()


@of(*ALL)
async def test_messages_come_back_as_they_went(connect: Open, service: Serve) -> None:
    async with service() as running, connect(echo_url(running)) as peer:
        for text in ("Hello", "", "Grüße, \0 世界 \U0001f30d", "x" * 70_000):
            await echo(peer, text)
        for binary in (b"", bytes(range(256)), b"\xff" * 70_000):
            await echo(peer, binary)


@on_one_loop
@pytest.mark.parametrize("message", [TEXT, BINARY], ids=["text", "binary"])
@of(*ALL)
async def test_a_message_may_be_as_large_as_the_limit(
    connect: Open, message: Message, service: Serve
) -> None:
    async with service(**WIDE) as running, connect(echo_url(running)) as peer:
        await echo(peer, message)


@on_one_loop
@pytest.mark.parametrize("message", [LONGER_TEXT, LONGER_BINARY], ids=["text", "binary"])
@of(*ALL)
async def test_a_client_sees_1009_for_one_octet_more(connect: Open, message: Message, service: Serve) -> None:
    async with service(**WIDE) as running, connect(echo_url(running)) as peer:
        # Which may end halfway: nobody waits for the rest.
        await asyncio.gather(peer.send(message), return_exceptions=True)
        assert 1009 == (await peer.closed()).code


FRAGMENTS: Final[dict[str, tuple[list[Message], Message]]] = {
    "text": (["Hel", "", "lo, ", "wörld"], "Hello, wörld"),
    "binary": ([b"\0", b"", b"\xff" * 200], b"\0" + b"\xff" * 200),
    "empty": (["", ""], ""),
    # `websockets` adds an empty one.
    "as many as may be": (["x" * 2048] * 8191, "x" * 2048 * 8191),
}


# The others give their callers no fragments to send.
@pytest.mark.parametrize(("fragments", "message"), FRAGMENTS.values(), ids=FRAGMENTS)
@of("websockets", "picows", "picows.websockets", "ws")
async def test_fragments_come_back_as_one_message(
    connect: Open, fragments: list[Message], message: Message, service: Serve
) -> None:
    async with service(**WIDE) as running, connect(echo_url(running)) as peer:
        await peer.send(*fragments)
        assert message == await peer.receive()
        (session,) = running.sessions()
        assert session._connection.frames_received >= len(fragments)


@of("websockets", "aiohttp", "picows", "picows.websockets", "ws")
async def test_a_clients_ping_is_answered(connect: Open, service: Serve) -> None:
    async with service() as running, connect(echo_url(running)) as peer:
        assert b"\0\xffping" == await peer.ping(b"\0\xffping")


@of(*ALL)
async def test_a_client_answers_our_ping(connect: Open, service: Serve) -> None:
    async with service() as running, connect(echo_url(running)) as peer:
        (session,) = running.sessions()
        session.is_alive = False
        session.send_ping()
        # Which aiohttp answers when it is asked for a message.
        session.send("behind the Ping")
        assert "behind the Ping" == await peer.receive()
        await eventually(True, lambda: session.is_alive)


@pytest.mark.parametrize("code", [1000, 3000, 4999])
@of(*ALL)
async def test_a_client_that_closes_is_answered_with_its_code(
    connect: Open, code: int, service: Serve
) -> None:
    async with service() as running, connect(echo_url(running)) as peer:
        await peer.close(code, "genug für heute")
        assert Ending(code) == await peer.closed()


# A page may not say this; it is said for it, see below.
@of(*IN_PYTHON, "ws")
async def test_a_client_that_goes_away_is_answered_with_1001(connect: Open, service: Serve) -> None:
    async with service() as running, connect(echo_url(running)) as peer:
        await peer.close(1001)
        assert Ending(1001) == await peer.closed()


# The others always say some code.
@of("picows", "ws", "chromium")
async def test_a_close_without_a_code_is_answered_by_another(connect: Open, service: Serve) -> None:
    async with service() as running, connect(echo_url(running)) as peer:
        await peer.close()
        assert Ending(1005) == await peer.closed()


@of(*ALL)
async def test_a_client_sees_why_a_session_was_closed(connect: Open, service: Serve) -> None:
    async with service() as running, connect(echo_url(running)) as peer:
        (session,) = running.sessions()
        session.close(4000, "genug für heute")
        assert Ending(4000, "genug für heute") == await peer.closed()


@of(*ALL)
async def test_a_client_sees_1001_when_the_server_stops(connect: Open, service: Serve) -> None:
    async with service() as running, connect(echo_url(running)) as peer:
        stopping = asyncio.create_task(running.service.stop())
        ending = await peer.closed()
        assert Ending(1001, "the server is going away") == ending._replace(reason=ending.reason.split(";")[0])
        await stopping


# The census of `service` looks for all that it could leave.
@of("websockets", "aiohttp", "picows", "ws", "chromium")
async def test_a_client_that_is_gone_leaves_nothing_behind(connect: Open, service: Serve) -> None:
    async with service() as running, connect(echo_url(running)) as peer:
        await echo(peer, "Hello")
        await peer.abort()
        await eventually([], running.sessions)


def knows_subprotocols(*subprotocols: str) -> dict[str, Route]:
    return {"/echo": Route(EchoDialect, subprotocols)}


@pytest.mark.parametrize(("offered", "agreed"), [([], None), (["v3.echo", "v1.echo", "v2.echo"], "v1.echo")])
@of(*ALL)
async def test_the_first_subprotocol_offered_that_is_known_is_agreed_on(
    connect: Open, offered: list[str], agreed: str | None, service: Serve
) -> None:
    async with service() as running:
        running.context.routes = knows_subprotocols("v2.echo", "v1.echo")
        async with connect(echo_url(running), subprotocols=offered) as peer:
            assert agreed == peer.subprotocol
            await echo(peer, "Hello")


@of(*IN_PYTHON)
async def test_a_client_may_do_without_the_subprotocols_it_offered(connect: Open, service: Serve) -> None:
    async with service() as running, connect(echo_url(running), subprotocols=["v3.echo"]) as peer:
        assert None is peer.subprotocol
        await echo(peer, "Hello")


@of("ws", "chromium")
async def test_a_browser_does_not_do_without_the_subprotocols_it_offered(
    connect: Open, service: Serve
) -> None:
    async with service() as running:
        with pytest.raises(ScriptError, match="refused"):
            async with connect(echo_url(running), subprotocols=["v3.echo"]):
                raise AssertionError("the browser did")
