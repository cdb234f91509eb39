"""The application's side of a session: its handler waits, is held back and ends as the client does."""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, final

import msgspec
import pytest

from rfc6455 import StateError
from server.dialects.arrivals import MAX_WAITING, MAX_WAITING_SIZE
from server.dialects.stream import Handler, Stream
from server.service import Service
from server.session import SessionClosed
from server.settings import Settings
from server.tick import Message
from tests.conftest import NARROW, NO_RATES, Running, Serve, eventually
from tests.faketransport import FakeTransport
from tests.rawclient import BINARY, Frame, closed, frame, said, text, without_advice
from tests.rawclient import close as close_frame


async def echo(stream: Stream) -> None:
    async for message in stream:
        await stream.send(message)


async def forever(stream: Stream) -> None:
    await asyncio.get_running_loop().create_future()


def is_reading(running: Running) -> bool:
    (session,) = running.sessions()
    return bool(session._transport.is_reading())


async def test_handler_takes_messages_and_sends(service: Serve) -> None:
    messages: list[Message] = ["Hello", "", b"\x00\xff", "\u00e5", b"", "a" * 70_000]
    async with service({"/app": echo}) as running:
        client = await running.open("/app")
        for message in messages:
            octets = message.encode() if isinstance(message, str) else message
            await client.send(frame(1 if isinstance(message, str) else BINARY, octets))
        assert [said(message) for message in messages] == await client.frames(len(messages))


async def test_handler_may_send_first(service: Serve) -> None:
    async def greet(stream: Stream) -> None:
        await stream.send("Welcome")

    async with service({"/app": greet}) as running:
        client = await running.open("/app")
        assert [said("Welcome"), closed(1000)] == await client.frames(2)


async def test_iteration_ends_with_the_clients_close_behind_what_came_before(service: Serve) -> None:
    received: list[Message] = []
    ended: list[int] = []

    async def handler(stream: Stream) -> None:
        async for message in stream:
            received.append(message)
        with pytest.raises(SessionClosed) as caught:
            await stream.send("too late")
        ended.append(caught.value.code)

    async with service({"/app": handler}) as running:
        client = await running.open("/app")
        await client.send(text("1") + text("2") + close_frame(4000) + text("3"))
        assert closed(4000) == await client.frame()
        await client.eof()
        await eventually([4000], lambda: ended)
        assert ["1", "2"] == received


@pytest.mark.parametrize("way", ["end_sending", "reset", "close"])
async def test_iteration_ends_when_the_client_goes_without_a_close(way: str, service: Serve) -> None:
    ended: list[int] = []

    async def handler(stream: Stream) -> None:
        async for _ in stream:
            pass
        try:
            await stream.send("too late")
        except SessionClosed as error:
            ended.append(error.code)
            raise

    async with service({"/app": handler}) as running:
        client = await running.open("/app")
        await client.send(text("Hello"))
        getattr(client, way)()
        # 7.1.5.
        await eventually([1006], lambda: ended)


async def test_session_closes_when_the_handler_returns(service: Serve) -> None:
    async def once(stream: Stream) -> None:
        async for message in stream:
            await stream.send(message)
            break

    async with service({"/app": once}) as running:
        client = await running.open("/app")
        await client.send(text("1") + text("2"))
        assert [said("1"), closed(1000)] == await client.frames(2)
        await client.send(close_frame())
        await client.eof()


@pytest.mark.parametrize("unread", [text("a") * 1000, text("a" * 30_000) * 10], ids=["many", "large"])
async def test_clients_close_is_seen_behind_what_the_handler_did_not_take(
    unread: bytes, service: Serve
) -> None:
    async def once(stream: Stream) -> None:
        async for _ in stream:
            break

    async with service({"/app": once}, **NO_RATES, close_timeout=60.0) as running:
        client = await running.open("/app")
        await client.send(unread)
        assert closed(1000) == await client.frame()
        await client.send(unread + close_frame())
        await client.eof()


