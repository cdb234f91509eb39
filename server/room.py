"""Room: its members, and the sequence that gives every publication its place."""

import secrets
from itertools import islice
from typing import final

from .history import History
from .outbox import Outbox
from .overflow import Overflow
from .presence import Change, Changes, Member, PresenceDiff


@final
class Room:
    """One life of a room: offsets count from 1 in its `epoch`, which no other life shares."""

    __slots__ = (
        "_changes",
        "_named",
        "_sessions_of",
        "epoch",
        "history",
        "listeners",
        "members",
        "name",
        "offset",
        "overflow",
    )

    def __init__(self, name: str, overflow: Overflow) -> None:
        self.name = name
        self.overflow = overflow
        self.epoch = secrets.token_urlsafe(6)
        self.offset = 0
        self.history = History()
        # In the order of joining; a dict for its constant-time removal.
        self.members: dict[Outbox, Member] = {}
        # Those of the members who hear of the others.
        self.listeners: dict[Outbox, None] = {}
        # How many sessions each user has here; the nameless ones aren't users.
        self._sessions_of: dict[str, int] = {}
        self._named = 0
        self._changes = Changes()

    def next_offset(self) -> int:
        """Give out the next place: the room's one sequencer."""
        self.offset += 1
        return self.offset

    @property
    def users(self) -> int:
        """How many users there are: all sessions of a name are one, each nameless session is another."""
        return len(self._sessions_of) + len(self.members) - self._named

    def users_here(self, limit: int) -> list[tuple[str, int]]:
        """List the users who have a name, up to `limit`, with the number of their sessions."""
        return list(islice(self._sessions_of.items(), limit))

    def admit(self, outbox: Outbox, member: Member) -> None:
        """Take in a member, or change what is told of one."""
        before = self.members.get(outbox)
        if before is not None:
            self._uncount(before)
        self.members[outbox] = member
        if member.user is not None:
            self._named += 1
            self._sessions_of[member.user] = self._sessions_of.get(member.user, 0) + 1
        if member.hears_presence:
            self.listeners[outbox] = None
        else:
            self.listeners.pop(outbox, None)
            outbox.part()
        self._note(Change.JOINED if before is None else Change.CHANGED, member)

    def dismiss(self, outbox: Outbox) -> None:
        """Let a member go."""
        member = self.members.pop(outbox)
        self._uncount(member)
        self.listeners.pop(outbox, None)
        outbox.part()
        self._note(Change.LEFT, member)

    def take_diff(self) -> PresenceDiff:
        """Return what has changed since the last time."""
        return PresenceDiff(self.name, len(self.members), self.users, self._changes.take(len(self.listeners)))

    def _uncount(self, member: Member) -> None:
        if member.user is None:
            return
        self._named -= 1
        self._sessions_of[member.user] -= 1
        if not self._sessions_of[member.user]:
            del self._sessions_of[member.user]

    def _note(self, change: Change, member: Member) -> None:
        if self.listeners:
            self._changes.note(change, member)
        else:
            self._changes.clear()
