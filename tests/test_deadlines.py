"""Deadlines: each entry's time is up once, when its delay has passed, and not before."""

import weakref

from hypothesis import given
from hypothesis import strategies as st

from server.deadlines import Deadlines


class Entry:
    pass


def test_time_is_up_when_the_delay_has_passed_and_not_before() -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    deadlines.add("a", 100.0)
    assert [] == deadlines.expired(109.999)
    assert ["a"] == deadlines.expired(110.0)


def test_time_is_up_once() -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    deadlines.add("a", 100.0)
    assert ["a"] == deadlines.expired(200.0)
    assert [] == deadlines.expired(200.0)
    assert 0 == len(deadlines)
    assert "a" not in deadlines


def test_those_whose_time_is_up_come_in_the_order_they_were_added() -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    for second, entry in enumerate("cab"):
        deadlines.add(entry, 100.0 + second)
    assert ["c", "a"] == deadlines.expired(111.5)
    assert (1, True, False) == (len(deadlines), "b" in deadlines, "a" in deadlines)


def test_added_again_the_time_starts_anew() -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    deadlines.add("a", 100.0)
    deadlines.add("b", 101.0)
    deadlines.add("a", 105.0)
    assert 2 == len(deadlines)
    assert ["b"] == deadlines.expired(114.999)
    assert ["a"] == deadlines.expired(115.0)


def test_who_was_discarded_never_expires() -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    deadlines.add("a", 100.0)
    for _ in range(2):
        deadlines.discard("a")
        assert 0 == len(deadlines)
    assert [] == deadlines.expired(200.0)


def test_postponed_all_get_that_much_more_time_and_keep_their_order() -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    deadlines.add("a", 100.0)
    deadlines.add("b", 101.0)
    deadlines.postpone(5.0)
    deadlines.add("c", 106.0)
    assert [] == deadlines.expired(114.999)
    assert ["a"] == deadlines.expired(115.0)
    assert ["b", "c"] == deadlines.expired(116.0)


def test_who_is_gone_is_not_kept() -> None:
    deadlines: Deadlines[Entry] = Deadlines(10.0)
    expired, discarded = Entry(), Entry()
    kept = [weakref.ref(expired), weakref.ref(discarded)]
    deadlines.add(expired, 100.0)
    deadlines.add(discarded, 100.0)
    deadlines.discard(discarded)
    deadlines.expired(110.0)
    del expired, discarded
    assert [None, None] == [reference() for reference in kept]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["add", "discard"]), st.integers(0, 4))))
def test_an_entry_expires_a_delay_after_it_was_last_added(steps: list[tuple[str, str, int]]) -> None:
    deadlines: Deadlines[str] = Deadlines(5.0)
    due: dict[str, float] = {}
    now = 0.0
    for entry, step, seconds in steps:
        now += seconds
        expected = {other for other, time in due.items() if time <= now}
        assert expected == set(deadlines.expired(now))
        due = {other: time for other, time in due.items() if other not in expected}
        due.pop(entry, None)
        if step == "add":
            deadlines.add(entry, now)
            due[entry] = now + 5.0
        else:
            deadlines.discard(entry)
        assert set(due) == {other for other in "abcd" if other in deadlines}
        if due:
            # Of those added at one time the first.
            assert due[deadlines.oldest()] == min(due.values())
