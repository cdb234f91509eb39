"""A WebSocket client on a bare socket, with frame code of its own: no fault of the server's hides in it."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Final, NamedTuple, Self, final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT: Final = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
_MASKING_KEY: Final = bytes.fromhex("37fa213d")
# Seconds until what should have come is missed.
_PATIENCE: Final = 20


class Frame(NamedTuple):
    """A frame as the server sent it."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv1: bool = False


class Answer(NamedTuple):
    """An HTTP response; the fields' names are in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes = b""


def upgrade(path: str = "/echo", *fields: str) -> bytes:
    """Make a request to upgrade. A field given here takes the place of the usual one."""
    usual = [
        "Host: localhost:8765",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
    ]
    given = {field.partition(":")[0] for field in fields}
    kept = [field for field in usual if field.partition(":")[0] not in given]
    return "\r\n".join([f"GET {path} HTTP/1.1", *kept, *fields, "", ""]).encode()


def get(path: str = "/", *fields: str, method: str = "GET", host: str = "localhost:8765") -> bytes:
    """Make a plain request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv1: bool = False) -> bytes:
    """Make a masked frame."""
    size = len(payload)
    head = bytes([fin << 7 | rsv1 << 6 | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += struct.pack("!BH", 0x80 | 126, size)
    else:
        head += struct.pack("!BQ", 0x80 | 127, size)
    mask = _MASKING_KEY * (size // 4 + 1)
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(mask[:size], "big")
    return head + _MASKING_KEY + masked.to_bytes(size, "big")


def text(message: str) -> bytes:
    """Make the frame of a text message."""
    return frame(TEXT, message.encode())


def close(code: int = 1000, reason: str = "") -> bytes:
    """Make a Close."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


def said(message: str | bytes) -> Frame:
    """Make the frame in which a server says this."""
    return Frame(TEXT, message.encode()) if isinstance(message, str) else Frame(BINARY, message)


def closed(code: int, reason: str = "") -> Frame:
    """Make the Close that a server sends."""
    return Frame(CLOSE, struct.pack("!H", code) + reason.encode())


def without_advice(received: Frame) -> Frame:
    """A Close as it would be if it didn't say when to come back, which it must."""
    payload, _, seconds = received.payload.rpartition(b"; retry=")
    assert 0.5 <= float(seconds) <= 5.0
    return received._replace(payload=payload)


@final
class RawClient:
    """One connection. What it isn't told to read stays in the kernel."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._received = b""

    @classmethod
    async def connect(cls, address: tuple[str, int], *, receive_buffer: int = 0, source: str = "") -> Self:
        """Connect, with a receive buffer of that size if one is given."""
        connecting = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            # Only a buffer that is small before it connects stays small.
            if receive_buffer:
                connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if source:
                connecting.bind((source, 0))
            await asyncio.get_running_loop().sock_connect(connecting, address)
        except BaseException:
            connecting.close()
            raise
        return cls(connecting)

    @classmethod
    async def connect_unix(cls, path: str) -> Self:
        """Connect to a path."""
        connecting = socket.socket(socket.AF_UNIX)
        connecting.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connecting, path)
        except BaseException:
            connecting.close()
            raise
        return cls(connecting)

    async def send(self, data: bytes) -> None:
        """Send it all."""
        async with asyncio.timeout(_PATIENCE):
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def open(self, path: str = "/echo", *fields: str) -> Answer:
        """Upgrade."""
        await self.send(upgrade(path, *fields))
        answer = await self.answer()
        assert 101 == answer.status, answer
        return answer

    async def answer(self, *, to_head: bool = False) -> Answer:
        """Receive an answer, behind interim ones; one to a HEAD has no body."""
        status = 100
        while status == 100:
            lines = (await self._receive_until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(lines[0].split(" ")[1])
        fields = dict(line.split(": ", 1) for line in lines[1:-2])
        assert len(fields) == len(lines) - 3, lines
        fields = {name.lower(): value for name, value in fields.items()}
        size = 0 if to_head else int(fields.get("content-length", 0))
        return Answer(status, fields, await self.receive(size))

    async def frame(self) -> Frame:
        """Receive a frame; every one is held to what a server may send (RFC 6455 5.1, 5.2, 5.5)."""
        first, second = await self.receive(2)
        assert not first & 0x30, "RSV2 or RSV3 is set"
        assert second < 128, "a server's frame is masked"
        size: int = second
        if second == 126:
            (size,) = struct.unpack("!H", await self.receive(2))
            assert size > 125, "the length isn't in its shortest form"
        if second == 127:
            (size,) = struct.unpack("!Q", await self.receive(8))
            assert size > 65535, "the length isn't in its shortest form"
        if first & 0x08:
            assert first & 0x80, "a control frame is fragmented"
            assert size < 126, "a control frame is too long"
        return Frame(first & 0x0F, await self.receive(size), bool(first & 0x80), bool(first & 0x40))

    async def frames(self, count: int) -> list[Frame]:
        """Receive that many frames."""
        return [await self.frame() for _ in range(count)]

    async def receive(self, size: int) -> bytes:
        """Receive exactly so many octets."""
        while len(self._received) < size:
            await self._receive_more()
        received, self._received = self._received[:size], self._received[size:]
        return received

    async def receive_some(self) -> bytes:
        """Receive at least one octet."""
        if not self._received:
            await self._receive_more()
        received, self._received = self._received, b""
        return received

    async def rest(self) -> bytes:
        """Receive what still comes until the server ends the connection; a reset ends it too."""
        try:
            while True:
                await self._receive_more()
        except (EOFError, ConnectionResetError):
            received, self._received = self._received, b""
            return received

    async def eof(self) -> None:
        """Receive the server's FIN, with nothing before it."""
        with suppress(EOFError):
            await self._receive_more()
        assert b"" == self._received

    async def _receive_until(self, mark: bytes) -> bytes:
        while mark not in self._received:
            await self._receive_more()
        received, mark, self._received = self._received.partition(mark)
        return received + mark

    async def _receive_more(self) -> None:
        async with asyncio.timeout(_PATIENCE):
            received = await asyncio.get_running_loop().sock_recv(self._socket, 1 << 16)
        if not received:
            raise EOFError(f"the server ended the connection behind {self._received!r}")
        self._received += received

    def end_sending(self) -> None:
        """Send a FIN, and go on reading."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Go away with a RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Go away. Once more does nothing."""
        self._socket.close()
