"""The client: how it opens, talks, closes and comes back, to a service, a peer of our own, and by hand."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, final

import pytest

from rfc6455 import (
    Accepted,
    Connection,
    DeflateOptions,
    FrameParser,
    Headers,
    Opcode,
    Role,
    StateError,
    accept_key,
    encode_frame,
)
from server.client import (
    FIRST_DELAY,
    MAX_DELAY,
    MAX_WAITING,
    MAX_WAITING_SIZE,
    BadAnswer,
    ClientConnection,
    ConnectError,
    ConnectionClosed,
    Dropped,
    HostNotFound,
    Message,
    OpenTimeout,
    Refused,
    TlsFailed,
    Unreachable,
    connect,
    reconnecting,
)
from server.dialects.stream import Stream
from tests.conftest import Serve, eventually, require, take_census
from tests.rawclient import Frame

NO_RATES: Final = {"message_rate": 0, "frame_rate": 0, "byte_rate": 0}
# What no timeout of a test is meant to reach, and what each one reaches at once.
NEVER: Final = 60.0
AT_ONCE: Final = 0.01
# More than the kernel keeps of what is written to a connection that nobody reads.
PLENTY: Final = 32 << 20
CHUNK: Final = b"x" * 65536

# For localhost, signed by itself, good until 2120; made for these tests and known to everybody.
CERTIFICATE: Final = """\
-----BEGIN CERTIFICATE-----
MIIBcTCCARegAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNG3Evj5tcqRnPgh
L8Rh6Q8dvGIvalaK1TNaiPa8m7rVbhvoKOKWPphQOBKo7nXHaIpWwyB05afPPQN7
6N3hsvajWDBWMA8GA1UdEwEB/wQFMAMBAf8wFAYDVR0RBA0wC4IJbG9jYWxob3N0
MA4GA1UdDwEB/wQEAwIChDAdBgNVHQ4EFgQUHRXQrtWZgtJVgVcNwdZ7spjWzNsw
CgYIKoZIzj0EAwIDSAAwRQIgLgg1OFo4XVbsUaQGUPKnXgBdlMEDWDr6+4aNiEUm
RScCIQCRpZrfFHWPiVdlNqYSM0TMbMuUpsFAqoZX59Uu9c+JYA==
-----END CERTIFICATE-----
"""
_KEY: Final = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJ+wX0eBqC9y/eJTQ
NPnOsKiyjaaXHfoMLCw6PiPAI8KhRANCAATRtxL4+bXKkZz4IS/EYekPHbxiL2pW
itUzWoj2vJu61W4b6Cjilj6YUDgSqO51x2iKVsMgdOWnzz0De+jd4bL2
-----END PRIVATE KEY-----
"""


def close_frame(code: int, reason: str = "") -> bytes:
    return encode_frame(Opcode.CLOSE, struct.pack("!H", code) + reason.encode())


def text(message: str) -> bytes:
    return encode_frame(Opcode.TEXT, message.encode())


def closed(code: int, reason: str = "") -> Frame:
    return Frame(Opcode.CLOSE, struct.pack("!H", code) + reason.encode())


def said(message: str) -> Frame:
    return Frame(Opcode.TEXT, message.encode())


def upgraded(head: bytes, *fields: str) -> bytes:
    """Make the answer to a request."""
    key = next(line[19:] for line in head.decode().split("\r\n") if line.startswith("Sec-WebSocket-Key: "))
    usual = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept_key(key)}"]
    given = {field.partition(":")[0] for field in fields}
    kept = [field for field in usual if field.partition(":")[0] not in given]
    return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *kept, *fields, "", ""]).encode()


