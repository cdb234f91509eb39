"""Why a connection is slow: every cause made real on real sockets, and asked for over HTTP."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from server.dialects.stream import Stream
from server.inspection import Inspector, why_unsent
from server.overflow import Overflow, Strategy
from server.protocol import LATE_PONG

from .conftest import NARROW, Running, Serve, eventually
from .rawclient import PING, PONG, RawClient, close, frame, get, text

TOKEN = "correct-horse.battery_staple"


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    return str(path)


async def ask(running: Running, path: str = "") -> Any:
    client = await running.connect()
    await client.send(get(f"/debug/connections{path}", f"Authorization: Bearer {TOKEN}"))
    answer = await client.answer()
    client.close()
    return json.loads(answer.body) if answer.status == 200 else answer.status


async def stall(running: Running, *, room: str = "a", count: int = 100) -> RawClient:
    """Let a new member of a room read nothing while messages of 1000 octets are published."""
    before = running.sessions()
    client = await running.open("/ws", receive_buffer=4096)
    await client.send(text(json.dumps({"action": "join", "room": room})))
    await eventually(True, lambda: bool(running.context.hub.rooms.get(room)))
    (session,) = (session for session in running.sessions() if session not in before)
    while not session.is_paused:
        running.service.hub.publish(None, room, "x" * 1000)
        await eventually(False, lambda: session.outbox.is_dirty)
    for _ in range(count):
        running.service.hub.publish(None, room, "x" * 1000)
    await eventually(False, lambda: session.outbox.is_dirty)
    return client


PATIENT: dict[str, Any] = {**NARROW, "compression": False, "max_queue_seconds": 3600.0, "drain_timeout": 0.5}


async def test_client_that_does_not_read_is_told_from_all_else(service: Serve, token_file: str) -> None:
    async with service(**PATIENT, management_token=token_file) as running:
        client = await stall(running)
        (session,) = running.sessions()
        # The kernel takes a moment to learn that the window is full.
        why = "The client doesn't read: its receive window is full."
        inspector = Inspector(running.context)
        await eventually(why, lambda: (inspector.one(session.id) or {})["why"])
        told = await ask(running, f"/{session.id}")
        assert (session.id, "127.0.0.1", None, "rooms") == tuple(
            told[name] for name in ("id", "address", "user", "dialect")
        )
        assert told["is_writing_paused"]
        assert not told["is_reading_held_by_application"]
        assert told["queue"]["items"] >= 100
        assert told["queue"]["publication_bytes"] > 100 * 1000
        assert told["queue"]["transport_bytes"] > 1024
        assert 0 <= told["queue"]["oldest_seconds"] <= told["age_seconds"]
        assert {"a": "disconnect"} == told["slow_readers"]["rooms"]
        assert 3600.0 == told["slow_readers"]["max_queue_seconds"]
        assert told["kernel"]["send_queue_bytes"] >= told["kernel"]["notsent_bytes"] > 0
        assert ["paused: the transport takes no more"] == [event["event"] for event in told["events"]][-1:]
        client.close()


async def test_client_that_reads_again_has_a_history(service: Serve, token_file: str) -> None:
    settings = {**PATIENT, "slow_readers": Overflow(Strategy.DROP_OLDEST), "max_queue_bytes": 20_000}
    async with service(**settings, management_token=token_file) as running:
        client = await stall(running)
        (session,) = running.sessions()
        missed = (await ask(running, f"/{session.id}"))["queue"]["missed"]
        assert missed > 0
        while session.waiting() or session.is_paused:
            await client.frame()
        events = [event["event"] for event in (await ask(running, f"/{session.id}"))["events"]]
        assert "resumed: the transport takes more" in events
        assert f"missed {missed} publications while it was behind" in events


async def test_application_that_does_not_take_messages_holds_a_connection(
    service: Serve, token_file: str
) -> None:
    may_go_on = asyncio.Event()

    async def busy(stream: Stream) -> None:
        await may_go_on.wait()

    async with service({"/busy": busy}, management_token=token_file, message_rate=0) as running:
        client = await running.open("/busy")
        await client.send(text("x") * 100)
        (session,) = running.sessions()
        await eventually(True, lambda: session.standing().is_held)
        told = await ask(running, f"/{session.id}")
        assert "Our application holds it: it isn't done with what the client sent." == told["why"]
        assert told["is_reading_held_by_application"]
        may_go_on.set()
        await client.send(close())
        await client.rest()


async def test_nothing_is_wrong_with_an_idle_connection(service: Serve, token_file: str) -> None:
    async with service(management_token=token_file) as running:
        await running.open()
        (session,) = running.sessions()
        told = await ask(running, f"/{session.id}")
        assert "Nothing is wrong: nothing waits for it." == told["why"]
        assert [0, 0, None, 0, 0] == list(told["queue"].values())
        assert [] == told["events"]
        assert {"paused": 0, "connections": []} == await ask(running)


KERNEL = {
    "retransmits": 0,
    "lost": 0,
    "notsent_bytes": 5000,
    "unacked": 4,
    "snd_wnd": 1000,
    "busy_time_us": 1000,
    "rwnd_limited_us": 500,
    "rtt_us": 212_000,
    "delivery_rate": 24_000,
}
NETWORK = "The network is slower than what is sent: 24000 bytes/s, with a round trip of 212 ms."
LOSS = "The network loses what is sent: the kernel repeats it, and no acknowledgement comes."
FULL = "The client doesn't read: its receive window is full."
SLOW = "The client reads slowly: most of the time its receive window was what all waited for."
UNKNOWN = "The client takes less than it is sent; this system doesn't say why."


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, NETWORK),
        ({"retransmits": 1, "snd_wnd": 0}, LOSS),
        ({"lost": 1}, LOSS),
        ({"snd_wnd": 0}, FULL),
        ({"unacked": 0}, FULL),
        ({"unacked": 0, "notsent_bytes": 0}, NETWORK),
        ({"rwnd_limited_us": 501}, SLOW),
    ],
)
def test_kernel_names_the_cause(known: dict[str, int], expected: str) -> None:
    assert expected == why_unsent({**KERNEL, **known})


def test_older_kernel_without_a_window_or_without_times_names_no_wrong_cause() -> None:
    without_window = {name: value for name, value in KERNEL.items() if name != "snd_wnd"}
    assert NETWORK == why_unsent(without_window)
    assert FULL == why_unsent({**without_window, "unacked": 0})
    assert UNKNOWN == why_unsent(
        {name: KERNEL[name] for name in ("retransmits", "lost", "unacked", "rtt_us")}
    )
    assert UNKNOWN == why_unsent({})


async def test_late_pong_on_a_quick_network_is_the_clients(service: Serve, token_file: str) -> None:
    async with service(management_token=token_file) as running:
        client = await running.open()
        (session,) = running.sessions()
        seconds = iter([100.0, 100.0 + LATE_PONG + 0.5])
        running.context.stopwatch = lambda: next(seconds)
        session.send_ping()
        ping = await client.frame()
        assert PING == ping.opcode
        await client.send(frame(PONG, ping.payload))
        await eventually(True, lambda: session.rtt is not None)
        told = await ask(running, f"/{session.id}")
        assert "The client is busy: its last pong took 1.5 s, and not for the network." == told["why"]
        assert ["its pong took 1.5 s"] == [event["event"] for event in told["events"]]


async def test_connection_that_closes_says_so(service: Serve, token_file: str) -> None:
    async with service(management_token=token_file, close_timeout=0.5) as running:
        client = await running.open()
        (session,) = running.sessions()
        session.close()
        await client.frame()
        assert "It is closing." == (await ask(running, f"/{session.id}"))["why"]


async def test_what_ended_a_connection_is_known_after_its_end(service: Serve, token_file: str) -> None:
    async with service(management_token=token_file) as running:
        client = await running.open()
        (session,) = running.sessions()
        session.kick(1008, "enough")
        await client.rest()
        client.close()
        await eventually([], running.sessions)
        told = await ask(running, f"/{session.id}")
        assert "It is gone; the last event: closed at once: 1008 enough." == told["why"]


async def test_id_that_never_was_is_not_found(service: Serve, token_file: str) -> None:
    async with service(management_token=token_file) as running:
        assert [404, 404] == [await ask(running, path) for path in ("/nobody", "/a/b")]


async def test_list_has_the_longest_queues_first(service: Serve, token_file: str) -> None:
    async with service(**PATIENT, management_token=token_file) as running:
        for room, count in (("a", 30), ("b", 90), ("c", 60)):
            await stall(running, room=room, count=count)
        told = await ask(running, "?limit=2")
        assert 3 == told["paused"]
        assert [90, 60] == [round(one["queue"]["items"], -1) for one in told["connections"]]
