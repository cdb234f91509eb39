"""Histories: bounded by number, age and size, each and together, and never with a gap."""

import pytest

from server.history import Archive, History
from server.publication import Kind, Publication


def publish(archive: Archive, history: History, *, at: float = 0.0, weight: int = 1) -> Publication:
    publication = Publication(Kind.MESSAGE, "a", 1, 1, 0.0, at, "s", "u", "", weight)
    archive.append(history, publication)
    return publication


def kept(history: History) -> list[Publication]:
    return [replay.publication for replay in history.replays]


@pytest.mark.parametrize("limit", [0, 1, 2, 100])
@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_history_holds_so_many_publications_and_the_newest(limit: int, excess: int) -> None:
    archive, history = Archive(max_publications=limit), History()
    published = [publish(archive, history) for _ in range(limit + excess)]
    assert published[-limit or len(published) :] == kept(history)
    assert len(kept(history)) == history.weight == archive.weight


@pytest.mark.parametrize(("excess", "expected"), [(-1, 2), (0, 2), (1, 1)])
def test_history_holds_so_many_octets(excess: int, expected: int) -> None:
    archive, history = Archive(max_weight=100), History()
    for weight in (60, 40 + excess):
        publish(archive, history, weight=weight)
    assert expected == len(kept(history))


def test_publication_larger_than_the_bound_leaves_nothing() -> None:
    archive, history = Archive(max_weight=100), History()
    for weight in (60, 101):
        publish(archive, history, weight=weight)
    assert ([], 0, 0) == (kept(history), history.weight, archive.weight)


@pytest.mark.parametrize(("age", "expected"), [(9.9, 2), (10.0, 2), (10.1, 1)])
def test_publication_is_kept_for_so_long(age: float, expected: int) -> None:
    archive, history = Archive(max_seconds=10.0), History()
    publish(archive, history, at=5.0)
    publish(archive, history, at=6.0)
    archive.trim(history, 5.0 + age)
    assert expected == len(kept(history)) == archive.weight


@pytest.mark.parametrize(("age", "expected"), [(9.9, 1), (10.0, 1), (10.1, 0)])
def test_sweep_drops_a_history_whose_newest_is_too_old(age: float, expected: int) -> None:
    archive, old, young = Archive(max_seconds=10.0), History(), History()
    publish(archive, old, at=5.0)
    publish(archive, young, at=6.0)
    archive.sweep(5.0 + age)
    assert (expected, 1) == (len(kept(old)), len(kept(young)))


@pytest.mark.parametrize(("excess", "expected"), [(-1, [1, 1, 1]), (0, [1, 1, 1]), (1, [1, 0, 1])])
def test_of_all_histories_the_one_that_was_written_to_longest_ago_is_the_first_to_lose(
    excess: int, expected: list[int]
) -> None:
    archive = Archive(max_total_weight=100, max_publications=1)
    histories = [History() for _ in range(3)]
    for history in histories:
        publish(archive, history, weight=20)
    publish(archive, histories[0], weight=20)
    publish(archive, histories[2], weight=60 + excess)
    assert expected == [len(kept(history)) for history in histories]
    assert sum(history.weight for history in histories) == archive.weight


def test_newest_come_in_their_order() -> None:
    archive, history = Archive(), History()
    published = [publish(archive, history) for _ in range(5)]
    for count in range(7):
        assert published[max(0, 5 - count) :] == [replay.publication for replay in history.newest(count)]


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (2, 2), (3, None)])
def test_since_is_all_or_nothing(count: int, expected: int | None) -> None:
    archive, history = Archive(max_publications=2), History()
    for _ in range(5):
        publish(archive, history)
    since = archive.since(history, count, 0.0)
    assert expected == (None if since is None else len(since))


def test_since_is_nothing_when_a_part_is_too_old() -> None:
    archive, history = Archive(max_seconds=10.0), History()
    for at in (0.0, 5.0):
        publish(archive, history, at=at)
    assert archive.since(history, 2, 11.0) is None
    assert 1 == len(archive.since(history, 1, 11.0) or [])


def test_history_that_is_forgotten_leaves_nothing() -> None:
    archive, history = Archive(), History()
    publish(archive, history)
    for _ in range(2):
        archive.forget(history)
        assert (0, 0, []) == (archive.weight, history.weight, kept(history))
    archive.sweep(1e9)
