"""Every way in which no connection comes about, as its error tells it."""

import asyncio
import socket

import pytest

from server.client import BadAnswer, Dropped, HostNotFound, OpenTimeout, Refused, Unreachable, connect
from tests.client.conftest import AT_ONCE, NEVER, Listen, failure, turns
from tests.conftest import Serve, require
from tests.rawserver import answer


@pytest.mark.parametrize("host", ["a" * 64, "a." * 200])
async def test_name_without_address_is_host_not_found(host: str, loop_name: str) -> None:
    error = await failure(connect(f"ws://{host}/"))
    assert isinstance(error, HostNotFound)
    assert error.is_temporary
    assert str(error).startswith(f"There is no host '{host}': ")


async def test_port_without_a_server_is_unreachable(loop_name: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = await failure(connect(f"ws://127.0.0.1:{port}/"))
    assert isinstance(error, Unreachable)
    assert error.is_temporary
    assert f"127.0.0.1:{port} can't be reached: Connection refused." == str(error)


async def test_address_of_ipv6_is_named_in_brackets(loop_name: str) -> None:
    try:
        with socket.socket(socket.AF_INET6) as unused:
            unused.bind(("::1", 0))
            port = unused.getsockname()[1]
            error = await failure(connect(f"ws://[::1]:{port}/"))
    except OSError:
        require(False, "this machine has no IPv6")
    assert f"[::1]:{port} can't be reached: Connection refused." == str(error)


async def test_silent_server_is_a_timeout(peers: Listen) -> None:
    async with peers() as listening:
        error = await failure(connect(listening.uri, open_timeout=AT_ONCE))
        assert isinstance(error, OpenTimeout)
        assert error.is_temporary
        assert f"127.0.0.1:{listening.port} took longer than 0.01 s to connect." == str(error)


async def test_without_a_timeout_the_answer_is_waited_for(peers: Listen) -> None:
    async with peers() as listening:
        connection, _ = await listening.open(open_timeout=None)
        connection.abort()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 101 Switching Pro", b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n"]
)
async def test_end_before_the_answer_is_complete_is_dropped(peers: Listen, answer: bytes) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(listening.uri)))
        peer = await listening.accept()
        await peer.read_head()
        await peer.send(answer)
        await peer.end()
        error = await connecting
        assert isinstance(error, Dropped)
        assert error.is_temporary
        assert "The server ended the connection before its answer was complete." == str(error)


async def test_reset_before_the_answer_is_dropped(peers: Listen) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(listening.uri)))
        peer = await listening.accept()
        await peer.read_head()
        peer.reset()
        assert isinstance(await connecting, Dropped)


REFUSALS = {
    "length": (
        answer("404 Not Found", "Content-Length: 7", body=b"nowhere"),
        "The server answered 404 Not Found instead of 101; nowhere",
        False,
    ),
    "length-zero": (
        answer("503 Busy", "Content-Length: 0"),
        "The server answered 503 Service Unavailable instead of 101",
        True,
    ),
    "chunked": (
        answer("429 Slow Down", "Transfer-Encoding: chunked", body=b"4\r\nslow\r\n0\r\n\r\n"),
        "The server answered 429 Too Many Requests instead of 101; 4 slow 0",
        True,
    ),
    "bodiless": (answer("204 No Content"), "The server answered 204 No Content instead of 101", False),
    "unknown-status": (
        answer("499 Gone Fishing", "Content-Length: 0"),
        "The server answered 499 instead of 101",
        False,
    ),
    "redirect": (
        answer("301 Moved", "Location: wss://example.com/\u202e", "Content-Length: 0"),
        "The server answered 301 Moved Permanently instead of 101; it points to wss://example.com/\xe2\ufffd\xae",
        False,
    ),
    "controls": (
        answer("403 Forbidden", "Content-Length: 14", body=b"\x1b[2J\r\n<b>\xff</b>"),
        "The server answered 403 Forbidden instead of 101; \ufffd[2J <b>\ufffd</b>",
        False,
    ),
    "endless": (
        answer("500 Oops", body=b"x" * 100_000),
        f"The server answered 500 Internal Server Error instead of 101; {'x' * 200}...",
        True,
    ),
    "forged-length": (
        answer("400 Bad Request", "Content-Length: \xb2", body=b"why" + b"\n" * 4096),
        "The server answered 400 Bad Request instead of 101; why",
        False,
    ),
}


