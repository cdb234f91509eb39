"""Joining: what one finds, what one missed, who is there, and many rooms at once."""

import pytest
from msgspec import Raw

from server.history import Archive
from server.hub import AlreadyPublished
from server.memberships import Joined, Position
from server.overflow import Overflow, OverflowRules, Strategy
from server.presence import MAX_STATE, Change, PresenceDiff
from server.publication import Missed, Publication, Replay
from server.refusal import Refusal
from tests.stage import Carrier, Stage, refusal_of

HISTORY_SECONDS = 300.0


def offsets(joined: Joined) -> list[int]:
    return [item.publication.offset for item in joined.missed if isinstance(item, Replay)]


def rejoin(stage: Stage, carrier: Carrier, since: Position) -> Joined:
    stage.hub.memberships.leave(carrier, "a")
    return stage.hub.memberships.join(carrier, "a", since=since)


# Recovery.


def test_who_comes_back_misses_nothing_or_is_told() -> None:
    stage = Stage(archive=Archive(max_publications=3))
    carrier = stage.connect("a")
    epoch = stage.hub.memberships.join(carrier, "a").epoch
    for _ in range(5):
        stage.hub.publish(carrier, "a", "hello")
    for offset, recovered, missed in (
        (5, True, []),
        (4, True, [5]),
        (2, True, [3, 4, 5]),
        (1, False, []),
        (0, False, []),
    ):
        joined = rejoin(stage, carrier, Position(epoch, offset))
        assert (recovered, missed, 5, epoch) == (
            joined.recovered,
            offsets(joined),
            joined.offset,
            joined.epoch,
        )


def test_offset_that_the_room_has_not_got_to_is_a_mistake_and_nothing_is_joined() -> None:
    stage = Stage()
    carrier = stage.connect("a")
    epoch = stage.hub.memberships.join(carrier, "a").epoch
    stage.hub.publish(carrier, "a", "hello")
    assert "invalid_since" == refusal_of(lambda: rejoin(stage, carrier, Position(epoch, 2)))
    assert [] == stage.hub.memberships.of(carrier)


def test_position_in_another_room_or_another_life_is_not_recovered() -> None:
    stage = Stage()
    carrier = stage.connect("a")
    elsewhere = stage.hub.memberships.join(carrier, "b").epoch
    stage.hub.memberships.join(carrier, "a")
    for epoch in (elsewhere, "", "never was"):
        joined = rejoin(stage, carrier, Position(epoch, 0))
        assert (False, []) == (joined.recovered, offsets(joined))


def test_who_never_was_there_has_nothing_to_recover() -> None:
    stage = Stage()
    joined = stage.hub.memberships.join(stage.connect("a"), "new", since=Position("x", 0))
    assert (False, 0) == (joined.recovered, joined.offset)


@pytest.mark.parametrize(("age", "recovered"), [(299.9, True), (300.0, True), (300.1, False)])
def test_what_is_too_old_is_not_recovered_though_its_epoch_lives_on(age: float, recovered: bool) -> None:
    stage = Stage()
    member, carrier = stage.connect("a"), stage.connect("b")
    epoch = stage.hub.memberships.join(member, "a").epoch
    stage.hub.memberships.join(carrier, "a")
    stage.hub.publish(member, "a", "hello")
    stage.now += age
    joined = rejoin(stage, carrier, Position(epoch, 0))
    assert (recovered, epoch) == (joined.recovered, joined.epoch)


def test_everybody_away_for_too_long_is_another_life() -> None:
    stage = Stage()
    carrier = stage.connect("a")
    before = stage.hub.memberships.join(carrier, "a")
    stage.hub.memberships.leave(carrier, "a")
    stage.wait(HISTORY_SECONDS)
    after = stage.hub.memberships.join(carrier, "a", since=Position(before.epoch, 0))
    assert not after.recovered
    assert before.epoch != after.epoch


def test_member_asks_for_history_instead() -> None:
    stage = Stage()
    carrier, other = stage.connect("a"), stage.connect("b")
    epoch = stage.hub.memberships.join(carrier, "a").epoch
    for _ in range(3):
        stage.hub.publish(carrier, "a", "hello")
    since = Position(epoch, 0)
    assert "already_joined" == refusal_of(lambda: stage.hub.memberships.join(carrier, "a", since=since))
    room = stage.hub.memberships.room_of(carrier, "a")
    assert [2, 3] == [one.publication.offset for one in stage.hub.memberships.history(room, 2)]
    stage.now += HISTORY_SECONDS + 1
    assert [] == stage.hub.memberships.history(room, 2)
    assert "not_a_member" == refusal_of(lambda: stage.hub.memberships.room_of(other, "a"))


