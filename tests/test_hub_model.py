"""The hub against its model: whatever happens in whatever order, each session hears what it should."""

import ast
import math
import re
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Raw

from server.delivery import FrameDelivery
from server.history import Archive
from server.hub import AlreadyPublished
from server.memberships import Joined, Position
from server.publication import Publication, Shared
from server.refusal import Refusal
from tests.hub_model import TOO_LARGE, Client, Entry, Found, HubModel, RoomModel, Saying, merged
from tests.stage import Carrier, LineDialect, Stage, member_line, owners, text_of

MAX_SESSIONS = 6
MAX_ROOMS = 3
MAX_ROOMS_PER_SESSION = 3
MAX_QUEUE_WEIGHT = 100_000
MAX_QUEUE_SECONDS = 5.0
HISTORY_LENGTH = 3
HISTORY_SECONDS = 10.0

# Which of those who are here; counted round.
WHO = st.integers(0, MAX_SESSIONS - 1)
ROOM = st.sampled_from(["a", "a", "a", "b", "a.b", "a.c", "d", "a.*", "*.b", ">", ">.a", "", "\n"])
PROVEN = st.sampled_from([None, None, "alice", "bob"])
CLAIMED = st.sampled_from([None, None, None, "alice", "carol", "", "\u202e"])
STATE = st.sampled_from([None, None, "1", "[2]", TOO_LARGE])
# Characters of a payload: short ones share a write, of the long ones each fills most of one, or more.
SIZE = st.sampled_from([3, 6, 9, 40_000, 70_000])
ID = st.sampled_from([None, None, "1", "2"])
TTL = st.sampled_from([None, None, 0.5, 3.0])


class HubMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(
            max_rooms=MAX_ROOMS,
            max_rooms_per_session=MAX_ROOMS_PER_SESSION,
            archive=Archive(max_publications=HISTORY_LENGTH, max_seconds=HISTORY_SECONDS),
            max_queue_weight=MAX_QUEUE_WEIGHT,
            max_queue_seconds=MAX_QUEUE_SECONDS,
        )
        self.hub = self.stage.hub
        self.model = HubModel(MAX_ROOMS, MAX_ROOMS_PER_SESSION, HISTORY_LENGTH, HISTORY_SECONDS)
        assert isinstance(self.stage.dialect, LineDialect)
        self.dialect = self.stage.dialect
        self.other_delivery = FrameDelivery(self.dialect, None, None)
        # All that ever came, with those who are gone: these hear nothing more.
        self.everybody: dict[Carrier, Client] = {}
        self.here: list[Carrier] = []
        # Each life that a room had, by its epoch.
        self.lives: dict[str, RoomModel] = {}
        self.payloads = 0
        # Who is in a room, as a client was told that asked, and hears of changes since.
        self.pictures: dict[tuple[Carrier, RoomModel], list[str]] = {}

    @initialize()
    def two_members_are_here(self) -> None:
        self.enter(None, False, [])
        self.enter(None, True, [])
        for who, room in ((0, "a"), (0, "b"), (1, "a")):
            self.join(who, room, None, None, True)

    @precondition(lambda self: len(self.here) < MAX_SESSIONS)
    @rule(user=PROVEN, is_other=st.booleans(), rooms=st.lists(ROOM, max_size=2))
    def enter(self, user: str | None, is_other: bool, rooms: list[str]) -> None:
        delivery = self.other_delivery if is_other else self.stage.delivery
        id = f"s{len(self.everybody)}"
        carrier = self.stage.connect(id, user, delivery=delivery)
        self.everybody[carrier] = self.model.enter(id, user)
        self.here.append(carrier)
        for room in rooms:
            self.join(-1, room, None, None, False)

    @rule(who=WHO, which=WHO)
    def resume_session(self, who: int, which: int) -> None:
        carrier, before = self.pick(who), [*self.everybody][which % len(self.everybody)]
        self.hub.registry.resume(carrier, self.hub.registry.token_of(before))
        self.model.resume(carrier.id, before.id)

    @rule(who=WHO, room=ROOM, user=CLAIMED, state=STATE, hears=st.booleans())
    def join(self, who: int, room: str, user: str | None, state: str | None, hears: bool) -> None:
        carrier = self.pick(who)
        self.same(
            lambda: self.model.join(carrier.id, room, user=user, state=state, hears=hears),
            lambda: self.enter_room(carrier, room, user=user, state=state, hears=hears),
        )
        self.ask_who_is_here(who, room)

    @precondition(lambda self: self.lives)
    @rule(who=WHO, which=st.integers(0, 4), behind=st.integers(-1, HISTORY_LENGTH + 1), leaves=st.booleans())
    def come_back(self, who: int, which: int, behind: int, leaves: bool) -> None:
        """Join some room where it was left behind its newest message, in this life or in one before."""
        carrier, epochs = self.pick(who), [*self.lives][::-1]
        epoch = epochs[which % len(epochs)]
        life = self.lives[epoch]
        offset = max(0, life.offset - behind)
        if leaves:
            self.leave(who, life.name)
        self.same(
            lambda: self.model.join(carrier.id, life.name, life, offset),
            lambda: self.enter_room(carrier, life.name, Position(epoch, offset)),
        )

    @rule(who=WHO, room=ROOM)
    def leave(self, who: int, room: str) -> None:
        carrier = self.pick(who)
        self.same(
            lambda: self.model.leave(carrier.id, room), lambda: self.hub.memberships.leave(carrier, room)
        )

    @rule(who=WHO, room=ROOM, state=STATE)
    def set_state(self, who: int, room: str, state: str | None) -> None:
        carrier = self.pick(who)
        self.same(
            lambda: self.model.set_state(carrier.id, room, state),
            lambda: self.hub.memberships.set_state(carrier, room, raw(state)),
        )

    @rule(who=WHO, room=ROOM, size=SIZE, user=CLAIMED, echo=st.booleans(), id=ID, ttl=TTL)
    def publish(
        self, who: int, room: str, size: int, user: str | None, echo: bool, id: str | None, ttl: float | None
    ) -> None:
        carrier, said = self.say(who, size, user, id, ttl)
        self.same(
            lambda: self.model.publish(said, room, echo),
            lambda: self.hub.publish(carrier, room, said.payload, user, echo=echo, id=id, ttl=ttl),
        )

    @precondition(lambda self: self.hub.rooms)
    @rule(who=WHO, which=WHO, size=SIZE, ttl=TTL)
    def publish_where_a_room_is(self, who: int, which: int, size: int, ttl: float | None) -> None:
        rooms = list(self.model.rooms)
        self.publish(who, rooms[which % len(rooms)], size, None, True, None, ttl)

    @rule(who=WHO, size=SIZE, user=CLAIMED, echo=st.booleans(), id=ID, ttl=TTL)
    def broadcast(
        self, who: int, size: int, user: str | None, echo: bool, id: str | None, ttl: float | None
    ) -> None:
        carrier, said = self.say(who, size, user, id, ttl)
        self.same(
            lambda: self.model.broadcast(said, echo),
            lambda: self.hub.broadcast(carrier, said.payload, user, echo=echo, id=id, ttl=ttl),
        )

    @rule(who=WHO, size=SIZE, user=CLAIMED, whom=st.none() | WHO, to_user=PROVEN, id=ID)
    def direct(
        self, who: int, size: int, user: str | None, whom: int | None, to_user: str | None, id: str | None
    ) -> None:
        carrier, said = self.say(who, size, user, id, None)
        # Some ids are those of sessions that are gone, or never were.
        to_id = None if whom is None else f"s{len(self.everybody) - whom}"
        self.same(
            lambda: self.model.direct(said, to_id, to_user),
            lambda: self.hub.direct(carrier, said.payload, user, to_id=to_id, to_user=to_user, id=id),
        )

    @rule(who=WHO, reply=st.sampled_from(["pong", "left"]))
    def reply(self, who: int, reply: str) -> None:
        carrier = self.pick(who)
        carrier.send(reply)
        self.model.clients[carrier.id].expected.append(Entry(reply))

    @rule(who=WHO, after=st.integers(0, 2))
    def pause(self, who: int, after: int) -> None:
        carrier = self.pick(who)
        carrier.room_for = min(carrier.room_for, after)

    @rule(who=WHO, room_for=st.sampled_from([1, math.inf]))
    def resume(self, who: int, room_for: float) -> None:
        carrier = self.pick(who)
        self.stage.resume(carrier)
        carrier.room_for = room_for

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 1.0, 3.0, 6.0, 10.0]), is_swept=st.booleans())
    def wait(self, seconds: float, is_swept: bool) -> None:
        self.stage.now += seconds
        self.model.now += seconds
        if is_swept:
            self.hub.sweep(self.stage.now)
            self.model.sweep()

    @precondition(lambda self: self.model.rooms)
    @rule(which=WHO, seconds=st.sampled_from([3.0, 10.0, 10.0]))
    def abandon(self, which: int, seconds: float) -> None:
        """Leave a room without members for a while."""
        rooms = list(self.model.rooms)
        room = rooms[which % len(rooms)]
        for place, carrier in enumerate(self.here):
            if carrier.id in self.model.rooms[room].members:
                self.leave(place, room)
        self.wait(seconds, True)

    @precondition(lambda self: len(self.here) > 2)
    @rule(who=WHO)
    def cut(self, who: int) -> None:
        carrier = self.pick(who)
        carrier.kick(1011, "cut")
        self.expect_no_more(carrier)

    @precondition(lambda self: len(self.here) > 2)
    @rule(who=WHO, times=st.integers(1, 2))
    def exit(self, who: int, times: int) -> None:
        carrier = self.pick(who)
        for _ in range(times):
            self.hub.exit(carrier)
        self.expect_only_what_waits(carrier)

    @rule()
    def end_turn(self) -> None:
        served = [carrier for carrier in self.everybody if carrier.outbox.is_dirty]
        for carrier in served:
            if carrier.backlog is not None:
                self.update_waiting(carrier, self.model.unexpired if not carrier.is_paused else list)
        already_ended = len(self.dialect.ended)
        self.stage.end_turn()
        for carrier in served:
            waiting = self.waiting(carrier)
            is_slow = (
                sum(entry.weight for entry in waiting) > MAX_QUEUE_WEIGHT
                or self.stage.now - min((entry.at for entry in waiting), default=math.inf) > MAX_QUEUE_SECONDS
            )
            assert is_slow == (carrier.close_code == 1013)
            assert carrier.is_paused or not carrier.waiting
            self.update_waiting(carrier, list)
        by_id = {carrier.id: carrier for carrier in served}
        for id in self.dialect.ended[already_ended:]:
            self.expect_no_more(by_id[id])

    @invariant()
    def everybody_has_heard_or_will_hear_what_is_expected_and_nothing_else(self) -> None:
        for carrier, client in self.everybody.items():
            waiting = [
                self.dialect.encode(item) if isinstance(item, Shared) else item for item in carrier.waiting
            ]
            assert [entry.text for entry in client.expected] == carrier.heard + waiting

    @rule(who=WHO, room=ROOM)
    def ask_who_is_here(self, who: int, room: str) -> None:
        carrier, life = self.pick(who), self.model.rooms.get(room)
        if life is None or carrier.id not in life.hearers:
            return
        members = self.stage.room(room).members.values()
        self.pictures[carrier, life] = [member_line(one.id, one.user, text_of(one.state)) for one in members]
        answer = f"members of {room!r}"
        carrier.send(answer)
        self.model.clients[carrier.id].expected.append(Entry(answer))

    @invariant()
    def who_asked_and_hears_of_changes_knows_who_is_here(self) -> None:
        # Who hears no more of it has to ask again.
        self.pictures = {key: one for key, one in self.pictures.items() if key[0].id in key[1].hearers}
        for (carrier, room), picture in self.pictures.items():
            told = [entry.text for entry in self.everybody[carrier].expected]
            asked = len(told) - told[::-1].index(f"members of {room.name!r}")
            changes = [text for text in told[asked:] if text.startswith(f"presence in {room.name!r}")]
            if room in self.model.due or not all(", joined " in text for text in changes):
                continue
            members = {line.split(" ")[0]: line for line in picture}
            for text in changes:
                apply(text, members)
            lines = {id: member_line(id, one.user, one.state) for id, one in room.members.items()}
            assert members == lines

    @invariant()
    def registry_lists_who_is_here(self) -> None:
        registry = self.hub.registry
        assert self.here == owners(registry.outboxes)
        assert len(self.here) == len(registry)
        for carrier in self.everybody:
            assert (carrier if carrier.id in self.model.clients else None) is registry.get(carrier.id)
        for user in ("alice", "bob"):
            assert [carrier for carrier in self.here if carrier.user == user] == registry.of_user(user)

    @invariant()
    def rooms_and_memberships_agree_in_both_directions(self) -> None:
        rooms = {
            room.name: (room.offset, [one.id for one in owners(room.members)]) for room in self.hub.rooms
        }
        assert {name: (room.offset, [*room.members]) for name, room in self.model.rooms.items()} == rooms
        for carrier, client in self.everybody.items():
            expected = client.rooms if carrier.id in self.model.clients else []
            assert expected == self.hub.memberships.of(carrier)

    @invariant()
    def each_life_of_a_room_has_an_epoch_of_its_own(self) -> None:
        for room in self.hub.rooms:
            life = self.model.rooms[room.name]
            assert life is self.lives.setdefault(room.epoch, life)

    @invariant()
    def one_flush_is_scheduled_while_somebody_has_something_to_send(self) -> None:
        is_any_dirty = any(carrier.outbox.is_dirty for carrier in self.everybody)
        assert (1 if is_any_dirty else 0) == len(self.stage.scheduled)

    def teardown(self) -> None:
        for carrier in self.here:
            self.hub.exit(carrier)
        self.stage.wait(HISTORY_SECONDS + 1)
        hub = self.hub
        left = (hub.rooms, hub.registry, hub.registry._origins, hub._memory, hub._patterns)
        assert [0] * 5 == [len(one) for one in left]
        assert (0, {}, 0) == (hub._archive.weight, hub.memberships._joined, len(hub.memberships.changed))

    def pick(self, who: int) -> Carrier:
        return self.here[who % len(self.here)]

    def say(
        self, who: int, size: int, user: str | None, id: str | None, ttl: float | None
    ) -> tuple[Carrier, Saying]:
        carrier = self.pick(who)
        self.payloads += 1
        return carrier, Saying(carrier.id, str(self.payloads).ljust(size, "."), user, id, ttl)

    def enter_room(
        self,
        carrier: Carrier,
        room: str,
        since: Position | None = None,
        *,
        user: str | None = None,
        state: str | None = None,
        hears: bool = False,
    ) -> Joined:
        joined = self.hub.memberships.join(
            carrier, room, since=since, user=user, state=raw(state), hears_presence=hears
        )
        self.hub.replay(carrier, joined.missed)
        return joined

    def same(self, expected: Callable[[], object], actual: Callable[[], object]) -> None:
        assert outcome(expected) == outcome(actual)

    def waiting(self, carrier: Carrier) -> list[Entry]:
        return self.everybody[carrier].expected[len(carrier.heard) :]

    def update_waiting(self, carrier: Carrier, change: Callable[[list[Entry]], list[Entry]]) -> None:
        """Expect what becomes of that which waits for one that is behind."""
        self.everybody[carrier].expected[len(carrier.heard) :] = change(merged(self.waiting(carrier)))

    def expect_only_what_waits(self, carrier: Carrier) -> None:
        """Expect a session that is gone from the hub to hear what was on its way, and no more."""
        if carrier not in self.here:
            return
        self.here.remove(carrier)
        self.model.exit(carrier.id)
        if not self.here:
            self.enter(None, False, ["a"])

    def expect_no_more(self, carrier: Carrier) -> None:
        """Expect a session that was cut to hear nothing more, not even what was on its way."""
        self.everybody[carrier].expected[len(carrier.heard) :] = []
        self.expect_only_what_waits(carrier)


def apply(text: str, members: dict[str, str]) -> None:
    """Change a picture as a line of presence tells."""
    joined, left, changed = map(
        ast.literal_eval, re.findall(r"(?:joined|left|changed) (\[.*?\])(?=, |$)", text)
    )
    members.update({line.split(" ")[0]: line for line in joined + changed})
    for id in left:
        members.pop(id, None)


def raw(state: str | None) -> Raw | None:
    return None if state is None else Raw(state.encode())


def outcome(request: Callable[[], object]) -> object:
    """What a request comes to, the same for the hub and for its model."""
    try:
        match request():
            case Joined() as joined:
                return Found(joined.members, joined.users, joined.offset, joined.recovered)
            case Publication():
                return None
            case other:
                return other
    except Refusal as refusal:
        return refusal.code
    except AlreadyPublished as again:
        return again.place


TestHub = HubMachine.TestCase
TestHub.settings = settings(max_examples=100, stateful_step_count=60)
