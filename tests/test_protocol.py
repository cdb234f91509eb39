"""The WebSocket's transport: what comes back for what is sent, and that both directions pause and go on."""

import asyncio
import gc
import json
import logging
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from rfc6455 import Close, Ping, Role
from server.dialects.stream import Stream
from server.overflow import Overflow, Strategy
from server.protocol import WebSocketSession
from server.publication import PUBLICATION_OVERHEAD
from server.service import Service
from server.session import Session, SessionClosed
from server.settings import Settings
from server.tick import Message, Tick
from tests.conftest import NARROW, NO_RATES, Serve, eventually
from tests.faketransport import FakeTransport
from tests.rawclient import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    RawClient,
    closed,
    frame,
    said,
    text,
    upgrade,
)
from tests.rawclient import close as close_frame
from tests.stage import LineDialect
from tests.vectors import FRAMES, MAX_FRAGMENTS, MAX_MESSAGE_SIZE, FrameVector
from tests.vectors_deflate import DEFLATED

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"
TO_SERVER = [vector for vector in (*FRAMES, *DEFLATED) if vector.role is Role.SERVER]
# What is sent back isn't compressed, for the rows' sake.
FOR_ROWS: dict[str, Any] = {
    "max_message_size": MAX_MESSAGE_SIZE,
    "max_fragments": MAX_FRAGMENTS,
    "compression_context_takeover": True,
    "compression_threshold": 1 << 30,
}


def answers(vector: FrameVector) -> Iterator[Frame]:
    """What an echo sends back for the good part of it."""
    for event in vector.events:
        if isinstance(event, str | bytes):
            yield said(event)
        elif isinstance(event, Ping):
            yield Frame(PONG, event.payload)
        elif isinstance(event, Close):
            # 6455 5.5.1: the code that came; from an empty Close nothing comes back.
            yield Frame(CLOSE) if event.code == 1005 else closed(event.code)


@pytest.mark.parametrize("vector", TO_SERVER, ids=lambda vector: vector.id)
async def test_frames_get_their_answers(vector: FrameVector, service: Serve) -> None:
    async with service(**FOR_ROWS) as running:
        client = await running.open("/echo", *[DEFLATE] * vector.deflate)
        expected = list(answers(vector))
        await client.send(vector.data)
        if not vector.close_code:
            await client.send(close_frame())
            expected += [] if expected and expected[-1].opcode == CLOSE else [closed(1000)]
        assert expected == await client.frames(len(expected))
        if vector.close_code:
            last = await client.frame()
            assert (CLOSE, vector.close_code) == (last.opcode, int.from_bytes(last.payload[:2], "big"))
            # 7.1.7: nothing that follows is read.
            await client.send(text("too late") * 5000 + close_frame())
        await client.eof()


async def test_close_is_readable_while_the_client_goes_on_writing(service: Serve) -> None:
    # 7.1.1: an immediate close with unread input would reset the connection, and destroy the Close.
    async with service(**NO_RATES) as running:
        client = await running.open()
        await client.send(frame(3))
        for _ in range(20):
            await client.send(text("a" * 30_000))
            await asyncio.sleep(0)
        last = await client.frame()
        assert (CLOSE, b"\x03\xea") == (last.opcode, last.payload[:2])
        await client.eof()
        await client.send(text("still here"))


async def test_client_that_never_stops_writing_is_reset(service: Serve) -> None:
    async with service(**NO_RATES) as running:
        client = await running.open()
        await client.send(frame(3))
        with pytest.raises(ConnectionError):
            await send_for_ever(client)


async def send_for_ever(client: RawClient) -> None:
    while True:
        await client.send(bytes(1 << 16))
        await asyncio.sleep(0)


# Writing: what one read brings leaves in one write.


async def stage(path: str = "/echo", *fields: str, **settings: Any) -> tuple[FakeTransport, WebSocketSession]:
    """Make a session on a transport that is moved by hand."""
    transport = FakeTransport(Service(Settings(**{**NO_RATES, **settings})))
    transport.open(path, *fields)
    session = transport.protocol
    assert isinstance(session, WebSocketSession)
    return transport, session


