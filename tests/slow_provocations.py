"""Provocations of the limits on what is kept, on what waits, and on time: see provocations."""

import asyncio

from server.application import Application
from server.dialects.rooms import shorten
from server.dialects.stream import Stream
from server.idempotency import Memory, Place
from server.presence import Change, Changes, Member, PresenceDiff
from server.protocol import WebSocketSession
from server.publication import Missed
from server.refusal import Refusal
from server.service import Service
from server.session import Session

from .faketransport import FakeTransport
from .provocations import Clock, do, opened, provokes, seen, serve, session_of, told, turns
from .rawclient import PONG, RawClient, frame, text

# What a publication weighs beside its payload.
OVERHEAD = 256


# History. ---------------------------------------------------------------------------------------------------


def _recover(service: Service, reader: FakeTransport, room: str) -> str:
    """Come back to where a room began."""
    opener = opened(service)
    do(opener, "join", room=room)
    epoch = told(opener.frames())[0]["epoch"]
    do(reader, "join", room=room, since={"epoch": epoch, "offset": 0})
    [answer] = [one for one in told(reader.frames()) if one["type"] == "joined"]
    return "" if answer["recovered"] else "recovered false"


@provokes("history_messages", 5)
async def publish_many(clock: Clock, limit: int, size: int) -> str:
    service = serve(history_messages=limit)
    for _ in range(size):
        service.hub.publish(None, "a", "text")
    return _recover(service, opened(service), "a")


@provokes("history_seconds", 60)
async def come_back_late(clock: Clock, limit: int, size: int) -> str:
    service = serve(history_seconds=limit)
    do(opened(service), "join", room="a")
    service.hub.publish(None, "a", "text")
    clock.now += size
    return _recover(service, opened(service), "a")


@provokes("history_bytes", 2000)
async def publish_much(clock: Clock, limit: int, size: int) -> str:
    service = serve(history_bytes=limit)
    service.hub.publish(None, "a", bytes(1000 - OVERHEAD))
    service.hub.publish(None, "a", bytes(size - 1000 - OVERHEAD))
    return _recover(service, opened(service), "a")


@provokes("history_total_bytes", 2000)
async def publish_much_elsewhere(clock: Clock, limit: int, size: int) -> str:
    service = serve(history_total_bytes=limit)
    service.hub.publish(None, "a", bytes(1000 - OVERHEAD))
    service.hub.publish(None, "b", bytes(size - 1000 - OVERHEAD))
    return _recover(service, opened(service), "a")


@provokes("ids remembered of one sender", 1000)
async def publish_under_many_ids(clock: Clock, limit: int, size: int) -> str:
    transport = opened(serve())
    for number in [*range(size), 0]:
        do(transport, "message", room="a", message=1, id=f"id-{number}", ref="r")
    return "" if told(transport.frames())[-1].get("duplicate") else "heard again"


@provokes("ids remembered in all", 100_000)
async def remember_ids(clock: Clock, limit: int, size: int) -> str:
    memory = Memory(300.0)
    for number in range(size):
        memory.remember(f"sender {number // 1000}", str(number), Place("a", number, clock.now))
    return "" if memory.find("sender 0", "0", clock.now) else "heard again"


@provokes("changes x hearers of one presence", 1 << 16)
async def come_and_go(clock: Clock, limit: int, size: int) -> str:
    changes = Changes()
    for number in range(size):
        changes.note(Change.JOINED, Member(str(number)))
    encoded = session_of(opened(serve())).dialect.encode(PresenceDiff("a", size, size, changes.take(1)))
    return "truncated true" if '"truncated":true' in str(encoded) else ""


# What waits. ------------------------------------------------------------------------------------------------


@provokes("write_high_water", 1 << 18)
async def read_nothing(clock: Clock, limit: int, size: int) -> str:
    service = serve(host=("127.0.0.1",), port=0, write_high_water=limit, socket_send_buffer=4096)
    await service.start()
    client = await RawClient.connect(service.addresses[0], receive_buffer=4096)
    try:
        await client.open("/echo")
        [session] = [one for one in service.context.connections if isinstance(one, WebSocketSession)]
        transport = session._transport
        while transport.get_write_buffer_size() < 50_000:
            await turns()
            session.send(bytes(10_000))
            service.context.fanout.flush()
        # A head of ten octets, and no turn in which the kernel could take any.
        session.send(bytes(size - transport.get_write_buffer_size() - 10))
        service.context.fanout.flush()
        assert size == transport.get_write_buffer_size()
        return "paused" if session.is_paused else ""
    finally:
        client.close()
        service.stop_now()
        await turns()


@provokes("max_queue_bytes", 1000)
async def let_much_wait(clock: Clock, limit: int, size: int) -> str:
    service = serve(max_queue_bytes=limit)
    transport = opened(service)
    do(transport, "join", room="a")
    transport.pause()
    service.hub.publish(None, "a", bytes(size - OVERHEAD))
    service.context.fanout.flush()
    return seen(transport)


