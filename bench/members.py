"""Clients for measurements: many in one event loop, with frame code of their own."""

import asyncio
import json
import struct
from collections.abc import Callable
from typing import Any, Final, cast, final

_TEXT: Final = 0x81
_PING: Final = 0x89
_PONG: Final = 0x8A
REQUEST: Final = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@final
class Member(asyncio.Protocol):
    """Answers pings, and hands each text to `hear`; it is ready when it has heard `greetings` of them."""

    def __init__(self, hear: Callable[[bytes], None], hello: bytes = b"", greetings: int = 1) -> None:
        self._hear = hear
        self._hello = hello
        self._greetings = greetings
        self._received = b""
        self._is_open = False
        self.pings = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.close_code: int | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(REQUEST + self._hello)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        position = 0
        if not self._is_open:
            position = received.find(b"\r\n\r\n") + 4
            self._is_open = position > 3
        while self._is_open and (found := _frame_at(received, position)) is not None:
            first, payload, position = found
            self._take(first, payload)
        self._received = received[position:] if self._is_open else received

    def _take(self, first: int, payload: bytes) -> None:
        if first == _PING:
            self.pings += 1
            self.transport.write(masked(_PONG, payload))
        elif first != _TEXT:
            self.close_code = int.from_bytes(payload[:2], "big")
        elif self._greetings:
            self._greetings -= 1
            if not self._greetings:
                self.ready.set_result(None)
        else:
            self._hear(payload)


def _frame_at(received: bytes, position: int) -> tuple[int, bytes, int] | None:
    """Return the first octet, the payload, and where the next frame begins; None if it isn't all there."""
    start = position + 2
    if len(received) < start:
        return None
    size = received[position + 1]
    if size == 126:
        start += 2
        size = int.from_bytes(received[start - 2 : start], "big")
    elif size == 127:
        start += 8
        size = int.from_bytes(received[start - 8 : start], "big")
    if len(received) < start + size:
        return None
    return received[position], received[start : start + size], start + size


def masked(first: int, payload: bytes) -> bytes:
    """Make a frame whose mask is four zeros, under which the payload stays what it is."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BBI", first, 0x80 | size, 0) + payload
    return struct.pack("!BBHI", first, 0x80 | 126, size, 0) + payload


def action(**fields: Any) -> bytes:
    """Make the frame in which a client asks for something."""
    return masked(_TEXT, json.dumps(fields, separators=(",", ":")).encode())


async def connect(port: int, member: Member) -> Member:
    """Connect, and wait until the member is ready."""
    await asyncio.get_running_loop().create_connection(lambda: member, "127.0.0.1", port)
    await member.ready
    return member
