"""The rooms that there are: how many, and which goes when there is no place."""

import pytest

from server.history import Archive
from server.overflow import DISCONNECT, Overflow, OverflowRules, Strategy
from server.publication import Kind, Publication
from server.rooms import Rooms
from tests.stage import refusal_of

OLDEST = Overflow(Strategy.DROP_OLDEST)


def names(rooms: Rooms) -> list[str]:
    return [room.name for room in rooms]


def make(max_rooms: int, archive: Archive | None = None) -> Rooms:
    return Rooms(
        max_rooms, archive or Archive(max_seconds=10.0), OverflowRules(DISCONNECT, [("slow.*", OLDEST)])
    )


def test_room_is_made_once_and_knows_what_holds_in_it() -> None:
    rooms = make(2)
    assert rooms.get("a") is None
    room = rooms.open("a")
    assert room is rooms.open("a") is rooms.get("a")
    assert (DISCONNECT, OLDEST) == (room.overflow, rooms.open("slow.b").overflow)
    assert (2, ["a", "slow.b"]) == (len(rooms), names(rooms))


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_there_are_so_many_rooms_and_the_longest_empty_goes_for_another(limit: int) -> None:
    rooms = make(limit)
    opened = [rooms.open(str(number)) for number in range(limit)]
    assert "too_many_rooms" == refusal_of(lambda: rooms.open("more"))
    for room in reversed(opened):
        rooms.empty(room, 0.0)
    rooms.fill(rooms.open("more"))
    assert [*(str(number) for number in range(limit - 1)), "more"] == names(rooms)


def test_room_that_has_a_member_again_stays() -> None:
    rooms = make(1)
    room = rooms.open("a")
    rooms.empty(room, 0.0)
    rooms.fill(room)
    rooms.sweep(11.0)
    assert ["a"] == names(rooms)
    assert "too_many_rooms" == refusal_of(lambda: rooms.open("b"))


@pytest.mark.parametrize(("age", "expected"), [(9.9, ["a"]), (10.0, []), (10.1, [])])
def test_empty_room_is_kept_for_so_long_since_something_happened_in_it(
    age: float, expected: list[str]
) -> None:
    rooms = make(2)
    room = rooms.open("a")
    rooms.empty(room, 0.0)
    rooms.empty(room, 5.0)
    rooms.sweep(5.0 + age)
    assert expected == names(rooms)


def test_room_that_goes_takes_its_history_along() -> None:
    archive = Archive(max_seconds=10.0)
    rooms = make(1, archive)
    room = rooms.open("a")
    archive.append(room.history, Publication(Kind.MESSAGE, "a", 1, 1, 0.0, 0.0, "s", "u", "", 7))
    rooms.empty(room, 0.0)
    assert 7 == archive.weight
    rooms.open("b")
    assert (0, ["b"]) == (archive.weight, names(rooms))
