"""The log check says nothing of good logs, and what is wrong with bad ones."""

import pytest

from tests.logcheck import Json, LogCheck

WELCOME = {"type": "welcome", "id": "s", "token": "t"}
LEFT = {"type": "left", "room": "a"}


def joined(offset: int, epoch: str = "e", *, recovered: bool = False) -> Json:
    return {"type": "joined", "room": "a", "epoch": epoch, "offset": offset, "recovered": recovered}


def heard(*offsets: int, room: str = "a") -> list[Json]:
    return [{"type": "message", "room": room, "offset": offset} for offset in offsets]


def missed(count: int) -> Json:
    return {"type": "missed", "room": "a", "count": count}


def ack(offset: int, **more: bool) -> Json:
    return {"type": "ack", "room": "a", "offset": offset, **more}


FIRST = [WELCOME, joined(4), *heard(5, 6)]

GOOD = {
    "nothing": [],
    "without a gap": FIRST,
    "a room nobody ever wrote in": [WELCOME, joined(0), *heard(1, 2)],
    "another room counts for itself": [*FIRST, {**joined(0), "room": "b"}, *heard(1, room="b"), *heard(7)],
    "another client's": [*FIRST, *heard(3, room="b"), {"type": "broadcast", "message": 1}, *heard(7)],
    "in again, while in": [*FIRST, joined(6), *heard(7)],
    "recovered": [*FIRST, WELCOME, joined(8, recovered=True), *heard(7, 8, 9)],
    "recovered where nothing was missed": [*FIRST, WELCOME, joined(6, recovered=True), *heard(7)],
    "left and recovered": [*FIRST, LEFT, joined(7, recovered=True), *heard(7, 8)],
    "not recovered": [*FIRST, WELCOME, joined(8), *heard(9)],
    "another life": [*FIRST, WELCOME, joined(0, "f"), *heard(1)],
    "not in the room": [*FIRST, WELCOME, *heard(9), missed(3), ack(9), joined(6, recovered=True), *heard(7)],
    "left": [*FIRST, LEFT, *heard(1, 9)],
    "left what was never joined": [WELCOME, LEFT],
    "missed": [*FIRST, missed(2), *heard(9)],
    "missed twice in one place": [*FIRST, missed(2), missed(1), *heard(10)],
    "missed at last": [*FIRST, missed(2)],
    "missed on coming back": [*FIRST, WELCOME, joined(9, recovered=True), *heard(7), missed(1), *heard(9)],
    "back behind what was missed": [*FIRST, missed(2), WELCOME, joined(9, recovered=True), *heard(9)],
    "back to what was heard": [*FIRST, missed(2), WELCOME, joined(8, recovered=True), *heard(7, 8)],
    "own without an echo": [*FIRST, ack(7), *heard(8), ack(9), ack(10), *heard(11)],
    "own with an echo": [*FIRST, *heard(7), ack(7), *heard(8)],
    "own among missed": [*FIRST, missed(2), ack(8), *heard(10)],
    "own, and back behind it": [*FIRST, ack(7), WELCOME, joined(8, recovered=True), *heard(8)],
    "own, and back before it": [*FIRST, ack(7), WELCOME, joined(8, recovered=True), *heard(7, 8)],
    "own again": [*FIRST, WELCOME, joined(7, recovered=True), *heard(7), ack(7, duplicate=True), *heard(8)],
    "own of another life again": [WELCOME, joined(0, "f"), ack(7, duplicate=True), *heard(1)],
}  # fmt: skip

BAD = {
    "first one not heard": ([WELCOME, joined(4), *heard(6)], 1),
    "gap": ([*FIRST, *heard(8)], 1),
    "two gaps": ([*FIRST, *heard(8, 10)], 2),
    "duplicate": ([*FIRST, *heard(6)], 1),
    "out of order": ([*FIRST, *heard(8, 7, 9)], 2),
    "before its time": ([WELCOME, joined(4), *heard(4)], 1),
    "recovered with a gap": ([*FIRST, WELCOME, joined(8, recovered=True), *heard(8)], 1),
    "recovered what was heard": ([*FIRST, WELCOME, joined(8, recovered=True), *heard(6, 7, 8)], 1),
    "new before what is recovered": ([*FIRST, WELCOME, joined(7, recovered=True), *heard(8, 7)], 2),
    "recovered in another life": ([*FIRST, WELCOME, joined(8, "f", recovered=True), *heard(9)], 1),
    "recovered while in": ([*FIRST, joined(6, recovered=True)], 1),
    "recovered by who never was there": ([WELCOME, joined(8, recovered=True)], 1),
    "not recovered, but sent nonetheless": ([*FIRST, WELCOME, joined(8), *heard(7)], 1),
    "one life goes backwards": ([*FIRST, WELCOME, joined(5)], 1),
    "in again, while something is lost": ([*FIRST, joined(7)], 1),
    "too many told as missed": ([*FIRST, missed(2), *heard(8)], 1),
    "too few told as missed": ([*FIRST, missed(1), *heard(9)], 1),
    "told behind the gap": ([*FIRST, *heard(8), missed(1), *heard(9)], 2),
    "heard what was told as missed": ([*FIRST, missed(1), *heard(7)], 1),
    "missed, back, and missed again": ([*FIRST, missed(1), WELCOME, joined(9, recovered=True), *heard(9)], 1),
    "own doesn't stand for another's": ([*FIRST, ack(8), *heard(9)], 1),
}


@pytest.mark.parametrize("log", GOOD.values(), ids=GOOD)
def test_good_log_has_no_problem(log: list[Json]) -> None:
    assert [] == check(log).problems


@pytest.mark.parametrize(("log", "count"), BAD.values(), ids=BAD)
def test_bad_log_has_as_many_problems_as_there_are(log: list[Json], count: int) -> None:
    problems = check(log).problems
    assert count == len(problems), problems
    assert all(problem.startswith("a: ") for problem in problems)


@pytest.mark.parametrize(
    ("log", "offset"),
    [
        (FIRST, 6),
        ([*FIRST, missed(2)], 8),
        ([*FIRST, missed(2), ack(9)], 9),
        ([*FIRST, WELCOME], 6),
        ([*FIRST, missed(1), WELCOME, joined(9, recovered=True)], 7),
        ([*FIRST, WELCOME, joined(9)], 9),
    ],
)
def test_client_goes_on_behind_what_it_heard_and_what_it_was_told_of(log: list[Json], offset: int) -> None:
    assert {"epoch": "e", "offset": offset} == check(log).since("a")


def test_who_never_was_there_has_nowhere_to_go_on() -> None:
    assert check(FIRST).since("b") is None


def check(log: list[Json]) -> LogCheck:
    checked = LogCheck()
    for message in log:
        checked.hear(message)
    return checked