async def test_handler_that_fails_closes_its_session_with_1011_and_no_other(service: Serve) -> None:
    async def fail(stream: Stream) -> None:
        async for message in stream:
            if message == "fail":
                raise ValueError("as it was told")
            await stream.send(message)

    async with service({"/app": fail}) as running:
        client, other = await running.open("/app"), await running.open("/app")
        session = running.sessions()[0]
        await client.send(text("fail") + text("more"))
        assert closed(1011, "internal error") == await client.frame()
        await client.eof()
        await other.send(text("Hello"))
        assert said("Hello") == await other.frame()
        (error,) = running.errors
        assert f"the handler of session {session.id} failed" == error.split("\n")[0]
        assert "ValueError: as it was told" in error
        running.errors.clear()


async def test_fault_of_another_session_does_not_leave_this_one_without_a_handler(service: Serve) -> None:
    streams: list[Stream] = []

    async def forward(stream: Stream) -> None:
        streams.append(stream)
        async for message in stream:
            await streams[0].send(message)

    async with service({"/app": forward}) as running:
        first = await running.open("/app")
        second = await running.open("/app")
        await eventually(2, lambda: len(streams))
        first.reset()
        await eventually(1, lambda: len(running.sessions()))
        await second.send(text("Hello"))
        assert closed(1000) == await second.frame()


async def test_handler_that_is_cancelled_closes_with_1001(service: Serve) -> None:
    async def cancel(stream: Stream) -> None:
        async for _ in stream:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    async with service({"/app": cancel}) as running:
        client = await running.open("/app")
        await client.send(text("Hello"))
        assert closed(1001, "the server is going away") == await client.frame()
        await client.eof()


