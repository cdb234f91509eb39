"""The hub: rooms and their limits, who hears what, whose name a message bears, and which names there are."""

import gc
import weakref
from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from server.hub import Hub
from server.names import MAX_NAME, check_name
from server.publication import PUBLICATION_OVERHEAD, Kind
from server.refusal import Refusal
from server.registry import ANONYMOUS
from tests.stage import Carrier, Stage, owners, refusal_of

HISTORY_SECONDS = 300.0

# Rooms. -----------------------------------------------------------------------------------------------------


def test_room_lives_from_the_first_join_to_the_last_leave() -> None:
    stage = Stage()
    first, second = stage.connect("a"), stage.connect("b")
    assert [1, 2] == [stage.hub.memberships.join(one, "general").members for one in (first, second)]
    assert [first, second] == owners(stage.room("general").members)
    stage.hub.memberships.leave(first, "general")
    assert [second] == owners(stage.room("general").members)
    stage.hub.memberships.leave(second, "general")
    assert [] == stage.occupied


def test_room_that_emptied_keeps_its_epoch_and_its_offset_for_a_while() -> None:
    stage = Stage()
    carrier = stage.connect("a")
    epochs: set[str] = set()
    for offset, absence in ((1, HISTORY_SECONDS - 1), (2, HISTORY_SECONDS), (1, 0)):
        epochs.add(stage.hub.memberships.join(carrier, "general").epoch)
        assert offset == stage.hub.publish(carrier, "general", "hello").offset
        stage.hub.memberships.leave(carrier, "general")
        stage.wait(absence)
    assert 2 == len(epochs)


def test_to_join_again_changes_nothing_and_is_within_every_limit() -> None:
    stage = Stage(max_rooms=1, max_rooms_per_session=1)
    carrier = stage.connect("a")
    joined = stage.hub.memberships.join(carrier, "general")
    assert joined == stage.hub.memberships.join(carrier, "general")
    assert ([carrier], ["general"]) == (
        owners(stage.room("general").members),
        stage.hub.memberships.of(carrier),
    )
    stage.hub.memberships.leave(carrier, "general")
    assert "not_a_member" == refusal_of(lambda: stage.hub.memberships.leave(carrier, "general"))


def test_rooms_of_a_session_stand_in_the_order_it_joined_them() -> None:
    stage = Stage()
    carrier = stage.connect("a")
    for name in ("c", "a", "b"):
        stage.hub.memberships.join(carrier, name)
    stage.hub.memberships.leave(carrier, "a")
    assert ["c", "b"] == stage.hub.memberships.of(carrier)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_as_many_rooms_as_a_session_may_be_in(limit: int) -> None:
    stage = Stage(max_rooms_per_session=limit)
    carrier, other = stage.connect("a"), stage.connect("b")
    for number in range(limit):
        stage.hub.memberships.join(carrier, f"r{number}")
    with pytest.raises(Refusal, match=f"may be in {limit} rooms") as caught:
        stage.hub.memberships.join(carrier, "more")
    assert "too_many_rooms" == caught.value.code
    # The limit is the session's: it made no room, and another one may join.
    assert limit == len(stage.hub.rooms) == len(stage.hub.memberships.of(carrier))
    stage.hub.memberships.join(other, "more")
    stage.hub.memberships.leave(carrier, "r0")
    stage.hub.memberships.join(carrier, "more")


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_as_many_rooms_as_the_server_has_place_for(limit: int) -> None:
    stage = Stage(max_rooms=limit)
    carriers = [stage.connect(f"s{number}") for number in range(limit)]
    for number, carrier in enumerate(carriers):
        stage.hub.memberships.join(carrier, f"r{number}")
    last = stage.connect("last")
    with pytest.raises(Refusal, match="no place for another room") as caught:
        stage.hub.memberships.join(last, "more")
    assert "too_many_rooms" == caught.value.code
    assert (limit, []) == (len(stage.hub.rooms), stage.hub.memberships.of(last))
    # Those that exist may be joined, and one that ends makes place.
    stage.hub.memberships.join(last, "r0")
    stage.hub.memberships.leave(last, "r0")
    stage.hub.memberships.leave(carriers[0], "r0")
    stage.hub.memberships.join(last, "more")