async def test_replies_to_one_read_leave_in_one_write() -> None:
    transport, _ = await stage()
    transport.receive(b"".join(text(str(number)) + frame(PING) for number in range(100)))
    assert 1 == len(transport.writes)
    assert 200 == len(transport.frames())


async def test_greeting_and_first_reply_leave_in_one_write_with_the_answer_to_the_handshake() -> None:
    transport = FakeTransport(Service(Settings(**NO_RATES)))
    transport.receive(upgrade("/ws") + text('{"action":"ping"}'))
    (written,) = transport.writes
    assert [b"HTTP/1.1 101 ", b"welcome", b"pong"] == re.findall(b"^HTTP/1.1 101 |welcome|pong", written)


async def test_each_read_is_answered_at_once() -> None:
    transport, _ = await stage()
    message = text("Hello")
    for octet in message[:-1]:
        transport.receive(bytes([octet]))
    assert [] == transport.writes
    transport.receive(message[-1:] + message)
    assert [said("Hello")] * 2 == transport.frames()


async def test_what_arises_outside_of_a_read_leaves_in_one_write_at_the_end_of_the_turn() -> None:
    transport, session = await stage()
    for number in range(10):
        session.send(str(number))
    session.send_ping()
    assert [] == transport.writes
    await asyncio.sleep(0)
    assert 1 == len(transport.writes)
    *messages, ping = transport.frames()
    assert [said(str(number)) for number in range(10)] == messages
    assert PING == ping.opcode


async def test_publications_of_one_turn_leave_in_one_write_per_member() -> None:
    service = Service(Settings(**NO_RATES))
    members = [FakeTransport(service) for _ in range(3)]
    for member in members:
        member.open("/ws")
        member.receive(text('{"action":"join","room":"a"}'))
        member.take()
    members[0].receive(b"".join(text(f'{{"action":"message","room":"a","message":{n}}}') for n in range(9)))
    members[1].receive(text('{"action":"message","room":"a","message":9}'))
    await asyncio.sleep(0)
    for member in members:
        assert 1 == len(member.writes)
        assert list(range(10)) == [json.loads(one.payload)["message"] for one in member.frames()]


# Back-pressure.


async def test_reading_stops_only_while_a_reply_waits() -> None:
    transport, _ = await stage()
    transport.pause()
    assert transport.reads
    transport.receive(frame(PING, b"1") + frame(PONG))
    assert transport.reads
    transport.receive(text("Hello"))
    assert not transport.reads
    assert [] == transport.writes
    transport.resume()
    await asyncio.sleep(0)
    assert [Frame(PONG, b"1"), said("Hello")] == transport.frames()
    assert transport.reads


async def test_what_was_read_with_a_reply_that_waits_is_handled_when_it_has_gone() -> None:
    transport, _ = await stage()
    transport.pause()
    transport.receive(text("1") + text("2") + frame(PING) + text("3"))
    transport.resume()
    await asyncio.sleep(0)
    assert [said("1"), said("2"), Frame(PONG), said("3")] == transport.frames()
    assert transport.reads


async def test_only_the_newest_ping_is_owed_a_pong_while_writing_is_paused() -> None:
    # 5.5.3.
    transport, _ = await stage()
    transport.pause()
    transport.receive(b"".join(frame(PING, bytes([number])) for number in range(100)))
    transport.receive(frame(PING, b"last"))
    transport.resume()
    await asyncio.sleep(0)
    assert [Frame(PONG, b"last")] == transport.frames()


async def test_each_ping_is_answered_while_the_link_is_free() -> None:
    transport, _ = await stage()
    transport.receive(b"".join(frame(PING, bytes([number])) for number in range(100)))
    assert [Frame(PONG, bytes([number])) for number in range(100)] == transport.frames()


async def test_ping_is_answered_behind_our_close() -> None:
    # 5.5.2.
    transport, session = await stage()
    session.close(4000)
    await asyncio.sleep(0)
    transport.receive(frame(PING, b"a") + text("crossing"))
    assert [closed(4000), Frame(PONG, b"a")] == transport.frames()
    transport.receive(close_frame(4000))
    assert ([], True) == (transport.frames(), transport.eof_written)


