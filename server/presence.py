"""Presence: who is in a room, and what has changed since its members were last told.

Changes are gathered for an interval and told together, each member's as one. Who came and went within it is
told of as gone: somebody may have asked in between who is here.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, final

import msgspec

from .publication import Shared
from .refusal import Refusal

# Octets of JSON that a member may tell of itself.
MAX_STATE: Final = 1024
# Changes told at a time, counted over all who hear of them: in a large room with a great coming and going
# only the numbers are told.
MAX_TOLD: Final = 65_536


@final
@dataclass(slots=True, eq=False)
class Member:
    """A session in a room: its id, the name it goes by, its state (JSON), and whether it hears of others."""

    id: str
    user: str | None = None
    state: msgspec.Raw | None = None
    hears_presence: bool = False


class Change(Enum):
    """The values are the names on the wire."""

    JOINED = "joined"
    LEFT = "left"
    CHANGED = "changed"


@final
class Changes:
    """What has changed in one room since it was last told."""

    __slots__ = ("_changes",)

    def __init__(self) -> None:
        # By id: whether a member was here before, its last change, and what it tells of itself.
        self._changes: dict[str, tuple[bool, Change, Member]] = {}

    def note(self, change: Change, member: Member) -> None:
        """Add a change to those of the same session before it."""
        before = self._changes.get(member.id)
        was_here = change is not Change.JOINED if before is None else before[0]
        self._changes[member.id] = was_here, change, member

    def clear(self) -> None:
        """Begin anew."""
        self._changes.clear()

    def take(self, hearers: int) -> dict[Change, list[Member]] | None:
        """Return all changes, and begin anew; None if they are too many to tell to so many."""
        changes, self._changes = self._changes, {}
        if len(changes) * hearers > MAX_TOLD:
            return None
        told: dict[Change, list[Member]] = {change: [] for change in Change}
        for was_here, change, member in changes.values():
            if change is not Change.LEFT:
                change = Change.CHANGED if was_here else Change.JOINED
            told[change].append(member)
        return told


@final
@dataclass(slots=True, eq=False)
class PresenceDiff(Shared):
    """What has changed in a room, in which there are now `count` sessions of `users` users.

    `changes` is None if there were too many to tell.
    """

    room: str
    count: int
    users: int
    changes: dict[Change, list[Member]] | None


def check_state(state: msgspec.Raw | None) -> None:
    """Hold what a member tells of itself to its bound. Raises Refusal."""
    if state is not None and memoryview(state).nbytes > MAX_STATE:
        raise Refusal("too_large", f"A member's state has up to {MAX_STATE} bytes of JSON.")
