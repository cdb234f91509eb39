"""What a client that stops reading, and then reads on, is told under each policy: on real sockets."""

import json
from typing import Any, Final

import pytest

from server.overflow import Overflow

from .conftest import NARROW, Running, Serve, eventually
from .logcheck import LogCheck
from .rawclient import CLOSE, PING, PONG, TEXT, Frame, RawClient, frame, text

COUNT: Final = 400
KEYS: Final = 20
SETTINGS: Final[dict[str, Any]] = {
    **NARROW,
    "compression": False,
    "max_queue_bytes": 64 << 10,
    "max_queue_seconds": 3600.0,
    "history_messages": 1000,
    "history_bytes": 64 << 20,
}


def do(action: str, **fields: Any) -> bytes:
    return text(json.dumps({"action": action, "room": "a", **fields}))


async def join(running: Running, log: LogCheck) -> RawClient:
    """Join where the log ends, and read up to the answer."""
    client = await running.open("/ws", receive_buffer=4096)
    since = {}
    for epoch, offset in log.positions.values():
        since = {"since": {"epoch": epoch, "offset": offset}}
    await client.send(do("join", **since))
    for _ in ("welcome", "joined"):
        log.hear(json.loads((await client.frame()).payload))
    return client


async def publish(running: Running) -> None:
    """Publish them all, each behind the acknowledgement of the one before, to who doesn't read."""
    publisher = await running.open("/ws")
    await publisher.frame()
    for number in range(COUNT):
        value = {"number": number, "key": f"key-{number % KEYS}", "filling": "a" * 1000}
        await publisher.send(do("message", message=value, ref=number))
        assert number == json.loads((await publisher.frame()).payload)["ref"]


async def read_on(client: RawClient, log: LogCheck) -> list[dict[str, Any]]:
    """Read until the last message is accounted for, or the server closes; return what was published."""
    values = []
    while log.heard + log.missed < COUNT:
        received = await client.frame()
        if received.opcode == CLOSE:
            assert b"\x03\xf5too slow" == received.payload.partition(b"; retry=")[0]
            await client.eof()
            break
        heard = json.loads(received.payload)
        log.hear(heard)
        if heard["type"] == "message":
            values.append(heard["message"])
    return values


def numbers_of(values: list[dict[str, Any]]) -> list[int]:
    return [value["number"] for value in values]


async def test_disconnected_reader_is_closed_with_1013_and_recovers_the_rest(service: Serve) -> None:
    async with service(**SETTINGS) as running:
        log = LogCheck()
        client = await join(running, log)
        await publish(running)
        before = await read_on(client, log)
        assert 0 < len(before) < COUNT
        rest = await read_on(await join(running, log), log)
        assert list(range(COUNT)) == numbers_of(before + rest)
        assert ([], 1, 0) == (log.problems, log.recovered, log.missed)


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest"])
async def test_reader_is_told_where_and_how_much_was_dropped(policy: str, service: Serve) -> None:
    async with service(**SETTINGS, slow_readers=Overflow.parse(policy)) as running:
        log = LogCheck()
        client = await join(running, log)
        await publish(running)
        numbers = numbers_of(await read_on(client, log))
        # Each offset was either heard or counted in its place, up to the last.
        assert ([], COUNT) == (log.problems, log.positions["a"][1])
        drops = running.context.hub.drops
        assert drops.oldest + drops.newest == log.missed
        assert 0 < log.missed < COUNT
        assert (0, policy == "drop-oldest") == (numbers[0], numbers[-1] == COUNT - 1)


async def test_conflated_reader_hears_the_latest_value_of_every_key(service: Serve) -> None:
    async with service(**SETTINGS, slow_readers=Overflow.parse("conflate:key")) as running:
        log = LogCheck()
        client = await join(running, log)
        await publish(running)
        values = await read_on(client, log)
        assert COUNT == len(values) + log.missed
        assert running.context.hub.drops.conflated == log.missed > 0
        latest: dict[str, int] = {}
        for value in values:
            # Of one key nothing comes behind what is newer.
            assert latest.get(value["key"], -1) < value["number"]
            latest[value["key"]] = value["number"]
        assert {f"key-{number % KEYS}": number for number in range(COUNT - KEYS, COUNT)} == latest


@pytest.mark.parametrize("policy", ["disconnect", "drop-oldest", "drop-newest"])
async def test_reader_that_goes_on_in_time_misses_nothing_and_is_pinged_back(
    policy: str, service: Serve
) -> None:
    settings = {**SETTINGS, "max_queue_bytes": 1 << 30, "slow_readers": Overflow.parse(policy)}
    async with service(**settings) as running:
        log = LogCheck()
        client = await join(running, log)
        (session,) = running.sessions()
        await publish(running)
        assert session.is_paused
        await client.send(frame(PING, b"are you there?"))
        await eventually(b"are you there?", lambda: session._owed_pong)
        heard = [await client.frame() for _ in range(COUNT + 1)]
        assert [Frame(PONG, b"are you there?")] == [one for one in heard if one.opcode != TEXT]
        for one in heard:
            if one.opcode == TEXT:
                log.hear(json.loads(one.payload))
        assert ([], COUNT) == (log.problems, log.heard)


async def test_reader_whose_window_is_closed_is_not_reset_by_the_system(service: Serve) -> None:
    settings = {**SETTINGS, "max_queue_bytes": 1 << 30, "ping_interval": 0, "pong_timeout": 0.25}
    async with service(**settings) as running:
        log = LogCheck()
        client = await join(running, log)
        await publish(running)
        clock = running.context.clock
        rested_at = clock() + 1.5
        await eventually(True, lambda: clock() > rested_at)
        assert list(range(COUNT)) == numbers_of(await read_on(client, log))