def test_limits_are_those_of_the_design_unless_told_otherwise() -> None:
    stage = Stage()
    hub = Hub(stage.fanout, lambda: 0.0)
    carrier = Carrier("a", stage.dialect)
    for number in range(100):
        hub.memberships.join(carrier, f"r{number}")
    assert "too_many_rooms" == refusal_of(lambda: hub.memberships.join(carrier, "more"))


def test_who_leaves_a_room_without_being_in_it_is_told_so() -> None:
    stage = Stage()
    member, other = stage.connect("a"), stage.connect("b")
    stage.hub.memberships.join(member, "general")
    for name in ("general", "nowhere", "", "\n"):
        assert "not_a_member" == refusal_of(partial(stage.hub.memberships.leave, other, name))
    assert [member] == owners(stage.room("general").members)


def test_exit_ends_every_membership_and_once_more_does_nothing() -> None:
    stage = Stage()
    carrier, other = stage.connect("a", "alice"), stage.connect("b")
    for name in ("r1", "r2", "r3"):
        stage.hub.memberships.join(carrier, name)
    stage.hub.memberships.join(other, "r2")
    for _ in range(2):
        stage.hub.exit(carrier)
        assert (["r2"], []) == (stage.occupied, stage.hub.memberships.of(carrier))
        assert [other] == owners(stage.hub.registry.outboxes)
        assert [] == stage.hub.registry.of_user("alice")


def test_who_exited_is_not_kept() -> None:
    stage = Stage()
    other = stage.connect("b")
    stage.hub.memberships.join(other, "general")
    carrier = stage.connect("a", "alice")
    kept = weakref.ref(carrier)
    stage.hub.memberships.join(carrier, "general")
    stage.hub.memberships.join(carrier, "mine")
    stage.hub.publish(carrier, "general", "hello")
    stage.hub.direct(other, "hello", to_id="a")
    stage.end_turn()
    stage.hub.exit(carrier)
    gc.disable()
    try:
        # No cycle holds it either: the reference count alone frees it.
        del carrier.outbox, carrier
        assert kept() is None
    finally:
        gc.enable()


# Who hears what. --------------------------------------------------------------------------------------------


def test_publication_says_all_that_its_receivers_need() -> None:
    stage = Stage()
    carrier = stage.connect("s1")
    stage.hub.memberships.join(carrier, "general")
    for offset in (1, 2):
        payload = msgspec.Raw(b'"hello"')
        sent = stage.hub.publish(carrier, "general", payload, "carol")
        assert (Kind.MESSAGE, "general", offset) == (sent.kind, sent.room, sent.offset)
        assert (offset, "s1", "carol") == (sent.id, sent.sender, sent.user)
        assert (payload, PUBLICATION_OVERHEAD + 7) == (sent.payload, sent.weight)
        assert (stage.unix_time, stage.now) == (sent.time, sent.published_at)
        stage.now += 1
        stage.unix_time += 1


def test_time_is_unix_time_unless_told_otherwise() -> None:
    stage = Stage()
    sent = Hub(stage.fanout, lambda: 0.0).publish(stage.connect("a"), "nowhere", "hello")
    assert sent.time > 1_700_000_000


def test_room_message_goes_to_all_members_the_sender_too_and_to_nobody_else() -> None:
    stage = Stage()
    sender, member, other = (stage.connect(id) for id in "abc")
    for carrier in (sender, member):
        stage.hub.memberships.join(carrier, "general")
    stage.hub.memberships.join(other, "elsewhere")
    stage.hub.publish(sender, "general", "hello")
    stage.end_turn()
    assert 1 == len(sender.heard) == len(member.heard)
    assert sender.heard == member.heard
    assert [] == other.heard


