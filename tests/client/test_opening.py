"""Opening: what is asked, with TLS or without, and the answer in any split; and leaving it at any time."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, final

import pytest

from rfc6455 import StateError
from server.client import BadAnswer, ClientConnection, ConnectError, Dropped, Refused, TlsFailed, connect
from tests.client.conftest import Listen, cancel, end, failure, turns
from tests.rawserver import answer, close_frame, closed, open_client, said, server_context, text, upgraded


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


# Cancelling. Each test ends in a census.


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
            connecting = asyncio.create_task(open_client(listening.uri, {}))
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
            connecting = asyncio.create_task(open_client(listening.uri, {}))
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


# The transport's side, moved by hand.


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
