"""What the settings say becomes of publications for slow readers, and in which rooms."""

import re

import pytest

from server.overflow import DISCONNECT, Overflow, OverflowRules, Strategy

OLDEST = Overflow(Strategy.DROP_OLDEST)
NEWEST = Overflow(Strategy.DROP_NEWEST)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("disconnect", DISCONNECT),
        ("drop-oldest", OLDEST),
        ("drop-newest", NEWEST),
        ("conflate:symbol", Overflow(Strategy.CONFLATE, ("symbol",))),
        ("conflate:a.b", Overflow(Strategy.CONFLATE, ("a", "b"))),
    ],
)
def test_every_strategy_is_read_and_written(text: str, expected: Overflow) -> None:
    assert (expected, text) == (Overflow.parse(text), str(expected))


@pytest.mark.parametrize(
    "text", [" ", "drop", "Disconnect", "conflate", "conflate:", "conflate:a.", "conflate:.", "drop-oldest:a"]
)
def test_what_is_no_strategy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        Overflow.parse(text)


@pytest.mark.parametrize(
    ("room", "expected"),
    [("a.b", OLDEST), ("a.c", NEWEST), ("a.b.c", NEWEST), ("b", DISCONNECT), ("a", DISCONNECT)],
)
def test_first_pattern_that_stands_for_a_room_holds(room: str, expected: Overflow) -> None:
    rules = OverflowRules(DISCONNECT, [("a.b", OLDEST), ("a.>", NEWEST), ("a.b", DISCONNECT)])
    assert expected == rules.of(room)