def test_missed_messages_come_behind_the_answer_and_before_what_is_new() -> None:
    stage = Stage()
    sender, carrier = stage.connect("a"), stage.connect("b")
    epoch = stage.hub.memberships.join(sender, "a").epoch
    stage.hub.publish(sender, "a", "missed")
    joined = stage.hub.memberships.join(carrier, "a", since=Position(epoch, 0))
    carrier.send("joined")
    stage.hub.replay(carrier, joined.missed)
    stage.hub.publish(sender, "a", "new")
    stage.end_turn()
    assert ["joined", "missed", "new"] == [str(heard).rpartition(" ")[2] for heard in carrier.heard]


def test_what_is_past_its_deadline_is_not_sent_again_but_told() -> None:
    stage = Stage()
    carrier = stage.connect("a")
    epoch = stage.hub.memberships.join(carrier, "a").epoch
    for ttl in (None, 5.0, 5.0, 7.0):
        stage.hub.publish(carrier, "a", "hello", ttl=ttl)
    stage.now += 6.0
    joined = rejoin(stage, carrier, Position(epoch, 0))
    assert (True, [1, 4]) == (joined.recovered, offsets(joined))
    assert [("a", 2)] == [(item.room, item.count) for item in joined.missed if isinstance(item, Missed)]
    assert 2 == stage.hub.drops.expired


@pytest.mark.parametrize(("age", "expected"), [(4.9, [1, 2, 3]), (5.0, [1, 3]), (5.1, [1, 3])])
def test_what_is_past_its_deadline_is_no_history(age: float, expected: list[int]) -> None:
    stage = Stage()
    carrier = stage.connect("a")
    stage.hub.memberships.join(carrier, "a")
    for ttl in (None, 5.0, 7.0):
        stage.hub.publish(carrier, "a", "hello", ttl=ttl)
    stage.now += age
    room = stage.room("a")
    assert expected == [one.publication.offset for one in stage.hub.memberships.history(room, 3)]
    assert 0 == stage.hub.drops.expired


def test_room_that_conflates_is_never_recovered() -> None:
    conflate = OverflowRules(by_pattern=[("a", Overflow(Strategy.CONFLATE, ("key",)))])
    stage = Stage(overflow=conflate)
    carrier = stage.connect("a")
    epoch = stage.hub.memberships.join(carrier, "a").epoch
    sent = stage.hub.publish(carrier, "a", Raw(b'{"key":"x"}'))
    assert "str:x" == sent.key
    assert not rejoin(stage, carrier, Position(epoch, 0)).recovered


# Idempotency.


def test_what_is_published_again_under_its_id_is_heard_once() -> None:
    stage = Stage()
    sender, member = stage.connect("a"), stage.connect("b")
    stage.hub.memberships.join(member, "a")
    sent = stage.hub.publish(sender, "a", "hello", id="1")
    with pytest.raises(AlreadyPublished) as caught:
        stage.hub.publish(sender, "a", "hello", id="1")
    assert ("a", sent.offset) == (caught.value.place.room, caught.value.place.offset)
    stage.end_turn()
    assert 1 == len(member.heard)
    # Another one's id is another id.
    stage.hub.publish(member, "a", "hello", id="1")


@pytest.mark.parametrize("way", ["broadcast", "direct"])
def test_broadcasts_and_direct_messages_have_ids_too(way: str) -> None:
    stage = Stage()
    sender, other = stage.connect("a"), stage.connect("b")

    def publish() -> Publication:
        if way == "broadcast":
            return stage.hub.broadcast(sender, "hello", id="1")
        return stage.hub.direct(sender, "hello", to_id="b", id="1")

    publish()
    with pytest.raises(AlreadyPublished):
        publish()
    stage.end_turn()
    assert 1 == len(other.heard)


