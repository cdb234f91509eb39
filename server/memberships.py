"""Memberships: who is in which room, and who hears many by a pattern."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import final

from msgspec import Raw

from .deadlines import Deadlines
from .flow import Drops, without_expired
from .history import Archive
from .names import check_name, check_pattern, is_pattern
from .overflow import Strategy
from .patterns import Pattern, Patterns
from .presence import Member, check_state
from .publication import Replay
from .refusal import Refusal
from .registry import ANONYMOUS, Registry
from .room import Room
from .rooms import Rooms
from .session import Session
from .tick import Item


@final
@dataclass(frozen=True, slots=True)
class Position:
    """How far a client has heard a room: all up to `offset`, in the life of it that `epoch` names."""

    epoch: str
    offset: int


@final
@dataclass(slots=True)
class Joined:
    """What a session finds in a room. If `recovered`, then `missed` is all that it missed.

    A pattern has neither epoch nor offset.
    """

    members: int
    users: int = 0
    epoch: str = ""
    offset: int = 0
    recovered: bool = False
    missed: Collection[Item] = ()


@final
class Memberships:
    """Lets sessions join and leave, and find out what they missed. `clock` gives the event loop's seconds."""

    def __init__(
        self,
        registry: Registry,
        rooms: Rooms,
        patterns: Patterns,
        archive: Archive,
        drops: Drops,
        clock: Callable[[], float],
        *,
        max_rooms_per_session: int,
        presence_interval: float,
    ) -> None:
        self._registry = registry
        self._rooms = rooms
        self._patterns = patterns
        self._archive = archive
        self._drops = drops
        self._clock = clock
        self._max_rooms_per_session = max_rooms_per_session
        self._joined: dict[Session, dict[str, Room | Pattern]] = {}
        # Rooms that are to hear who came and went.
        self.changed: Deadlines[Room] = Deadlines(presence_interval)

    def of(self, session: Session) -> list[str]:
        """List the rooms and patterns that a session has joined, in their order."""
        return list(self._joined.get(session, ()))

    def join(
        self,
        session: Session,
        name: str,
        *,
        since: Position | None = None,
        user: str | None = None,
        state: Raw | None = None,
        hears_presence: bool = False,
    ) -> Joined:
        """Make the session a member, or with a pattern a hearer of all rooms that match. Raises Refusal.

        One that is a member stays it, and may say anew who it is and what it hears.
        """
        joined = self._joined.get(session, {})
        if name not in joined and len(joined) >= self._max_rooms_per_session:
            raise Refusal("too_many_rooms", f"A connection may be in {self._max_rooms_per_session} rooms.")
        check_name("room", name)
        if session.identity is not None:
            session.identity.rights.check_join(name)
        if is_pattern(name):
            return self._join_all(session, name)
        check_state(state)
        speaker = self._registry.name_of(session, user)
        room = self._rooms.get(name)
        if since is not None and name in joined:
            raise Refusal("already_joined", "You are in that room; ask for its history.")
        missed = None if since is None or room is None else self._missed(room, since)
        room = self._rooms.open(name)
        before = room.members.get(session.outbox)
        if before is None or user is not None or state is not None or hears_presence:
            named = None if speaker == ANONYMOUS else speaker
            room.admit(session.outbox, Member(session.id, named, state, hears_presence))
            self._tell_later(room)
        self._rooms.fill(room)
        self._joined.setdefault(session, {})[name] = room
        return Joined(
            members=len(room.members),
            users=room.users,
            epoch=room.epoch,
            offset=room.offset,
            recovered=missed is not None,
            missed=missed or (),
        )

    def leave(self, session: Session, name: str) -> None:
        """End a membership. Raises Refusal."""
        joined = self._joined.get(session, {})
        place = joined.pop(name, None)
        if place is None:
            raise Refusal("not_a_member", "You are not in that room.")
        if not joined:
            del self._joined[session]
        if isinstance(place, Pattern):
            self._patterns.leave(place, session.outbox)
            return
        place.dismiss(session.outbox)
        self._tell_later(place)
        if not place.members:
            self._rooms.empty(place, self._clock())

    def leave_forbidden(self, session: Session) -> list[str]:
        """End the memberships that a session's rights no longer allow; return the names."""
        identity = session.identity
        if identity is None:
            return []
        forbidden = [name for name in self.of(session) if not identity.rights.may_join(name)]
        for name in forbidden:
            self.leave(session, name)
        return forbidden

    def set_state(self, session: Session, name: str, state: Raw | None) -> None:
        """Change what a member tells of itself. Raises Refusal."""
        room = self.room_of(session, name)
        check_state(state)
        before = room.members[session.outbox]
        room.admit(session.outbox, Member(before.id, before.user, state, before.hears_presence))
        self._tell_later(room)

    def room_of(self, session: Session, name: str) -> Room:
        """Find the room of that name, of which the session is a member. Raises Refusal."""
        room = self._joined.get(session, {}).get(name)
        if not isinstance(room, Room):
            raise Refusal("not_a_member", "You are not in that room.")
        return room

    def history(self, room: Room, limit: int) -> list[Replay]:
        """Return those of a room's last publications, up to `limit`, that are still worth anything."""
        now = self._clock()
        self._archive.trim(room.history, now)
        return [replay for replay in room.history.newest(limit) if replay.publication.deadline > now]

    def _join_all(self, session: Session, name: str) -> Joined:
        check_pattern(name)
        pattern = self._patterns.join(name, session.outbox)
        self._joined.setdefault(session, {})[name] = pattern
        return Joined(members=len(pattern.members))

    def _missed(self, room: Room, since: Position) -> list[Item] | None:
        """Find what came behind a position; None if that is another life's, or not all of it is left."""
        # What was conflated has no place in the order, so no offset tells how far a client has come.
        if since.epoch != room.epoch or room.overflow.strategy is Strategy.CONFLATE:
            return None
        if since.offset > room.offset:
            raise Refusal("invalid_since", f"That room has not got beyond offset {room.offset}.")
        now = self._clock()
        replays = self._archive.since(room.history, room.offset - since.offset, now)
        return None if replays is None else without_expired(replays, now, self._drops)

    def _tell_later(self, room: Room) -> None:
        if room.listeners and room not in self.changed:
            self.changed.add(room, self._clock())