async def test_close_is_answered_while_writing_is_paused() -> None:
    transport, _ = await stage()
    transport.pause()
    transport.receive(close_frame(1001))
    assert [closed(1001)] == transport.frames()
    assert transport.eof_written


async def test_close_waits_for_what_was_sent_before() -> None:
    transport, session = await stage()
    transport.pause()
    session.send("Hello")
    session.close()
    await asyncio.sleep(0)
    assert [] == transport.writes
    with pytest.raises(SessionClosed):
        session.send("too late")
    transport.resume()
    await asyncio.sleep(0)
    assert [said("Hello"), closed(1000)] == transport.frames()


@pytest.mark.parametrize("fields", [[], [DEFLATE]])
async def test_no_more_is_written_at_a_time_than_the_transport_is_to_hold(fields: list[str]) -> None:
    settings = {"write_high_water": 2048, "write_low_water": 0, "compression_context_takeover": True}
    transport, session = await stage("/ws", *fields, **settings)
    transport.receive(text('{"action":"join","room":"a"}'))
    transport.take()
    transport.pause()
    for _ in range(100):
        session._context.hub.publish(session, "a", "a" * 100)
    await asyncio.sleep(0)
    transport.resume()
    transport.is_full_after_a_write = True
    await asyncio.sleep(0)
    heard = 100 - len(session.waiting())
    assert 5 < heard == len(transport.frames()) < 20


async def test_drained_is_over_with_the_session() -> None:
    transport, session = await stage()
    transport.pause()
    session.send("Hello")
    waiting = session.drained()
    assert waiting is not None
    session.kick(4000, "")
    with pytest.raises(SessionClosed):
        await waiting
    # Nor does anybody wait for a session that was over before.
    late = session.drained()
    if late is not None:
        with pytest.raises(SessionClosed):
            await asyncio.wait_for(late, 1)


async def test_waiting_that_nobody_awaits_is_not_complained_of(service: Serve) -> None:
    async with service(**NARROW) as running:
        client = await running.open(receive_buffer=4096)
        (session,) = running.sessions()
        while not session.is_paused:
            session.send("a" * 4096)
            await asyncio.sleep(0)
        waiting = session.drained()
        assert waiting is not None
        client.reset()
        await eventually([], running.sessions)
        del waiting, session
        gc.collect()


def numbered(count: int) -> list[bytes]:
    return [number.to_bytes(4, "big") * 256 for number in range(count)]


async def test_echo_pauses_for_a_slow_reader_and_goes_on_in_order(service: Serve) -> None:
    messages = numbered(4000)
    async with service(**NARROW, compression=False) as running:
        client = await running.open(receive_buffer=4096)
        sending = asyncio.ensure_future(client.send(b"".join(frame(BINARY, one) for one in messages)))
        (session,) = running.sessions()
        transport = session._transport
        await eventually((True, False), lambda: (session.is_paused, transport.is_reading()))
        assert not sending.done()
        # The mark, the replies to one read, and what one read holds.
        assert transport.get_write_buffer_size() <= 8192 + (256 << 10)
        assert len(session.waiting()) <= 1
        for message in messages:
            assert said(message) == await client.frame()
        await sending
        await eventually((False, True), lambda: (session.is_paused, transport.is_reading()))
        await client.send(text("Hello"))
        assert said("Hello") == await client.frame()


async def test_replies_that_are_larger_than_their_messages_are_bounded_too(service: Serve) -> None:
    codec = zlib.compressobj(wbits=-15)
    small = (codec.compress(bytes(1 << 20)) + codec.flush(zlib.Z_SYNC_FLUSH))[:-4]
    bombs = frame(BINARY, small, rsv1=True) * 50
    async with service(**NARROW) as running:
        client = await running.open("/echo", DEFLATE, receive_buffer=4096)
        (session,) = running.sessions()
        await client.send(bombs)
        await eventually(True, lambda: session.is_paused)
        # A message that is echoed, and one that waits.
        assert session._transport.get_write_buffer_size() <= 3 << 20