@pytest.mark.parametrize(("sent", "message", "is_temporary"), REFUSALS.values(), ids=REFUSALS)
async def test_refusal_tells_status_and_excerpt(
    peers: Listen, sent: bytes, message: str, is_temporary: bool
) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(listening.uri, open_timeout=NEVER)))
        peer = await listening.accept()
        await peer.read_head()
        # The server's end stays open: all there is to know was said.
        await peer.send(sent)
        error = await connecting
        assert isinstance(error, Refused)
        assert message == str(error)
        assert is_temporary is error.is_temporary
        assert len(error.body) <= 4096


async def test_refusal_without_a_length_ends_with_the_connection(peers: Listen) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(listening.uri, open_timeout=NEVER)))
        peer = await listening.accept()
        await peer.read_head()
        await peer.send(answer("401 Unauthorized", "WWW-Authenticate: Bearer"))
        await turns(5)
        await peer.send(b"log in")
        await peer.end()
        error = await connecting
        assert isinstance(error, Refused)
        assert (401, b"log in") == (error.status, error.body)
        assert "Bearer" == error.headers.get("WWW-Authenticate")


async def test_refusal_whose_body_does_not_end_is_told_in_time(peers: Listen) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(listening.uri, open_timeout=0.2)))
        peer = await listening.accept()
        await peer.read_head()
        await peer.send(answer("403 Forbidden", "Content-Length: 100", body=b"because"))
        error = await connecting
        assert isinstance(error, Refused)
        assert "The server answered 403 Forbidden instead of 101; because" == str(error)


BAD_ANSWERS = {
    "accept": (["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="], "accept", "4.1"),
    "no upgrade": (["Upgrade: h2c"], "upgrade", "4.1"),
    "no connection": (["Connection: close"], "connection", "4.1"),
    "subprotocol": (["Sec-WebSocket-Protocol: unasked"], "subprotocol", "4.1"),
    "extension": (["Sec-WebSocket-Extensions: unasked"], "extension", "4.1"),
    "deflate": (["Sec-WebSocket-Extensions: permessage-deflate; unknown"], "deflate-answer", "7692 7"),
    "too much": (["X-Long: " + "x" * 20_000], "head-size", "9110 5.4"),
    "control": (["X-Bad: \0"], "control-octet", "9110 5.5"),
}


@pytest.mark.parametrize(("fields", "rule", "section"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
async def test_answer_that_breaks_a_rule_is_a_bad_answer(
    peers: Listen, fields: list[str], rule: str, section: str
) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(listening.uri)))
        peer = await listening.accept()
        await peer.upgrade(*fields)
        error = await connecting
        assert isinstance(error, BadAnswer)
        assert (rule, section) == (error.rule, error.section)
        assert not error.is_temporary
        assert str(error).startswith(f"The server's answer breaks the handshake ({section}): Expected ") or (
            rule == "deflate-answer"
        )
        # The connection was ended.
        assert [] == await peer.frames()


async def test_what_comes_behind_a_bad_answer_is_ignored(peers: Listen) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(listening.uri)))
        peer = await listening.accept()
        for _ in range(3):
            await peer.send(b"SSH-2.0-OpenSSH_9.9\r\n" * 50_000)
        assert isinstance(await connecting, BadAnswer)


async def test_other_protocol_is_a_bad_answer(peers: Listen) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(listening.uri)))
        peer = await listening.accept()
        await peer.send(b"SSH-2.0-OpenSSH_9.9\r\n")
        error = await connecting
        assert isinstance(error, BadAnswer)
        assert "http-version" == error.rule


async def test_service_that_refuses_says_why(service: Serve) -> None:
    async with service() as running:
        host, port = running.address
        error = await failure(connect(f"ws://{host}:{port}/nowhere"))
        assert "The server answered 404 Not Found instead of 101; There is no WebSocket at /nowhere." == str(
            error
        )
