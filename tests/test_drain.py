"""Drain: readiness goes first, everybody is told, and it ends in time."""

import asyncio
import json
from operator import itemgetter
from typing import Any

import pytest

from server.application import Application
from server.drain import MIN_BATCH
from server.service import Service
from server.settings import Settings
from tests.conftest import NO_RATES, Serve, eventually
from tests.faketransport import FakeTransport
from tests.rawclient import CLOSE, RawClient, closed, frame, get, said, text, upgrade, without_advice
from tests.rawclient import close as close_frame


async def status_of(client: RawClient, request: bytes) -> tuple[int, str | None]:
    await client.send(request)
    answer = await client.answer()
    return answer.status, answer.fields.get("retry-after")


async def test_server_is_unready_before_anybody_is_sent_away(service: Serve) -> None:
    async with service(drain_delay=30.0, drain_timeout=60.0) as running:
        session = await running.open()
        asker = await running.connect()
        assert (200, None) == await status_of(asker, get("/readyz"))
        stopping = asyncio.ensure_future(running.service.stop())
        await eventually(True, lambda: running.context.is_draining)
        # Balancers still get in to ask, and who is here is served on.
        assert (503, "5") == await status_of(await running.connect(), get("/readyz"))
        assert (200, None) == await status_of(await running.connect(), get("/healthz"))
        assert (503, "5") == await status_of(await running.connect(), upgrade())
        await session.send(text("still here"))
        assert said("still here") == await session.frame()
        running.service.stop_now()
        await stopping
        with pytest.raises(ConnectionRefusedError):
            await running.connect()


async def test_after_the_delay_everybody_is_sent_away(service: Serve) -> None:
    async with service(drain_delay=0.1) as running:
        session = await running.open()
        stopping = asyncio.ensure_future(running.service.stop())
        assert closed(1001, "the server is going away") == without_advice(await session.frame())
        await session.send(close_frame(1001))
        await session.eof()
        session.close()
        await stopping


async def test_delay_leaves_time_to_send_everybody_away() -> None:
    service = Service(Settings(**NO_RATES, drain_delay=0.1, drain_timeout=0.11))
    now = 1000.0
    service.context.clock = lambda: now
    session = FakeTransport(service)
    session.open()
    stopping = asyncio.ensure_future(service.stop())
    await eventually(True, lambda: service.context.is_draining)
    # A fifth of the timeout is more than the delay leaves.
    now += 0.1
    await eventually(True, lambda: session.writes != [])
    service.stop_now()
    await stopping


async def test_stopping_spreads_the_goodbyes() -> None:
    # 7.2.3: whoever is told at the same time comes back at the same time.
    service = Service(Settings(**NO_RATES))
    transports = [FakeTransport(service) for _ in range(MIN_BATCH + 1)]
    for transport in transports:
        transport.open()

    def count() -> int:
        return sum(transport.writes != [] for transport in transports)

    stopping = asyncio.ensure_future(service.stop())
    await eventually(True, lambda: count() > 0)
    assert MIN_BATCH == count()
    await eventually(MIN_BATCH + 1, count)
    for transport in transports:
        transport.receive(close_frame(1001))
        transport.lose()
    await stopping


async def test_goodbyes_take_half_of_what_the_last_hooks_leave_of_the_time() -> None:
    # A fifth is for the hooks; of the second that is left half has two sweeps.
    service = Service(Settings(**NO_RATES, drain_timeout=1.25))
    service.context.clock = lambda: 1000.0
    transports = [FakeTransport(service) for _ in range(4 * MIN_BATCH)]
    for transport in transports:
        transport.open()
    stopping = asyncio.ensure_future(service.stop())
    await eventually(True, lambda: any(transport.writes for transport in transports))
    assert 2 * MIN_BATCH == sum(transport.writes != [] for transport in transports)
    service.stop_now()
    await stopping


async def test_who_was_accepted_but_not_served_yet_is_told_without_a_request() -> None:
    service = Service(Settings(**NO_RATES))
    session = FakeTransport(service)
    session.open()
    stopping = asyncio.ensure_future(service.stop())
    await eventually(True, lambda: session.writes != [])
    # Such as one who was in the midst of TLS.
    late = FakeTransport(service)
    assert late.take().startswith(b"HTTP/1.1 503 ")
    service.stop_now()
    await stopping