async def test_slow_member_of_a_room_is_closed_and_costs_the_others_nothing(service: Serve) -> None:
    settings = {**NARROW, "compression": False, "max_queue_bytes": 64 << 10}
    count = 200
    async with service(**settings) as running:
        slow = await running.open("/ws", receive_buffer=4096)
        members = [await running.open("/ws") for _ in range(4)]
        for client in (slow, *members):
            await client.send(text('{"action":"join","room":"a"}'))
            await client.frames(2)
        for number in range(count):
            published = {"action": "message", "room": "a", "message": [number, "a" * 4096]}
            await members[0].send(text(json.dumps(published)))
            for member in members:
                assert number == json.loads((await member.frame()).payload)["message"][0]
        assert [4] == [len(room.members) for room in running.context.hub.rooms]
        numbers = []
        while (received := await slow.frame()).opcode == TEXT:
            numbers.append(json.loads(received.payload)["message"][0])
        assert list(range(len(numbers))) == numbers
        assert b"\x03\xf5" == received.payload[:2]
        assert b"too slow" in received.payload
        await slow.eof()


async def test_member_that_falls_too_far_behind_is_closed() -> None:
    transport, session = await stage("/ws")
    context = session._context
    transport.receive(text('{"action":"join","room":"a"}'))
    transport.take()
    transport.pause()
    context.hub.publish(session, "a", "1")
    await asyncio.sleep(0)
    assert [] == transport.writes
    too_late = context.clock() + context.settings.max_queue_seconds + 1
    context.fanout._clock = lambda: too_late
    context.hub.publish(session, "a", "2")
    await asyncio.sleep(0)
    (last,) = transport.frames()
    assert b"\x03\xf5" == last.payload[:2]


@pytest.mark.parametrize(("excess", "is_closed"), [(-1, False), (0, False), (1, True)])
async def test_queue_of_a_paused_session_is_held_to_its_limit(excess: int, is_closed: bool) -> None:
    transport, session = await stage("/ws", max_queue_bytes=100 + 2 * PUBLICATION_OVERHEAD)
    transport.receive(text('{"action":"join","room":"a"}'))
    transport.take()
    transport.pause()
    for payload in ("a" * 60, "b" * (40 + excess)):
        session._context.hub.publish(session, "a", payload)
    await asyncio.sleep(0)
    assert is_closed == (transport.frames() != [])


async def test_what_a_slow_member_has_been_sent_no_longer_counts() -> None:
    bound = 2 * (1 + PUBLICATION_OVERHEAD)
    drop_oldest = Overflow(Strategy.DROP_OLDEST)
    transport, session = await stage("/ws", slow_readers=drop_oldest, max_queue_bytes=bound)
    transport.receive(text('{"action":"join","room":"a"}'))
    transport.take()
    transport.pause()
    for _ in range(2):
        for _ in range(2):
            session._context.hub.publish(session, "a", "1")
            await asyncio.sleep(0)
        assert [] == transport.writes
        # It reads all that waits, and then no more.
        transport.is_nearly_full = True
        transport.resume()
        await asyncio.sleep(0)
        assert ["message"] * 2 == [json.loads(one.payload)["type"] for one in transport.frames()]
        assert session.is_paused


# The end, from either side.

# A handshake, a compressed message in three fragments with a Ping between, and a Close.
_COMPRESSED = bytes.fromhex("f248cdc9c90700")
SCRIPT = [
    upgrade("/app", DEFLATE),
    frame(TEXT, _COMPRESSED[:2], rsv1=True, fin=False),
    frame(PING, b"a"),
    frame(CONTINUATION, _COMPRESSED[2:5], fin=False),
    frame(CONTINUATION, _COMPRESSED[5:]),
    close_frame(1000, "bye"),
]


