"""Slow readers of every policy: whatever happens, a client is told of all that it misses, and where."""

import json
import math
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import Raw

from server.dialects.rooms import RoomsDialect
from server.history import Archive
from server.overflow import Overflow, OverflowRules
from server.publication import Publication
from tests.logcheck import Json, LogCheck
from tests.stage import Stage

MAX_WEIGHT = 100_000
MAX_SECONDS = 5.0
POLICIES = {
    "cut": "disconnect",
    "oldest": "drop-oldest",
    "newest": "drop-newest",
    "conflated": "conflate:key",
}
# Those in which messages keep the order of their offsets.
IN_ORDER = ["cut", "oldest", "newest"]

ROOM = st.sampled_from(list(POLICIES))
KEY = st.sampled_from(["x", "y", "z", None])
# Characters: of the short ones hundreds share a write, of the long ones each fills most of one.
SIZE = st.sampled_from([10, 10, 20_000, 30_000])
TTL = st.sampled_from([None, None, 1.0, 4.0])


class SlowReader(RuleBasedStateMachine):
    """A client in four rooms, which reads now and then; when it is cut it comes back to where it was."""

    def __init__(self) -> None:
        super().__init__()
        rules = [(room, Overflow.parse(policy)) for room, policy in POLICIES.items()]
        self.stage = Stage(
            RoomsDialect,
            archive=Archive(max_publications=20),
            overflow=OverflowRules(by_pattern=rules),
            max_queue_weight=MAX_WEIGHT,
            max_queue_seconds=MAX_SECONDS,
        )
        self.hub = self.stage.hub
        self.check = LogCheck()
        self.numbers = 0
        # Of what was published where a slow reader is cut, since it is there.
        self.counted: list[Publication] = []
        # By key, what was published since it is where messages are conflated, and what it heard of it.
        self.published: dict[str | None, list[int]] = {}
        self.conflated: dict[str | None, list[int]] = {}
        self.missed_conflated = 0
        keeper = self.stage.connect("keeper")
        for room in POLICIES:
            self.hub.memberships.join(keeper, room)
        self.connect()

    @rule(room=ROOM, key=KEY, size=SIZE, ttl=TTL, times=st.integers(1, 4), ends_turn=st.booleans())
    def publish(
        self, room: str, key: str | None, size: int, ttl: float | None, times: int, ends_turn: bool
    ) -> None:
        for _ in range(times):
            sent = self.hub.publish(
                None, room, self.make(key, size), ttl=None if room in ("cut", "conflated") else ttl
            )
            if room == "cut":
                self.counted.append(sent)
            if room == "conflated":
                self.published.setdefault(key, []).append(self.numbers)
        if ends_turn:
            self.end_turn()

    @rule(room=st.sampled_from(["oldest", "newest", "conflated"]), key=KEY, times=st.integers(2, 6))
    def flood(self, room: str, key: str | None, times: int) -> None:
        self.publish(room, key, 20_000, None, times, True)

    @rule(room=st.sampled_from(IN_ORDER))
    def say_without_an_echo(self, room: str) -> None:
        self.say({"action": "message", "room": room, "message": 1, "echo": False, "ref": 1})

    @precondition(lambda self: self.numbers % 3 == 0)
    @rule(room=st.sampled_from(IN_ORDER))
    def join_again(self, room: str) -> None:
        self.end_turn()
        self.say({"action": "leave", "room": room})
        # While something is on its way it can't know how far it will have come.
        self.join(room, None if self.reader.waiting else self.check.since(room))

    @rule(after=st.sampled_from([0, 0, 1]))
    def pause(self, after: int) -> None:
        self.reader.room_for = min(self.reader.room_for, after)

    @rule(writes=st.integers(1, 2), size=SIZE)
    def read_some(self, writes: int, size: int) -> None:
        self.stage.resume(self.reader)
        self.reader.room_for = writes
        # Something comes in the same turn.
        self.publish("conflated", "x", size, None, 1, True)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0]))
    def wait(self, seconds: float) -> None:
        self.stage.wait(seconds)

    @precondition(lambda self: self.numbers % 3 == 0)
    @rule(is_paused=st.booleans())
    def cut(self, is_paused: bool) -> None:
        self.reader.kick(1011, "cut")
        self.connect()
        if is_paused:
            self.pause(0)

    @rule()
    def end_turn(self) -> None:
        is_looked_at = self.reader.outbox.is_dirty
        self.stage.end_turn()
        self.hear()
        position = self.position("cut")
        behind = [one for one in self.counted if one.offset > position]
        is_too_slow = is_looked_at and (
            sum(one.weight for one in behind) > MAX_WEIGHT
            or self.stage.now - min((one.published_at for one in behind), default=math.inf) > MAX_SECONDS
        )
        assert is_too_slow == (self.reader.close_code == 1013)
        if is_too_slow:
            self.connect()
            self.pause(0)
        elif is_looked_at:
            waiting = [item for item in self.reader.waiting if isinstance(item, Publication)]
            assert sum(publication.weight for publication in waiting) <= MAX_WEIGHT
            # Between two answers a key waits once.
            keys: set[str] = set()
            for item in self.reader.waiting:
                if isinstance(item, str):
                    keys.clear()
                elif isinstance(item, Publication) and item.key is not None:
                    assert item.key not in keys
                    keys.add(item.key)

    @precondition(lambda self: self.numbers % 5 == 0)
    @rule()
    def read_all(self) -> None:
        self.stage.resume(self.reader)
        self.end_turn()
        for room in IN_ORDER:
            assert self.stage.room(room).offset == self.position(room)
        heard = sum(map(len, self.conflated.values()))
        assert sum(map(len, self.published.values())) == heard + self.missed_conflated
        for key, numbers in self.conflated.items():
            assert sorted(set(numbers)) == numbers
            if key is not None and not self.hub.drops.oldest:
                assert self.published[key][-1] == numbers[-1]

    @invariant()
    def nothing_is_missed_but_what_it_is_told_of(self) -> None:
        assert [] == self.check.problems

    def teardown(self) -> None:
        self.read_all()

    def connect(self) -> None:
        self.reader = self.stage.connect(f"reader{self.numbers}")
        self.read = 0
        self.hear()
        self.published, self.conflated, self.missed_conflated = {}, {}, 0
        self.counted = []
        for room in POLICIES:
            self.join(room, self.check.since(room))

    def join(self, room: str, since: Json | None) -> None:
        if room == "cut" and not self.reader.waiting:
            # What is recovered doesn't count.
            self.counted = []
        self.say({"action": "join", "room": room, "since": since})

    def say(self, action: Json) -> None:
        self.stage.dialect.receive(self.reader, json.dumps(action))

    def make(self, key: str | None, size: int) -> Raw:
        self.numbers += 1
        return Raw(json.dumps({"key": key, "number": self.numbers, "": "." * size}).encode())

    def position(self, room: str) -> int:
        since = self.check.since(room)
        return 0 if since is None else int(since["offset"])

    def hear(self) -> None:
        heard = self.reader.heard
        for text in heard[self.read :]:
            message: dict[str, Any] = json.loads(text)
            if message.get("room") != "conflated":
                self.check.hear(message)
            elif message["type"] == "missed":
                self.missed_conflated += message["count"]
            elif message["type"] == "message":
                said = message["message"]
                self.conflated.setdefault(said["key"], []).append(said["number"])
        self.read = len(heard)


TestSlowReader = SlowReader.TestCase
TestSlowReader.settings = settings(max_examples=100, stateful_step_count=60)