@final
class Peer:
    """A server's end of one connection, which says octet for octet what the test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = b""
        self._reader = reader
        self._writer = writer
        self._frames = FrameParser(Role.SERVER, deflate=True, max_message_size=PLENTY)

    @property
    def client_port(self) -> int:
        port: int = self._writer.get_extra_info("peername")[1]
        return port

    async def read_head(self) -> None:
        self.head = await self._reader.readuntil(b"\r\n\r\n")

    async def upgrade(self, *fields: str, behind: bytes = b"") -> None:
        """Accept, with these fields, and these octets in the same write."""
        await self.read_head()
        await self.send(upgraded(self.head, *fields) + behind)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def frame(self) -> Frame:
        """Receive a frame, which must be masked."""
        while (found := self._frames.next_frame()) is None:
            data = await self._reader.read(1 << 16)
            if not data:
                raise EOFError
            self._frames.feed(data)
        return Frame(found.opcode, found.payload, found.fin, found.rsv1)

    async def frames(self) -> list[Frame]:
        """Receive all there is until the client's end."""
        received = []
        with suppress(EOFError, ConnectionError):
            while True:
                received.append(await self.frame())
        return received

    async def answer_close(self) -> Frame:
        """Receive a Close, answer it, and end the connection."""
        received = await self.frame()
        assert Opcode.CLOSE == received.opcode
        await self.send(close_frame(*struct.unpack("!H", received.payload[:2])))
        await self.end()
        return received

    async def end(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    def end_sending(self) -> None:
        self._writer.write_eof()

    def reset(self) -> None:
        connected = self._writer.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


@final
class Peers:
    """A server whose every connection is the test's."""

    def __init__(self, secure: bool) -> None:
        self.port = 0
        self._scheme, self._host = ("wss", "localhost") if secure else ("ws", "127.0.0.1")
        self._accepted: asyncio.Queue[Peer] = asyncio.Queue()
        self._all: list[asyncio.StreamWriter] = []

    @property
    def uri(self) -> str:
        return f"{self._scheme}://{self._host}:{self.port}/chat?room=1"

    async def accept(self) -> Peer:
        return await self._accepted.get()

    async def open(self, *fields: str, behind: bytes = b"", **options: Any) -> tuple[ClientConnection, Peer]:
        """Connect a client."""
        connecting = asyncio.ensure_future(_open(self.uri, options))
        peer = await self.accept()
        await peer.upgrade(*fields, behind=behind)
        return await connecting, peer

    def on_connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._all.append(writer)
        self._accepted.put_nowait(Peer(reader, writer))

    def abort(self) -> None:
        for writer in self._all:
            writer.transport.abort()


async def _open(uri: str, options: dict[str, Any]) -> ClientConnection:
    return await connect(uri, **options)


@asynccontextmanager
async def serve_peers(ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[Peers]:
    """Listen, and end with a census: what the client began must be gone, while the server still stands."""
    before = take_census()
    peers = Peers(ssl_context is not None)
    listening = await asyncio.start_server(peers.on_connected, "127.0.0.1", 0, ssl=ssl_context)
    peers.port = listening.sockets[0].getsockname()[1]
    try:
        yield peers
    finally:
        peers.abort()
        listening.close()
        await listening.wait_closed()
    await eventually(before, take_census)


@pytest.fixture
def peers(loop_name: str) -> Callable[..., AbstractAsyncContextManager[Peers]]:
    """`async with peers() as listening:` has servers of the test's own, on both kinds of loops."""
    return serve_peers


Listen = Callable[..., AbstractAsyncContextManager[Peers]]


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """The file of the certificate, with its key beside it."""
    return write_certificate(tmp_path)


def write_certificate(folder: Path) -> str:
    (folder / "key.pem").write_text(_KEY)
    file = folder / "certificate.pem"
    file.write_text(CERTIFICATE)
    return str(file)


def server_context(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.replace("certificate.pem", "key.pem"))
    return context


async def failure(connecting: Awaitable[object]) -> ConnectError:
    with pytest.raises(ConnectError) as caught:
        await connecting
    return caught.value


async def turns(count: int = 3) -> None:
    """Let everything happen that waits for nothing from outside."""
    for _ in range(count):
        await asyncio.sleep(0)


async def send_until_paused(connection: ClientConnection) -> tuple[Awaitable[None], int]:
    """Send until a sender has to wait; return its wait, and how many chunks were sent."""
    for sent in range(1, PLENTY // len(CHUNK)):
        waiting = asyncio.ensure_future(connection.send(CHUNK))
        await turns()
        if not waiting.done():
            return waiting, sent
    raise AssertionError("writing never paused")


def end(connection: ClientConnection) -> tuple[int | None, str]:
    return connection.close_code, connection.close_reason


# Opening.


async def test_connect_is_a_context_that_closes_with_1000(peers: Listen) -> None:
    async with peers() as listening:

        async def talk() -> ClientConnection:
            async with connect(listening.uri) as connection:
                await connection.send("hello")
            return connection

        talking = asyncio.create_task(talk())
        peer = await listening.accept()
        await peer.upgrade()
        assert said("hello") == await peer.frame()
        assert closed(1000) == await peer.answer_close()
        connection = await talking
        assert (1000, "") == end(connection)


async def test_connect_is_awaitable_and_the_connection_a_context(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        async with connection as same:
            assert connection is same
            assert connection.close_code is None
            answering = asyncio.create_task(peer.answer_close())
        assert closed(1000) == await answering


async def test_context_left_by_an_exception_closes_with_1001(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        answering = asyncio.create_task(peer.answer_close())
        with pytest.raises(ZeroDivisionError):
            async with connection:
                raise ZeroDivisionError
        assert closed(1001) == await answering


async def test_request_carries_what_was_asked_for(peers: Listen) -> None:
    async with peers() as listening:
        options: dict[str, Any] = {
            "subprotocols": ["chat.2", "chat.1"],
            "headers": [("Authorization", "Bearer x"), ("X-Twice", "1"), ("X-Twice", "2")],
            "origin": "https://example.com",
        }
        connection, peer = await listening.open(
            "Sec-WebSocket-Protocol: chat.1", "X-Server: a", "X-Server: b", **options
        )
        lines = peer.head.decode().split("\r\n")
        assert "GET /chat?room=1 HTTP/1.1" == lines[0]
        assert {
            f"Host: 127.0.0.1:{listening.port}",
            "Authorization: Bearer x",
            "X-Twice: 1",
            "X-Twice: 2",
            "Origin: https://example.com",
            "Sec-WebSocket-Protocol: chat.2, chat.1",
        } <= set(lines)
        assert "chat.1" == connection.subprotocol
        assert ["a", "b"] == connection.headers.get_all("X-Server")
        connection.abort()


async def test_compression_is_offered_unless_it_is_not_wanted(peers: Listen) -> None:
    async with peers() as listening:
        agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        connection, peer = await listening.open(f"Sec-WebSocket-Extensions: {agreed}")
        assert b"Sec-WebSocket-Extensions: permessage-deflate" in peer.head
        await connection.send("a" * 1000)
        compressed = await peer.frame()
        assert compressed.rsv1
        assert len(compressed.payload) < 1000
        await connection.send("a" * 1000, compress=False)
        assert said("a" * 1000) == await peer.frame()
        connection.abort()

        connection, peer = await listening.open(deflate=None)
        assert b"Sec-WebSocket-Extensions" not in peer.head
        connection.abort()


async def test_what_comes_right_behind_the_answer_is_received(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(behind=text("early") + close_frame(1001, "bye"))
        assert ["early"] == [message async for message in connection]
        assert closed(1001) == await peer.frame()
        await peer.end()
        await connection.close()
        assert (1001, "bye") == end(connection)


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        ("http://localhost/", {}),
        ("ws://localhost/#fragment", {}),
        ("ws://localhost:0/", {}),
        ("ws://localhost/", {"subprotocols": ["a", "a"]}),
        ("ws://localhost/", {"headers": [("Host", "elsewhere")]}),
        ("ws://localhost/", {"origin": "a\r\nX-Injected: b"}),
        ("ws://localhost/", {"ssl": ssl.create_default_context()}),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_sent(uri: str, options: dict[str, Any]) -> None:
    with pytest.raises(StateError):
        _ = connect(uri, **options)


# Opening that fails.


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


def answer(status: str, *fields: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode() + body


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


# TLS.


async def test_wss_verifies_the_server(peers: Listen, certificate: str) -> None:
    async with peers(server_context(certificate)) as listening:
        error = await failure(connect(listening.uri))
        assert isinstance(error, TlsFailed)
        assert not error.is_temporary
        assert str(error).startswith(
            f"localhost:{listening.port} shows a certificate that can't be trusted: self"
        )


async def test_wss_refuses_a_certificate_for_another_name(peers: Listen, certificate: str) -> None:
    async with peers(server_context(certificate)) as listening:
        trusting = ssl.create_default_context(cafile=certificate)
        error = await failure(connect(f"wss://127.0.0.1:{listening.port}/", ssl=trusting))
        assert isinstance(error, TlsFailed)
        assert "IP address mismatch" in str(error)


async def test_wss_talks_where_the_server_is_trusted(peers: Listen, certificate: str) -> None:
    async with peers(server_context(certificate)) as listening:
        connection, peer = await listening.open(ssl=ssl.create_default_context(cafile=certificate))
        await connection.send("hello")
        assert said("hello") == await peer.frame()
        await peer.send(text("hello yourself"))
        assert "hello yourself" == await anext(connection)
        answering = asyncio.create_task(peer.answer_close())
        await connection.close(1000, "done")
        assert closed(1000, "done") == await answering
        assert 1000 == connection.close_code


async def test_wss_fails_on_a_broken_rule_without_half_closing(peers: Listen, certificate: str) -> None:
    async with peers(server_context(certificate)) as listening:
        connection, peer = await listening.open(ssl=ssl.create_default_context(cafile=certificate))
        await peer.send(b"\x83\x00")
        assert [] == [message async for message in connection]
        assert closed(1002, "Opcode 0x3 is reserved.") == await peer.frame()
        await peer.end()
        await connection.close()


async def test_wss_to_a_server_without_tls_is_told(peers: Listen) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(f"wss://127.0.0.1:{listening.port}/")))
        peer = await listening.accept()
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        error = await connecting
        assert isinstance(error, TlsFailed)
        assert str(error).startswith(f"127.0.0.1:{listening.port} fails in TLS: ")
        assert "_" not in str(error)


async def test_wss_to_a_server_that_goes_away_is_dropped(peers: Listen) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(f"wss://127.0.0.1:{listening.port}/")))
        await (await listening.accept()).end()
        error = await connecting
        assert isinstance(error, Dropped)
        assert f"127.0.0.1:{listening.port} ended the connection before TLS was agreed." == str(error)


# Talking, with a real service.


@pytest.mark.parametrize("deflate", [DeflateOptions(), DeflateOptions(no_context_takeover=False), None])
async def test_service_echoes_every_kind_of_message(service: Serve, deflate: DeflateOptions | None) -> None:
    messages: list[Message] = [
        "",
        "Hello",
        b"",
        b"\x00\xff",
        "\u00e5\U0001f600" * 500,
        b"ab" * 40_000,
        "x" * 999_999,
    ]
    async with service(**NO_RATES) as running:
        host, port = running.address
        async with connect(f"ws://{host}:{port}/echo", deflate=deflate) as connection:
            for message in messages:
                await connection.send(message)
                assert message == await anext(connection)
            connection.start_closing()
            assert [] == [message async for message in connection]
        assert 1000 == connection.close_code


async def test_flood_both_ways_arrives_whole_and_in_order(service: Serve) -> None:
    async with service(**NO_RATES) as running:
        host, port = running.address
        connection = await connect(f"ws://{host}:{port}/echo")
        messages = [f"{number} {'x' * (number % 700)}" for number in range(20_000)]

        async def send_all() -> None:
            for message in messages:
                await connection.send(message)
            connection.start_closing()

        sending = asyncio.create_task(send_all())
        assert messages == [message async for message in connection]
        await sending
        await connection.close()
        assert 1000 == connection.close_code


async def test_service_that_stops_closes_with_1001(service: Serve) -> None:
    async with service() as running:
        host, port = running.address
        async with connect(f"ws://{host}:{port}/echo") as connection:
            stopping = asyncio.create_task(running.service.stop())
            assert [] == [message async for message in connection]
        await stopping
        assert (1001, "the server is going away") == end(connection)


async def test_service_that_refuses_says_why(service: Serve) -> None:
    async with service() as running:
        host, port = running.address
        error = await failure(connect(f"ws://{host}:{port}/nowhere"))
        assert "The server answered 404 Not Found instead of 101; There is no WebSocket at /nowhere." == str(
            error
        )


async def test_slow_handler_makes_the_sender_wait(service: Serve) -> None:
    may_go_on = asyncio.Event()
    received: list[int] = []

    async def handler(stream: Stream) -> None:
        await may_go_on.wait()
        async for message in stream:
            received.append(len(message))

    async with service({"/slow": handler}, **NO_RATES) as running:
        host, port = running.address
        async with connect(f"ws://{host}:{port}/slow", deflate=None) as connection:
            waiting, sent = await send_until_paused(connection)
            may_go_on.set()
            await waiting
        assert [len(CHUNK)] * sent == received


# Messages out.


@pytest.mark.parametrize("octets", [b"\x01\x02", bytearray(b"\x01\x02"), memoryview(b"\x01\x02")])
async def test_octets_of_every_type_are_sent(peers: Listen, octets: bytes) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        await connection.send(octets)
        assert Frame(Opcode.BINARY, b"\x01\x02") == await peer.frame()
        connection.abort()


@pytest.mark.parametrize(
    ("message", "error"), [(5, TypeError), (None, TypeError), ("\ud800", UnicodeEncodeError)]
)
async def test_what_is_no_message_is_refused_and_the_connection_goes_on(
    peers: Listen, message: Any, error: type[Exception]
) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        with pytest.raises(error):
            await connection.send(message)
        await connection.send("fine")
        assert said("fine") == await peer.frame()
        connection.abort()


async def test_sender_waits_while_the_server_takes_no_more(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        waiting, sent = await send_until_paused(connection)
        # Reading goes on meanwhile.
        await peer.send(text("still here"))
        assert "still here" == await anext(connection)
        assert not asyncio.ensure_future(waiting).done()
        for _ in range(sent):
            assert Frame(Opcode.BINARY, CHUNK) == await peer.frame()
        await waiting
        connection.abort()


async def test_waiting_sender_learns_that_the_connection_is_lost(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        senders = [asyncio.ensure_future(connection.send(b"x" * PLENTY)) for _ in range(2)]
        await turns()
        assert not any(sender.done() for sender in senders)
        peer.reset()
        for sender in senders:
            with pytest.raises(ConnectionClosed) as caught:
                await sender
            assert 1006 == caught.value.code
        await connection.close()
        assert 1006 == connection.close_code


def timer(port: int, peer_port: int) -> str:
    """Which timer runs for the socket between these ports."""
    table = Path("/proc/net/tcp")
    require(table.exists(), "only Linux tells of a socket's timers")
    rows = [row.split() for row in table.read_text().splitlines()[1:]]
    ports = f"{port:04X}", f"{peer_port:04X}"
    (found,) = [row[5] for row in rows if ports == (row[1][-4:], row[2][-4:])]
    return found[:2]


async def test_network_that_is_gone_is_noticed_by_keepalive(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        # 02: the next question to a silent peer is due.
        assert "02" == timer(peer.client_port, listening.port)
        connection.abort()


# Messages in.


async def test_server_is_read_no_further_than_the_inbox_is_full(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        messages = [f"{number:06}" + "x" * 65530 for number in range(PLENTY // 65536)]
        sending = asyncio.create_task(peer.send(b"".join(map(text, messages))))
        await eventually(False, connection._transport.is_reading)
        # The kernel takes what it can, which isn't all.
        assert not sending.done()
        for message in messages:
            assert message == await anext(connection)
        await sending
        connection.abort()


async def test_two_readers_share_the_messages(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        readers = [asyncio.create_task(anext(connection)) for _ in range(3)]
        await turns()
        await peer.send(text("a") + text("b") + close_frame(1000))
        done = await asyncio.gather(*readers, return_exceptions=True)
        assert ["a", "b"] == sorted(one for one in done if isinstance(one, str))
        assert [StopAsyncIteration] == [type(one) for one in done if not isinstance(one, str)]
        await peer.end()
        await connection.close()


# Pings.


async def test_pings_are_answered_in_order(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        payloads = [b"", b"a", b"b" * 125]
        await peer.send(b"".join(encode_frame(Opcode.PING, payload) for payload in payloads))
        assert [Frame(Opcode.PONG, payload) for payload in payloads] == [await peer.frame() for _ in payloads]
        connection.abort()


async def test_ping_returns_seconds_when_its_pong_came(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        pinging = asyncio.create_task(connection.ping())
        ping = await peer.frame()
        assert Opcode.PING == ping.opcode
        # A Pong that nobody asked for, or another's.
        await peer.send(
            encode_frame(Opcode.PONG, b"") + encode_frame(Opcode.PONG, b"other") + text("between")
        )
        assert "between" == await anext(connection)
        assert not pinging.done()
        await peer.send(encode_frame(Opcode.PONG, ping.payload))
        assert await pinging > 0
        connection.abort()


async def test_pong_answers_the_pings_before_its_own(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        pinging = [asyncio.create_task(connection.ping()) for _ in range(3)]
        pings = [await peer.frame() for _ in pinging]
        assert 3 == len({ping.payload for ping in pings})
        await peer.send(encode_frame(Opcode.PONG, pings[1].payload) + text("between"))
        assert "between" == await anext(connection)
        await asyncio.gather(*pinging[:2])
        assert not pinging[2].done()
        await peer.send(encode_frame(Opcode.PONG, pings[2].payload))
        assert await pinging[2] > 0
        connection.abort()


@pytest.mark.parametrize("last", [close_frame(1001, "bye"), b"\xff", b""])
async def test_ping_without_a_pong_ends_with_the_connection(peers: Listen, last: bytes) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        pinging = asyncio.create_task(connection.ping())
        await peer.frame()
        await peer.send(last)
        await peer.end()
        with pytest.raises(ConnectionClosed) as caught:
            await pinging
        await connection.close()
        assert end(connection) == (caught.value.code, caught.value.reason)
        with pytest.raises(ConnectionClosed):
            await connection.ping()


# Closing.


async def test_close_waits_for_the_servers_fin(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=NEVER)
        closing = asyncio.create_task(connection.close(3000, "done"))
        assert closed(3000, "done") == await peer.frame()
        await peer.send(close_frame(3000, "done too"))
        assert [] == [message async for message in connection]
        assert (3000, "done too") == end(connection)
        await turns()
        assert not closing.done()
        # Nothing behind the Close, and not the FIN: that is the server's to begin.
        ending = asyncio.create_task(peer.frames())
        await turns()
        assert not ending.done()
        peer.end_sending()
        assert [] == await ending
        await closing


@pytest.mark.parametrize(
    ("sent", "code", "reason", "answered"),
    [
        (close_frame(1000, "bye"), 1000, "bye", closed(1000)),
        (close_frame(4999, "\u00e5"), 4999, "\u00e5", closed(4999)),
        (encode_frame(Opcode.CLOSE, b""), 1005, "", Frame(Opcode.CLOSE)),
    ],
)
async def test_close_of_the_server_is_answered_and_told(
    peers: Listen, sent: bytes, code: int, reason: str, answered: Frame
) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        await peer.send(text("last") + sent)
        assert ["last"] == [message async for message in connection]
        assert (code, reason) == end(connection)
        assert answered == await peer.frame()
        with pytest.raises(ConnectionClosed) as caught:
            await connection.send("too late")
        assert (code, reason) == (caught.value.code, caught.value.reason)
        assert f"The connection is closed ({code} {reason}".rstrip() + ")." == str(caught.value)
        await peer.end()
        await connection.close()
        assert (code, reason) == end(connection)


async def test_end_without_a_close_is_1006(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        await peer.send(text("last") + text("cut")[:3])
        await peer.end()
        assert ["last"] == [message async for message in connection]
        why = "The server ended the connection without a Close."
        assert (1006, why) == end(connection)
        with pytest.raises(ConnectionClosed):
            await connection.send("too late")
        await connection.close()
        assert (1006, why) == end(connection)


async def test_reset_is_1006(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        await connection.send("unread")
        peer.reset()
        assert [] == [message async for message in connection]
        assert (1006, "Connection reset by peer.") == end(connection)
        await connection.close()


async def test_abort_is_1006(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        connection.abort()
        assert [] == [message async for message in connection]
        assert (1006, "It was aborted here.") == end(connection)
        assert [] == await peer.frames()


async def test_server_that_does_not_answer_a_close_is_left(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=AT_ONCE)
        await connection.close()
        assert (1006, "The server did not close within 0.01 s.") == (
            connection.close_code,
            connection.close_reason,
        )
        assert [closed(1000)] == await peer.frames()


async def test_server_that_closes_without_a_fin_is_left(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=AT_ONCE)
        await peer.send(close_frame(1000, "bye"))
        async with connection:
            assert [] == [message async for message in connection]
        assert (1000, "bye") == end(connection)
        assert [closed(1000)] == await peer.frames()


async def test_server_that_half_closes_and_reads_nothing_is_left(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=AT_ONCE)
        sending = asyncio.ensure_future(connection.send(b"x" * PLENTY))
        await turns()
        peer.end_sending()
        assert [] == [message async for message in connection]
        await connection.close()
        await asyncio.wait([sending])
        sending.exception()
        assert 1006 == connection.close_code


async def test_close_beside_messages_that_nobody_takes(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=NEVER)
        flooding = asyncio.create_task(peer.send(text("x" * 1000) * 40_000))
        assert "x" * 1000 == await anext(connection)
        closing = asyncio.create_task(connection.close())
        await flooding
        assert closed(1000) == await peer.answer_close()
        await closing
        assert 1000 == connection.close_code


async def test_messages_arrive_behind_our_close_until_the_servers(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=AT_ONCE)
        messages = [str(number) for number in range(MAX_WAITING * 10)]
        connection.start_closing(1000, "that was all")
        assert closed(1000, "that was all") == await peer.frame()
        with pytest.raises(ConnectionClosed):
            await connection.send("too late")
        await peer.send(b"".join(map(text, messages)) + close_frame(1000))
        await peer.end()
        received = []
        async for message in connection:
            received.append(message)
            # Slower than `close_timeout`: the server isn't to blame.
            if len(received) == MAX_WAITING:
                await asyncio.sleep(AT_ONCE * 3)
        assert messages == received
        assert 1000 == connection.close_code


async def test_server_that_falls_silent_behind_our_close_is_left(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=AT_ONCE)
        connection.start_closing()
        await peer.send(text("one more"))
        assert ["one more"] == [message async for message in connection]
        assert 1006 == connection.close_code


async def test_close_again_changes_nothing(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        closing = [asyncio.create_task(connection.close(code)) for code in (1000, 3000)]
        assert closed(1000) == await peer.answer_close()
        await asyncio.gather(*closing)
        await connection.close()
        connection.start_closing()
        assert 1000 == connection.close_code


async def test_code_that_may_not_be_sent_is_refused(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        with pytest.raises(StateError):
            await connection.close(1005)
        await connection.send("fine")
        assert said("fine") == await peer.frame()
        connection.abort()


# Broken rules.

FAULTS = {
    "masked": (encode_frame(Opcode.TEXT, b"x", masking_key=b"abcd"), 1002, "A server's frame is masked."),
    "opcode": (b"\x83\x00", 1002, "Opcode 0x3 is reserved."),
    "reserved bit": (b"\xa1\x00", 1002, "A reserved bit is set."),
    "not utf-8": (encode_frame(Opcode.TEXT, b"\xff"), 1007, "A text message is not UTF-8."),
    "too big": (
        b"\x81\x7e" + struct.pack("!H", 1001),
        1009,
        "A message of more than 1000 octets is over the limit.",
    ),
    "fragments": (
        encode_frame(Opcode.TEXT, b"", fin=False) + encode_frame(Opcode.CONTINUATION, b"", fin=False) * 4,
        1008,
        "A message of more than 4 frames is over the limit.",
    ),
    "close code": (close_frame(1005), 1002, "Close code 1005 may not be sent."),
}


@pytest.mark.parametrize(("sent", "code", "message"), FAULTS.values(), ids=FAULTS)
async def test_broken_rule_fails_the_connection_behind_what_came_before(
    peers: Listen, sent: bytes, code: int, message: str
) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(max_message_size=1000, max_fragments=4, close_timeout=NEVER)
        echoing = asyncio.create_task(echo(connection))
        await turns()
        await peer.send(text("good") + sent + text("ignored"))
        # The answer to the good message goes first; behind the Close comes a half-close.
        assert [said("good"), closed(code, message)] == await peer.frames()
        await peer.end()
        await echoing
        await connection.close()
        assert (1006, message) == end(connection)


async def echo(connection: ClientConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def test_close_of_the_server_is_answered_behind_the_answers_to_what_came_before(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        echoing = asyncio.create_task(echo(connection))
        await turns()
        await peer.send(text("a") + text("b") + close_frame(1000))
        assert [said("a"), said("b"), closed(1000)] == [await peer.frame() for _ in range(3)]
        await peer.end()
        await echoing
        await connection.close()


async def test_leaving_the_context_at_a_fault_says_what_the_fault_was(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()

        async def talk() -> None:
            async with connection:
                await echo(connection)

        talking = asyncio.create_task(talk())
        await turns()
        await peer.send(text("good") + b"\x83\x00")
        assert [said("good"), closed(1002, "Opcode 0x3 is reserved.")] == await peer.frames()
        await peer.end()
        await talking


# Cancelling. Each test ends in a census.


async def cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_before_the_answer(peers: Listen) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(listening.uri)))
        peer = await listening.accept()
        await peer.read_head()
        await cancel(connecting)
        assert [] == await peer.frames()


async def test_cancelled_in_the_turn_of_the_answer(peers: Listen) -> None:
    async with peers() as listening:
        for count in range(8):
            connecting = asyncio.create_task(_open(listening.uri, {}))
            peer = await listening.accept()
            await peer.upgrade()
            await turns(count)
            if connecting.done():
                (await connecting).abort()
            else:
                await cancel(connecting)
            assert [] == await peer.frames()


async def test_cancelled_in_each_turn_of_connecting(peers: Listen) -> None:
    async with peers() as listening:
        for count in range(12):
            connecting = asyncio.create_task(_open(listening.uri, {}))
            await turns(count)
            await cancel(connecting)


async def test_cancelled_in_the_body_of_a_refusal(peers: Listen) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(listening.uri)))
        peer = await listening.accept()
        await peer.read_head()
        await peer.send(answer("403 Forbidden", "Content-Length: 100", body=b"because"))
        await cancel(connecting)
        assert [] == await peer.frames()


async def test_cancelled_in_the_tls_handshake(peers: Listen) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(failure(connect(f"wss://127.0.0.1:{listening.port}/")))
        peer = await listening.accept()
        await cancel(connecting)
        with suppress(ConnectionError):
            while await peer._reader.read(1 << 16):
                pass


async def test_cancelled_reader_loses_no_message(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        reading = asyncio.create_task(anext(connection))
        await turns()
        await cancel(reading)
        await peer.send(text("first"))
        assert "first" == await anext(connection)
        # And where the message came before the cancelling.
        reading = asyncio.create_task(anext(connection))
        await turns()
        connection.data_received(text("second"))
        await cancel(reading)
        assert "second" == await anext(connection)
        connection.abort()


async def test_cancelled_sender_has_sent_its_message_whole(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        big = b"x" * PLENTY

        async def send() -> None:
            await connection.send(big)
            await connection.send("another")

        sending = asyncio.create_task(send())
        await turns()
        await cancel(sending)
        await connection_is_whole(connection, peer, big)


async def connection_is_whole(connection: ClientConnection, peer: Peer, big: bytes) -> None:
    receiving = asyncio.create_task(peer.frame())
    assert Frame(Opcode.BINARY, big) == await receiving
    await connection.send("next")
    assert said("next") == await peer.frame()
    connection.abort()


async def test_cancelled_ping_leaves_the_connection_alone(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        pinging = asyncio.create_task(connection.ping())
        ping = await peer.frame()
        await cancel(pinging)
        await peer.send(encode_frame(Opcode.PONG, ping.payload) + text("fine"))
        assert "fine" == await anext(connection)
        connection.abort()


@pytest.mark.parametrize("last", [encode_frame(Opcode.PONG, (1).to_bytes(8, "big")), close_frame(1000)])
async def test_cancelled_ping_is_left_alone_by_what_comes_in_the_same_turn(last: bytes) -> None:
    transport = FakeTransport()
    pinging = asyncio.create_task(transport.client.ping())
    await turns(1)
    pinging.cancel()
    transport.client.data_received(last)
    with pytest.raises(asyncio.CancelledError):
        await pinging
    transport.abort()


async def test_cancelled_close_aborts(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=NEVER)
        closing = asyncio.create_task(connection.close())
        assert closed(1000) == await peer.frame()
        await cancel(closing)
        assert [] == await peer.frames()
        assert 1006 == connection.close_code


async def test_cancelled_inside_the_context_closes_and_cancelled_again_aborts(peers: Listen) -> None:
    async with peers() as listening:
        for is_patient in (True, False):
            connection, peer = await listening.open(close_timeout=NEVER)

            async def read(connection: ClientConnection = connection) -> None:
                async with connection:
                    await anext(connection)

            reading = asyncio.create_task(read())
            await turns()
            reading.cancel()
            if is_patient:
                assert closed(1001) == await peer.answer_close()
                with pytest.raises(asyncio.CancelledError):
                    await reading
            else:
                assert closed(1001) == await peer.frame()
                await cancel(reading)
                assert [] == await peer.frames()


# The transport's side, moved by hand.


@final
class FakeTransport(asyncio.Transport):
    """A transport that keeps each write, and reads and ends when told."""

    def __init__(self, **limits: Any) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.reads = True
        self.end = ""
        connection = Connection(Role.CLIENT, auto_reply=False, masking_key=lambda: b"\0\0\0\0", **limits)
        self.client = ClientConnection(self, connection, Accepted(b"", None, None, Headers()), NEVER)

    def frames(self) -> list[Frame]:
        """Take what was written."""
        parser = FrameParser(Role.SERVER, max_message_size=PLENTY)
        parser.feed(b"".join(self.writes))
        self.writes.clear()
        frames = []
        while (frame := parser.next_frame()) is not None:
            frames.append(Frame(frame.opcode, frame.payload, frame.fin, frame.rsv1))
        return frames

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.end
        self.writes.append(bytes(data))

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return self.end != ""

    def can_write_eof(self) -> bool:
        return False

    def abort(self) -> None:
        self.end = "aborted"
        self.client.connection_lost(None)


@final
class OpeningTransport(asyncio.Transport):
    """A transport on which the server's answer comes in the reads that the test wants."""

    def __init__(self, reads: Callable[[bytes], list[bytes]], connected: socket.socket) -> None:
        super().__init__({"socket": connected})
        self.is_aborted = False
        self._reads = reads
        self._protocol: asyncio.Protocol

    async def create_connection(self, factory: Callable[[], asyncio.Protocol], *_: Any, **__: Any) -> None:
        self._protocol = factory()
        self._protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        for read in self._reads(bytes(data)):
            self._protocol.data_received(read)

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True
        self._protocol.connection_lost(None)


@pytest.fixture
def unconnected() -> Iterator[socket.socket]:
    with socket.socket() as opened:
        yield opened


def whole(octets: bytes) -> list[bytes]:
    return [octets]


def one_by_one(octets: bytes) -> list[bytes]:
    return [octets[position : position + 1] for position in range(len(octets))]


def cut_in_two(octets: bytes) -> list[bytes]:
    return [octets[: len(octets) // 2], octets[len(octets) // 2 :]]


@pytest.mark.parametrize("cut", [whole, one_by_one, cut_in_two])
async def test_answer_is_read_in_any_split(
    cut: Callable[[bytes], list[bytes]], unconnected: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reads(head: bytes) -> list[bytes]:
        return cut(upgraded(head) + text("early"))

    transport = OpeningTransport(reads, unconnected)
    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", transport.create_connection)
    connection = await connect("ws://localhost/")
    assert "early" == await anext(connection)
    connection.abort()


@pytest.mark.parametrize("cut", [whole, one_by_one, cut_in_two])
@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (answer("403 Forbidden", "Content-Length: 3", body=b"why and more"), Refused),
        (answer("101 OK", "Upgrade: h2c", body=b"and more"), BadAnswer),
        (b"SSH-2.0\r\n" * 10, BadAnswer),
    ],
)
async def test_failure_is_told_in_any_split_and_what_follows_is_ignored(
    cut: Callable[[bytes], list[bytes]],
    sent: bytes,
    kind: type[ConnectError],
    unconnected: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transport = OpeningTransport(lambda head: cut(sent), unconnected)
    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", transport.create_connection)
    error = await failure(connect("ws://localhost/"))
    assert kind is type(error)
    assert transport.is_aborted
    if isinstance(error, Refused):
        assert error.body.startswith(b"why")


async def test_one_read_is_answered_in_one_write() -> None:
    transport = FakeTransport()
    transport.client.data_received(encode_frame(Opcode.PING, b"1") + encode_frame(Opcode.PING, b"2"))
    assert 1 == len(transport.writes)
    assert [Frame(Opcode.PONG, b"1"), Frame(Opcode.PONG, b"2")] == transport.frames()
    transport.abort()


async def test_messages_of_one_turn_leave_in_one_write() -> None:
    transport = FakeTransport()
    for message in "abc":
        await transport.client.send(message)
    assert [] == transport.writes
    await turns(1)
    assert 1 == len(transport.writes)
    assert [said("a"), said("b"), said("c")] == transport.frames()
    transport.abort()


async def test_sender_that_never_waits_is_not_gathered_without_bound() -> None:
    transport = FakeTransport()
    for _ in range(64):
        await transport.client.send("x" * 2048)
    assert [32 * (4 + 4 + 2048)] * 2 == [len(write) for write in transport.writes]
    transport.abort()


async def test_close_goes_behind_what_was_sent_before_it() -> None:
    transport = FakeTransport()
    await transport.client.send("a")
    transport.client.start_closing()
    assert [said("a"), closed(1000)] == transport.frames()
    transport.abort()


@pytest.mark.parametrize(
    ("message", "count"),
    [("", MAX_WAITING), ("x" * 1024, MAX_WAITING_SIZE // 1024), ("x" * MAX_WAITING_SIZE, 1)],
)
async def test_reading_pauses_at_the_inboxs_bounds_and_goes_on_when_it_is_empty(
    message: str, count: int
) -> None:
    transport = FakeTransport()
    client = transport.client
    for _ in range(count - 1):
        client.data_received(text(message))
        assert transport.reads
    client.data_received(text(message))
    assert not transport.reads
    for _ in range(count):
        assert message == await anext(client)
        assert not transport.reads
    reading = asyncio.create_task(anext(client))
    await turns(1)
    assert transport.reads
    client.data_received(text("more"))
    assert "more" == await reading
    transport.abort()


async def test_one_read_that_overfills_the_inbox_waits_in_the_parser() -> None:
    transport = FakeTransport()
    client = transport.client
    messages = [str(number) for number in range(MAX_WAITING * 3)]
    client.data_received(b"".join(map(text, messages)) + encode_frame(Opcode.PING, b""))
    assert not transport.reads
    # The Ping stands behind messages that nobody has taken.
    assert [] == transport.frames()
    assert messages == [await anext(client) for _ in messages]
    assert [] == transport.frames()
    reading = asyncio.create_task(anext(client))
    await turns(1)
    assert [Frame(Opcode.PONG)] == transport.frames()
    await cancel(reading)
    transport.abort()


async def test_messages_that_came_before_the_end_are_still_taken() -> None:
    transport = FakeTransport()
    client = transport.client
    messages = [str(number) for number in range(MAX_WAITING * 3)]
    client.data_received(b"".join(map(text, messages)) + close_frame(1000, "bye"))
    transport.end = "lost"
    client.connection_lost(ConnectionResetError(104, "reset"))
    assert None is client.close_code
    assert messages == [message async for message in client]
    assert (1000, "bye") == end(client)


async def test_newest_ping_is_answered_when_writing_goes_on() -> None:
    transport = FakeTransport()
    client = transport.client
    client.pause_writing()
    for number in range(1000):
        client.data_received(encode_frame(Opcode.PING, str(number).encode()))
    assert [] == transport.writes
    client.resume_writing()
    assert [Frame(Opcode.PONG, b"999")] == transport.frames()
    client.pause_writing()
    client.resume_writing()
    assert [] == transport.frames()
    transport.abort()


async def test_paused_senders_go_on_together() -> None:
    transport = FakeTransport()
    client = transport.client
    client.pause_writing()
    senders = [asyncio.ensure_future(client.send(str(number))) for number in range(3)]
    await turns()
    assert not any(sender.done() for sender in senders)
    client.resume_writing()
    await asyncio.gather(*senders)
    assert [said("0"), said("1"), said("2")] == transport.frames()
    transport.abort()


# Reconnecting.


@final
class Pauses:
    """Stands in for sleep, chance and the clock."""

    def __init__(self, drawn: float = 1.0) -> None:
        self.slept: list[float] = []
        self.now = 0.0
        self._drawn = drawn

    def random(self) -> float:
        return self._drawn

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == 8:
            raise LookupError("that was enough")


def free_uri() -> str:
    """Name a port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"ws://127.0.0.1:{unused.getsockname()[1]}/"


@pytest.mark.parametrize("drawn", [1.0, 0.5, 0.0])
async def test_delays_are_random_and_grow_to_a_bound(drawn: float) -> None:
    pauses = Pauses(drawn)
    connections = reconnecting(free_uri(), random=pauses.random, sleep=pauses.sleep, clock=pauses.clock)
    with pytest.raises(LookupError):
        await anext(connections)
    ceilings = [5, 10, 20, 40, 60, 60, 60, 60]
    assert [drawn * ceiling for ceiling in ceilings] == pauses.slept
    assert isinstance(connections.error, Unreachable)


async def test_delay_stays_bounded_for_ever() -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 100:
            raise LookupError

    with pytest.raises(LookupError):
        await anext(reconnecting(free_uri(), random=lambda: 1.0, sleep=sleep))
    assert MAX_DELAY == slept[-1]


async def test_connection_that_lived_begins_the_delays_anew(peers: Listen) -> None:
    async with peers() as listening:
        pauses = Pauses()
        connections = reconnecting(
            listening.uri, random=pauses.random, sleep=pauses.sleep, clock=pauses.clock, origin="null"
        )
        lives = [MAX_DELAY - 1, MAX_DELAY - 1, MAX_DELAY, MAX_DELAY - 1]
        for life in lives:
            connecting = asyncio.create_task(anext(connections))
            peer = await listening.accept()
            await peer.upgrade()
            assert b"\r\nOrigin: null\r\n" in peer.head
            connection = await connecting
            assert connections.error is None
            pauses.now += life
            answering = asyncio.create_task(peer.answer_close())
            async with connection:
                pass
            await answering
        connecting = asyncio.create_task(anext(connections))
        await listening.accept()
        await cancel(connecting)
        assert [FIRST_DELAY, FIRST_DELAY * 2, FIRST_DELAY, FIRST_DELAY * 2] == pauses.slept


async def test_connection_left_open_is_closed_before_the_next(peers: Listen) -> None:
    async with peers() as listening:
        pauses = Pauses()
        opened = []

        async def iterate() -> None:
            async for connection in reconnecting(listening.uri, sleep=pauses.sleep):
                opened.append(connection)
                if len(opened) == 2:
                    break

        iterating = asyncio.create_task(iterate())
        first = await listening.accept()
        await first.upgrade()
        assert closed(1000) == await first.answer_close()
        await (await listening.accept()).upgrade()
        await iterating
        assert [1000, None] == [connection.close_code for connection in opened]
        opened[1].abort()


async def test_refusal_that_may_pass_is_tried_again_when_the_server_says(peers: Listen) -> None:
    async with peers() as listening:
        pauses = Pauses()
        connections = reconnecting(listening.uri, random=pauses.random, sleep=pauses.sleep)
        connecting = asyncio.create_task(anext(connections))
        for named in ("7", "100000", "Sun, 06 Nov 1994 08:49:37 GMT", "\xb2"):
            peer = await listening.accept()
            await peer.read_head()
            head = f"HTTP/1.1 503 Busy\r\nRetry-After: {named}\r\nContent-Length: 0\r\n\r\n"
            await peer.send(head.encode("latin-1"))
        await (await listening.accept()).upgrade()
        connection = await connecting
        assert [5 + 7, 10 + MAX_DELAY, 20, 40] == pauses.slept
        assert connections.error is None
        connection.abort()


@pytest.mark.parametrize(
    ("sent", "error"),
    [(answer("401 Unauthorized", "Content-Length: 0"), Refused), (b"SSH-2.0\r\n", BadAnswer)],
)
async def test_failure_that_time_does_not_heal_is_raised(
    peers: Listen, sent: bytes, error: type[ConnectError]
) -> None:
    async with peers() as listening:
        pauses = Pauses()
        connecting = asyncio.create_task(failure(anext(reconnecting(listening.uri, sleep=pauses.sleep))))
        peer = await listening.accept()
        await peer.read_head()
        await peer.send(sent)
        assert isinstance(await connecting, error)
        assert [] == pauses.slept


async def test_reconnecting_is_cancelled_in_its_sleep() -> None:
    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await asyncio.get_running_loop().create_future()

    before = take_census()
    connecting = asyncio.create_task(_first(reconnecting(free_uri(), sleep=sleep)))
    await asleep.wait()
    await cancel(connecting)
    await eventually(before, take_census)


def _first(connections: Any) -> Coroutine[Any, Any, ClientConnection]:
    found: Coroutine[Any, Any, ClientConnection] = anext(connections)
    return found


async def test_draws_and_sleeps_of_its_own_by_default(peers: Listen) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(_first(reconnecting(listening.uri)))
        await (await listening.accept()).upgrade()
        (await connecting).abort()
