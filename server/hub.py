"""Hub: who is here, and who hears what: rooms, broadcast and direct messages."""

import time
import unicodedata
from collections.abc import Callable
from typing import Final, final

from .fanout import Fanout
from .publication import Kind, Payload, Publication, size_of
from .registry import Registry
from .rooms import Room
from .session import Session

ANONYMOUS: Final = "anonymous"
MAX_NAME: Final = 128
# Controls, lone surrogates, line and paragraph separators.
_UNFIT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Marks, embeddings, overrides and isolates, by which a name could pass for another.
_BIDIRECTIONAL: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Refusal(Exception):
    """A request that can't be granted: a stable code for programs, a sentence for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@final
class Hub:
    """Joins sessions in rooms, and gives publications their order.

    Nothing in it waits: a publication is put on its receivers' lists, and each session sees to its own.
    `clock` gives the event loop's seconds, `wall_clock` Unix time.
    """

    def __init__(
        self,
        fanout: Fanout,
        clock: Callable[[], float],
        *,
        max_rooms: int = 100_000,
        max_rooms_per_session: int = 100,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._fanout = fanout
        self._clock = clock
        self._wall_clock = wall_clock
        self._max_rooms = max_rooms
        self._max_rooms_per_session = max_rooms_per_session
        self._publications = 0
        self.registry = Registry()
        self.rooms: dict[str, Room] = {}
        self._memberships: dict[Session, dict[str, Room]] = {}

    def enter(self, session: Session) -> None:
        """Let a session hear broadcasts and direct messages, and join rooms."""
        self.registry.add(session)

    def exit(self, session: Session) -> None:
        """Forget a session and its memberships. Once more does nothing."""
        self.registry.remove(session)
        for name in self.rooms_of(session):
            self.leave(session, name)

    def rooms_of(self, session: Session) -> list[str]:
        """List the rooms in which a session is, in the order it joined them."""
        return list(self._memberships.get(session, ()))

    def join(self, session: Session, name: str) -> Room:
        """Make the session a member; one that is a member stays it. Raises Refusal."""
        joined = self._memberships.get(session, {})
        room = joined.get(name)
        if room is not None:
            return room
        check_name("room", name)
        if len(joined) >= self._max_rooms_per_session:
            raise Refusal("too_many_rooms", f"A connection may be in {self._max_rooms_per_session} rooms.")
        room = self.rooms.get(name)
        if room is None:
            if len(self.rooms) >= self._max_rooms:
                raise Refusal("too_many_rooms", "The server has no place for another room.")
            room = self.rooms[name] = Room(name)
        room.members[session] = None
        self._memberships.setdefault(session, {})[name] = room
        return room

    def leave(self, session: Session, name: str) -> None:
        """End a membership. A room without members is gone, and its epoch with it. Raises Refusal."""
        joined = self._memberships.get(session, {})
        room = joined.pop(name, None)
        if room is None:
            raise Refusal("not_a_member", "You are not in that room.")
        if not joined:
            del self._memberships[session]
        del room.members[session]
        if not room.members:
            del self.rooms[name]

    def publish(self, sender: Session, name: str, payload: Payload, user: str | None = None) -> Publication:
        """Publish to a room's members, the sender too if it is one; anyone here may. Raises Refusal.

        In a room without members the publication is heard by nobody and has the offset 0.
        """
        check_name("room", name)
        publication = self._publication(Kind.MESSAGE, sender, payload, user, name)
        room = self.rooms.get(name)
        if room is not None:
            # Numbered last: one that is refused leaves no gap.
            publication.offset = room.next_offset()
            self._fanout.send(publication, room.members)
        return publication

    def broadcast(
        self, sender: Session, payload: Payload, user: str | None = None, *, echo: bool = False
    ) -> Publication:
        """Publish to everyone else, and with `echo` to the sender. Raises Refusal."""
        publication = self._publication(Kind.BROADCAST, sender, payload, user)
        everyone = self.registry.all()
        receivers = everyone if echo else [session for session in everyone if session is not sender]
        self._fanout.send(publication, receivers)
        return publication

    def direct(
        self,
        sender: Session,
        payload: Payload,
        user: str | None = None,
        *,
        to_id: str | None = None,
        to_user: str | None = None,
    ) -> Publication:
        """Publish to the session of that id and to those of that user. Raises Refusal if nobody is there."""
        receivers = [] if to_user is None else self.registry.of_user(to_user)
        session = None if to_id is None else self.registry.get(to_id)
        if session is not None and session not in receivers:
            receivers.append(session)
        if not receivers:
            raise Refusal("not_found", "Nobody is here by that name.")
        publication = self._publication(Kind.DIRECT, sender, payload, user)
        self._fanout.send(publication, receivers)
        return publication

    def _publication(
        self,
        kind: Kind,
        sender: Session,
        payload: Payload,
        claimed: str | None,
        room: str = "",
    ) -> Publication:
        user = self._name(sender, claimed)
        size = size_of(payload)
        self._publications += 1
        return Publication(
            kind=kind,
            room=room,
            id=self._publications,
            offset=0,
            time=self._wall_clock(),
            published_at=self._clock(),
            sender=sender.id,
            user=user,
            payload=payload,
            size=size,
        )

    def _name(self, sender: Session, claimed: str | None) -> str:
        """Say who publishes: the proven name, else the claimed one if nobody here has proved it."""
        if sender.user is not None:
            if claimed and claimed != sender.user:
                raise Refusal("forbidden", "A message bears the name that you signed in with.")
            return sender.user
        if not claimed:
            return ANONYMOUS
        check_name("user", claimed)
        if self.registry.of_user(claimed):
            raise Refusal("forbidden", f"{claimed!r} is somebody who signed in.")
        return claimed


def check_name(what: str, name: str) -> None:
    """Hold a room's or a user's name to its bounds. Raises Refusal."""
    if not name or len(name.encode(errors="replace")) > MAX_NAME:
        raise Refusal("invalid_name", f"A {what}'s name has 1 to {MAX_NAME} bytes of UTF-8.")
    # Nothing unfit is printable; what else isn't, such as the joiner in an emoji, is looked at in turn.
    if name.isprintable():
        return
    if any(character in _BIDIRECTIONAL or unicodedata.category(character) in _UNFIT for character in name):
        raise Refusal("invalid_name", f"A {what}'s name has no control or bidirectional characters.")
