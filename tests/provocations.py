"""One provocation for each limit: it goes to some size, and tells what the client saw."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, cast, final

from server.protocol import WebSocketSession
from server.service import Service
from server.settings import Settings

from .conftest import NO_RATES
from .faketransport import FakeTransport
from .rawclient import BINARY, CLOSE, CONTINUATION, PING, TEXT, Frame, RawClient, frame, get, text

MIB: Final = 1 << 20


@final
class Clock:
    """The event loop's time, which moves when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        asyncio.get_running_loop().time = lambda: self.now  # type: ignore[method-assign]


class Provocation(NamedTuple):
    """Bites where the size is `bites_at` above the limit: 1 where that may be reached, 0 where it may not."""

    run: Callable[[Clock, int, int], Awaitable[str]]
    limit: int
    bites_at: int


PROVOCATIONS: Final[dict[str, Provocation]] = {}

Run = Callable[[Clock, int, int], Awaitable[str]]


def provokes(name: str, limit: int, bites_at: int = 1) -> Callable[[Run], Run]:
    def register(run: Run) -> Run:
        PROVOCATIONS[name] = Provocation(run, limit, bites_at)
        return run

    return register


def serve(handlers: Any = None, application: Any = None, /, **settings: Any) -> Service:
    return Service(Settings(**{**NO_RATES, "compression": False, **settings}), handlers, application)


def opened(service: Service, path: str = "/ws") -> FakeTransport:
    transport = FakeTransport(service)
    transport.open(path)
    return transport


def session_of(transport: FakeTransport) -> WebSocketSession:
    return cast(WebSocketSession, transport.protocol)


def do(transport: FakeTransport, action: str, **fields: Any) -> None:
    transport.receive(text(json.dumps({"action": action, **fields})))


def told(frames: list[Frame]) -> list[dict[str, Any]]:
    return [json.loads(one.payload) for one in frames if one.opcode == TEXT]


def seen(transport: FakeTransport) -> str:
    """Say what the client saw of a refusal, if anything."""
    written = b"".join(transport.writes)
    if written.startswith(b"HTTP/1.1 "):
        status = written.split(b" ", 2)[1].decode()
        return "" if status in ("101", "200") else f"HTTP {status}"
    parts: list[str] = []
    for received in transport.frames():
        if received.opcode == CLOSE:
            parts.append(f"close {int.from_bytes(received.payload[:2], 'big')}")
        elif received.opcode == PING:
            parts.append("ping")
        elif received.opcode == TEXT and b'"type":"error"' in received.payload:
            parts.append(f"error {json.loads(received.payload)['code']}")
    return ", ".join(parts) or ("cut off" if transport.end == "aborted" else "")


async def turns() -> None:
    """Let what is due happen."""
    for _ in range(20):
        await asyncio.sleep(0)


# The request. -----------------------------------------------------------------------------------------------


@provokes("max_head", 500)
async def send_a_head(clock: Clock, limit: int, size: int) -> str:
    transport = FakeTransport(serve(max_head=limit, max_target=100))
    transport.receive(get("/", "A: " + "a" * (size - len(get("/", "A: ")))))
    return seen(transport)


@provokes("max_fields", 10)
async def send_fields(clock: Clock, limit: int, size: int) -> str:
    transport = FakeTransport(serve(max_fields=limit))
    transport.receive(get("/", *["A: b"] * (size - 1)))
    return seen(transport)


@provokes("max_target", 100)
async def ask_for_a_target(clock: Clock, limit: int, size: int) -> str:
    transport = FakeTransport(serve(max_target=limit))
    transport.receive(get("/?" + "a" * (size - 2)))
    return seen(transport)


@provokes("handshake_timeout", 10, bites_at=0)
async def send_half_a_request(clock: Clock, limit: int, size: int) -> str:
    service = serve(handshake_timeout=limit)
    transport = FakeTransport(service)
    transport.receive(b"GET")
    for entry in service.context.handshakes.expired(clock.now + size):
        entry.expire()
    return seen(transport)


@provokes("body of a plain request", 1 << 16)
async def send_a_body(clock: Clock, limit: int, size: int) -> str:
    transport = FakeTransport(serve())
    transport.receive(get("/healthz", f"Content-Length: {size}") + bytes(size))
    return seen(transport)


async def knock(size: int, **settings: Any) -> str:
    """Say what the last of so many saw who came over real sockets, and else the first."""
    service = serve(host=("127.0.0.1",), port=0, **settings)
    await service.start()
    clients = [await RawClient.connect(service.addresses[0]) for _ in range(size)]
    await clients[-1].send(get("/healthz"))
    status = (await clients[-1].answer()).status
    try:
        for _ in range(2):
            await clients[1].send(b"G")
            await turns()
        is_first_there = True
    except OSError:
        is_first_there = False
    for client in clients:
        client.close()
    service.stop_now()
    if not is_first_there:
        return "cut off"
    return "" if status == 200 else f"HTTP {status}"