def test_anyone_here_may_publish_to_a_room() -> None:
    stage = Stage()
    member, other = stage.connect("a"), stage.connect("b")
    stage.hub.memberships.join(member, "general")
    assert 1 == stage.hub.publish(other, "general", "hello").offset
    stage.end_turn()
    assert (1, 0) == (len(member.heard), len(other.heard))


def test_publication_to_a_room_without_members_is_kept_for_who_joins_in_time() -> None:
    stage = Stage()
    sender = stage.connect("a")
    assert [1, 2] == [stage.hub.publish(sender, "nowhere", "hello").offset for _ in range(2)]
    assert ([], []) == (stage.occupied, stage.scheduled)
    stage.wait(HISTORY_SECONDS - 1)
    assert 2 == stage.hub.memberships.join(sender, "nowhere").offset
    assert 2 == len(stage.room("nowhere").history.replays)


def test_who_joins_hears_what_comes_after_and_who_leaves_what_came_before() -> None:
    stage = Stage()
    sender, member = stage.connect("a"), stage.connect("b")
    stage.hub.memberships.join(sender, "general")
    for word in ("before", "between", "after"):
        # All in one turn, so that only the order of things tells them apart.
        stage.hub.publish(sender, "general", word)
        if word == "before":
            stage.hub.memberships.join(member, "general")
        if word == "between":
            stage.hub.memberships.leave(member, "general")
    stage.end_turn()
    assert 3 == len(sender.heard)
    assert sender.heard[1:2] == member.heard


def test_all_that_goes_to_one_session_keeps_its_order() -> None:
    stage = Stage()
    sender, member = stage.connect("a"), stage.connect("b")
    stage.hub.memberships.join(member, "general")
    member.room_for = 0
    stage.hub.publish(sender, "general", "1")
    stage.hub.direct(sender, "2", to_id="b")
    member.send("3")
    stage.hub.broadcast(sender, "4")
    stage.end_turn()
    stage.hub.publish(sender, "general", "5")
    stage.resume(member)
    stage.end_turn()
    assert ["1", "2", "3", "4", "5"] == [str(message)[-1] for message in member.heard]


@pytest.mark.parametrize(("echo", "heard"), [(False, 0), (True, 1)])
def test_broadcast_goes_to_everyone_else_and_with_echo_to_the_sender(echo: bool, heard: int) -> None:
    stage = Stage()
    sender, *others = (stage.connect(id) for id in "abcd")
    gone = others.pop()
    stage.hub.exit(gone)
    sent = stage.hub.broadcast(sender, "hello", echo=echo)
    stage.end_turn()
    assert (Kind.BROADCAST, "", 0) == (sent.kind, sent.room, sent.offset)
    assert (heard, [1, 1], 0) == (len(sender.heard), [len(one.heard) for one in others], len(gone.heard))


@pytest.mark.parametrize(
    ("to_id", "to_user", "receivers"),
    [
        ("a1", None, ["a1"]),
        ("x", None, ["x"]),
        (None, "alice", ["a1", "a2"]),
        # By both names, and twice named; each hears it once.
        ("x", "alice", ["a1", "a2", "x"]),
        ("a2", "alice", ["a1", "a2"]),
        # One name that nobody has is enough where there is another.
        ("a1", "nobody", ["a1"]),
        ("nobody", "alice", ["a1", "a2"]),
        ("s", None, ["s"]),
    ],
)
def test_direct_goes_to_the_session_of_that_id_and_to_those_of_that_user(
    to_id: str | None, to_user: str | None, receivers: list[str]
) -> None:
    stage = Stage()
    users = {"s": None, "a1": "alice", "x": None, "a2": "alice", "b": "bob"}
    carriers = {id: stage.connect(id, user) for id, user in users.items()}
    sent = stage.hub.direct(carriers["s"], "hello", to_id=to_id, to_user=to_user)
    stage.end_turn()
    assert (Kind.DIRECT, "", 0) == (sent.kind, sent.room, sent.offset)
    heard = {id: len(carrier.heard) for id, carrier in carriers.items()}
    assert {id: int(id in receivers) for id in users} == heard