@pytest.mark.parametrize("way", ["end_sending", "reset", "close"])
@pytest.mark.parametrize("is_heard", [True, False], ids=["heard", "at-once"])
async def test_client_that_leaves_at_any_octet_leaves_nothing_behind(
    way: str, is_heard: bool, service: Serve
) -> None:
    received: list[list[str | bytes]] = []
    script = b"".join(SCRIPT)
    whole = len(script) - len(SCRIPT[-1])

    async def handler(stream: Stream) -> None:
        messages: list[str | bytes] = []
        received.append(messages)
        async for message in stream:
            messages.append(message)

    async with service({"/app": handler}) as running:
        for stop in range(len(script) + 1):
            received.clear()
            client = await running.connect()
            await client.send(script[:stop])
            if is_heard and stop >= len(SCRIPT[0]):
                assert 101 == (await client.answer()).status
            if is_heard and stop >= len(SCRIPT[0] + SCRIPT[1] + SCRIPT[2]):
                assert Frame(PONG, b"a") == await client.frame()
            getattr(client, way)()
            if way == "end_sending":
                await client.rest()
                client.close()
                # 7.1.4: what was unfinished is dropped, what was whole is delivered.
                messages = ["Hello"] if stop >= whole else []
                if stop >= len(SCRIPT[0]):
                    await eventually([messages], lambda: received)
            if is_heard:
                await eventually(0, lambda: len(running.context.connections))
            assert received in ([], [[]], [["Hello"]])


async def test_eof_without_close_ends_the_connection(service: Serve) -> None:
    async with service() as running:
        client = await running.open()
        await client.send(text("Hello"))
        client.end_sending()
        assert said("Hello") == await client.frame()
        # 7.1.4, 7.1.5: 1006 is never sent.
        await client.eof()


async def test_client_that_ends_sending_and_reads_nothing_is_given_up(service: Serve) -> None:
    async with service(**{**NARROW, "write_high_water": 1 << 20}, close_timeout=0.1) as running:
        client = await running.open(receive_buffer=4096)
        await client.send(frame(BINARY, bytes(1 << 17)))
        client.end_sending()
        # The client stays.
        await eventually(0, lambda: len(running.context.connections))


async def test_client_that_does_not_answer_our_close_is_given_up(service: Serve) -> None:
    # 7.1.1.
    async with service(close_timeout=0.1) as running:
        clients = [await running.open() for _ in range(2)]
        for session in running.sessions():
            session.close(4000, "enough")
        for client in clients:
            assert closed(4000, "enough") == await client.frame()
        await clients[0].send(text("Hello") * 10)
        for client in clients:
            assert b"" == await client.rest()
        assert 0 == len(running.context.connections)


async def test_client_that_does_not_end_the_connection_is_given_up(service: Serve) -> None:
    async with service(close_timeout=0.1) as running:
        client = await running.open()
        await client.send(close_frame())
        assert closed(1000) == await client.frame()
        # 7.1.1: the server ends first.
        await client.eof()
        await eventually(0, lambda: len(running.context.connections))


async def test_messages_still_arrive_behind_our_close_until_the_clients() -> None:
    transport, session = await stage("/ws")
    transport.receive(text('{"action":"join","room":"a"}'))
    session.close()
    await asyncio.sleep(0)
    transport.receive(text('{"action":"join","room":"b"}'))
    assert ["a", "b"] == session._context.hub.memberships.of(session)
    transport.receive(close_frame() + text('{"action":"join","room":"c"}'))
    assert [] == session._context.hub.memberships.of(session)


async def test_nothing_is_handled_behind_a_kick() -> None:
    transport, session = await stage("/ws")
    session.kick(4001, "out")
    assert [closed(4001, "out")] == transport.frames()
    transport.receive(text('{"action":"join","room":"a"}') + frame(PING) + close_frame())
    assert [] == transport.writes
    assert 0 == len(session._context.hub.rooms)


async def test_close_is_said_once() -> None:
    # 5.5.1.
    transport, session = await stage()
    session.close(4000)
    session.close(4001)
    await asyncio.sleep(0)
    session.shut_down()
    session.kick(4002, "")
    session.kick(4003, "")
    await asyncio.sleep(0)
    assert [closed(4000)] == transport.frames()


async def test_nothing_is_sent_behind_the_end() -> None:
    transport, session = await stage()
    transport.receive(text("1") + close_frame(4000))
    transport.take()
    with pytest.raises(SessionClosed) as caught:
        session.send("2")
    assert 4000 == caught.value.code
    transport.lose()
    session.close()
    session.kick(1000, "")
    await asyncio.sleep(0)
    assert [] == transport.writes


