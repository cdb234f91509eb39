"""Readers, slow and cut off, on the real session: what each hears has no gap that it isn't told of."""

import asyncio
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import Raw

from server.overflow import Overflow, Strategy
from server.protocol import WebSocketSession
from server.publication import Publication
from server.service import Service
from server.settings import Settings
from tests.conftest import NO_RATES
from tests.faketransport import FakeTransport
from tests.logcheck import LogCheck
from tests.rawclient import CLOSE, TEXT, text

MAX_WEIGHT: Final = 100_000
MAX_SECONDS: Final = 8.0
SETTINGS: Final[dict[str, Any]] = {
    **NO_RATES,
    "compression": False,
    "max_queue_bytes": MAX_WEIGHT,
    "max_queue_seconds": MAX_SECONDS,
    "history_messages": 6,
    "history_seconds": 10.0,
    "history_bytes": 150_000,
    "slow_readers_by_room": (
        ("oldest", Overflow.parse("drop-oldest")),
        ("newest", Overflow.parse("drop-newest")),
        ("latest.*", Overflow.parse("conflate:key")),
    ),
}
CONFLATING: Final = "latest.a"

WHO = st.integers(0, 2)
ROOM = st.sampled_from(["plain", "oldest", "newest", CONFLATING])
# Members hear by a pattern what they hear anyway.
PLACE = ROOM | st.just(">")
KEY = st.sampled_from([None, "x", "y"])
# Characters of a payload: short ones share a write, of the long ones each fills most of one.
SIZE = st.sampled_from([3, 20_000, 40_000])
TTL = st.sampled_from([None, None, None, 0.5, 2.0])
SECONDS = st.sampled_from([0.5, 1.0, 4.0, 8.5, 11.0])


@final
class HandLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0

    def time(self) -> float:
        return self.now

    def turn(self) -> None:
        self.call_soon(self.stop)
        self.run_forever()


class Told(NamedTuple):
    """What was published, and where."""

    room: str
    offset: int
    epoch: str
    key: str | None
    deadline: float


@final
@dataclass
class Latest:
    """What a client has of a room that conflates."""

    joined_at: int
    # How many it heard or was told to have missed, and the newest of each key.
    count: int = 0
    values: dict[str, int] = field(default_factory=dict)