@provokes("max_connections", 5)
async def connect_from_everywhere(clock: Clock, limit: int, size: int) -> str:
    return await knock(size, max_connections=limit)


@provokes("max_connections_per_address", 5)
async def connect_from_one_address(clock: Clock, limit: int, size: int) -> str:
    return await knock(size, max_connections_per_address=limit)


@provokes("connections that are being refused", 128)
async def connect_to_a_full_server(clock: Clock, limit: int, size: int) -> str:
    saw = await knock(1 + size, max_connections=1)
    return "" if saw == "HTTP 503" else saw


# Messages. --------------------------------------------------------------------------------------------------


@provokes("max_message_size", 1000)
async def send_a_message(clock: Clock, limit: int, size: int) -> str:
    transport = opened(serve(max_message_size=limit), "/echo")
    transport.receive(frame(BINARY, bytes(size)))
    return seen(transport)


@provokes("max_fragments", 10)
async def send_fragments(clock: Clock, limit: int, size: int) -> str:
    transport = opened(serve(max_fragments=limit), "/echo")
    fragments = frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) * (size - 2)
    transport.receive(fragments + frame(CONTINUATION))
    return seen(transport)


@provokes("memory_budget", 14)
async def begin_a_message(clock: Clock, limit: int, size: int) -> str:
    # Its longest queues are closed above 14/16.
    transport = opened(serve(memory_budget=16 * MIB, max_message_size=32 * MIB), "/echo")
    transport.receive(frame(BINARY, bytes(limit * MIB + size - limit), fin=False))
    return seen(transport)


@provokes("max_json_depth", 10)
async def nest(clock: Clock, limit: int, size: int) -> str:
    transport = opened(serve(max_json_depth=limit))
    transport.receive(text('{"action":"ping","a":' + "[" * (size - 1) + "]" * (size - 1) + "}"))
    return seen(transport)


@provokes("max_json_keys", 100)
async def name_much(clock: Clock, limit: int, size: int) -> str:
    transport = opened(serve(max_json_keys=limit))
    # The object around them and the action's name are two.
    do(transport, "ping", **{f"name-{number}": 1 for number in range(size - 2)})
    return seen(transport)


@provokes("sent behind the end, + a message", MIB)
async def send_on(clock: Clock, limit: int, size: int) -> str:
    transport = opened(serve(max_message_size=1000), "/echo")
    transport.receive(b"\xff\xff")
    assert seen(transport) == "close 1002"
    transport.receive(bytes(1000 + size))
    return seen(transport)


@provokes("pongs owed while paused", 1)
async def ping_and_read_nothing(clock: Clock, limit: int, size: int) -> str:
    service = serve()
    transport = opened(service, "/echo")
    transport.pause()
    for number in range(size):
        transport.receive(frame(PING, str(number).encode()))
    transport.resume()
    service.context.fanout.flush()
    pongs = [received.payload for received in transport.frames()]
    return "only the newest ping is answered" if pongs == [b"1"] else ""


# Rooms. -----------------------------------------------------------------------------------------------------


@provokes("max_rooms_per_connection", 3)
async def join_many(clock: Clock, limit: int, size: int) -> str:
    transport = opened(serve(max_rooms_per_connection=limit))
    for number in range(size):
        do(transport, "join", room=f"room-{number}")
    return seen(transport)


@provokes("max_rooms", 3)
async def open_rooms(clock: Clock, limit: int, size: int) -> str:
    transport = opened(serve(max_rooms=limit))
    for number in range(size):
        do(transport, "join", room=f"room-{number}")
    return seen(transport)


@provokes("patterns joined at a time", 1000)
async def join_patterns(clock: Clock, limit: int, size: int) -> str:
    transport = opened(serve(max_rooms_per_connection=2000))
    for number in range(size):
        do(transport, "join", room=f"room-{number}.*")
    return seen(transport)


def _provoke_action(name: str, limit: int, action: str, fields: Callable[[int], dict[str, Any]]) -> None:
    @provokes(name, limit)
    async def run(clock: Clock, limit: int, size: int) -> str:
        transport = opened(serve())
        do(transport, "join", room="here")
        do(transport, action, **{"room": "here", "message": 1, **fields(size)})
        return seen(transport)


_provoke_action("name of a room or user, in bytes", 128, "join", lambda size: {"room": "r" * size})
_provoke_action("words of a pattern", 16, "join", lambda size: {"room": "a." * (size - 1) + "*"})
_provoke_action("id of a message, in characters", 128, "message", lambda size: {"id": "i" * size})
_provoke_action("ref, in characters", 128, "message", lambda size: {"ref": "r" * size})
_provoke_action("ttl, in seconds", 86_400, "message", lambda size: {"ttl": size})
_provoke_action(
    "state of a member, in bytes of JSON", 1024, "state", lambda size: {"state": "s" * (size - 2)}
)
_provoke_action("members or messages in one answer", 1000, "history", lambda size: {"limit": size})