async def test_nothing_is_sent_behind_an_abort() -> None:
    transport, session = await stage()
    transport.pause()
    session.close()
    session.abort()
    # Under uvloop a transport that is aborted while it is full lets its protocol go on.
    transport.resume()
    await asyncio.sleep(0)
    assert [] == transport.writes


async def test_text_that_is_no_unicode_is_refused_to_the_sender_at_once() -> None:
    transport, session = await stage()
    for pause in (None, transport.pause):
        if pause is not None:
            pause()
        with pytest.raises(UnicodeEncodeError):
            session.send("\ud800")
    transport.resume()
    session.send("\u00e5")
    await asyncio.sleep(0)
    assert [said("\u00e5")] == transport.frames()


async def test_session_has_nothing_to_send_at_first_and_no_dict_of_its_own() -> None:
    _, session = await stage()
    assert (None, False) == (session._outbox, hasattr(session, "__dict__"))


async def test_session_that_is_over_is_freed_without_the_garbage_collector(service: Serve) -> None:
    async def handler(stream: Stream) -> None:
        async for message in stream:
            await stream.send(message)

    def alive() -> int:
        return sum(isinstance(one, WebSocketSession) for one in gc.get_objects())

    async with service({"/app": handler}) as running:
        await eventually(0, lambda: gc.collect() and alive())
        gc.disable()
        try:
            for path in ("/echo", "/ws", "/app"):
                client = await running.open(path)
                await client.send(text("{}") + close_frame())
                await client.rest()
                client.close()
                await eventually(0, lambda: len(running.context.connections))
                await eventually(0, alive)
        finally:
            gc.enable()


# The heartbeat.

BEATING = {"ping_interval": 0.25, "pong_timeout": 0.25}


async def test_silent_client_is_pinged_and_then_given_up(service: Serve) -> None:
    async with service(**BEATING) as running:
        client = await running.open("/ws")
        await client.send(text('{"action":"join","room":"a"}'))
        await client.frames(2)
        assert PING == (await client.frame()).opcode
        await client.rest()
        assert [0] == [len(room.members) for room in running.context.hub.rooms]


@pytest.mark.parametrize("sign", [frame(PONG), frame(PONG, b"another's"), text("Hello"), b"\x81"])
async def test_any_octet_is_life(sign: bytes) -> None:
    transport, session = await stage(ping_interval=0.25, pong_timeout=1.0)

    now = 0.0

    def sweep_to(last: float) -> list[int]:
        """Sweep on time, every quarter of a second; return the opcodes of what is sent."""
        nonlocal now
        while now < last:
            now += 0.25
            session._context.heartbeat.sweep(now)
        session.deliver(Tick(now))
        return [one.opcode for one in transport.frames()]

    # Alive at first, then silent for an interval.
    assert [] == sweep_to(0.25)
    assert [PING] == sweep_to(0.5)
    transport.receive(sign[:1])
    assert [] == sweep_to(0.75)
    assert [PING] == sweep_to(1.0)
    # The time counts from that Ping.
    assert [] == sweep_to(1.75)
    assert "" == transport.end
    assert [CLOSE] == sweep_to(2.0)
    assert "aborted" == transport.end


async def ping(transport: FakeTransport, session: WebSocketSession, stopwatch: Callable[[], float]) -> bytes:
    """Ping, and return with which payload."""
    session._context.stopwatch = stopwatch
    session.send_ping()
    await asyncio.sleep(0)
    (sent,) = transport.frames()
    assert PING == sent.opcode
    return sent.payload


async def test_round_trip_is_the_time_from_the_last_answered_ping_to_its_pong() -> None:
    transport, session = await stage()
    assert None is session.rtt
    for sent_at, heard_at, expected in ((100.0, 100.25, 0.25), (5000.0, 5000.5, 0.5), (7000.0, 7000.0, 0.0)):
        clock = iter((sent_at, heard_at))
        payload = await ping(transport, session, clock.__next__)
        transport.receive(frame(PONG, payload))
        assert expected == session.rtt