@provokes("max_queue_seconds", 10)
async def let_it_wait_for_long(clock: Clock, limit: int, size: int) -> str:
    service = serve(max_queue_seconds=limit)
    transport = opened(service)
    do(transport, "join", room="a")
    transport.pause()
    service.hub.publish(None, "a", "text")
    service.context.fanout.flush()
    clock.now += size
    service.context.fanout.add(session_of(transport).outbox)
    service.context.fanout.flush()
    return seen(transport)


@provokes("rooms of which a slow reader missed", 10_000)
async def miss_something_everywhere(clock: Clock, limit: int, size: int) -> str:
    service = serve()
    transport = opened(service)
    transport.pause()
    session_of(transport).outbox.waiting = [Missed(f"room-{number}", 1) for number in range(size)]
    service.context.fanout.add(session_of(transport).outbox)
    service.context.fanout.flush()
    return seen(transport)


async def _wait(stream: Stream) -> None:
    await asyncio.Event().wait()


async def _let_handler_wait(data: bytes) -> str:
    service = serve({"/app": _wait})
    transport = opened(service, "/app")
    transport.receive(data)
    is_paused = not transport.reads
    transport.lose()
    for task in list(service._tasks):
        task.cancel()
    await turns()
    return "paused" if is_paused else ""


@provokes("messages waiting for a handler", 64, bites_at=0)
async def send_to_a_handler(clock: Clock, limit: int, size: int) -> str:
    return await _let_handler_wait(text("") * size)


@provokes("bytes waiting for a handler", 1 << 16, bites_at=0)
async def send_much_to_a_handler(clock: Clock, limit: int, size: int) -> str:
    return await _let_handler_wait(text("a" * size))


# Time. ------------------------------------------------------------------------------------------------------


@provokes("ping_interval", 40, bites_at=0)
async def fall_silent(clock: Clock, limit: int, size: int) -> str:
    # In sweeps, of which four make a second: from the last octet, which came just after a look.
    service = serve(ping_interval=limit / 4)
    transport = opened(service)
    while session_of(transport).is_alive:
        clock.now += 0.25
        service.context.heartbeat.sweep(clock.now)
    transport.receive(frame(PONG))
    for _ in range(size):
        clock.now += 0.25
        service.context.heartbeat.sweep(clock.now)
    service.context.fanout.flush()
    return seen(transport)


@provokes("pong_timeout", 40, bites_at=0)
async def answer_no_ping(clock: Clock, limit: int, size: int) -> str:
    # In sweeps, from the ping, which comes at the second look.
    service = serve(ping_interval=0.5, pong_timeout=limit / 4)
    transport = opened(service)
    for _ in range(2 + size):
        clock.now += 0.25
        service.context.heartbeat.sweep(clock.now)
        service.context.fanout.flush()
    return seen(transport).removeprefix("ping").removeprefix(", ")


@provokes("hook_timeout", 5, bites_at=0)
async def take_long(clock: Clock, limit: int, size: int) -> str:
    application = Application()

    @application.on_join
    async def hang(session: Session, room: str) -> None:
        await asyncio.Event().wait()

    service = serve(None, application, hook_timeout=limit)
    transport = opened(service)
    do(transport, "join", room="a")
    await turns()
    clock.now += size
    await turns()
    reaction = seen(transport)
    transport.lose()
    await turns()
    return reaction


@provokes("close_timeout", 10, bites_at=0)
async def answer_no_close(clock: Clock, limit: int, size: int) -> str:
    service = serve(close_timeout=limit)
    transport = opened(service)
    session_of(transport).close()
    service.context.fanout.flush()
    assert "close 1000" == seen(transport)
    for entry in service.context.closings.expired(clock.now + size):
        entry.expire()
    return seen(transport)


@provokes("drain_timeout", 80, bites_at=0)
async def stay_when_the_server_goes(clock: Clock, limit: int, size: int) -> str:
    # In sweeps: four fifths of 25 seconds.
    service = serve(drain_timeout=limit / 4 / 0.8, close_timeout=1000)
    transport = opened(service)
    stopping = asyncio.ensure_future(service.stop())
    await turns()
    assert "close 1001" == seen(transport)
    for _ in range(size):
        clock.now += 0.25
        await turns()
    reaction = seen(transport)
    transport.lose()
    clock.now += 1000
    await stopping
    return reaction


# Texts. -----------------------------------------------------------------------------------------------------


@provokes("text of an error, in characters", 200)
async def say_nonsense(clock: Clock, limit: int, size: int) -> str:
    reason = "".join(str(number % 10) for number in range(size))
    return "cut in the middle" if shorten(reason) != reason else ""


@provokes("reason of a Close, in bytes", 123)
async def be_refused(clock: Clock, limit: int, size: int) -> str:
    application = Application()

    @application.on_connect
    async def refuse(session: Session) -> None:
        raise Refusal("forbidden", "r" * size)

    service = serve(None, application)
    transport = opened(service)
    await turns()
    service.context.fanout.flush()
    received = transport.frames()[-1]
    transport.lose()
    await turns()
    return "" if size == len(received.payload) - 2 else "cut at the end"
