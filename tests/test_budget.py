"""The budget of all queues and unfinished messages: what counts, that it isn't passed, and who goes first."""

import asyncio
import json
import logging
import zlib
from collections import Counter
from typing import Any, Final, cast

import pytest

from server.application import Application, Draft
from server.dialects.stream import Stream
from server.http import HttpProtocol
from server.overflow import Overflow
from server.protocol import WebSocketSession
from server.service import Service
from server.session import Session
from server.settings import Settings

from .conftest import NO_RATES, Serve, eventually
from .faketransport import FakeTransport
from .rawclient import BINARY, CLOSE, TEXT, Frame, frame, get, said, text, upgrade

MIB: Final = 1 << 20
SIXTEENTH: Final = MIB
BUDGET: Final = 16 * MIB
DEFLATE: Final = "Sec-WebSocket-Extensions: permessage-deflate"
SHORT: Final = "the server is short of memory"


def serve(**settings: Any) -> Service:
    options = {
        **NO_RATES,
        "memory_budget": BUDGET,
        "max_message_size": 32 * MIB,
        "max_queue_bytes": 32 * MIB,
        "max_queue_seconds": 1000.0,
        "history_messages": 0,
        **settings,
    }
    return Service(Settings(**options))


def opened(service: Service, path: str = "/echo", *fields: str) -> FakeTransport:
    transport = FakeTransport(service)
    transport.open(path, *fields)
    return transport


def session_of(transport: FakeTransport) -> WebSocketSession:
    return cast(WebSocketSession, transport.protocol)


def begin(transport: FakeTransport, size: int) -> None:
    """Send a fragment of a message that doesn't end."""
    transport.receive(frame(BINARY, bytes(size), fin=False))


def held(service: Service) -> int:
    """Count all that is held, this moment."""
    own = sum(connection.octets_held() for connection in service.context.connections)
    return own + service.context.traffic.publication_bytes


def reason(received: Frame) -> str:
    assert (CLOSE, b"\x03\xf5") == (received.opcode, received.payload[:2])
    return received.payload[2:].partition(b"; retry=")[0].decode()


def is_open(transport: FakeTransport) -> bool:
    return isinstance(transport.protocol, WebSocketSession)


def status(service: Service) -> int:
    transport = FakeTransport(service)
    transport.receive(upgrade())
    answer = transport.take()
    transport.lose()
    return int(answer.split(b" ")[1])


# What counts. -----------------------------------------------------------------------------------------------


async def test_unfinished_messages_of_many_never_pass_it() -> None:
    service = serve()
    transports = [opened(service) for _ in range(200)]
    fragment = frame(BINARY, bytes(MIB), fin=False)
    most = 0
    for at in range(0, len(fragment), 1 << 18):
        for transport in transports:
            if is_open(transport):
                transport.receive(fragment[at : at + (1 << 18)])
                most = max(most, held(service))
    assert BUDGET // 2 < most <= BUDGET
    closed = [transport for transport in transports if not is_open(transport)]
    assert service.context.budget.closed == len(closed) > 100
    assert {SHORT} == {reason(transport.frames()[-1]) for transport in closed}


async def test_what_is_inflated_of_many_never_passes_it() -> None:
    service = serve(max_message_size=MIB)
    transports = [opened(service, "/echo", DEFLATE) for _ in range(100)]
    compressor = zlib.compressobj(wbits=-15)
    bomb = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    sent = frame(BINARY, bomb, rsv1=True, fin=False)
    assert len(sent) < 2048
    most = 0
    for transport in transports:
        transport.receive(sent)
        most = max(most, held(service))
    assert BUDGET // 2 < most <= BUDGET


async def test_a_publication_counts_once_however_many_wait_for_it() -> None:
    service = serve()
    members = [opened(service, "/ws") for _ in range(100)]
    for member in members:
        member.receive(text('{"action":"join","room":"a"}'))
        member.pause()
    service.hub.publish(None, "a", b"a" * MIB)
    service.context.fanout.flush()
    service.context.budget.look()
    assert MIB <= service.context.budget.held < MIB + 100 * 1024
    assert {MIB + 256} == {session_of(member).octets_waiting() for member in members}
    for member in members:
        member.resume()
    service.context.fanout.flush()
    service.context.budget.look()
    assert 0 == service.context.budget.held


