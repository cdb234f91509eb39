"""Ids: as many as are asked for, no two alike, and fit for a URL."""

import re

from server.ids import Ids


def test_no_two_are_alike_and_none_needs_an_escape_in_a_url() -> None:
    ids = Ids()
    made = [ids.new() for _ in range(1000)]
    assert len(made) == len(set(made))
    assert all(re.fullmatch("[A-Za-z0-9_-]{12}", id) for id in made)


def test_two_stocks_have_nothing_in_common() -> None:
    one, other = Ids(), Ids()
    assert not {one.new() for _ in range(100)} & {other.new() for _ in range(100)}
