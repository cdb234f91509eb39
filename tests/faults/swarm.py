"""A swarm: thousands of clients in one event loop, with frame code of their own, and what each was told."""

import asyncio
import json
import re
import resource
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Final, cast, final

from tests.logcheck import LogCheck
from tests.rawclient import CLOSE, PING, PONG, TEXT, close, frame, text, upgrade

# Clients that are connecting at a time, so that the listening socket's queue isn't what is tested.
AT_ONCE: Final = 100
# Characters of a message: it takes a few to fill a small buffer.
SIZE: Final = 1000
# Addresses that clients come from: each has ports for so many only.
SOURCES: Final = tuple(f"127.0.0.{number}" for number in range(2, 10))


def raise_descriptor_limit() -> None:
    """Allow as many connections as the system does, for this process and those that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def frames_in(received: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take the frames that are there whole, as opcode and payload."""
    while len(received) >= 2:
        size, start = received[1], 2
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(received[2:start], "big")
        if len(received) < start + size:
            return
        opcode, payload = received[0] & 0x0F, bytes(received[start : start + size])
        del received[: start + size]
        yield opcode, payload


@final
class Member(asyncio.Protocol):
    """A client of `/ws` that joins a room, if it is given one, and tells nothing unless told to."""

    __slots__ = (
        "_joins",
        "_received",
        "_request",
        "_wants_echo",
        "acknowledged",
        "close_code",
        "closed_at",
        "ignores_close",
        "is_over",
        "log",
        "name",
        "ready",
        "retry_after",
        "room",
        "said",
        "status",
        "transport",
    )

    def __init__(
        self, name: str, room: str = "", *, ignores_close: bool = False, request: bytes = upgrade("/ws")
    ) -> None:
        self.name = name
        self.room = room
        self.ignores_close = ignores_close
        self.log = LogCheck()
        # The status of the answer to its request, as soon as there is one.
        self.status = 0
        # Seconds to wait, if it says so.
        self.retry_after = 0
        self.close_code: int | None = None
        self.closed_at: float | None = None
        # Whether the server has ended the connection, one way or the other.
        self.is_over = False
        self.said = 0
        # Offsets of its own messages, by their text.
        self.acknowledged: dict[str, int] = {}
        # Done when it is in its room, or can't be.
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self._request = request
        self._received = bytearray()

    @property
    def position(self) -> int:
        """How far it has heard its room."""
        return self.log.positions[self.room][1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        self._settle()

    def eof_received(self) -> bool:
        self.is_over = True
        # Who ignores the Close doesn't end the connection either.
        return self.ignores_close

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self.status:
            head, found, rest = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            self.status = int(head[9:12])
            told = re.search(rb"\r\nRetry-After: (\d+)", head)
            self.retry_after = int(told[1]) if told else 0
            self._received[:] = rest
        if self.status != 101:
            self._settle()
            return
        for opcode, payload in frames_in(self._received):
            self._hear(opcode, payload)

    def say(self, size: int = SIZE) -> None:
        """Publish something that nobody has said before."""
        self.said += 1
        said = f"{self.name}-{self.said}"
        self._do(action="message", room=self.room, message=said.ljust(size), ref=said)

    def _hear(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.transport.write(frame(PONG, payload))
        elif opcode == CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big")
            self.closed_at = asyncio.get_running_loop().time()
            if not self.ignores_close:
                self.transport.write(close(self.close_code))
        elif opcode == TEXT:
            self._hear_message(json.loads(payload))
        else:
            self.log.problems.append(f"a frame of opcode {opcode}")

    def _hear_message(self, message: dict[str, Any]) -> None:
        if self.closed_at is not None:
            self.log.problems.append(f"heard behind the Close: {message}")
        if message["type"] != "ack":
            self.log.hear(message)
        match message["type"]:
            case "welcome" if self.room:
                self._do(action="join", room=self.room)
            case "welcome" | "joined":
                self._settle()
            case "ack":
                self.acknowledged[message["ref"]] = message["offset"]
            case "message":
                pass
            case _:
                self.log.problems.append(f"heard {message}")

    def _do(self, **action: Any) -> None:
        self.transport.write(text(json.dumps(action)))

    def _settle(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)


async def connect(
    member: Member,
    port: int,
    source: str,
    *,
    receive_buffer: int = 0,
    trusting: ssl.SSLContext | None = None,
) -> Member:
    """Connect a member, over TLS if it trusts anybody, with a receive buffer of that size. Raises OSError."""
    connecting = socket.socket()
    try:
        connecting.setblocking(False)
        if receive_buffer:
            connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connecting.bind((source, 0))
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connecting, ("127.0.0.1", port))
    except BaseException:
        connecting.close()
        raise
    name = None if trusting is None else "localhost"
    await loop.create_connection(lambda: member, sock=connecting, ssl=trusting, server_hostname=name)
    return member


async def connect_all(
    members: list[Member], port: int, *, receive_buffer: int = 0, trusting: ssl.SSLContext | None = None
) -> None:
    """Connect them from all the addresses, some at a time, and wait until each is in its room."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def connect_one(number: int, member: Member) -> None:
        async with turn:
            source = SOURCES[number % len(SOURCES)]
            await connect(member, port, source, receive_buffer=receive_buffer, trusting=trusting)
            await member.ready

    async with asyncio.TaskGroup() as group:
        for number, member in enumerate(members):
            group.create_task(connect_one(number, member))
