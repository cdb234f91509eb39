"""How far a session that doesn't read may fall behind: in octets, and in seconds."""

import pytest

from server.flow import PUBLICATION_OVERHEAD, Backlog
from server.publication import Kind, Publication
from server.tick import Item

HOUR = 3600.0


def publication(size: int, published_at: float = 0.0) -> Publication:
    return Publication(Kind.MESSAGE, "a", 1, 1, 0.0, published_at, "s", "u", "", size)


@pytest.mark.parametrize(("excess", "expected"), [(-1, False), (0, False), (1, True)])
def test_octets_that_wait_are_held_to_their_limit(excess: int, expected: bool) -> None:
    waiting: list[Item] = [publication(40), publication(60 + excess)]
    assert expected == Backlog().is_over(waiting, 0.0, 100 + 2 * PUBLICATION_OVERHEAD, HOUR)


@pytest.mark.parametrize(("age", "expected"), [(9.9, False), (10.0, False), (10.1, True)])
def test_the_oldest_publication_tells_how_far_behind(age: float, expected: bool) -> None:
    waiting: list[Item] = [
        "a reply",
        publication(1, published_at=5.0),
        publication(1, published_at=5.0 + age),
    ]
    assert expected == Backlog().is_over(waiting, 5.0 + age, 1 << 20, 10.0)


def test_each_publication_counts_once_however_often_it_is_looked_at() -> None:
    backlog = Backlog()
    limit = 2 * (1 + PUBLICATION_OVERHEAD)
    waiting: list[Item] = [publication(1)]
    assert [False] * 3 == [backlog.is_over(waiting, 0.0, limit, HOUR) for _ in range(3)]
    waiting.append(publication(1))
    assert not backlog.is_over(waiting, 0.0, limit, HOUR)
    waiting.append(publication(1))
    assert backlog.is_over(waiting, 0.0, limit, HOUR)


def test_replies_of_its_own_are_not_counted() -> None:
    waiting: list[Item] = ["a" * 1000, b"b" * 1000]
    assert not Backlog().is_over(waiting, HOUR, 1, 1.0)
