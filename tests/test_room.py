"""A room's sequence, and its members."""

from server.overflow import DISCONNECT
from server.presence import Change, Member
from server.room import Room
from tests.stage import Stage, owner_of


def test_offsets_count_from_1_without_a_gap() -> None:
    room = Room("general", DISCONNECT)
    assert ("general", 0) == (room.name, room.offset)
    assert [1, 2, 3] == [room.next_offset() for _ in range(3)]
    assert 3 == room.offset


def test_no_two_lives_of_a_room_share_an_epoch() -> None:
    epochs = {Room("general", DISCONNECT).epoch for _ in range(1000)}
    assert 1000 == len(epochs)
    assert all(epoch.isascii() and epoch.isprintable() for epoch in epochs)


def test_members_stand_in_the_order_of_joining() -> None:
    stage, room = Stage(), Room("general", DISCONNECT)
    assert [] == list(room.members)
    first, second, third = (stage.connect(id).outbox for id in "abc")
    for member in (second, third, first):
        room.admit(member, Member(owner_of(member).id))
    room.dismiss(third)
    assert [second, first] == list(room.members)


def test_users_are_counted_once_and_the_nameless_each() -> None:
    stage, room = Stage(), Room("general", DISCONNECT)
    sessions = [stage.connect(id) for id in "abcd"]
    for session, user in zip(sessions, ["alice", "alice", None, None], strict=True):
        room.admit(session.outbox, Member(session.id, user))
    assert (4, 3, [("alice", 2)]) == (len(room.members), room.users, room.users_here(10))
    room.admit(sessions[2].outbox, Member("c", "carol"))
    assert (4, 3, [("alice", 2)]) == (len(room.members), room.users, room.users_here(1))
    for session, users in zip(sessions, [3, 2, 1, 0], strict=True):
        room.dismiss(session.outbox)
        assert users == room.users
    assert [] == room.users_here(10)


def test_changes_are_noted_while_somebody_hears_of_them() -> None:
    stage, room = Stage(), Room("general", DISCONNECT)
    first, second, hearer = (stage.connect(id).outbox for id in "abc")
    room.admit(first, Member("a"))
    member = Member("c", hears_presence=True)
    room.admit(hearer, member)
    newcomer = Member("b", "bob")
    room.admit(second, newcomer)
    diff = room.take_diff()
    assert ("general", 3, 3) == (diff.room, diff.count, diff.users)
    assert {Change.JOINED: [member, newcomer], Change.LEFT: [], Change.CHANGED: []} == diff.changes
    # Who hears no longer, and nobody else does: what changes is forgotten.
    room.admit(first, Member("a", "al"))
    room.admit(hearer, Member("c"))
    assert [] == list(room.listeners)
    room.dismiss(second)
    room.admit(hearer, Member("c", hears_presence=True))
    room.dismiss(hearer)
    assert {Change.JOINED: [], Change.LEFT: [], Change.CHANGED: []} == room.take_diff().changes