async def test_only_the_pong_to_the_last_ping_is_measured_and_only_once() -> None:
    transport, session = await stage()
    first = await ping(transport, session, lambda: 100.0)
    last = await ping(transport, session, lambda: 200.0)
    # 5.5.3: to several Pings one Pong may come, with the payload of the last; and others unasked.
    session._context.stopwatch = lambda: 201.0
    for payload in (b"", b"1234", first, last + b"5", last[:3]):
        transport.receive(frame(PONG, payload))
        assert None is session.rtt
    transport.receive(frame(PONG, last))
    session._context.stopwatch = lambda: 300.0
    transport.receive(frame(PONG, last) + frame(PONG))
    assert 1.0 == session.rtt


async def test_round_trip_is_measured_on_a_real_connection(service: Serve) -> None:
    async with service(**NO_RATES, ping_interval=0.25) as running:
        client = await running.open()
        (session,) = running.sessions()
        sent = await client.frame()
        assert (PING, None) == (sent.opcode, session.rtt)
        await client.send(frame(PONG, sent.payload) + text("behind it"))
        assert said("behind it") == await client.frame()
        assert session.rtt is not None
        assert 0 < session.rtt


async def test_lag_of_our_own_is_no_silence_of_the_clients() -> None:
    transport, session = await stage(ping_interval=0.25, pong_timeout=1.0)
    heartbeat = session._context.heartbeat
    for now in (0.25, 0.5):
        heartbeat.sweep(now)
    # For ten seconds we did nothing: what came meanwhile is still to be read.
    heartbeat.sweep(10.5)
    assert "" == transport.end
    heartbeat.sweep(10.75)
    heartbeat.sweep(11.0)
    heartbeat.sweep(11.25)
    assert "aborted" == transport.end


async def test_half_open_connection_does_not_stay(service: Serve) -> None:
    # The client's machine is gone: it neither reads nor answers.
    async with service(**NARROW, **BEATING) as running:
        await running.open(receive_buffer=4096)
        (session,) = running.sessions()
        for _ in range(100):
            session.send("a" * 1024)
        await eventually([], running.sessions)


# Rates.

RATE = 10


@pytest.mark.parametrize("excess", [-1, 0, 1])
@pytest.mark.parametrize("kind", ["message", "frame", "byte"])
async def test_client_is_held_to_its_rate(kind: str, excess: int, service: Serve) -> None:
    # Twice the rate in a burst; sent with the handshake it comes in one read, before time earns more.
    count = 2 * RATE + excess
    sent, replies = {
        "message": (text("a") * count, [said("a")] * min(count, 2 * RATE)),
        "frame": (frame(PING) * count, [Frame(PONG)] * count),
        "byte": (frame(BINARY, bytes(count - 6)), [said(bytes(count - 6))]),
    }[kind]
    async with service(**{**NO_RATES, f"{kind}_rate": RATE}) as running:
        client = await running.connect()
        await client.send(upgrade() + sent)
        assert 101 == (await client.answer()).status
        assert replies == await client.frames(len(replies))
        # A Close would be on its way with the last reply.
        assert (excess > 0) == (len(running.context.closings) == 1)
        if excess > 0:
            assert closed(1008, f"too many {kind}s a second") == await client.frame()
            await client.eof()


async def test_client_over_its_rate_is_told_in_its_dialect(service: Serve) -> None:
    async with service(**{**NO_RATES, "message_rate": 1}) as running:
        client = await running.connect()
        await client.send(upgrade("/ws") + text('{"action":"ping"}') * 3)
        assert 101 == (await client.answer()).status
        told = [json.loads(received.payload) for received in await client.frames(4)]
        assert ["welcome", "pong", "pong", "error"] == [one["type"] for one in told]
        assert "rate_limited" == told[-1]["code"]
        assert b"\x03\xf0" == (await client.frame()).payload[:2]
        await client.eof()