@final
class CancelledAt:
    """Awaits a coroutine, and cancels it where it would wait for the n-th time."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], count: int) -> None:
        self._coroutine = coroutine
        self._count = count

    def __await__(self) -> Generator[Any, Any, None]:
        steps = self._coroutine.__await__()
        try:
            awaited = next(steps)
            for _ in range(self._count):
                yield awaited
                awaited = steps.send(None)
            awaited.cancel()
            steps.throw(asyncio.CancelledError())
        except StopIteration:
            pass


async def test_handler_may_be_cancelled_wherever_it_waits(service: Serve) -> None:
    count = 0

    async def converse(stream: Stream) -> None:
        hub, session = running.service.hub, stream.session
        hub.enter(session)
        try:
            hub.memberships.join(session, "a")
            async for _ in stream:
                for _ in range(8):
                    await stream.send("a" * 4096)
        finally:
            hub.exit(session)

    def handler(stream: Stream) -> Awaitable[None]:
        return CancelledAt(converse(stream), count)

    async with service({"/app": handler}, **NARROW) as running:
        ends = set()
        for number in range(12):
            count = number
            client = await running.open("/app", receive_buffer=4096)
            received = [Frame(1)]
            for _ in range(4):
                await client.send(text("Hello"))
            await client.send(close_frame())
            while received[-1].opcode != 8:
                received.append(await client.frame())
            await client.rest()
            client.close()
            ends.add(received[-1])
            await eventually(0, lambda: len(running.context.connections))
            await eventually([0], lambda: [len(room.members) for room in running.context.hub.rooms])
        assert closed(1001, "the server is going away") in ends


async def test_client_is_read_no_further_than_the_handler_takes(service: Serve) -> None:
    gate = asyncio.Event()
    received: list[Message] = []

    async def handler(stream: Stream) -> None:
        await gate.wait()
        async for message in stream:
            received.append(message)

    async with service({"/app": handler}, **NO_RATES) as running:
        client = await running.open("/app")
        for number in range(MAX_WAITING - 1):
            await client.send(text(str(number)))
        (session,) = running.sessions()
        waiting = session.dialect
        assert isinstance(waiting, Stream)
        await eventually(MAX_WAITING - 1, lambda: len(waiting._arrivals._waiting or ()))
        assert is_reading(running)
        for number in range(MAX_WAITING - 1, MAX_WAITING + 10):
            await client.send(text(str(number)))
        await eventually(False, lambda: is_reading(running))
        assert MAX_WAITING == len(waiting._arrivals._waiting or ())
        gate.set()
        await eventually([str(number) for number in range(MAX_WAITING + 10)], lambda: received)
        assert is_reading(running)


@pytest.mark.parametrize(("excess", "reads"), [(-1, True), (0, False), (1, False)])
async def test_client_is_read_no_further_than_so_many_octets(
    excess: int, reads: bool, service: Serve
) -> None:
    gate = asyncio.Event()

    async def handler(stream: Stream) -> None:
        await gate.wait()
        await echo(stream)

    async with service({"/app": handler}, **NO_RATES) as running:
        client = await running.open("/app")
        await client.send(frame(BINARY, bytes(MAX_WAITING_SIZE + excess)) + frame(9, b"a"))
        (session,) = running.sessions()
        waiting = session.dialect
        assert isinstance(waiting, Stream)
        await eventually(1, lambda: len(waiting._arrivals._waiting or ()))
        assert reads == is_reading(running)
        if reads:
            assert Frame(10, b"a") == await client.frame()
        gate.set()
        assert {BINARY, 10} >= {one.opcode for one in await client.frames(1 if reads else 2)}


async def test_client_is_not_given_up_while_the_handler_holds_it_back(service: Serve) -> None:
    gate = asyncio.Event()

    async def handler(stream: Stream) -> None:
        await gate.wait()
        await echo(stream)

    async with service({"/app": handler}, **NO_RATES, ping_interval=0.25, pong_timeout=0.25) as running:
        client = await running.open("/app")
        count = 2 * MAX_WAITING
        await client.send(text("a") * count)
        # It answers each Ping; it is the server that doesn't read.
        for _ in range(3):
            assert 9 == (await client.frame()).opcode
            await client.send(frame(10))
        gate.set()
        while count:
            received = await client.frame()
            assert received == said("a") or received.opcode == 9
            count -= received == said("a")


async def test_awaiting_a_send_waits_for_a_slow_reader_and_goes_on(service: Serve) -> None:
    sent = 0
    count = 2000

    async def pour(stream: Stream) -> None:
        nonlocal sent
        while sent < count:
            await stream.send(sent.to_bytes(4, "big") * 256)
            sent += 1

    async with service({"/app": pour}, **NARROW, compression=False) as running:
        client = await running.open("/app", receive_buffer=4096)
        (session,) = running.sessions()
        await eventually(True, lambda: session.is_paused)
        # What the kernel holds, the marks, and a batch.
        assert sent < 400
        assert len(session.waiting()) <= 1
        for number in range(count):
            assert said(number.to_bytes(4, "big") * 256) == await client.frame()
        assert closed(1000) == await client.frame()


async def test_awaiting_sends_that_never_wait_else_is_felt_too(service: Serve) -> None:
    sent = 0

    async def pour(stream: Stream) -> None:
        nonlocal sent
        while sent < 100:
            sent += 1
            await stream.send(bytes(1 << 20))

    async with service({"/app": pour}, **NARROW, compression=False) as running:
        client = await running.open("/app", receive_buffer=4096)
        (session,) = running.sessions()
        await eventually(True, lambda: session.is_paused)
        assert sent <= 2
        assert session._transport.get_write_buffer_size() <= 3 << 20
        client.reset()


@pytest.mark.parametrize("way", ["reset", "close"])
async def test_client_that_goes_while_a_send_waits_ends_the_waiting(way: str, service: Serve) -> None:
    ended: list[int] = []

    async def pour(stream: Stream) -> None:
        try:
            for _ in range(20_000):
                await stream.send("a" * 1024)
        except SessionClosed as error:
            ended.append(error.code)

    async with service({"/app": pour}, **NARROW) as running:
        client = await running.open("/app", receive_buffer=4096)
        (session,) = running.sessions()
        await eventually(True, lambda: session.is_paused)
        getattr(client, way)()
        await eventually([1006], lambda: ended)


async def test_handler_may_close_and_still_take_what_comes(service: Serve) -> None:
    received: list[Message] = []

    async def handler(stream: Stream) -> None:
        await stream.close(4000, "enough")
        with pytest.raises(SessionClosed):
            await stream.send("too late")
        async for message in stream:
            received.append(message)

    async with service({"/app": handler}) as running:
        client = await running.open("/app")
        assert closed(4000, "enough") == await client.frame()
        await client.send(text("crossing") + close_frame(4000))
        await client.eof()
        await eventually(["crossing"], lambda: received)


@pytest.mark.parametrize("code", [999, 1005, 1006, 1015, 2999, 5000])
async def test_code_that_may_not_be_sent_is_refused_to_the_handler(code: int, service: Serve) -> None:
    async def handler(stream: Stream) -> None:
        with pytest.raises(StateError):
            await stream.close(code)
        await stream.send("still open")

    async with service({"/app": handler}) as running:
        client = await running.open("/app")
        assert [said("still open"), closed(1000)] == await client.frames(2)


async def test_message_that_comes_as_its_wait_is_cancelled_is_the_next() -> None:
    taken: list[Message] = []

    async def handler(stream: Stream) -> None:
        taking = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        transport.receive(text("a") + text("b"))
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        taken.extend([await anext(stream), await anext(stream)])

    transport = FakeTransport(Service(Settings(), {"/app": handler}))
    transport.open("/app")
    await eventually(["a", "b"], lambda: taken)


async def test_handler_that_is_cancelled_as_a_message_comes_may_still_take_it() -> None:
    taken: list[Message] = []

    async def handler(stream: Stream) -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(receive, task)
        with pytest.raises(asyncio.CancelledError):
            await anext(stream)
        task.uncancel()
        taken.extend([await anext(stream), await anext(stream)])

    def receive(task: asyncio.Task[None]) -> None:
        transport.receive(text("a") + text("b"))
        task.cancel()

    transport = FakeTransport(Service(Settings(), {"/app": handler}))
    transport.open("/app")
    await eventually(["a", "b"], lambda: taken)


async def test_handler_that_is_cancelled_right_behind_its_close_has_closed_as_it_said(service: Serve) -> None:
    async def handler(stream: Stream) -> None:
        await stream.close(4000)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anext(stream)

    async with service({"/app": handler}) as running:
        client = await running.open("/app")
        assert closed(4000) == await client.frame()


async def test_message_that_comes_when_its_wait_has_timed_out_is_the_next() -> None:
    taken: list[Message] = []

    async def handler(stream: Stream) -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.001)
        transport.receive(text("a") + text("b"))
        for _ in range(2):
            taken.append(await asyncio.wait_for(anext(stream), 60))
        asyncio.get_running_loop().call_soon(transport.receive, text("c"))
        taken.append(await asyncio.wait_for(anext(stream), 60))

    transport = FakeTransport(Service(Settings(), {"/app": handler}))
    transport.open("/app")
    await eventually(["a", "b", "c"], lambda: taken)


async def test_wait_may_be_begun_anew_before_one_that_was_cancelled_has_ended() -> None:
    taken: list[Message] = []

    async def handler(stream: Stream) -> None:
        cancelled = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        cancelled.cancel()
        asyncio.get_running_loop().call_soon(transport.receive, text("a"))
        taken.append(await anext(stream))
        assert cancelled.cancelled()

    transport = FakeTransport(Service(Settings(), {"/app": handler}))
    transport.open("/app")
    await eventually(["a"], lambda: taken)


async def test_second_to_wait_is_told_that_there_is_a_first() -> None:
    streams: list[Stream] = []
    taken: list[Message] = []

    async def handler(stream: Stream) -> None:
        streams.append(stream)
        taken.append(await anext(stream))

    transport = FakeTransport(Service(Settings(), {"/app": handler}))
    transport.open("/app")
    await asyncio.sleep(0)
    # By hand: of two tasks that wait the first could never be cancelled, and the test would hang.
    second = anext(streams[0]).__await__()
    with pytest.raises(RuntimeError, match="Another task is waiting"):
        next(second)
    transport.receive(text("a"))
    await eventually(["a"], lambda: taken)


async def test_what_a_turn_brings_several_handlers_is_answered_in_that_turn_in_a_write_each() -> None:
    service = Service(Settings(**NO_RATES), {"/app": echo})
    transports = [FakeTransport(service) for _ in range(3)]
    for transport in transports:
        transport.open("/app")
    await asyncio.sleep(0)
    answered: list[list[bytes]] = []

    def look() -> None:
        answered.extend(transport.writes.copy() for transport in transports)

    loop = asyncio.get_running_loop()
    for transport in transports:
        transport.receive(text("a") + text("b"))
    # Behind the end of this turn.
    loop.call_soon(look)
    await eventually(3, lambda: len(answered))
    assert [1, 1, 1] == [len(writes) for writes in answered]
    for transport in transports:
        assert [said("a"), said("b")] == transport.frames()
        transport.lose()
    await eventually(0, lambda: len(service.context.connections))


async def test_who_waits_for_a_message_that_another_takes_waits_for_the_next() -> None:
    taken: list[Message] = []

    async def handler(stream: Stream) -> None:
        taking = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        transport.receive(text("a"))
        taken.append(await anext(stream))
        await asyncio.sleep(0)
        transport.receive(text("b"))
        taken.append(await taking)

    transport = FakeTransport(Service(Settings(), {"/app": handler}))
    transport.open("/app")
    await eventually(["a", "b"], lambda: taken)


async def test_published_payload_is_handed_on_as_it_is(service: Serve) -> None:
    async def member(stream: Stream) -> None:
        hub = running.service.hub
        hub.enter(stream.session)
        hub.memberships.join(stream.session, "a")
        try:
            for payload in (msgspec.Raw(b'{"a":1}'), "text", b"\xff"):
                hub.publish(stream.session, "a", payload)
            await echo(stream)
        finally:
            hub.exit(stream.session)

    async with service({"/app": member}) as running:
        client = await running.open("/app")
        assert [said('{"a":1}'), said("text"), said(b"\xff")] == await client.frames(3)


@pytest.mark.parametrize("enters_late", [False, True])
async def test_handler_leaves_the_hub_behind_its_connection(enters_late: bool) -> None:
    gate = asyncio.Event()
    kept: list[int] = []

    async def member(stream: Stream) -> None:
        if enters_late:
            await gate.wait()
        hub.enter(stream.session)
        hub.memberships.join(stream.session, "a")
        try:
            await gate.wait()
            for _ in range(3):
                hub.publish(None, "a", "text")
                # The end of the turn in which that is may be behind this task.
                for _ in range(2):
                    await asyncio.sleep(0)
                kept.append(len(stream.session.outbox.items()))
        finally:
            hub.exit(stream.session)

    service = Service(Settings(), {"/app": member})
    hub = service.context.hub
    transport = FakeTransport(service)
    transport.open("/app")
    await asyncio.sleep(0)
    transport.lose()
    gate.set()
    await eventually([0, 0, 0], lambda: kept)
    await eventually((0, []), lambda: (len(hub.registry.outboxes), [one for one in hub.rooms if one.members]))


async def test_client_over_its_rate_is_closed(service: Serve) -> None:
    async with service({"/app": echo}, message_rate=1) as running:
        client = await running.open("/app")
        await client.send(text("a") * 10)
        while (received := await client.frame()) == said("a"):
            pass
        assert closed(1008, "too many messages a second") == received


@pytest.mark.parametrize("handler", [echo, forever])
async def test_stopping_ends_every_handler(handler: Handler, service: Serve) -> None:
    ended: list[bool] = []

    async def watched(stream: Stream) -> None:
        try:
            await handler(stream)
        finally:
            ended.append(True)

    async with service({"/app": watched}, drain_timeout=20.0) as running:
        client = await running.open("/app")
        stopping = asyncio.ensure_future(running.service.stop())
        assert closed(1001, "the server is going away") == without_advice(await client.frame())
        await client.send(close_frame(1001))
        await client.eof()
        client.close()
        await stopping
        assert [True] == ended
