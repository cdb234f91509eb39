"""Room: its members, and the sequence that gives every publication its place."""

import secrets
from typing import final

from .session import Session


@final
class Room:
    """One life of a room: offsets count from 1 in its `epoch`, which no other life shares."""

    __slots__ = ("epoch", "members", "name", "offset")

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = secrets.token_urlsafe(6)
        self.offset = 0
        # In the order of joining; a dict for its constant-time removal.
        self.members: dict[Session, None] = {}

    def next_offset(self) -> int:
        """Give out the next place: the room's one sequencer."""
        self.offset += 1
        return self.offset
