"""Rooms: those with members, and those that have none left and may come to life again."""

from collections.abc import Iterator
from typing import final

from .deadlines import Deadlines
from .history import Archive
from .overflow import OverflowRules
from .refusal import Refusal
from .room import Room


@final
class Rooms:
    """Finds rooms by name. One without members keeps its epoch for as long as a history is kept."""

    __slots__ = ("_archive", "_by_name", "_empty", "_max_rooms", "_overflow")

    def __init__(self, max_rooms: int, archive: Archive, overflow: OverflowRules) -> None:
        self._max_rooms = max_rooms
        self._archive = archive
        self._overflow = overflow
        self._by_name: dict[str, Room] = {}
        self._empty: Deadlines[Room] = Deadlines(archive.max_seconds)

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[Room]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Room | None:
        """Find the room of that name."""
        return self._by_name.get(name)

    def open(self, name: str) -> Room:
        """Find or make the room of that name; for a new one the longest empty one may have to go.

        A new one is nobody's yet: say so with `fill` or `empty`. Raises Refusal.
        """
        room = self._by_name.get(name)
        if room is not None:
            return room
        if len(self._by_name) >= self._max_rooms:
            if not self._empty:
                raise Refusal("too_many_rooms", "The server has no place for another room.")
            self._drop(self._empty.oldest())
        room = self._by_name[name] = Room(name, self._overflow.of(name))
        return room

    def fill(self, room: Room) -> None:
        """Note that a room has a member."""
        self._empty.discard(room)

    def empty(self, room: Room, now: float) -> None:
        """Note that a room has no member, or that something happened in one that has none."""
        self._empty.add(room, now)

    def sweep(self, now: float) -> None:
        """Forget the rooms that were empty for long enough, and the histories that are too old."""
        for room in self._empty.expired(now):
            self._drop(room)
        self._archive.sweep(now)

    def _drop(self, room: Room) -> None:
        self._empty.discard(room)
        self._archive.forget(room.history)
        del self._by_name[room.name]
