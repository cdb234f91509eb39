"""A server by hand: it says octet for octet what the test of a client wants, and reads what that says."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, final

from rfc6455 import FrameParser, Opcode, Role, accept_key, encode_frame
from server.client import ClientConnection, connect
from tests.conftest import eventually, take_census
from tests.rawclient import Frame

# More than the kernel keeps of what is written to a connection that nobody reads.
PLENTY: Final = 32 << 20

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


def answer(status: str, *fields: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode() + body


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

    async def octets(self, count: int) -> bytes:
        """Receive so many octets, and no more of them than the kernel and the reader hold."""
        return await self._reader.readexactly(count)

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
        connecting = asyncio.ensure_future(open_client(self.uri, options))
        peer = await self.accept()
        await peer.upgrade(*fields, behind=behind)
        return await connecting, peer

    def on_connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._all.append(writer)
        self._accepted.put_nowait(Peer(reader, writer))

    def abort(self) -> None:
        for writer in self._all:
            writer.transport.abort()


async def open_client(uri: str, options: dict[str, Any]) -> ClientConnection:
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
        # One who was accepted a moment ago gets here in three turns: a closed server would forget its socket.
        for _ in range(5):
            await asyncio.sleep(0)
        peers.abort()
        listening.close()
        await listening.wait_closed()
    await eventually(before, take_census)


def write_certificate(folder: Path) -> str:
    key = folder / "key.pem"
    key.write_text(_KEY)
    # Of one that is everybody's to read the server warns.
    key.chmod(0o600)
    file = folder / "certificate.pem"
    file.write_text(CERTIFICATE)
    return str(file)


def server_context(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.replace("certificate.pem", "key.pem"))
    return context