def test_who_resumes_keeps_the_ids_of_the_session_before() -> None:
    stage = Stage()
    first = stage.connect("a")
    stage.hub.publish(first, "a", "hello", id="1")
    token = stage.hub.registry.token_of(first)
    stage.hub.exit(first)
    second, third = stage.connect("b"), stage.connect("c")
    stage.hub.registry.resume(second, token)
    with pytest.raises(AlreadyPublished):
        stage.hub.publish(second, "a", "hello", id="1")
    stage.hub.publish(third, "a", "hello", id="1")
    assert "invalid_token" == refusal_of(lambda: stage.hub.registry.resume(third, token[:-1]))


def test_user_who_signed_in_needs_no_token() -> None:
    stage = Stage()
    stage.hub.publish(stage.connect("a", "alice"), "a", "hello", id="1")
    with pytest.raises(AlreadyPublished):
        stage.hub.publish(stage.connect("b", "alice"), "a", "hello", id="1")


def test_id_of_what_was_refused_may_be_used_again() -> None:
    stage = Stage(max_rooms=1)
    sender = stage.connect("a")
    stage.hub.memberships.join(sender, "a")
    for _ in range(2):
        assert "too_many_rooms" == refusal_of(lambda: stage.hub.publish(sender, "b", "hello", id="1"))
    assert 1 == stage.hub.publish(sender, "a", "hello", id="1").offset


def test_id_is_forgotten_with_the_history() -> None:
    stage = Stage()
    sender = stage.connect("a")
    stage.hub.publish(sender, "a", "hello", id="1")
    stage.wait(HISTORY_SECONDS + 1)
    stage.hub.publish(sender, "a", "hello", id="1")


# Presence.


def diffs(stage: Stage, carrier: Carrier) -> list[dict[Change, list[str]]]:
    """Let the interval pass; return what waits for a session by the ids of members."""
    stage.wait(1.0)
    found = [item for item in carrier.waiting if isinstance(item, PresenceDiff)]
    stage.end_turn()
    return [
        {change: [one.id for one in members] for change, members in diff.changes.items() if members}
        for diff in found
        if diff.changes is not None
    ]


def test_changes_are_told_to_who_asked_once_an_interval() -> None:
    stage = Stage()
    memberships = stage.hub.memberships
    hearer, other, third = (stage.connect(id) for id in "abc")
    memberships.join(hearer, "a", hears_presence=True)
    memberships.join(other, "a", user="bob")
    memberships.join(third, "a")
    memberships.leave(third, "a")
    assert [{Change.JOINED: ["a", "b"], Change.LEFT: ["c"]}] == diffs(stage, hearer)
    assert [] == diffs(stage, hearer)
    memberships.set_state(other, "a", Raw(b"1"))
    assert [{Change.CHANGED: ["b"]}] == diffs(stage, hearer)
    stage.hub.exit(other)
    assert [{Change.LEFT: ["b"]}] == diffs(stage, hearer)
    assert [] == other.heard


def test_who_goes_within_the_interval_is_gone_for_those_who_saw_it_meanwhile() -> None:
    stage = Stage()
    memberships = stage.hub.memberships
    hearer, passer_by, onlooker = (stage.connect(id) for id in "abc")
    memberships.join(hearer, "a", hears_presence=True)
    memberships.join(passer_by, "a")
    memberships.join(onlooker, "a", hears_presence=True)
    assert passer_by.outbox in stage.room("a").members
    stage.hub.exit(passer_by)
    assert [{Change.JOINED: ["a", "c"], Change.LEFT: ["b"]}] == diffs(stage, onlooker)


def test_interval_begins_with_the_first_change() -> None:
    stage = Stage()
    hearer, other = stage.connect("a"), stage.connect("b")
    stage.hub.memberships.join(hearer, "a", hears_presence=True)
    stage.wait(0.75)
    stage.hub.memberships.join(other, "a")
    assert [] == hearer.waiting
    stage.wait(0.25)
    assert 1 == len(hearer.waiting)


def test_member_may_say_anew_who_it_is_and_what_it_hears() -> None:
    stage = Stage()
    carrier = stage.connect("a")
    memberships = stage.hub.memberships
    memberships.join(carrier, "a", user="al", state=Raw(b"1"), hears_presence=True)
    (member,) = stage.room("a").members.values()
    assert ("a", "al", Raw(b"1"), True) == (member.id, member.user, member.state, member.hears_presence)
    memberships.join(carrier, "a")
    assert [member] == list(stage.room("a").members.values())
    memberships.join(carrier, "a", user="bo")
    (member,) = stage.room("a").members.values()
    assert ("bo", None, False) == (member.user, member.state, member.hears_presence)