@pytest.mark.parametrize(
    ("to_id", "to_user"),
    [
        (None, None),
        ("", ""),
        ("nobody", None),
        (None, "nobody"),
        ("alice", None),
        (None, "s"),
        (None, "carol"),
    ],
)
def test_direct_to_nobody_is_refused(to_id: str | None, to_user: str | None) -> None:
    stage = Stage()
    sender = stage.connect("s")
    stage.connect("a", "alice")
    # A claimed name is no address.
    stage.hub.broadcast(stage.connect("c"), "hello", "carol")
    stage.end_turn()
    assert "not_found" == refusal_of(lambda: stage.hub.direct(sender, "hello", to_id=to_id, to_user=to_user))
    assert [] == stage.scheduled


# Whose name. ------------------------------------------------------------------------------------------------

Say = Callable[[Stage, Carrier, str | None], str]


def say_in_a_room(stage: Stage, carrier: Carrier, user: str | None) -> str:
    return stage.hub.publish(carrier, "general", "hello", user).user


def say_to_everyone(stage: Stage, carrier: Carrier, user: str | None) -> str:
    return stage.hub.broadcast(carrier, "hello", user, echo=True).user


def say_to_one(stage: Stage, carrier: Carrier, user: str | None) -> str:
    return stage.hub.direct(carrier, "hello", user, to_id=carrier.id).user


in_every_way = pytest.mark.parametrize("say", [say_in_a_room, say_to_everyone, say_to_one])


@in_every_way
@pytest.mark.parametrize(
    ("proven", "claimed", "user"),
    [
        (None, None, ANONYMOUS),
        (None, "carol", "carol"),
        (None, ANONYMOUS, ANONYMOUS),
        (None, "", ANONYMOUS),
        ("alice", "", "alice"),
        ("alice", None, "alice"),
        ("alice", "alice", "alice"),
    ],
)
def test_message_bears_the_proven_name_or_the_claimed_one(
    proven: str | None, claimed: str | None, user: str, say: Say
) -> None:
    stage = Stage()
    assert user == say(stage, stage.connect("s", proven), claimed)


@in_every_way
@pytest.mark.parametrize(
    ("proven", "claimed", "code"),
    [
        ("alice", "bob", "forbidden"),
        ("alice", "carol", "forbidden"),
        (None, "bob", "forbidden"),
        (None, "x" * 129, "invalid_name"),
        (None, "a\nb", "invalid_name"),
        (None, "\u202ebob", "invalid_name"),
    ],
)
def test_message_under_another_name_is_refused_and_leaves_no_trace(
    proven: str | None, claimed: str, code: str, say: Say
) -> None:
    stage = Stage()
    sender, member = stage.connect("s", proven), stage.connect("b", "bob")
    for carrier in (sender, member):
        stage.hub.memberships.join(carrier, "general")
    assert code == refusal_of(lambda: say(stage, sender, claimed))
    assert [] == stage.scheduled
    # The next message is the first: neither the room nor the hub has a gap.
    sent = stage.hub.publish(sender, "general", "hello")
    assert (1, 1) == (sent.id, sent.offset)


@in_every_way
def test_proven_name_may_be_claimed_when_nobody_is_here_who_proved_it(say: Say) -> None:
    stage = Stage()
    sender = stage.connect("s")
    phone, desk = stage.connect("phone", "alice"), stage.connect("desk", "alice")
    for carrier in (phone, desk):
        assert "forbidden" == refusal_of(lambda: say(stage, sender, "alice"))
        stage.hub.exit(carrier)
    assert "alice" == say(stage, sender, "alice")