async def test_stopping_tells_all_and_gives_up_who_does_not_answer(service: Serve) -> None:
    async with service(drain_timeout=0.3) as running:
        clients = [await running.open(path) for path in ("/echo", "/ws", "/echo")]
        silent = await running.open()
        await clients[1].frame()
        stopping = asyncio.ensure_future(running.service.stop())
        for client in (*clients, silent):
            assert closed(1001, "the server is going away") == without_advice(await client.frame())
        with pytest.raises(ConnectionRefusedError):
            await running.connect()
        for client in clients:
            await client.send(close_frame(1001))
            await client.eof()
            client.close()
        assert not stopping.done()
        await stopping
        assert b"" == await silent.rest()
        assert [] == running.sessions()


async def test_stopping_delivers_what_was_sent_before(service: Serve) -> None:
    async with service() as running:
        client = await running.open("/ws")
        await client.send(text('{"action":"join","room":"a"}'))
        await client.frames(2)
        (session,) = running.sessions()
        running.service.hub.publish(session, "a", "last words")
        stopping = asyncio.ensure_future(running.service.stop())
        assert "last words" == json.loads((await client.frame()).payload)["message"]
        assert closed(1001, "the server is going away") == without_advice(await client.frame())
        await client.send(close_frame(1001))
        await client.eof()
        client.close()
        await stopping


@pytest.mark.parametrize("app", [None, Application()], ids=["rooms", "application"])
@pytest.mark.parametrize(
    "action",
    [
        {"action": "message", "room": "a", "message": "a"},
        {"action": "broadcast", "message": "a"},
        {"action": "direct", "message": "a"},
    ],
    ids=itemgetter("action"),
)
async def test_whoever_publishes_when_others_are_sent_away_is_too_and_unacknowledged(
    service: Serve, app: Application | None, action: dict[str, Any]
) -> None:
    async with service(None, app) as running:
        speaker, member = await running.open("/ws"), await running.open("/ws")
        await speaker.frame()
        action = {**action, "to": json.loads((await member.frame()).payload)["id"]}
        await member.send(text('{"action":"join","room":"a"}'))
        await member.frame()
        await speaker.send(text(json.dumps({**action, "id": "1", "ref": 1})))
        assert 1 == json.loads((await speaker.frame()).payload)["ref"]
        running.context.hub.close()
        # What was published in time is acknowledged again, and the application is still heard.
        await speaker.send(text(json.dumps({**action, "id": "1", "ref": 2})))
        assert 2 == json.loads((await speaker.frame()).payload)["ref"]
        await speaker.send(text(json.dumps({**action, "id": "2", "ref": 3})))
        assert closed(1001, "the server is going away") == without_advice(await speaker.frame())
        running.service.hub.publish(None, "a", "b")
        heard = [json.loads(one.payload)["message"] for one in await member.frames(2)]
        assert ["a", "b"] == heard


async def test_stopping_now_waits_for_nobody(service: Serve) -> None:
    async with service(drain_timeout=60.0) as running:
        client = await running.open()
        stopping = asyncio.ensure_future(running.service.stop())
        assert CLOSE == (await client.frame()).opcode
        running.service.stop_now()
        assert b"" == await client.rest()
        await stopping


async def test_stopping_ends_who_is_closing_already(service: Serve) -> None:
    async with service(drain_timeout=0.3, close_timeout=60.0) as running:
        client = await running.open()
        await client.send(frame(3))
        assert b"\x03\xea" == (await client.frame()).payload[:2]
        await running.service.stop()
        await client.rest()
        assert 0 == len(running.context.connections)


@pytest.mark.parametrize("hook", ["on_stop", "on_disconnect"])
async def test_application_that_never_stops_is_cut_off(
    service: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    monkeypatch.setattr("server.service.MIN_FAREWELL", 0.1)
    app = Application()
    cut_off: list[str] = []

    async def hang(*_: object) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut_off.append(hook)
            raise

    getattr(app, hook)(hang)
    async with service(None, app, drain_timeout=0.1) as running:
        client = await running.open("/ws")
        await client.frame()
        await running.service.stop()
        await eventually([hook], lambda: cut_off)
        assert ["the application took too long to stop"] == [
            record.getMessage() for record in caplog.records if record.name == "server.service"
        ]
