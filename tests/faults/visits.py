"""Visits: what clients do to a server that it must bear, each over a connection of its own.

Most are rude in one way; a few are polite, so that the rude ones can be seen to cost them nothing. A visit
raises AssertionError if it wasn't answered as the documents say.
"""

import asyncio
import json
import random
import struct
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, final

from tests.rawclient import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    RawClient,
    close,
    frame,
    get,
    text,
    upgrade,
)

MAX_MESSAGE: Final = 1 << 20
DEFLATE: Final = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover"
# What is to be failed, and with which code.
BAD_FRAMES: Final[tuple[tuple[bytes, int], ...]] = (
    (b"\x81\x05hello", 1002),
    (frame(0x3, b"reserved"), 1002),
    (frame(TEXT, b"compressed?", rsv1=True), 1002),
    (frame(CONTINUATION, b"of nothing"), 1002),
    (frame(PING, b"in parts", fin=False), 1002),
    (frame(TEXT, b"a", fin=False) + text("another"), 1002),
    (frame(TEXT, b"\xff\xfe"), 1007),
    (frame(CLOSE, b"\x03"), 1002),
    (frame(CLOSE, struct.pack("!H", 1005)), 1002),
    (b"\x82\xff" + struct.pack("!QI", MAX_MESSAGE + 1, 0), 1009),
)
BAD_REQUESTS: Final = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost : localhost\r\n\r\n",
    upgrade("/echo", "Sec-WebSocket-Key: short"),
    upgrade("/echo", "Host: elsewhere.example"),
    b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n",
)
PAGES: Final = (("/", 200), ("/client.js", 200), ("/style.css", 200), ("/healthz", 200), ("/nothing", 404))


@final
class Visitor:
    """Comes from one address, and leaves nothing open."""

    def __init__(self, port: int, rooms: list[str], chance: random.Random, source: str = "") -> None:
        self.rooms = rooms
        self.chance = chance
        self._address = "127.0.0.1", port
        self._source = source
        self._clients: list[RawClient] = []

    async def connect(self, receive_buffer: int = 0) -> RawClient:
        client = await RawClient.connect(self._address, receive_buffer=receive_buffer, source=self._source)
        self._clients.append(client)
        return client

    async def open(self, path: str = "/echo", *fields: str, receive_buffer: int = 0) -> RawClient:
        client = await self.connect(receive_buffer)
        await client.open(path, *fields)
        return client

    async def wait(self, seconds: float = 1.0) -> None:
        """Let some time pass, up to so many seconds."""
        await asyncio.sleep(self.chance.uniform(0, seconds))

    def leave(self) -> None:
        """Go as clients go: with a FIN, or a RST."""
        for client in self._clients:
            if self.chance.random() < 0.5:
                with suppress(OSError):
                    client.reset()
            client.close()
        self._clients.clear()


def do(action: str, **fields: Any) -> bytes:
    return text(json.dumps({"action": action, **fields}))


async def _failed_with(client: RawClient, code: int) -> None:
    """Read up to the Close, which must have this code."""
    received = await client.frame()
    while received.opcode != CLOSE:
        received = await client.frame()
    assert code == int.from_bytes(received.payload[:2], "big"), received


async def _answer_to(client: RawClient, ref: int) -> dict[str, Any]:
    while True:
        received = await client.frame()
        assert TEXT == received.opcode, received
        answer: dict[str, Any] = json.loads(received.payload)
        if answer.get("ref") == ref:
            return answer


# Polite ones.


async def use_rooms(visitor: Visitor) -> None:
    """Do all that a member can."""
    client = await visitor.open("/ws")
    room = f"hall-{visitor.chance.randrange(100)}"
    actions = (
        ("joined", do("join", room=room, state={"mood": "good"}, presence=True, ref=1)),
        ("ack", do("message", room=room, message="x" * visitor.chance.randrange(5000), ref=2)),
        ("ack", do("state", room=room, state={"mood": "better"}, ref=3)),
        ("members", do("presence", room=room, ref=4)),
        ("history", do("history", room=room, ref=5)),
        ("pong", do("ping", ref=6)),
        ("error", do("join", room="", ref=7)),
        ("left", do("leave", room=room, ref=8)),
    )
    for ref, (answer, action) in enumerate(actions, 1):
        await client.send(action)
        assert answer == (await _answer_to(client, ref))["type"]


async def echo(visitor: Visitor) -> None:
    """Hear what was said, in fragments and not, of every size."""
    client = await visitor.open()
    message = visitor.chance.randbytes(int(2 ** visitor.chance.uniform(0, 17)))
    half = len(message) // 2
    await client.send(frame(BINARY, message[:half], fin=False) + frame(PING, b"between"))
    await client.send(frame(CONTINUATION, message[half:]))
    assert [Frame(PONG, b"between"), Frame(BINARY, message)] == await client.frames(2)
    await client.send(close(1000))
    await _failed_with(client, 1000)
    await client.eof()


