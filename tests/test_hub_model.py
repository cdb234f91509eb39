"""The hub against its model: whatever happens in whatever order, each session hears what it should."""

import re
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Raw

from server.delivery import FrameDelivery
from server.history import Archive
from server.hub import AlreadyPublished
from server.memberships import Position
from server.presence import MAX_STATE
from server.publication import PUBLICATION_OVERHEAD, Publication, Shared
from tests.hub_model import Client, HubModel, Limits, Line, Member, Saying, Since
from tests.stage import Carrier, Stage, member_line, refusal_of

MAX_SESSIONS = 6
LIMITS = Limits(
    rooms=3,
    rooms_per_session=3,
    publications=3,
    seconds=10.0,
    weight=60_000,
    total_weight=90_000,
    presence_interval=1.0,
)
# What waits for a session that doesn't read: a long payload, and some short ones.
MAX_WAITING = 45_000
MAX_WAITING_SECONDS = 20.0

# Which of those who are here; counted round.
WHO = st.integers(0, MAX_SESSIONS - 1)
ROOM = st.sampled_from(
    ["a", "a", "a", "b", "b", "s.x", "s.x", "s.y", "s.x.z", "s.*", "s.>", ">", ">.s", "\n"]
)
PROVEN = st.sampled_from([None, None, "alice", "bob"])
CLAIMED = st.sampled_from([None, None, None, "alice", "carol", "", "\u202e"])
STATE = st.sampled_from([None, None, b"1", b"2", b" " * (MAX_STATE + 1)])
MEMBER = st.builds(Member, CLAIMED, STATE, st.booleans()) | st.just(Member(None, None, False))
# From which life of the room, counted back, and how far back in it, or before it.
SINCE = st.none() | st.tuples(st.sampled_from([0, 0, 0, 1]), st.integers(-1, 5))
# Characters of a payload: short ones share a write, of the long ones each fills most of one, or more.
SIZE = st.sampled_from([3, 6, 9, 40_000, 70_000])
ECHO = st.booleans()
ID = st.none() | st.sampled_from(["1", "2"])
TTL = st.sampled_from([None, None, 0.5, 2.0, 12.0])
SECONDS = st.sampled_from([0.5, 1.0, 3.0, 9.5, 10.0, 25.0])

# How a publication is said, by whom, and how much of it.
SAYING: dict[str, Any] = {"who": st.none() | WHO, "size": SIZE, "user": CLAIMED, "id": ID, "ttl": TTL}


def singly(text: object) -> list[str]:
    """Tell what is missed one by one."""
    note = re.fullmatch("missed ([0-9]+) of (.*)", str(text))
    return [f"missed 1 of {note[2]}"] * int(note[1]) if note else [str(text)]


def presence_of(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("presence")]


def last_numbers(presence: list[str]) -> dict[str, str]:
    """By room, how many were there as it was told last."""
    numbers = (line.split(":")[0].split(" ", 2) for line in presence)
    return {room: count for _, room, count in numbers}


def apply(line: str, room: str, members: dict[str, str]) -> None:
    """Change a picture as a line of presence tells."""
    head, _, changes = line.partition(": ")
    if head.split(" ")[1] != repr(room):
        return
    for change, member in (one.split(" ", 1) for one in changes.split("; ") if one):
        id = member.split(" ")[0]
        if change == "left":
            members.pop(id, None)
        else:
            members[id] = member


class HubMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        archive = Archive(
            max_publications=LIMITS.publications,
            max_seconds=LIMITS.seconds,
            max_weight=LIMITS.weight,
            max_total_weight=LIMITS.total_weight,
        )
        self.stage = Stage(
            max_rooms=LIMITS.rooms, max_rooms_per_session=LIMITS.rooms_per_session, archive=archive
        )
        self.archive = archive
        self.hub = self.stage.hub
        self.model = HubModel(LIMITS)
        self.model.now = self.stage.now
        self.other_delivery = FrameDelivery(self.stage.dialect, None, None)
        # All that ever came, with those who are gone: these hear nothing more.
        self.everybody: dict[Carrier, Client] = {}
        self.here: list[Carrier] = []
        # Who is in a room, as its member knows that asked when it joined, and hears of changes since.
        self.pictures: dict[tuple[Carrier, str], dict[str, str]] = {}
        # By the lives of rooms, as the model counts them.
        self.epochs: dict[int, str] = {}
        self.last_id = 0
        self.payloads = 0

    @initialize()
    def two_members_are_here(self) -> None:
        for is_other, rooms in ((False, "ab"), (True, "a")):
            self.enter(None, is_other)
            for room in rooms:
                self.join(-1, room, None, Member(None, None, True))

    @precondition(lambda self: len(self.here) < MAX_SESSIONS)
    @rule(user=PROVEN, is_other=st.booleans())
    def enter(self, user: str | None, is_other: bool) -> None:
        delivery = self.other_delivery if is_other else self.stage.delivery
        id = f"s{len(self.everybody)}"
        carrier = self.stage.connect(
            id, user, delivery=delivery, max_weight=MAX_WAITING, max_seconds=MAX_WAITING_SECONDS
        )
        self.everybody[carrier] = self.model.enter(id, user)
        self.here.append(carrier)

    @rule(who=WHO, whose=st.integers(0, 20))
    def resume_session(self, who: int, whose: int) -> None:
        carrier, before = self.pick(who), list(self.everybody)[whose % len(self.everybody)]
        registry = self.hub.registry
        registry.resume(carrier, registry.token_of(before))
        self.model.resume(carrier.id, before.id)

    @rule(who=WHO, room=ROOM, since=SINCE, member=MEMBER)
    def join(self, who: int, room: str, since: tuple[int, int] | None, member: Member) -> None:
        carrier, position, claim = self.pick(who), self.position(room, since), None
        if position is not None:
            claim = Position(self.epochs.get(position.life, "unknown"), position.offset)

        def join() -> None:
            joined = self.hub.memberships.join(
                carrier,
                room,
                since=claim,
                user=member.user,
                state=None if member.state is None else Raw(member.state),
                hears_presence=member.hears_presence,
            )
            carrier.send(
                f"joined {room!r} {joined.members} {joined.users} {joined.offset} {joined.recovered}"
            )
            self.hub.replay(carrier, joined.missed)

        refusal = self.model.join(carrier.id, room, position, member)
        assert refusal == refusal_of(join)
        if not refusal and room in self.model.rooms:
            self.look_at(carrier, room)

    @rule(who=WHO, room=ROOM)
    def leave(self, who: int, room: str) -> None:
        carrier = self.pick(who)
        self.pictures.pop((carrier, room), None)
        assert self.model.leave(carrier.id, room) == refusal_of(
            lambda: self.hub.memberships.leave(carrier, room)
        )

    @rule(who=WHO, room=ROOM, state=STATE)
    def set_state(self, who: int, room: str, state: bytes | None) -> None:
        carrier, raw = self.pick(who), None if state is None else Raw(state)
        assert self.model.set_state(carrier.id, room, state) == refusal_of(
            lambda: self.hub.memberships.set_state(carrier, room, raw)
        )

    @rule(room=ROOM, echo=ECHO, **SAYING)
    def publish(self, room: str, echo: bool, **saying: Any) -> None:
        carrier, said = self.say(echo=echo, **saying)
        expected = self.model.publish(said, room)
        assert expected == self.outcome(
            lambda: self.hub.publish(
                carrier, room, said.payload, said.claimed, echo=echo, id=said.id, ttl=said.ttl
            )
        )

    @precondition(lambda self: self.model.rooms)
    @rule(which=WHO, echo=ECHO, **SAYING)
    def publish_where_somebody_was(self, which: int, echo: bool, **saying: Any) -> None:
        rooms = list(self.model.rooms)
        self.publish(rooms[which % len(rooms)], echo, **saying)

    @rule(echo=ECHO, **SAYING)
    def broadcast(self, echo: bool, **saying: Any) -> None:
        carrier, said = self.say(echo=echo, **saying)
        expected = self.model.broadcast(said)
        assert expected == self.outcome(
            lambda: self.hub.broadcast(
                carrier, said.payload, said.claimed, echo=echo, id=said.id, ttl=said.ttl
            )
        )

    @rule(whom=st.none() | WHO, to_user=PROVEN, **SAYING)
    def direct(self, whom: int | None, to_user: str | None, **saying: Any) -> None:
        carrier, said = self.say(echo=True, **saying)
        # Some ids are those of sessions that are gone, or never were.
        to_id = None if whom is None else f"s{len(self.everybody) - whom}"
        expected = self.model.direct(said, to_id, to_user)
        assert expected == self.outcome(
            lambda: self.hub.direct(
                carrier,
                said.payload,
                said.claimed,
                to_id=to_id,
                to_user=to_user,
                id=said.id,
                ttl=said.ttl,
            )
        )

    @rule(who=WHO, reply=st.sampled_from(["pong", "left"]))
    def reply(self, who: int, reply: str) -> None:
        carrier = self.pick(who)
        carrier.send(reply)
        self.model.clients[carrier.id].expected.append(Line(reply))

    @rule(who=WHO, after=st.integers(0, 2))
    def pause(self, who: int, after: int) -> None:
        carrier = self.pick(who)
        carrier.room_for = min(carrier.room_for, after)

    @rule(who=WHO)
    def resume(self, who: int) -> None:
        self.stage.resume(self.pick(who))

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

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        # No turn takes long.
        self.end_turn()
        self.stage.wait(seconds)
        self.model.wait(seconds)

    @rule()
    def end_turn(self) -> None:
        slow = [one for one in self.everybody if one.is_dirty and one.is_paused and self.is_too_slow(one)]
        others = [one for one in self.everybody if one.close_code is None and one not in slow]
        for carrier in others:
            if not carrier.is_paused:
                heard = self.heard_by(carrier)
                self.model.expire(self.everybody[carrier], len(heard) - len(presence_of(heard)))
        self.stage.end_turn()
        for carrier in others:
            # What didn't fit before the transport paused may be too much as well.
            if carrier.close_code is not None:
                assert carrier.is_paused
                slow.append(carrier)
            assert carrier.is_paused or not carrier.out
            assert not carrier.out or carrier.delivered_at != self.stage.now or not self.is_too_slow(carrier)
        for carrier in slow:
            assert 1013 == carrier.close_code
            self.expect_no_more(carrier)

    @invariant()
    def everybody_has_heard_or_will_hear_what_is_expected_and_nothing_else(self) -> None:
        for carrier, client in self.everybody.items():
            sent = self.sent_to(carrier)
            presence = presence_of(sent)
            assert [one.text for one in client.expected] == [one for one in sent if one not in presence]
            assert last_numbers(client.presence) == last_numbers(presence)
            # Who doesn't read hears in the end how many are there, but not who came and went.
            if not any(one.endswith("truncated") for one in presence):
                assert client.presence == presence

    @invariant()
    def pictures_show_who_is_there_as_of_when_it_was_told(self) -> None:
        for (carrier, name), picture in self.pictures.items():
            room = self.model.rooms[name]
            if room in self.model.to_tell:
                continue
            members = dict(picture)
            sent = self.sent_to(carrier)
            asked = max(place for place, one in enumerate(sent) if one.startswith(f"joined {name!r} "))
            news = presence_of(sent[asked:])
            if any(text.endswith("truncated") for text in news):
                continue
            for text in news:
                apply(text, name, members)
            assert members == {id: member_line(id, *member[:2]) for id, member in room.members.items()}, (
                carrier.id
            )

    @invariant()
    def history_is_the_end_of_what_was_published(self) -> None:
        for carrier in self.here:
            for name in self.model.clients[carrier.id].rooms:
                if name not in self.model.rooms:
                    continue
                room = self.hub.memberships.room_of(carrier, name)
                replays = self.hub.memberships.history(room, 100)
                assert self.model.history(name) == [self.stage.dialect.encode(one) for one in replays]

    @invariant()
    def registry_lists_who_is_here(self) -> None:
        registry = self.hub.registry
        assert self.here == list(registry.all())
        assert len(self.here) == len(registry)
        for carrier in self.everybody:
            assert (carrier if carrier.id in self.model.clients else None) is registry.get(carrier.id)
        for user in ("alice", "bob"):
            assert [carrier for carrier in self.here if carrier.user == user] == registry.of_user(user)

    @invariant()
    def rooms_and_memberships_agree_in_both_directions(self) -> None:
        rooms = self.hub.rooms
        assert {name: list(room.members) for name, room in self.model.rooms.items()} == {
            room.name: [one.id for one in room.members] for room in rooms
        }
        assert {name: (room.offset, room.users) for name, room in self.model.rooms.items()} == {
            room.name: (room.offset, room.users) for room in rooms
        }
        for carrier, client in self.everybody.items():
            assert (client.rooms if carrier.id in self.model.clients else []) == self.hub.memberships.of(
                carrier
            )

    @invariant()
    def each_life_of_a_room_has_an_epoch_of_its_own(self) -> None:
        for room in self.hub.rooms:
            life = self.model.rooms[room.name].life
            assert room.epoch == self.epochs.setdefault(life, room.epoch)
        assert len(self.epochs) == len(set(self.epochs.values()))

    @invariant()
    def one_flush_is_scheduled_while_somebody_has_something_to_send(self) -> None:
        is_any_dirty = any(carrier.is_dirty for carrier in self.everybody)
        assert (1 if is_any_dirty else 0) == len(self.stage.scheduled)

    @invariant()
    def publications_are_counted(self) -> None:
        assert self.model.publications == self.last_id

    def teardown(self) -> None:
        for carrier in self.here:
            self.hub.exit(carrier)
        self.stage.wait(LIMITS.seconds + 0.5)
        hub = self.hub
        left = (hub.rooms, hub.registry, hub.memberships.changed, hub._memory, hub._patterns)
        assert [0] * 5 == [len(one) for one in left]
        assert (0, 0, {}) == (self.archive.weight, len(self.archive._written), hub.memberships._joined)
        assert {} == hub.registry._origins

    def pick(self, who: int) -> Carrier:
        return self.here[who % len(self.here)]

    def position(self, name: str, since: tuple[int, int] | None) -> Since | None:
        if since is None:
            return None
        lives, offsets = since
        if name not in self.model.rooms:
            return Since(self.model.lives, 0)
        room = self.model.rooms[name]
        return Since(room.life - lives, max(0, room.offset - offsets))

    def look_at(self, carrier: Carrier, name: str) -> None:
        """Let a member that hears of presence ask who is there."""
        self.pictures.pop((carrier, name), None)
        room = self.stage.room(name)
        if carrier in room.listeners:
            self.pictures[carrier, name] = {
                one.id: member_line(one.id, one.user, one.state) for one in room.members.values()
            }

    def say(
        self, *, who: int | None, size: int, user: str | None, echo: bool, id: str | None, ttl: float | None
    ) -> tuple[Carrier | None, Saying]:
        carrier = None if who is None else self.pick(who)
        self.payloads += 1
        payload = str(self.payloads).ljust(size, ".")
        sender = None if carrier is None else carrier.id
        return carrier, Saying(sender, payload, PUBLICATION_OVERHEAD + size, user, echo, id, ttl)

    def outcome(self, request: Callable[[], Publication]) -> str:
        def numbered() -> None:
            publication = request()
            assert self.last_id + 1 == publication.id
            self.last_id = publication.id

        try:
            return refusal_of(numbered)
        except AlreadyPublished as again:
            return f"before: {again.place.room!r} {again.place.offset}"

    def heard_by(self, carrier: Carrier) -> list[str]:
        return [one for text in carrier.heard for one in singly(text)]

    def sent_to(self, carrier: Carrier) -> list[str]:
        waiting = [
            self.stage.dialect.encode(item) if isinstance(item, Shared) else item for item in carrier.out
        ]
        return self.heard_by(carrier) + [one for text in waiting for one in singly(text)]

    def is_too_slow(self, carrier: Carrier) -> bool:
        waiting = [item for item in carrier.out if isinstance(item, Publication)]
        return sum(one.weight for one in waiting) > MAX_WAITING or any(
            self.stage.now - one.published_at > MAX_WAITING_SECONDS for one in waiting
        )

    def expect_only_what_waits(self, carrier: Carrier) -> None:
        """Expect a session that is gone from the hub to hear what was on its way, and no more."""
        if carrier not in self.here:
            return
        self.here.remove(carrier)
        self.model.exit(carrier.id)
        self.pictures = {key: picture for key, picture in self.pictures.items() if key[0] is not carrier}
        if not self.here:
            self.enter(None, False)

    def expect_no_more(self, carrier: Carrier) -> None:
        """Expect a session that was cut to hear nothing more, not even what was on its way."""
        heard, client = self.heard_by(carrier), self.everybody[carrier]
        client.presence = presence_of(heard)
        client.expected[len(heard) - len(client.presence) :] = []
        self.expect_only_what_waits(carrier)


TestHub = HubMachine.TestCase
TestHub.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
