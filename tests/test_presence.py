"""What changes among a room's members come to when they are told together."""

from itertools import product

import pytest
from msgspec import Raw

from server.presence import MAX_STATE, MAX_TOLD, Change, Changes, Member, check_state
from tests.stage import refusal_of

J, L, C = Change.JOINED, Change.LEFT, Change.CHANGED


def possible(story: tuple[Change, ...], is_here: bool) -> bool:
    for change in story:
        if (change is J) == is_here:
            return False
        is_here = change is not L
    return True


def difference(before: bool, after: bool) -> Change:
    """What an onlooker is to be told who looked before, or at any time since."""
    return {(False, True): J, (True, False): L, (True, True): C, (False, False): L}[before, after]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("was_here", [False, True])
def test_changes_come_to_one_that_is_right_whenever_an_onlooker_looked_last(
    length: int, was_here: bool
) -> None:
    stories = [story for story in product(Change, repeat=length) if possible(story, was_here)]
    assert stories
    for story in stories:
        changes, members = Changes(), [Member("a") for _ in story]
        for change, member in zip(story, members, strict=True):
            changes.note(change, member)
        told = changes.take(1)
        assert told is not None
        expected = difference(was_here, story[-1] is not L)
        assert {change: members[-1:] if change is expected else [] for change in Change} == told


def test_changes_are_told_once_and_in_their_order() -> None:
    changes = Changes()
    first, second = Member("a"), Member("b")
    changes.note(J, first)
    changes.note(J, second)
    assert {J: [first, second], L: [], C: []} == changes.take(1)
    assert {J: [], L: [], C: []} == changes.take(1)
    changes.note(L, first)
    changes.clear()
    assert {J: [], L: [], C: []} == changes.take(1)


@pytest.mark.parametrize(
    ("hearers", "is_told"), [(MAX_TOLD // 4 - 1, True), (MAX_TOLD // 4, True), (MAX_TOLD // 4 + 1, False)]
)
def test_changes_are_told_to_so_many_as_they_may_be(hearers: int, is_told: bool) -> None:
    changes = Changes()
    for number in range(4):
        changes.note(J, Member(str(number)))
    assert is_told == (changes.take(hearers) is not None)
    assert {J: [], L: [], C: []} == changes.take(hearers)


@pytest.mark.parametrize(
    ("size", "code"), [(MAX_STATE - 1, ""), (MAX_STATE, ""), (MAX_STATE + 1, "too_large")]
)
def test_state_has_a_bound(size: int, code: str) -> None:
    assert code == refusal_of(lambda: check_state(Raw(b'"' + b"a" * (size - 2) + b'"')))


def test_no_state_is_as_good_as_any() -> None:
    check_state(None)
