"""A room's sequence, and its members."""

from server.rooms import Room
from tests.stage import Stage


def test_offsets_count_from_1_without_a_gap() -> None:
    room = Room("general")
    assert ("general", 0) == (room.name, room.offset)
    assert [1, 2, 3] == [room.next_offset() for _ in range(3)]
    assert 3 == room.offset


def test_no_two_lives_of_a_room_share_an_epoch() -> None:
    epochs = {Room("general").epoch for _ in range(1000)}
    assert 1000 == len(epochs)
    assert all(epoch.isascii() and epoch.isprintable() for epoch in epochs)


def test_members_stand_in_the_order_of_joining() -> None:
    stage, room = Stage(), Room("general")
    assert [] == list(room.members)
    first, second, third = (stage.connect(id) for id in "abc")
    for member in (second, third, first):
        room.members[member] = None
    del room.members[third]
    assert [second, first] == list(room.members)
