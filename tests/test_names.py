"""Patterns: which names are patterns, which of these are good, and for which rooms they stand."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.names import MAX_WORDS, check_pattern, check_room, is_pattern, matches
from tests.stage import refusal_of


@pytest.mark.parametrize("name", ["*", ">", "a.*", "*.a", "a.*.b", "a.>", "a..*", "*.*", ">.a"])
def test_word_that_stands_for_others_makes_a_pattern(name: str) -> None:
    assert is_pattern(name)
    assert "invalid_name" == refusal_of(lambda: check_room(name))


@pytest.mark.parametrize("name", ["a", "a*", "*a", "a.b*", "a>b", "a.>b", "a.b", "."])
def test_other_names_are_those_of_rooms(name: str) -> None:
    assert not is_pattern(name)
    check_room(name)


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("*", ""),
        ("a.>", ""),
        (">", ""),
        (">.a", "invalid_name"),
        ("a.>.*", "invalid_name"),
        ("*." * (MAX_WORDS - 2) + "*", ""),
        ("*." * (MAX_WORDS - 1) + "*", ""),
        ("*." * MAX_WORDS + "*", "invalid_name"),
        ("*." + "a" * 126, ""),
        ("*." + "a" * 127, "invalid_name"),
        ("*.\n", "invalid_name"),
    ],
)
def test_pattern_has_its_bounds(pattern: str, code: str) -> None:
    assert code == refusal_of(lambda: check_pattern(pattern))


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a", "a.b", False),
        ("*", "a", True),
        ("*", "a.b", False),
        ("*", "", True),
        (">", "a", True),
        (">", "a.b.c", True),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("a.*", "a.", True),
        ("a.>", "a", False),
        ("a.>", "a.b", True),
        ("a.>", "a.b.c", True),
        ("a.>", "b.c", False),
        ("*.b", "a.b", True),
        ("*.b", "a.c", False),
        ("*.b.>", "a.b.c.d", True),
        ("*.b.>", "a.b", False),
    ],
)
def test_star_stands_for_one_word_and_the_arrow_for_all_that_follow(
    pattern: str, name: str, expected: bool
) -> None:
    assert expected == matches(pattern, name)


WORD = st.sampled_from(["a", "b", "*"])
PATTERN = st.builds(
    lambda words, last: ".".join([*words, *last]),
    st.lists(WORD, max_size=3),
    st.sampled_from([["a"], ["*"], [">"]]),
)


@given(PATTERN, PATTERN)
def test_pattern_that_matches_a_pattern_matches_all_rooms_that_that_one_does(one: str, other: str) -> None:
    rooms = [".".join(words) for size in range(1, 6) for words in product("abc", repeat=size)]
    expected = {room for room in rooms if matches(other, room)} <= {
        room for room in rooms if matches(one, room)
    }
    assert expected == matches(one, other)
