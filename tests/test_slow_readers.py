"""What a client that stops reading, and then reads on, is told under each policy: on real sockets."""

import json
import logging
from typing import Any, Final, final

import pytest
from msgspec import Raw

from server.overflow import Overflow
from server.publication import Publication

from .conftest import NARROW, Running, Serve, eventually
from .logcheck import LogCheck
from .rawclient import CLOSE, PING, TEXT, Frame, RawClient, frame, text

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
ENDLESS: Final[dict[str, Any]] = {**SETTINGS, "max_queue_bytes": 1 << 30}


def do(action: str, **fields: Any) -> bytes:
    return text(json.dumps({"action": action, "room": "a", **fields}))


@final
class Reader:
    """A client, over all of its connections, and what it was told."""

    def __init__(self) -> None:
        self.client: RawClient
        self.log = LogCheck()
        self.values: list[dict[str, Any]] = []
        self.missed = 0
        # How many messages it was told of, heard or missed, before a control frame.
        self.control_frames: list[tuple[Frame, int]] = []

    @property
    def accounted(self) -> int:
        return len(self.values) + self.missed

    @property
    def numbers(self) -> list[int]:
        return [value["number"] for value in self.values]

    async def join(self, running: Running) -> bool:
        """Join where the log ends; return whether that was recovered."""
        self.client = await running.open("/ws", receive_buffer=4096)
        self.log.hear(json.loads((await self.client.frame()).payload))
        since = self.log.since("a")
        await self.client.send(do("join", **({} if since is None else {"since": since})))
        joined = json.loads((await self.client.frame()).payload)
        self.log.hear(joined)
        return bool(joined["recovered"])

    async def hear(self) -> None:
        """Read a frame."""
        received = await self.client.frame()
        if received.opcode != TEXT:
            self.control_frames.append((received, self.accounted))
            return
        message = json.loads(received.payload)
        self.log.hear(message)
        match message["type"]:
            case "message":
                self.values.append(message["message"])
            case "missed":
                self.missed += message["count"]

    async def read_on(self, count: int) -> None:
        """Read until so many messages are accounted for."""
        while self.accounted < count:
            await self.hear()


async def publish(running: Running) -> None:
    """Publish them all, each behind the acknowledgement of the one before, to who doesn't read."""
    publisher = await running.open("/ws")
    await publisher.frame()
    for number in range(COUNT):
        value = {"number": number, "key": f"key-{number % KEYS}", "filling": "a" * 1000}
        await publisher.send(do("message", message=value, ref=number))
        assert number == json.loads((await publisher.frame()).payload)["ref"]


async def test_disconnected_reader_is_closed_with_1013_and_recovers_the_rest(
    service: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "server.writing")
    async with service(**SETTINGS) as running:
        reader = Reader()
        await reader.join(running)
        await publish(running)
        while not reader.control_frames:
            await reader.hear()
        ((close, heard),) = reader.control_frames
        assert (CLOSE, b"\x03\xf5too slow") == (close.opcode, close.payload.partition(b"; retry=")[0])
        assert 0 < heard < COUNT
        assert ["too slow"] == [message[-8:] for message in caplog.messages if "slow" in message]
        await reader.client.eof()
        assert await reader.join(running)
        await reader.read_on(COUNT)
        assert list(range(COUNT)) == reader.numbers
        assert ([], 0) == (reader.log.problems, reader.missed)


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest"])
async def test_reader_is_told_where_and_how_much_was_dropped(policy: str, service: Serve) -> None:
    async with service(**SETTINGS, slow_readers=Overflow.parse(policy)) as running:
        reader = Reader()
        await reader.join(running)
        await publish(running)
        await reader.read_on(COUNT)
        # The log check holds each note to its place.
        assert [] == reader.log.problems
        since = reader.log.since("a")
        assert since is not None
        assert COUNT == since["offset"]
        drops = running.context.hub.drops
        assert COUNT > drops.oldest + drops.newest == reader.missed > 0
        assert (0, policy == "drop-oldest") == (reader.numbers[0], reader.numbers[-1] == COUNT - 1)


async def test_conflated_reader_hears_the_latest_value_of_every_key(service: Serve) -> None:
    async with service(**SETTINGS, slow_readers=Overflow.parse("conflate:key")) as running:
        reader = Reader()
        await reader.join(running)
        await publish(running)
        await reader.read_on(COUNT)
        assert running.context.hub.drops.conflated == reader.missed > 0
        latest: dict[str, int] = {}
        for value in reader.values:
            # Of one key nothing comes behind what is newer.
            assert latest.get(value["key"], -1) < value["number"]
            latest[value["key"]] = value["number"]
        assert {f"key-{number % KEYS}": number for number in range(COUNT - KEYS, COUNT)} == latest


@pytest.mark.parametrize("policy", ["disconnect", "drop-oldest", "drop-newest"])
async def test_reader_that_goes_on_in_time_misses_nothing_and_is_ponged(policy: str, service: Serve) -> None:
    async with service(**ENDLESS, slow_readers=Overflow.parse(policy)) as running:
        reader = Reader()
        await reader.join(running)
        (session,) = running.sessions()
        await publish(running)
        assert session.is_paused
        await reader.client.send(frame(PING, b"are you there?"))
        await eventually(b"are you there?", lambda: session._owed_pong)
        await reader.read_on(COUNT)
        assert list(range(COUNT)) == reader.numbers
        ((pong, heard),) = reader.control_frames
        assert b"are you there?" == pong.payload
        # It didn't wait for all that waits.
        assert heard < COUNT / 2


async def test_reader_whose_window_is_closed_is_not_reset_by_the_system(service: Serve) -> None:
    async with service(**ENDLESS, ping_interval=0, pong_timeout=0.25) as running:
        reader = Reader()
        await reader.join(running)
        await publish(running)
        clock = running.context.clock
        rested_at = clock() + 1.5
        await eventually(True, lambda: clock() > rested_at)
        await reader.read_on(COUNT)
        assert list(range(COUNT)) == reader.numbers


async def test_however_fast_a_feed_is_no_more_waits_than_one_value_of_each_key(service: Serve) -> None:
    keys, rounds = 1000, 10
    async with service(**ENDLESS, slow_readers=Overflow.parse("conflate:key")) as running:
        reader = Reader()
        await reader.join(running)
        (session,) = running.sessions()
        for number in range(rounds):
            for key in range(keys):
                running.service.hub.publish(None, "a", Raw(b'{"key":%d,"number":%d}' % (key, number)))
            # A hundredth of it is read.
            for _ in range(keys // 100):
                await reader.hear()
        await eventually((True, False), lambda: (session.is_paused, session.outbox.is_dirty))
        waiting = [item.key for item in session.waiting() if isinstance(item, Publication)]
        assert len(waiting) == len(set(waiting)) <= keys
        await reader.client.send(frame(PING))
        await eventually(b"", lambda: session._owed_pong)
        await reader.read_on(keys * rounds)
        latest = {value["key"]: value["number"] for value in reader.values}
        assert dict.fromkeys(range(keys), rounds - 1) == latest
        assert [b""] == [pong.payload for pong, _ in reader.control_frames]
