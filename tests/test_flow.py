"""What waits for a session that doesn't read: how much of it, and what goes when it is too much."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.flow import MAX_NOTES, Backlog, Drops, without_expired
from server.overflow import DISCONNECT, Overflow, Strategy
from server.presence import Change, Member, PresenceDiff
from server.publication import Kind, Missed, Publication, Replay, Shared
from server.tick import Item

HOUR = 3600.0
OLDEST = Overflow(Strategy.DROP_OLDEST)
NEWEST = Overflow(Strategy.DROP_NEWEST)
CONFLATE = Overflow(Strategy.CONFLATE, ("key",))


def publication(
    weight: int = 1,
    *,
    at: float = 0.0,
    overflow: Overflow = DISCONNECT,
    room: str = "a",
    offset: int = 1,
    key: str | None = None,
    deadline: float = HOUR,
) -> Publication:
    return Publication(Kind.MESSAGE, room, 1, offset, 0.0, at, "s", "u", "", weight, deadline, overflow, key)


def shown(waiting: list[Item]) -> list[object]:
    """Offsets of what waits, and in brackets how many are missed."""
    return [
        [item.count] if isinstance(item, Missed) else item.offset if isinstance(item, Publication) else item
        for item in waiting
    ]


def let_read(backlog: Backlog, waiting: list[Item], count: int) -> list[Item]:
    """Let the client read so many, and no more; return what is left."""
    left = backlog.resume(waiting, 0.0)[count:]
    assert backlog.admit(left, 0.0)
    return left


@pytest.mark.parametrize(("excess", "expected"), [(-1, True), (0, True), (1, False)])
def test_octets_that_wait_are_held_to_their_limit(excess: int, expected: bool) -> None:
    waiting: list[Item] = [publication(40), publication(60 + excess)]
    assert expected == Backlog(100, HOUR, Drops()).admit(waiting, 0.0)


@pytest.mark.parametrize(("age", "expected"), [(9.9, True), (10.0, True), (10.1, False)])
def test_the_oldest_publication_tells_how_far_behind(age: float, expected: bool) -> None:
    waiting: list[Item] = ["a reply", publication(at=5.0), publication(at=5.0 + age)]
    assert expected == Backlog(1 << 20, 10.0, Drops()).admit(waiting, 5.0 + age)


def test_each_publication_counts_once_however_often_it_is_looked_at() -> None:
    backlog = Backlog(2, HOUR, Drops())
    waiting: list[Item] = [publication()]
    assert [True] * 3 == [backlog.admit(waiting, 0.0) for _ in range(3)]
    waiting.append(publication())
    assert backlog.admit(waiting, 0.0)
    waiting.append(publication())
    assert not backlog.admit(waiting, 0.0)


def test_its_own_replies_and_the_history_it_asked_for_are_not_counted() -> None:
    waiting: list[Item] = ["a" * 1000, b"b" * 1000, Replay(publication(1000, at=-HOUR)), Shared()]
    assert Backlog(1, 1.0, Drops()).admit(waiting, HOUR)
    assert 4 == len(waiting)


def test_oldest_go_until_three_quarters_are_left_and_their_note_stands_in_their_place() -> None:
    drops = Drops()
    waiting: list[Item] = ["reply", *(publication(10, overflow=OLDEST, offset=n) for n in range(1, 12))]
    assert Backlog(100, HOUR, drops).admit(waiting, 0.0)
    assert ["reply", [4], 5, 6, 7, 8, 9, 10, 11] == shown(waiting)
    assert Drops(oldest=4) == drops


def test_oldest_go_when_they_are_too_old() -> None:
    waiting: list[Item] = [publication(at=at, overflow=OLDEST, offset=int(at)) for at in (1, 2, 3, 4, 11)]
    assert Backlog(100, 10.0, Drops()).admit(waiting, 11.1)
    assert [[3], 4, 11] == shown(waiting)


def test_newest_go_while_there_is_no_place_and_each_gap_has_its_note() -> None:
    drops = Drops()
    backlog = Backlog(30, HOUR, drops)
    waiting: list[Item] = [publication(10, overflow=NEWEST, offset=n) for n in range(1, 6)]
    assert backlog.admit(waiting, 0.0)
    assert [1, 2, 3, [2]] == shown(waiting)
    waiting.append(publication(10, overflow=NEWEST, offset=6))
    assert backlog.admit(waiting, 0.0)
    assert [1, 2, 3, [3]] == shown(waiting)
    waiting = let_read(backlog, waiting, 2)
    waiting += [publication(10, overflow=NEWEST, offset=n) for n in (7, 8, 9)]
    assert backlog.admit(waiting, 0.0)
    assert [3, [3], 7, 8, [1]] == shown(waiting)
    assert Drops(newest=4) == drops


def test_newest_go_while_the_oldest_is_too_old() -> None:
    backlog = Backlog(100, 10.0, Drops())
    waiting: list[Item] = [publication(at=0.0, overflow=NEWEST, offset=1)]
    assert backlog.admit(waiting, 0.0)
    for at in (10.0, 10.1, 20.0):
        waiting.append(publication(at=at, overflow=NEWEST, offset=int(at)))
        assert backlog.admit(waiting, at)
    assert [1, 10, [2]] == shown(waiting)


def test_newest_value_of_a_key_takes_the_place_of_the_one_before() -> None:
    drops = Drops()
    backlog = Backlog(100, HOUR, drops)
    waiting: list[Item] = []
    for offset, key in enumerate(["x", "y", "x", None, "y", "x", "z"], 1):
        waiting.append(publication(overflow=CONFLATE, offset=offset, key=key))
        assert backlog.admit(waiting, 0.0)
    # Each is sent when its key's turn has come, not when it last changed.
    assert [6, 5, [1], 4, [2], 7] == shown(waiting)
    assert Drops(conflated=3) == drops


def test_what_comes_when_the_client_reads_again_came_to_one_that_was_behind() -> None:
    backlog = Backlog(100, HOUR, Drops())
    waiting: list[Item] = [publication(overflow=CONFLATE, key="x", offset=1)]
    assert backlog.admit(waiting, 0.0)
    waiting.append(publication(overflow=CONFLATE, key="x", offset=2))
    assert [2, [1]] == shown(backlog.resume(waiting, 0.0))


def test_what_is_past_its_deadline_is_not_sent_to_who_reads_again() -> None:
    drops = Drops()
    backlog = Backlog(100, HOUR, drops)
    waiting: list[Item] = [publication(10, deadline=at, offset=int(at)) for at in (1.0, 2.0)]
    assert backlog.admit(waiting, 0.0)
    waiting = backlog.resume(waiting, 1.0)
    assert ([[1], 2], 1) == (shown(waiting), drops.expired)
    assert 1 == backlog.missed
    assert backlog.admit(waiting, 1.0)
    # What expired makes place.
    waiting.append(publication(90, offset=3))
    assert backlog.admit(waiting, 1.0)


def test_newest_value_of_a_key_does_not_overtake_an_answer() -> None:
    backlog = Backlog(100, HOUR, Drops())
    waiting: list[Item] = [
        publication(overflow=CONFLATE, offset=1, key="x"),
        "history",
        publication(overflow=CONFLATE, offset=2, key="x"),
    ]
    assert backlog.admit(waiting, 0.0)
    assert [1, "history", 2] == shown(waiting)
    waiting = let_read(backlog, waiting, 0)
    waiting.append(publication(overflow=CONFLATE, offset=3, key="x"))
    assert backlog.admit(waiting, 0.0)
    assert [1, "history", 3, [1]] == shown(waiting)


def test_keys_of_two_rooms_are_two_keys() -> None:
    waiting: list[Item] = [publication(overflow=CONFLATE, room=room, key="x") for room in "aab"]
    assert Backlog(100, HOUR, Drops()).admit(waiting, 0.0)
    assert 3 == len(waiting)


def test_values_that_are_replaced_make_place_and_are_never_late() -> None:
    backlog = Backlog(100, 10.0, Drops())
    waiting: list[Item] = []
    for number in range(1000):
        waiting.append(publication(60, at=number, overflow=CONFLATE, key="x", offset=number))
        assert backlog.admit(waiting, number)
    assert [999, [999]] == shown(waiting)


def test_newest_value_stays_when_others_are_dropped_for_their_age() -> None:
    waiting: list[Item] = [
        publication(at=0.0, overflow=CONFLATE, key="x", offset=1),
        publication(at=0.0, overflow=CONFLATE, offset=2),
        publication(at=0.0, overflow=OLDEST, offset=3),
    ]
    assert Backlog(100, 10.0, Drops()).admit(waiting, 10.1)
    assert [1, [2]] == shown(waiting)


def test_too_many_keys_lose_the_oldest() -> None:
    waiting: list[Item] = [publication(10, overflow=CONFLATE, key=str(n), offset=n) for n in range(11)]
    assert Backlog(100, HOUR, Drops()).admit(waiting, 0.0)
    assert [[4], 4, 5, 6, 7, 8, 9, 10] == shown(waiting)


def test_what_may_be_dropped_goes_before_the_session_does() -> None:
    drops = Drops()
    waiting: list[Item] = [
        *(publication(20, room="d", offset=n) for n in (1, 2)),
        *(publication(20, overflow=NEWEST, room="n", offset=n) for n in (1, 2)),
        publication(20, overflow=OLDEST, room="o", offset=1),
        publication(41, room="d", offset=3),
    ]
    assert Backlog(100, HOUR, drops).admit(waiting, 0.0)
    assert [1, 2, [1], [1], [1], 3] == shown(waiting)
    assert Drops(oldest=1, newest=2) == drops
    waiting.append(publication(20, room="d", offset=4))
    backlog = Backlog(100, HOUR, drops)
    assert not backlog.admit(waiting, 0.0)


@pytest.mark.parametrize("between", ["joined", Replay(publication(room="a"))], ids=["answer", "history"])
def test_note_grows_no_more_once_something_behind_it_tells_of_a_place_in_its_room(between: Item) -> None:
    backlog = Backlog(10, HOUR, Drops())
    waiting: list[Item] = [
        *(publication(10, overflow=NEWEST, offset=n) for n in (1, 2)),
        between,
        *(publication(10, overflow=NEWEST, offset=n) for n in (3, 4)),
    ]
    assert backlog.admit(waiting, 0.0)
    assert [1, [1], between, [2]] == shown(waiting)
    waiting = let_read(backlog, waiting, 0)
    waiting.append(publication(10, overflow=NEWEST, offset=5))
    assert backlog.admit(waiting, 0.0)
    assert [1, [1], between, [3]] == shown(waiting)


@pytest.mark.parametrize("between", ["joined", Replay(publication(room="a"))], ids=["answer", "history"])
def test_what_goes_from_the_front_has_its_note_on_its_own_side_of_an_answer(between: Item) -> None:
    waiting: list[Item] = [
        *(publication(10, overflow=OLDEST, offset=n) for n in (1, 2)),
        between,
        *(publication(10, overflow=OLDEST, offset=n) for n in (3, 4)),
    ]
    assert Backlog(20, HOUR, Drops()).admit(waiting, 0.0)
    assert [[2], between, [1], 4] == shown(waiting)


def test_note_of_what_expired_before_goes_on_behind_it() -> None:
    backlog = Backlog(10, HOUR, Drops())
    waiting: list[Item] = [publication(10, room="b"), Missed("a", 2)]
    for offset in (3, 4):
        waiting.append(publication(10, overflow=NEWEST, offset=offset))
        assert backlog.admit(waiting, 0.0)
    assert [1, [4]] == shown(waiting)


@pytest.mark.parametrize("overflow", [OLDEST, NEWEST], ids=str)
@pytest.mark.parametrize(("excess", "expected"), [(-1, True), (0, True), (1, False)])
def test_session_that_misses_something_in_too_many_places_must_go(
    overflow: Overflow, excess: int, expected: bool
) -> None:
    backlog = Backlog(0, HOUR, Drops())
    waiting: list[Item] = [publication(room=str(n), overflow=overflow) for n in range(MAX_NOTES - 1)]
    assert backlog.admit(waiting, 0.0)
    waiting = let_read(backlog, waiting, 0)
    for number in range(1 + excess):
        waiting.append(publication(room=f"another {number}", overflow=overflow))
    assert expected == backlog.admit(waiting, 0.0)


def presence(count: int, room: str = "a") -> PresenceDiff:
    return PresenceDiff(room, count, count, {Change.JOINED: [Member(str(count))]})


def test_presence_waits_once_for_each_room_and_of_more_than_one_only_the_numbers() -> None:
    backlog = Backlog(0, HOUR, Drops())
    first, other = presence(1), presence(7, "b")
    waiting: list[Item] = [first]
    for diff in (other, presence(2), presence(3)):
        waiting.append(diff)
        assert backlog.admit(waiting, 0.0)
    told, also_told = waiting
    assert isinstance(told, PresenceDiff)
    assert (("a", 3, 3, None), other) == ((told.room, told.count, told.users, told.changes), also_told)
    # The others who share it are told all.
    assert 1 == first.count
    assert first.changes is not None
    # Behind an answer, which may be to a new join, it begins anew.
    waiting += ["joined", newest := presence(4)]
    assert backlog.admit(waiting, 0.0)
    assert [told, other, "joined", newest] == waiting
    waiting = let_read(backlog, waiting, 0)
    waiting.append(presence(5))
    assert backlog.admit(waiting, 0.0)
    assert [told, other, "joined"] == waiting[:-1]
    assert isinstance(waiting[-1], PresenceDiff)
    assert (5, None) == (waiting[-1].count, waiting[-1].changes)


STRATEGY = st.sampled_from([DISCONNECT, OLDEST, NEWEST, CONFLATE])


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            STRATEGY,
            st.integers(1, 40),
            st.sampled_from([None, "x", "y"]),
            st.integers(0, 3),
        ),
        max_size=60,
    )
)
def test_what_is_told_as_missed_is_exactly_what_is_not_there(
    steps: list[tuple[int, Overflow, int, str | None, int]],
) -> None:
    """Each step publishes in a room, under its strategy; then the client may read some."""
    drops = Drops()
    strategies = {room: strategy for room, strategy, *_ in reversed(steps)}
    backlog = Backlog(100, HOUR, drops)
    waiting: list[Item] = []
    read: list[Item] = []
    published: dict[str, int] = {}
    for number, _, weight, key, reads in steps:
        room, overflow = str(number), strategies[number]
        published[room] = published.get(room, 0) + 1
        waiting.append(
            publication(
                weight,
                room=room,
                overflow=overflow,
                offset=published[room],
                key=key if overflow is CONFLATE else None,
            )
        )
        if not backlog.admit(waiting, 0.0):
            assert any(isinstance(item, Publication) and item.overflow is DISCONNECT for item in waiting)
            return
        assert sum(item.weight for item in waiting if isinstance(item, Publication)) <= 100
        if reads:
            waiting = backlog.resume(waiting, 0.0)
            read += waiting[:reads]
            del waiting[:reads]
    for room, count in published.items():
        told = [
            item for item in read + waiting if isinstance(item, Publication | Missed) and item.room == room
        ]
        missed = sum(item.count for item in told if isinstance(item, Missed))
        heard = [item.offset for item in told if isinstance(item, Publication)]
        assert count == missed + len(heard)
        assert len(heard) == len(set(heard))
        if strategies[int(room)] is not CONFLATE:
            assert_gaps_are_marked(told, count)
    assert sum(item.count for item in read + waiting if isinstance(item, Missed)) == (
        drops.oldest + drops.newest + drops.conflated
    )


def assert_gaps_are_marked(told: list[Publication | Missed], last: int) -> None:
    position = 0
    for item in told:
        if isinstance(item, Missed):
            position += item.count
        else:
            position += 1
            assert position == item.offset
    assert position == last


@pytest.mark.parametrize("wrap", [lambda one: one, Replay], ids=["live", "replayed"])
def test_what_is_past_its_deadline_is_left_out_with_a_note(wrap: Callable[[Publication], Item]) -> None:
    drops = Drops()
    items: list[Item] = [
        "reply",
        *(
            wrap(publication(offset=n, deadline=deadline))
            for n, deadline in enumerate([10.1, 9.9, 10.0, HOUR], 1)
        ),
        wrap(publication(room="b", deadline=1.0)),
        wrap(publication(room="a", deadline=1.0)),
    ]
    kept = without_expired(items, 10.0, drops)
    assert [items[0], items[1], items[4]] == [item for item in kept if not isinstance(item, Missed)]
    notes = [(item.room, item.count) for item in kept if isinstance(item, Missed)]
    assert ([("a", 2), ("b", 1), ("a", 1)], 4) == (notes, drops.expired)