def test_text_that_utf_8_cannot_hold_is_its_publishers_mistake_and_leaves_no_gap() -> None:
    stage = Stage()
    carrier = stage.connect("a")
    stage.hub.memberships.join(carrier, "general")
    with pytest.raises(UnicodeEncodeError):
        stage.hub.publish(carrier, "general", "\ud800")
    sent = stage.hub.publish(carrier, "general", "hello")
    assert (1, 1) == (sent.id, sent.offset)


# Names. -----------------------------------------------------------------------------------------------------

GOOD_NAMES = [
    "a",
    " ",
    "general",
    "x" * (MAX_NAME - 1),
    "x" * MAX_NAME,
    # Bytes are counted, not characters.
    "é" * 63 + "x",
    "é" * 64,
    "€" * 42,
    "€" * 42 + "xx",
    "\U0001f600" * 32,
    # An emoji of several, joined; a flag; a skin tone; letters that join or don't.
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1e9\U0001f1ea",
    "\U0001f44d\U0001f3fd",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "e\u0301",
    "日本語",
    "עברית",
    "\ufffd",
    "\xa0",
    '"\\/<>&',
]
BAD_NAMES = [
    "",
    "x" * (MAX_NAME + 1),
    "é" * 64 + "x",
    "é" * 65,
    "€" * 43,
    "\U0001f600" * 33,
    "x" * 1_000_000,
    *(chr(code) for code in range(0x20)),
    *(chr(code) for code in range(0x7F, 0xA0)),
    # Line and paragraph separators.
    "\u2028",
    "\u2029",
    # Marks, embeddings, overrides and isolates.
    # What nobody sees, alone and in the midst of a name that is another's.
    *"\u00ad\u200b\u200d\u2060\u3164\ufeff\ufe0f",
    "ser\u200bver",
    *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    # Halves of a pair: UTF-8 has none.
    "\ud800",
    "\udbff",
    "\udc00",
    "\udfff",
    "\ude00\ud83d",
]


def spelled(name: str) -> str:
    return ascii(name)[:40]


@pytest.mark.parametrize("name", GOOD_NAMES, ids=spelled)
@pytest.mark.parametrize("what", ["room", "user"])
def test_good_name(name: str, what: str) -> None:
    check_name(what, name)


@pytest.mark.parametrize("name", BAD_NAMES, ids=spelled)
def test_bad_name_whatever_stands_around_it(name: str) -> None:
    around = [name, f"a{name}", f"{name}b", f"é{name}é"] if name else [name]
    for bad in around:
        for what in ("room", "user"):
            with pytest.raises(Refusal, match=f"A {what}'s name has ") as caught:
                check_name(what, bad)
            assert "invalid_name" == caught.value.code
            assert len(str(caught.value)) < 100


@pytest.mark.parametrize("bad", ["", "a\nb", "x" * 129], ids=spelled)
def test_names_are_held_to_their_bounds_at_every_door(bad: str) -> None:
    stage = Stage()
    carrier = stage.connect("a")
    assert "invalid_name" == refusal_of(lambda: stage.hub.memberships.join(carrier, bad))
    assert "invalid_name" == refusal_of(lambda: stage.hub.publish(carrier, bad, "hello"))
    assert 0 == len(stage.hub.rooms)


def test_refusal_is_a_sentence_and_never_as_long_as_what_it_refuses() -> None:
    stage = Stage()
    carrier = stage.connect("a")
    long = "x" * 1_000_000
    for request in (
        lambda: stage.hub.memberships.join(carrier, long),
        lambda: stage.hub.memberships.leave(carrier, long),
        lambda: stage.hub.publish(carrier, long, "hello"),
        lambda: stage.hub.broadcast(carrier, "hello", long),
        lambda: stage.hub.direct(carrier, "hello", to_id=long, to_user=long),
    ):
        with pytest.raises(Refusal) as caught:
            request()
        assert 0 < len(str(caught.value)) < 200
        assert str(caught.value).endswith(".")
