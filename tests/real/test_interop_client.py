"""Our client, in Python and on the command line, against the servers of `websockets`, `aiohttp` and `ws`."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from rfc6455 import ClientHandshake, Connection, DeflateOptions, Event, Pong, Role
from server.client import ConnectionClosed, Message, Refused, connect, reconnecting
from server.command.running import Exit

from ..conftest import clean_environment
from . import server_aiohttp, server_websockets, server_ws
from .servers import LAST_MESSAGE, REFUSAL, Ending, Serve, Setup, running

pytestmark = pytest.mark.real

SERVERS: Final[dict[str, Serve]] = {
    "websockets": server_websockets.serve,
    "aiohttp": server_aiohttp.serve,
    "ws": server_ws.serve,
}
each_server = pytest.mark.parametrize("serve", SERVERS.values(), ids=SERVERS)
# aiohttp sends whole messages only.
each_server_with_fragments = pytest.mark.parametrize(
    "serve", [server_websockets.serve, server_ws.serve], ids=["websockets", "ws"]
)

Deflate = dict[str, Any] | None
compressed_or_not = pytest.mark.parametrize("deflate", [None, {}], ids=["plain", "deflate"])

LIMIT: Final = 16 << 20
# Outside of ASCII, and outside of the Basic Multilingual Plane.
FOREIGN: Final = "Gr\u00fc\u00dfe, \u4e16\u754c \U0001f600\U0010ffff"
MESSAGES: Final[tuple[Message, ...]] = (
    "",
    b"",
    "Hello",
    FOREIGN,
    "\x00\r\n\x7f",
    bytes(range(256)),
    # Where the length takes another form, and where compression begins.
    *("x" * size for size in (125, 126, 127, 128)),
    *(b"\x00\xff" * (size // 2) for size in (65_534, 65_536, 65_538)),
    FOREIGN * 10_000,
)
ENDINGS: Final = (
    (1000, ""),
    (1000, "done"),
    (1001, "going away"),
    (3000, FOREIGN),
    (4999, "x" * 123),
    (4999, ""),
)


@each_server
@compressed_or_not
async def test_every_kind_of_message_comes_back(serve: Serve, deflate: Deflate, loop_name: str) -> None:
    async with running(serve, Setup(deflate)) as server, connect(server.uri("echo")) as connection:
        assert (deflate is not None) == ("Sec-WebSocket-Extensions" in connection.headers)
        for message in MESSAGES:
            await connection.send(message)
            assert message == await anext(connection)


@each_server
@compressed_or_not
async def test_16_mib_pass_where_the_limit_is_raised_and_an_octet_more_fails_with_1009(
    serve: Serve, deflate: Deflate
) -> None:
    async with running(serve, Setup(deflate)) as server:
        connection = await connect(server.uri("echo"), max_message_size=LIMIT)
        for message in ("\u00e5\U0001f600\n\n" * (LIMIT // 8), b"0123456789abcdef" * (LIMIT // 16)):
            await connection.send(message)
            # Neither is to be printed where they differ.
            assert hash(message) == hash(await anext(connection))
        await connection.send(b"x" * (LIMIT + 1))
        assert [] == [message async for message in connection]
        assert 1009 == (await server.ending()).code
        # The server's Close isn't read any more.
        assert 1006 == connection.close_code
        await connection.close()


@each_server_with_fragments
@compressed_or_not
async def test_fragments_of_the_server_with_pings_between_are_one_message(
    serve: Serve, deflate: Deflate
) -> None:
    async with running(serve, Setup(deflate)) as server:
        for size in (1, 3, 1000):
            async with connect(server.uri("fragments", size=size)) as connection:
                for message in ("", b"", FOREIGN, FOREIGN * 20, FOREIGN.encode() * 20):
                    await connection.send(message)
                    assert message == await anext(connection)


# Of a text, of octets, of nothing; `connect()` sends whole messages, but who has the protocol alone needn't.
PARTS: Final[tuple[Sequence[Message], ...]] = (
    ("", "Gr\u00fc", "", "\u00dfe \U0001f600" * 1000, ""),
    (b"\xff" * 70_000, b"\x00"),
    ("", ""),
)


@each_server
@compressed_or_not
async def test_fragments_of_ours_with_pings_between_are_one_message(serve: Serve, deflate: Deflate) -> None:
    async with running(serve, Setup(deflate)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        handshake = ClientHandshake(server.uri("echo"), deflate=DeflateOptions(no_context_takeover=False))
        writer.write(handshake.request)
        while (agreed := handshake.receive_data(await reader.read(1 << 16))) is None:
            pass
        connection = Connection(Role.CLIENT, agreed.deflate)
        connection.receive_data(handshake.trailing)
        for parts in PARTS:
            for part in parts[:-1]:
                connection.send_fragment(part, fin=False)
                connection.ping(b"between")
            connection.send_fragment(parts[-1], fin=True)
            writer.writelines(connection.data_to_send())
            whole = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
            pongs: list[Event] = [Pong(b"between")] * (len(parts) - 1)
            message = whole.decode() if isinstance(parts[0], str) else whole
            for expected in (*pongs, message):
                while (event := connection.next_event()) is None:
                    connection.receive_data(await reader.read(1 << 16))
                assert expected == event
        connection.close(3000, "done")
        writer.writelines(connection.data_to_send())
        await reader.read()
        writer.close()
        assert Ending(3000, "done") == await server.ending()


@each_server
async def test_close_of_ours_is_seen_and_answered(serve: Serve) -> None:
    async with running(serve, Setup()) as server:
        for code, reason in ENDINGS:
            connection = await connect(server.uri("echo"))
            connection.start_closing(code, reason)
            assert [] == [message async for message in connection]
            assert Ending(code, reason) == await server.ending()
            # aiohttp answers every Close with 1000.
            answered = (1000, "") if serve is server_aiohttp.serve else (code, reason)
            assert answered == (connection.close_code, connection.close_reason)
            await connection.close()


@each_server
async def test_close_of_the_server_is_told_and_answered(serve: Serve) -> None:
    async with running(serve, Setup()) as server:
        for code, reason in ENDINGS:
            connection = await connect(server.uri("close", code=code, reason=reason))
            assert [LAST_MESSAGE] == [message async for message in connection]
            assert (code, reason) == (connection.close_code, connection.close_reason)
            assert Ending(code, "") == await server.ending()
            with pytest.raises(ConnectionClosed):
                await connection.send("too late")
            await connection.close()


async def test_close_without_a_code_is_1005() -> None:
    # Of the three servers this one can send it.
    async with running(server_ws.serve, Setup()) as server:
        connection = await connect(server.uri("close"))
        assert [LAST_MESSAGE] == [message async for message in connection]
        assert (1005, "") == (connection.close_code, connection.close_reason)
        assert Ending(1005, "") == await server.ending()
        await connection.close()


@each_server
async def test_end_without_a_close_is_1006(serve: Serve) -> None:
    async with running(serve, Setup()) as server:
        connection = await connect(server.uri("abort"))
        await connection.send("go")
        assert [] == [message async for message in connection]
        assert 1006 == connection.close_code
        assert 1006 == (await server.ending()).code
        await connection.close()


@each_server
async def test_pings_are_answered_either_way(serve: Serve) -> None:
    async with (
        running(serve, Setup()) as server,
        connect(server.uri("ping", payload="are you there?")) as asked,
        connect(server.uri("echo")) as asking,
    ):
        assert "are you there?" == await anext(asked)
        await asyncio.gather(asking.ping(), asking.ping())


@each_server
async def test_subprotocol_is_one_that_both_know(serve: Serve) -> None:
    async with running(serve, Setup(subprotocols=("chat.2", "chat.1"))) as server:
        for offered, expected in ((["chat.0", "chat.1"], "chat.1"), (["chat.2"], "chat.2")):
            async with connect(server.uri("echo"), subprotocols=offered) as connection:
                assert expected == connection.subprotocol
    async with (
        running(serve, Setup()) as server,
        connect(server.uri("echo"), subprotocols=["chat.1"]) as connection,
    ):
        assert connection.subprotocol is None


@each_server
async def test_refusal_is_told_with_its_status(serve: Serve) -> None:
    async with running(serve, Setup()) as server:
        for status, is_temporary in ((401, False), (403, False), (404, False), (503, True)):
            with pytest.raises(Refused, match=f"^The server answered {status} .*; {REFUSAL}$") as caught:
                await connect(server.uri("refuse", status=status))
            assert (status, is_temporary) == (caught.value.status, caught.value.is_temporary)


@each_server
async def test_reconnecting_comes_back_until_it_is_refused(serve: Serve) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with running(serve, Setup()) as server:
        connections = reconnecting(server.uri("abort"), random=lambda: 1.0, sleep=sleep)
        for delays in ([], [5], [5, 10]):
            connection = await anext(connections)
            assert delays == slept
            await connection.send("go")
            assert [] == [message async for message in connection]
            assert 1006 == (await server.ending()).code
        await connection.close()
        with pytest.raises(Refused):
            await anext(reconnecting(server.uri("refuse", status=403), sleep=sleep))


# On the command line.


@asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the command, which ends by itself when its input does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "server", "connect", "--json"),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=clean_environment(),
    )
    try:
        yield process
    finally:
        await process.communicate(b"")


async def next_event(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    event: dict[str, Any] = json.loads(await process.stdout.readline())
    return event


@each_server
async def test_command_sends_lines_and_tells_what_came(serve: Serve) -> None:
    async with running(serve, Setup({}, ("chat",))) as server:
        async with command("--subprotocol", "chat", server.uri("echo")) as process:
            assert process.stdin is not None
            process.stdin.write(f"{FOREIGN}\n\n".encode())
            opened = await next_event(process)
            assert ("open", "chat") == (opened["event"], opened["subprotocol"])
            assert {"event": "message", "text": FOREIGN} == await next_event(process)
            assert {"event": "message", "text": ""} == await next_event(process)
            process.stdin.close()
            assert {"event": "close", "code": 1000, "reason": ""} == await next_event(process)
        assert Exit.CLOSED == process.returncode
        assert Ending(1000, "") == await server.ending()


@each_server
async def test_command_tells_how_it_ended(serve: Serve) -> None:
    async with running(serve, Setup()) as server:
        async with command("--listen", server.uri("close", code=4999, reason=FOREIGN)) as process:
            assert "open" == (await next_event(process))["event"]
            assert {"event": "message", "text": LAST_MESSAGE} == await next_event(process)
            assert {"event": "close", "code": 4999, "reason": FOREIGN} == await next_event(process)
        assert Exit.ABNORMAL == process.returncode
        async with command("--listen", server.uri("refuse", status=401)) as process:
            error = await next_event(process)
            assert ("error", "Refused", 401) == (error["event"], error["error"], error["status"])
        assert Exit.REFUSED == process.returncode