async def test_the_history_is_another_ones_and_what_it_forgets_may_still_wait() -> None:
    service = serve(history_messages=100, history_bytes=8 * MIB, history_seconds=10.0)
    member = opened(service, "/ws")
    member.receive(text('{"action":"join","room":"a"}'))
    member.pause()
    service.hub.publish(None, "a", b"a" * 4 * MIB)
    service.context.fanout.flush()
    budget = service.context.budget
    budget.look()
    assert 0 == budget.held
    service.hub.sweep(service.context.clock() + 11.0)
    budget.sweep()
    assert 4 * MIB <= budget.held < 5 * MIB


async def test_replies_and_write_buffers_and_messages_for_a_handler_count() -> None:
    async def handler(stream: Stream) -> None:
        await asyncio.Event().wait()

    service = Service(Settings(**NO_RATES), {"/app": handler})
    echo, app, other = opened(service), opened(service, "/app"), FakeTransport(service)
    echo.pause()
    echo.receive(text("a" * 1000))
    echo.buffered = 100
    assert 1100 == session_of(echo).octets_held()
    service.context.fanout.flush()
    assert 1100 == session_of(echo).octets_held()
    echo.resume()
    service.context.fanout.flush()
    assert 100 == session_of(echo).octets_held()
    app.receive(text("a" * 500))
    assert 500 == session_of(app).octets_held()
    other.receive(get()[:-2])
    assert len(get()) - 2 == cast(HttpProtocol, other.protocol).octets_held()
    app.lose()
    for task in list(service._tasks):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_message_that_a_hook_is_asked_about_counts_until_it_is_answered() -> None:
    application = Application()
    is_decided = asyncio.Event()

    @application.on_publish
    async def decide(session: Session, draft: Draft) -> None:
        await is_decided.wait()

    service = Service(Settings(**NO_RATES), application=application)
    transport = opened(service, "/ws")
    published = text(json.dumps({"action": "message", "room": "a", "message": "a" * 50_000}))
    transport.receive(published)
    assert 50_000 < session_of(transport).octets_held() < len(published)
    is_decided.set()
    await eventually(0, session_of(transport).octets_held)
    is_decided.clear()
    transport.receive(published)
    transport.lose()
    await eventually({}, lambda: service._hooks._sizes)


# Who goes first. --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "excess", "expected"),
    [
        (12, -1, (101, True)),
        (12, 0, (101, True)),
        (12, 1, (503, True)),
        (14, -1, (503, True)),
        (14, 0, (503, True)),
        # By then there is room again.
        (14, 1, (101, False)),
    ],
)
async def test_handshakes_are_refused_first_and_the_longest_is_closed_last(
    share: int, excess: int, expected: tuple[int, bool]
) -> None:
    service = serve()
    small, large = opened(service), opened(service)
    begin(small, SIXTEENTH)
    begin(large, (share - 1) * SIXTEENTH + excess)
    service.context.budget.look()
    assert share * SIXTEENTH + excess == service.context.budget.held or not is_open(large)
    assert expected == (status(service), is_open(large))
    assert is_open(small)


@pytest.mark.parametrize(("excess", "expected"), [(-1, 101), (0, 101), (1, 503)])
async def test_handshakes_are_refused_until_there_is_room_again(excess: int, expected: int) -> None:
    service = serve()
    one, two = opened(service), opened(service)
    begin(one, 10 * SIXTEENTH + excess)
    begin(two, 3 * SIXTEENTH)
    service.context.budget.look()
    assert (503, 1) == (status(service), service.context.budget.refused)
    two.lose()
    service.context.budget.sweep()
    assert expected == status(service)