@pytest.mark.parametrize(
    ("user", "code"), [("", ""), ("carol", ""), ("\n", "invalid_name"), ("alice", "forbidden")]
)
def test_member_has_no_name_that_it_could_not_speak_under(user: str, code: str) -> None:
    stage = Stage()
    stage.connect("s", "alice")
    assert code == refusal_of(lambda: stage.hub.memberships.join(stage.connect("a"), "a", user=user))
    assert (code == "") == ("a" in stage.occupied)


def test_state_that_is_too_large_changes_nothing() -> None:
    stage = Stage()
    carrier, state = stage.connect("a"), Raw(b'"' + b"a" * (MAX_STATE - 1) + b'"')
    memberships = stage.hub.memberships
    assert "too_large" == refusal_of(lambda: memberships.join(carrier, "a", state=state))
    assert [] == stage.occupied
    memberships.join(carrier, "a", state=Raw(b"1"))
    assert "too_large" == refusal_of(lambda: memberships.set_state(carrier, "a", state))
    assert [Raw(b"1")] == [member.state for member in stage.room("a").members.values()]
    assert "not_a_member" == refusal_of(lambda: memberships.set_state(carrier, "b", state))


# Patterns.


def test_who_joined_a_pattern_hears_every_room_that_matches_each_message_once() -> None:
    stage = Stage()
    hearer, sender = stage.connect("a"), stage.connect("b")
    memberships = stage.hub.memberships
    for name in ("s.*", "s.>", "*.x", "s.x"):
        memberships.join(hearer, name)
    for room in ("s.x", "s.y", "s.y.z", "t.x", "t.y", "s"):
        stage.hub.publish(sender, room, room)
    stage.end_turn()
    assert ["s.x", "s.y", "s.y.z", "t.x"] == [str(heard).rpartition(" ")[2] for heard in hearer.heard]
    assert ["s.*", "s.>", "*.x", "s.x"] == memberships.of(hearer)


def test_pattern_is_no_room() -> None:
    stage = Stage()
    carrier = stage.connect("a")
    memberships = stage.hub.memberships
    joined = memberships.join(carrier, "s.*", since=Position("x", 1), hears_presence=True)
    assert Joined(members=1) == joined
    assert "not_a_member" == refusal_of(lambda: memberships.room_of(carrier, "s.*"))
    assert "invalid_name" == refusal_of(lambda: stage.hub.publish(carrier, "s.*", "hello"))
    assert "invalid_name" == refusal_of(lambda: memberships.join(carrier, ">.s"))
    assert 0 == len(stage.hub.rooms)
    memberships.leave(carrier, "s.*")
    assert "not_a_member" == refusal_of(lambda: memberships.leave(carrier, "s.*"))
    assert 0 == len(stage.hub._patterns)


def test_pattern_counts_as_one_of_a_sessions_rooms() -> None:
    stage = Stage(max_rooms_per_session=1)
    carrier = stage.connect("a")
    stage.hub.memberships.join(carrier, "s.*")
    assert "too_many_rooms" == refusal_of(lambda: stage.hub.memberships.join(carrier, "t.*"))
    stage.hub.memberships.join(carrier, "s.*")
    stage.hub.exit(carrier)
    assert 0 == len(stage.hub._patterns)


# The sender.


@pytest.mark.parametrize(("echo", "heard"), [(True, 1), (False, 0)])
def test_sender_hears_itself_unless_it_would_rather_not(echo: bool, heard: int) -> None:
    stage = Stage()
    sender, member = stage.connect("a"), stage.connect("b")
    for carrier in (sender, member):
        stage.hub.memberships.join(carrier, "a")
    stage.hub.publish(sender, "a", "hello", echo=echo)
    stage.end_turn()
    assert (heard, 1) == (len(sender.heard), len(member.heard))


def test_server_publishes_in_its_own_name_or_another() -> None:
    stage = Stage()
    stage.connect("s", "alice")
    sent = stage.hub.publish(None, "a", "hello")
    assert ("server", "server") == (sent.sender, sent.user)
    assert "alice" == stage.hub.publish(None, "a", "hello", "alice").user
    with pytest.raises(Refusal):
        stage.hub.direct(None, "hello", to_id="nobody")