async def echo_compressed(visitor: Visitor) -> None:
    """The same with permessage-deflate."""
    client = await visitor.open("/echo", DEFLATE)
    message = b"".join(visitor.chance.choices((b"some ", b"words ", b"again "), k=500))
    await client.send(frame(TEXT, deflate(message), rsv1=True))
    received = await client.frame()
    inflated = zlib.decompressobj(-15).decompress(received.payload + b"\x00\x00\xff\xff")
    assert message == (inflated if received.rsv1 else received.payload)


async def load_pages(visitor: Visitor) -> None:
    """Load pages, some on one connection, and upgrade that."""
    client = await visitor.connect()
    for path, status in visitor.chance.choices(PAGES, k=visitor.chance.randrange(1, 8)):
        await client.send(get(path))
        assert status == (await client.answer()).status
        if status != 200:
            return
    await client.open("/ws")


# Rude ones.


async def read_slowly(visitor: Visitor) -> None:
    """Join where much is said, and let it wait for a while."""
    client = await visitor.open("/ws", receive_buffer=4096)
    for room in visitor.rooms:
        await client.send(do("join", room=room, presence=True))
    await visitor.wait(10)
    # Who was too slow may find nothing but the end.
    with suppress(TimeoutError, EOFError, ConnectionError):
        async with asyncio.timeout(3):
            while (await client.frame()).opcode != CLOSE:
                pass


async def ask_and_not_read(visitor: Visitor) -> None:
    """Have large messages echoed, and read none."""
    client = await visitor.open(receive_buffer=4096)
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(visitor.chance.uniform(0, 3)):
            await client.send(frame(BINARY, bytes(1 << 18)) * 20)
    await visitor.wait(3)


async def send_half_a_request(visitor: Visitor) -> None:
    client = await visitor.connect()
    request = upgrade("/ws")
    await client.send(request[: visitor.chance.randrange(len(request))])
    await visitor.wait()
    if visitor.chance.random() < 0.5:
        client.end_sending()
        await client.rest()


async def send_half_a_frame(visitor: Visitor) -> None:
    client = await visitor.open(visitor.chance.choice(("/ws", "/echo")), DEFLATE)
    whole = frame(TEXT, deflate(b"half of it" * 100), rsv1=True)
    await client.send(whole[: visitor.chance.randrange(len(whole))])
    await visitor.wait()
    if visitor.chance.random() < 0.5:
        client.end_sending()
        await client.rest()


async def send_no_end(visitor: Visitor) -> None:
    """Begin a message, and never end it."""
    client = await visitor.open()
    await client.send(frame(BINARY, bytes(1000), fin=False))
    for _ in range(visitor.chance.randrange(10)):
        await client.send(frame(CONTINUATION, bytes(1 << 16), fin=False))
    await visitor.wait()


async def send_a_bad_frame(visitor: Visitor) -> None:
    client = await visitor.open(visitor.chance.choice(("/ws", "/echo")))
    octets, code = visitor.chance.choice(BAD_FRAMES)
    await client.send(octets)
    await _failed_with(client, code)
    await client.eof()


async def send_a_bomb(visitor: Visitor) -> None:
    """Send what inflates to a hundred times what may be."""
    client = await visitor.open("/echo", DEFLATE)
    await client.send(frame(BINARY, _BOMB, rsv1=True))
    await _failed_with(client, 1009)


async def send_too_large_a_message(visitor: Visitor) -> None:
    client = await visitor.open()
    with suppress(ConnectionError):
        await client.send(frame(BINARY, bytes(MAX_MESSAGE), fin=False) + frame(CONTINUATION, b"x"))
    await _failed_with(client, 1009)


async def flood(visitor: Visitor) -> None:
    """Send more Pings than may be."""
    client = await visitor.open()
    with suppress(ConnectionError):
        await client.send(frame(PING, b"flood") * 3000)
    await _failed_with(client, 1008)


async def send_a_bad_request(visitor: Visitor) -> None:
    client = await visitor.connect()
    await client.send(visitor.chance.choice(BAD_REQUESTS))
    assert 400 <= (await client.answer()).status < 500


async def connect_and_say_nothing(visitor: Visitor) -> None:
    await visitor.connect()
    await visitor.wait(5)


async def ignore_the_close(visitor: Visitor) -> None:
    """Be failed, and neither read why nor go."""
    client = await visitor.open()
    await client.send(frame(0x3))
    await visitor.wait(15)


def deflate(message: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return (deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


_BOMB: Final = deflate(bytes(100 * MAX_MESSAGE))

Visit = Callable[[Visitor], Awaitable[None]]
VISITS: Final[tuple[Visit, ...]] = (
    use_rooms,
    echo,
    echo_compressed,
    load_pages,
    read_slowly,
    ask_and_not_read,
    send_half_a_request,
    send_half_a_frame,
    send_no_end,
    send_a_bad_frame,
    send_a_bomb,
    send_too_large_a_message,
    flood,
    send_a_bad_request,
    connect_and_say_nothing,
    ignore_the_close,
)