@final
class Reader:
    """A client that comes back where it was, over as many connections as that takes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.log = LogCheck()
        self.rooms: dict[str, None] = {}
        # Of the room that conflates; and where it was joined last.
        self.since: dict[str, Any] | None = None
        self.latest: Latest | None = None
        self.close_code: int | None = None
        self.transport, self.session = self._open()
        self._token = service.hub.registry.token_of(self.session)

    def come_back(self) -> None:
        """Go on on another connection, in the same rooms."""
        self.transport.lose()
        self.transport, self.session = self._open()
        self.close_code = self.latest = None
        self.do("resume", token=self._token)
        for room in self.rooms:
            self.join(room)

    def _open(self) -> tuple[FakeTransport, WebSocketSession]:
        transport = FakeTransport(self._service)
        transport.open("/ws")
        session = transport.protocol
        assert isinstance(session, WebSocketSession)
        # What it was greeted with is forgotten with the handshake.
        self.log.hear({"type": "welcome"})
        return transport, session

    def do(self, action: str, **fields: Any) -> None:
        self.transport.receive(text(json.dumps({"action": action, **fields})))

    def join(self, room: str) -> None:
        self.rooms[room] = None
        since = self.since if room == CONFLATING else self.log.since(room)
        self.do("join", room=room, **({} if since is None else {"since": since}))

    def leave(self, room: str) -> None:
        del self.rooms[room]
        self.do("leave", room=room)

    def read(self) -> Iterable[dict[str, Any]]:
        """Take what came."""
        for frame in self.transport.frames():
            if frame.opcode == CLOSE:
                self.close_code = int.from_bytes(frame.payload[:2], "big")
            elif frame.opcode == TEXT:
                yield json.loads(frame.payload)

    @property
    def waiting(self) -> list[Publication]:
        return [item for item in self.session.waiting() if isinstance(item, Publication)]


class ReaderMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = HandLoop()

        async def make() -> Service:
            return Service(Settings(**SETTINGS))

        self.service = self.loop.run_until_complete(make())
        self.hub = self.service.hub
        # By the number in its payload, which is another one for each.
        self.told: dict[int, Told] = {}
        self.readers: list[Reader] = []
        self.number = 0

    @initialize()
    def readers_are_here(self) -> None:
        self.readers += [Reader(self.service) for _ in range(3)]
        for reader in self.readers[:2]:
            for room in ("plain", "oldest", "newest", CONFLATING):
                reader.join(room)

    @rule(who=WHO, room=PLACE)
    def join(self, who: int, room: str) -> None:
        reader = self.readers[who]
        # How far it has heard a room it knows behind the answer to its leave.
        if reader.transport.reads and room not in reader.rooms and not reader.waiting:
            reader.join(room)

    @rule(who=WHO, room=PLACE)
    def leave(self, who: int, room: str) -> None:
        reader = self.readers[who]
        if reader.transport.reads and room in reader.rooms:
            reader.leave(room)

    @rule(room=ROOM, key=KEY, size=SIZE, ttl=TTL)
    def publish(self, room: str, key: str | None, size: int, ttl: float | None) -> None:
        payload = self.payload(key, size)
        self.hub.publish(None, room, Raw(json.dumps(payload).encode()), ttl=ttl)
        self.note(room, key, ttl)

    @rule(who=WHO, room=ROOM, echo=st.booleans(), key=KEY, size=SIZE)
    def say(self, who: int, room: str, echo: bool, key: str | None, size: int) -> None:
        reader = self.readers[who]
        if not reader.transport.reads:
            return
        # Only what it isn't to hear is acknowledged.
        unheard = {} if echo else {"echo": False, "ref": self.number + 1}
        reader.do("message", room=room, message=self.payload(key, size), **unheard)
        self.note(room, key, None)

    @rule(who=WHO)
    def pause(self, who: int) -> None:
        self.readers[who].transport.pause()

    @rule(who=WHO)
    def pause_with_the_next_write(self, who: int) -> None:
        transport = self.readers[who].transport
        transport.is_nearly_full = not self.readers[who].session.is_paused

    @rule(who=WHO, is_nearly_full=st.booleans())
    def read_on(self, who: int, is_nearly_full: bool) -> None:
        transport = self.readers[who].transport
        transport.is_nearly_full = is_nearly_full
        transport.resume()

    @rule(who=WHO)
    def cut(self, who: int) -> None:
        self.readers[who].come_back()

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        # No turn takes long; who came back in the first is answered in the second.
        self.end_turn()
        self.end_turn()
        self.loop.now += seconds
        self.hub.sweep(self.loop.now)

    @rule()
    def end_turn(self) -> None:
        drops = self.hub.drops
        before = drops.oldest, drops.newest
        is_over = any(self.is_over(reader.waiting) for reader in self.readers)
        too_slow = [self.is_over(undroppable(reader.waiting)) for reader in self.readers]
        was_paused = [reader.session.is_paused for reader in self.readers]
        was_dirty = [reader.session.outbox.is_dirty for reader in self.readers]
        self.loop.turn()
        self.everybody_reads()
        assert is_over or before == (drops.oldest, drops.newest)
        for reader, slow, paused, dirty in zip(self.readers, too_slow, was_paused, was_dirty, strict=True):
            if paused and dirty:
                assert slow == (reader.close_code is not None)
            assert slow or reader.close_code is None
            if dirty:
                assert not self.is_over(undroppable(reader.waiting))
                assert sum(one.weight for one in reader.waiting) <= MAX_WEIGHT
            if reader.close_code is not None:
                assert 1013 == reader.close_code
                reader.come_back()
            elif not reader.session.is_paused:
                assert not reader.session.waiting()
                self.knows_everything(reader)

    @invariant()
    def everybody_reads(self) -> None:
        for reader in self.readers:
            for heard in reader.read():
                self.hear(reader, heard)
            assert [] == reader.log.problems

    def teardown(self) -> None:
        for reader in self.readers:
            reader.transport.lose()
        self.loop.now += 11.0
        self.hub.sweep(self.loop.now)
        self.loop.turn()
        assert (0, 0, {}) == (len(self.hub.rooms), len(self.hub.registry), self.service.context.connections)
        self.loop.close()

    def payload(self, key: str | None, size: int) -> dict[str, Any]:
        self.number += 1
        return {"number": self.number, "key": key, "filling": "." * size}

    def note(self, name: str, key: str | None, ttl: float | None) -> None:
        room = self.hub.rooms.get(name)
        assert room is not None
        deadline = math.inf if ttl is None else self.loop.now + ttl
        self.told[self.number] = Told(name, room.offset, room.epoch, key, deadline)

    def hear(self, reader: Reader, heard: dict[str, Any]) -> None:
        kind, room = heard["type"], heard.get("room")
        assert kind in ("joined", "left", "message", "missed", "ack", "resumed"), heard
        if kind == "message":
            told = self.told[heard["message"]["number"]]
            assert (room, heard["offset"]) == told[:2]
            assert told.deadline > self.loop.now
        if room == CONFLATING:
            self.hear_latest(reader, heard)
        elif room != ">":
            reader.log.hear(heard)

    def hear_latest(self, reader: Reader, heard: dict[str, Any]) -> None:
        latest = reader.latest
        match heard["type"]:
            case "joined":
                assert not heard["recovered"]
                reader.since = {"epoch": heard["epoch"], "offset": heard["offset"]}
                reader.latest = Latest(heard["offset"])
            case "left":
                reader.latest = None
            case "missed" if latest is not None:
                latest.count += heard["count"]
            case "ack" | "message" if latest is not None:
                number = heard["ref"] if heard["type"] == "ack" else heard["message"]["number"]
                told = self.told[number]
                latest.count += 1
                if told.key is not None:
                    if heard["type"] == "message":
                        # Of one key nothing comes behind what is newer.
                        assert latest.values.get(told.key, 0) < number
                    latest.values[told.key] = max(number, latest.values.get(told.key, 0))

    def knows_everything(self, reader: Reader) -> None:
        """Expect of a reader that nothing waits for to be where its rooms are."""
        rooms = {room.name: room for room in self.hub.rooms}
        for name in reader.rooms.keys() - {CONFLATING, ">"}:
            assert {"epoch": rooms[name].epoch, "offset": rooms[name].offset} == reader.log.since(name)
        latest = reader.latest
        if latest is None:
            return
        assert rooms[CONFLATING].offset == latest.joined_at + latest.count
        drops = self.hub.drops
        if drops.oldest or drops.expired:
            return
        epoch = rooms[CONFLATING].epoch
        for number, told in self.told.items():
            if told.epoch == epoch and told.key is not None and told.offset > latest.joined_at:
                assert number <= latest.values[told.key]

    def is_over(self, waiting: list[Publication]) -> bool:
        oldest = min((one.published_at for one in waiting), default=math.inf)
        return sum(one.weight for one in waiting) > MAX_WEIGHT or self.loop.now - oldest > MAX_SECONDS


def undroppable(waiting: list[Publication]) -> list[Publication]:
    return [one for one in waiting if one.overflow.strategy is Strategy.DISCONNECT]


TestReaders = ReaderMachine.TestCase
TestReaders.settings = settings(max_examples=200, stateful_step_count=80)
