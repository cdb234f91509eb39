"""A transport that a test moves by hand: what it reads, when it pauses, and each write it was given."""

import asyncio
from typing import cast, final

from server.http import HttpProtocol
from server.service import Service
from tests.rawclient import Frame, upgrade


@final
class FakeTransport(asyncio.Transport):
    """One connection of a service that needn't listen."""

    def __init__(self, service: Service, *, can_write_eof: bool = True) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.writes: list[bytes] = []
        self.reads = True
        self.eof_written = False
        # Whether the next write is all that it takes for now; whether each one is.
        self.is_nearly_full = False
        self.is_full_after_a_write = False
        # Octets that it says it holds.
        self.buffered = 0
        self.end = ""
        self._can_write_eof = can_write_eof
        service.context.admission.admit("192.0.2.1")
        protocol = HttpProtocol(service.context, "192.0.2.1")
        self.protocol: asyncio.BaseProtocol = cast(asyncio.BaseProtocol, protocol)
        self.protocol.connection_made(self)

    # The test's side.

    def receive(self, data: bytes) -> None:
        """Bring what the client sent, in one read."""
        assert self.reads, "nothing is read while reading is paused"
        # A compiled protocol is one by its methods alone.
        cast(asyncio.Protocol, self.protocol).data_received(data)

    def open(self, path: str = "/echo", *fields: str) -> None:
        """Upgrade, and forget how."""
        self.receive(upgrade(path, *fields))
        assert self.take().startswith(b"HTTP/1.1 101 ")

    def pause(self) -> None:
        """Take no more octets than there are."""
        self.protocol.pause_writing()

    def resume(self) -> None:
        """Have written most of them."""
        self.protocol.resume_writing()

    def take(self) -> bytes:
        """Take what was written."""
        written = b"".join(self.writes)
        self.writes.clear()
        return written

    def frames(self) -> list[Frame]:
        """Take what was written, as frames."""
        written = self.take()
        frames = []
        while written:
            first, size = written[0], written[1]
            start = 2
            if size == 126:
                size, start = int.from_bytes(written[2:4], "big"), 4
            if size == 127:
                size, start = int.from_bytes(written[2:10], "big"), 10
            payload = written[start : start + size]
            frames.append(Frame(first & 0x0F, payload, bool(first & 0x80), bool(first & 0x40)))
            written = written[start + size :]
        return frames

    def lose(self, error: Exception | None = None) -> None:
        """Let the connection be over."""
        self.protocol.connection_lost(error)

    # The protocol's side.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.eof_written, "nothing follows an EOF"
        self.writes.append(bytes(data))
        if self.is_nearly_full or self.is_full_after_a_write:
            self.is_nearly_full = False
            self.pause()

    def can_write_eof(self) -> bool:
        return self._can_write_eof

    def write_eof(self) -> None:
        self.eof_written = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_reading(self) -> bool:
        return self.reads

    def is_closing(self) -> bool:
        return self.end != ""

    def close(self) -> None:
        self.end = self.end or "closed"

    def abort(self) -> None:
        self.end = "aborted"
        self.buffered = 0