@pytest.mark.parametrize(("scope", "whose"), [("address", "address"), ("user", "user")])
@pytest.mark.parametrize("kind", ["message", "frame", "byte"])
async def test_rate_of_an_address_and_of_a_user_is_shared(scope: str, whose: str, kind: str) -> None:
    rate = RATE * 10 if kind == "byte" else RATE
    service = Service(Settings(**{**NO_RATES, f"{kind}_rate_per_{scope}": rate}))
    service.context.clock = lambda: 0.0
    transports = [FakeTransport(service) for _ in range(4)]
    for transport in transports:
        transport.open()
        if scope == "user":
            cast(WebSocketSession, transport.protocol).user = "alice"
    one, two, three, four = transports
    # A message, a frame, and ten octets: half of a burst, all of it, one too many, one that is too large.
    for transport in (one, two):
        transport.receive(frame(BINARY, bytes(4)) * RATE)
        assert [said(bytes(4))] * RATE == transport.frames()
    three.receive(frame(BINARY, bytes(4)))
    assert closed(1008, f"too many {kind}s a second from your {whose}") == three.frames()[-1]
    service.context.clock = lambda: 1 / RATE
    four.receive(frame(BINARY, bytes(4)))
    assert [said(bytes(4))] == four.frames()


async def test_ping_flood_is_closed(service: Serve) -> None:
    async with service() as running:
        client, other = await running.open(), await running.open()
        flood = asyncio.ensure_future(client.send(frame(PING) * 100_000))
        await other.send(text("Hello"))
        assert said("Hello") == await other.frame()
        while (received := await client.frame()).opcode == PONG:
            pass
        assert closed(1008, "too many frames a second") == received
        await asyncio.gather(flood, return_exceptions=True)


# Faults of our own.


async def test_fault_of_a_dialect_closes_its_session_and_no_other(service: Serve) -> None:
    async with service() as running:
        client, other = await running.open("/ws"), await running.open("/ws")
        await client.frame()
        await other.frame()
        session = running.sessions()[0]
        registry, running.context.hub.memberships._registry = running.context.hub.registry, None  # type: ignore[assignment]
        await client.send(text('{"action":"join","room":"a"}'))
        assert closed(1011, "internal error") == await client.frame()
        await client.eof()
        running.context.hub.memberships._registry = registry
        await other.send(text('{"action":"ping"}'))
        assert "pong" == json.loads((await other.frame()).payload)["type"]
        assert [f"session {session.id} failed"] == [error.split("\n")[0] for error in running.errors]
        running.errors.clear()


def test_sessions_log_no_payload(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def fail() -> None:
        transport, _ = await stage()
        transport.receive(text("a secret") + frame(TEXT, b"a secret\xff"))

    asyncio.run(fail())
    assert "secret" not in caplog.text


@pytest.mark.parametrize(("excess", "is_closed"), [(-2, False), (0, False), (2, True)])
async def test_inflated_octets_count_in_the_rate(excess: int, is_closed: bool) -> None:
    compressor = zlib.compressobj(wbits=-15)
    message = b"a" * 10_000
    payload = (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    sent = frame(TEXT, payload, rsv1=True)
    # Two seconds' worth of the rate may come at once.
    service = Service(Settings(**{**NO_RATES, "byte_rate": len(message) + len(sent) - excess // 2}))
    service.context.clock = lambda: 0.0
    transport = FakeTransport(service)
    transport.open("/echo", DEFLATE)
    transport.receive(sent * 2)
    assert is_closed == (transport.frames()[-1].opcode == CLOSE)


async def test_client_that_passes_its_rate_while_it_is_being_closed_is_closed_for_it() -> None:
    transport, session = await stage("/ws", message_rate=1)
    transport.receive(text('{"action":"join","room":"a"}'))
    transport.pause()
    session.shut_down()
    transport.receive(text('{"action":"message","room":"a","message":1}') * 3)
    assert closed(1008, "too many messages a second") == transport.frames()[-1]


async def test_dialect_that_holds_and_releases_at_once_is_not_called_from_within_itself() -> None:
    transport, session = await stage()
    received = []

    def receive(session: Session, message: Message) -> None:
        received.append(message)
        session.hold()
        session.release()

    session.dialect = LineDialect(session._context.hub)
    session.dialect.receive = receive  # type: ignore[method-assign]
    transport.receive(text("a") * 2000)
    assert ["a"] * 2000 == received
