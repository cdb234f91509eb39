"""The hub against its model: whatever happens in whatever order, each session hears what it should."""

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from server.delivery import FrameDelivery
from server.publication import Publication
from tests.hub_model import Client, HubModel, Saying
from tests.stage import Carrier, Stage, refusal_of

MAX_SESSIONS = 6
MAX_ROOMS = 3
MAX_ROOMS_PER_SESSION = 2
MAX_WAITING = 4

# Which of those who are here; counted round.
WHO = st.integers(0, MAX_SESSIONS - 1)
ROOM = st.sampled_from(["a", "a", "b", "b", "c", "d", "", "\n"])
PROVEN = st.sampled_from([None, None, "alice", "bob"])
CLAIMED = st.sampled_from([None, None, None, "alice", "carol", "", "\u202e"])
# Characters of a payload: short ones share a write, of the long ones each fills most of one, or more.
SIZE = st.sampled_from([3, 6, 9, 40_000, 70_000])


def waiting(carrier: Carrier) -> int:
    return sum(isinstance(item, Publication) for item in carrier.out)


class HubMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(max_rooms=MAX_ROOMS, max_rooms_per_session=MAX_ROOMS_PER_SESSION)
        self.hub = self.stage.hub
        self.model = HubModel(MAX_ROOMS, MAX_ROOMS_PER_SESSION)
        self.other_delivery = FrameDelivery(self.stage.dialect, None, None)
        # All that ever came, with those who are gone: these hear nothing more.
        self.everybody: dict[Carrier, Client] = {}
        self.here: list[Carrier] = []
        self.epochs: dict[str, str] = {}
        self.epochs_of_gone_rooms: set[str] = set()
        self.last_id = 0
        self.payloads = 0

    @initialize()
    def two_members_are_here(self) -> None:
        self.enter(None, False, ["a", "b"])
        self.enter(None, True, ["a"])

    @precondition(lambda self: len(self.here) < MAX_SESSIONS)
    @rule(user=PROVEN, is_other=st.booleans(), rooms=st.lists(ROOM, max_size=2))
    def enter(self, user: str | None, is_other: bool, rooms: list[str]) -> None:
        delivery = self.other_delivery if is_other else self.stage.delivery
        id = f"s{len(self.everybody)}"
        carrier = self.stage.connect(id, user, delivery=delivery, max_waiting=MAX_WAITING)
        self.everybody[carrier] = self.model.enter(id, user)
        self.here.append(carrier)
        for room in rooms:
            self.join(-1, room)

    @rule(who=WHO, room=ROOM)
    def join(self, who: int, room: str) -> None:
        carrier = self.pick(who)
        assert self.model.join(carrier.id, room) == refusal_of(
            lambda: self.hub.memberships.join(carrier, room)
        )

    @rule(who=WHO, room=ROOM)
    def leave(self, who: int, room: str) -> None:
        carrier = self.pick(who)
        assert self.model.leave(carrier.id, room) == refusal_of(
            lambda: self.hub.memberships.leave(carrier, room)
        )

    @rule(who=WHO, room=ROOM, size=SIZE, user=CLAIMED)
    def publish(self, who: int, room: str, size: int, user: str | None) -> None:
        carrier, said = self.say(who, size, user)
        expected = self.model.publish(said, room)
        assert expected == self.outcome(lambda: self.hub.publish(carrier, room, said.payload, user))

    @precondition(lambda self: self.model.members)
    @rule(who=WHO, which=WHO, size=SIZE, user=CLAIMED)
    def publish_where_somebody_is(self, who: int, which: int, size: int, user: str | None) -> None:
        rooms = list(self.model.members)
        self.publish(who, rooms[which % len(rooms)], size, user)

    @rule(who=WHO, size=SIZE, user=CLAIMED, echo=st.booleans())
    def broadcast(self, who: int, size: int, user: str | None, echo: bool) -> None:
        carrier, said = self.say(who, size, user)
        expected = self.model.broadcast(said, echo)
        assert expected == self.outcome(lambda: self.hub.broadcast(carrier, said.payload, user, echo=echo))

    @rule(who=WHO, size=SIZE, user=CLAIMED, whom=st.none() | WHO, to_user=PROVEN)
    def direct(self, who: int, size: int, user: str | None, whom: int | None, to_user: str | None) -> None:
        carrier, said = self.say(who, size, user)
        # Some ids are those of sessions that are gone, or never were.
        to_id = None if whom is None else f"s{len(self.everybody) - whom}"
        expected = self.model.direct(said, to_id, to_user)
        assert expected == self.outcome(
            lambda: self.hub.direct(carrier, said.payload, user, to_id=to_id, to_user=to_user)
        )

    @rule(who=WHO, reply=st.sampled_from(["pong", "left"]))
    def reply(self, who: int, reply: str) -> None:
        carrier = self.pick(who)
        carrier.send(reply)
        self.model.clients[carrier.id].expected.append(reply)

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

    @rule()
    def end_turn(self) -> None:
        slow = [one for one in self.everybody if one.is_paused and waiting(one) > MAX_WAITING]
        others = [one for one in self.everybody if one.close_code is None and one not in slow]
        self.stage.end_turn()
        for carrier in others:
            # What didn't fit before the transport paused may be too much as well.
            if carrier.close_code is not None:
                assert carrier.is_paused
                slow.append(carrier)
            assert carrier.is_paused or not carrier.out
            assert waiting(carrier) <= MAX_WAITING
        for carrier in slow:
            assert 1013 == carrier.close_code
            self.expect_no_more(carrier)

    @invariant()
    def everybody_has_heard_or_will_hear_what_is_expected_and_nothing_else(self) -> None:
        for carrier, client in self.everybody.items():
            waiting = [
                self.stage.dialect.encode(item) if isinstance(item, Publication) else item
                for item in carrier.out
            ]
            assert client.expected == carrier.heard + waiting

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
        assert self.model.members == {
            room.name: [one.id for one in room.members] for room in rooms if room.members
        }
        assert self.model.offsets == {room.name: room.offset for room in rooms}
        for carrier, client in self.everybody.items():
            assert (client.rooms if carrier.id in self.model.clients else []) == self.hub.memberships.of(
                carrier
            )

    @invariant()
    def each_life_of_a_room_has_an_epoch_of_its_own(self) -> None:
        epochs = {room.name: room.epoch for room in self.hub.rooms}
        self.epochs_of_gone_rooms |= {
            epoch for name, epoch in self.epochs.items() if epoch != epochs.get(name)
        }
        self.epochs = epochs
        assert set() == self.epochs_of_gone_rooms & set(epochs.values())
        assert len(epochs) == len(set(epochs.values()))

    @invariant()
    def one_flush_is_scheduled_while_somebody_has_something_to_send(self) -> None:
        is_any_dirty = any(carrier.is_dirty for carrier in self.everybody)
        assert (1 if is_any_dirty else 0) == len(self.stage.scheduled)

    @invariant()
    def publications_are_counted(self) -> None:
        assert self.model.publications == self.last_id

    def pick(self, who: int) -> Carrier:
        return self.here[who % len(self.here)]

    def say(self, who: int, size: int, user: str | None) -> tuple[Carrier, Saying]:
        carrier = self.pick(who)
        self.payloads += 1
        return carrier, Saying(carrier.id, str(self.payloads).ljust(size, "."), user)

    def outcome(self, request: Callable[[], Publication]) -> str:
        def numbered() -> None:
            publication = request()
            assert self.last_id + 1 == publication.id
            self.last_id = publication.id

        return refusal_of(numbered)

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


TestHub = HubMachine.TestCase
TestHub.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