async def test_what_may_be_dropped_is_dropped_before_anybody_is_closed() -> None:
    rules = (("feed", Overflow.parse("drop-oldest")), ("news", Overflow.parse("drop-newest")))
    service = serve(slow_readers_by_room=rules)
    reader, patient = opened(service, "/ws"), opened(service, "/ws")
    for room in ("feed", "news", "other"):
        reader.receive(text(json.dumps({"action": "join", "room": room})))
    patient.receive(text('{"action":"join","room":"other"}'))
    for one in (reader, patient):
        one.pause()
        one.take()
    for room in ("feed", "news", "other"):
        for _ in range(5):
            service.hub.publish(None, room, b"a" * (SIXTEENTH - 256))
    service.context.fanout.flush()
    budget = service.context.budget
    assert (10, 0) == (budget.dropped, budget.closed)
    assert 5 * SIXTEENTH <= budget.held < 6 * SIXTEENTH
    reader.resume()
    service.context.fanout.flush()
    told = [json.loads(received.payload) for received in reader.frames()]
    missed = Counter[str]()
    for one in told:
        missed[one["room"]] += one.get("count", 0)
    del missed["other"]
    assert {"feed": 5, "news": 5} == missed
    assert ["other"] * 5 == [one["room"] for one in told if one["type"] == "message"]


async def test_who_does_not_read_why_it_is_closed_is_cut_off() -> None:
    service = serve()
    stuck, other = opened(service), opened(service)
    stuck.buffered = 15 * SIXTEENTH
    begin(other, 1000)
    service.context.budget.look()
    assert SHORT == reason(stuck.frames()[-1])
    assert "aborted" == stuck.end
    assert is_open(other)


async def test_requests_that_do_not_end_are_refused() -> None:
    service = serve(max_head=8 * MIB, max_target=8 * MIB)
    transports = [FakeTransport(service) for _ in range(3)]
    for transport in transports:
        transport.receive(b"GET /" + b"a" * (5 * MIB))
    service.context.budget.look()
    assert b"HTTP/1.1 503 " == transports[0].take()[:13]
    service.context.budget.look()
    assert [b"", b""] == [transport.take() for transport in transports[1:]]


# Telling. ---------------------------------------------------------------------------------------------------


async def test_shedding_is_logged_at_most_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    service = serve()
    budget = service.context.budget
    now = budget._clock()
    budget._clock = lambda: now
    large = opened(service)
    begin(large, 13 * SIXTEENTH)
    budget.look()
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            for _ in range(5):
                assert 503 == status(service)
                budget.sweep()
            now += 0.25
    lines = [record.getMessage() for record in caplog.records if record.name == "server.budget"]
    assert [1, 20, 20] == [int(line.split("refused ")[1].split()[0]) for line in lines]


async def test_ordinary_traffic_is_hardly_looked_at() -> None:
    service = serve()
    looks = 0
    budget = service.context.budget
    echo = opened(service)
    for _ in range(1000):
        before = service.context.traffic.look_at
        echo.receive(frame(TEXT, b"a" * 1000))
        looks += before != service.context.traffic.look_at
        assert [said("a" * 1000)] == echo.frames()
    assert (0, False) == (looks, budget.is_tight)


async def test_real_connections_are_shed_and_leave_nothing_behind(service: Serve) -> None:
    async with service(**NO_RATES, memory_budget=MIB) as running:
        clients = [await running.open() for _ in range(4)]
        reading = asyncio.ensure_future(asyncio.wait([asyncio.ensure_future(one.rest()) for one in clients]))
        budget = running.context.budget
        for client in clients:
            await client.send(frame(BINARY, bytes(300_000), fin=False))
        await eventually(True, lambda: budget.closed > 0)
        assert budget.held <= MIB
        for client in clients:
            client.end_sending()
        ends = [task.result() for task in (await reading)[0]]
        assert budget.closed == sum(SHORT.encode() in end for end in ends)
        budget.look()
        assert (0, False) == (budget.held, budget.is_tight)
