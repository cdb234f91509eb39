"""Hub: what is published, in which order, and who hears it: rooms, broadcast and direct messages."""

import math
import time
from collections.abc import Callable, Collection
from typing import Final, final

from .conflation import key_of
from .fanout import Fanout
from .flow import Drops
from .histogram import SESSIONS, Histogram
from .history import Archive
from .idempotency import Memory, Place
from .memberships import Memberships
from .names import check_room
from .outbox import Outbox
from .overflow import OverflowRules
from .patterns import Patterns
from .publication import Kind, Payload, Publication, weight_of
from .refusal import Refusal
from .registry import SERVER, Registry
from .rooms import Rooms
from .session import Session
from .tick import Item
from .traffic import Traffic

# The code of the refusal that ends a session: it is to publish where it comes back to.
GOING_AWAY: Final = "going_away"


@final
class AlreadyPublished(Exception):
    """The sender used that id before; `place` tells where that went."""

    def __init__(self, place: Place) -> None:
        super().__init__("Published before.")
        self.place = place


@final
class Hub:
    """Gives publications their order, and puts them into their receivers' outboxes; nothing in it waits.

    `clock` gives the event loop's seconds, `wall_clock` Unix time.
    """

    def __init__(
        self,
        fanout: Fanout,
        clock: Callable[[], float],
        *,
        max_rooms: int = 100_000,
        max_rooms_per_session: int = 100,
        archive: Archive | None = None,
        overflow: OverflowRules | None = None,
        presence_interval: float = 1.0,
        traffic: Traffic | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._fanout = fanout
        self._clock = clock
        self._wall_clock = wall_clock
        self._traffic = traffic
        self._archive = archive or Archive()
        self._overflow = overflow or OverflowRules()
        self._publications = 0
        # Whether clients may still publish.
        self._is_open = True
        self._memory = Memory(self._archive.max_seconds)
        self._patterns = Patterns()
        self.drops = Drops()
        # How many sessions each publication was for.
        self.reached = Histogram(SESSIONS)
        self.registry = Registry()
        self.rooms = Rooms(max_rooms, self._archive, self._overflow)
        self.memberships = Memberships(
            self.registry,
            self.rooms,
            self._patterns,
            self._archive,
            self.drops,
            clock,
            max_rooms_per_session=max_rooms_per_session,
            presence_interval=presence_interval,
        )

    @property
    def history_weight(self) -> int:
        """How many octets the histories of all rooms hold."""
        return self._archive.weight

    def enter(self, session: Session) -> None:
        """Let a session hear broadcasts and direct messages, and join rooms."""
        self.registry.add(session)

    def exit(self, session: Session) -> None:
        """Forget a session and its memberships. Once more does nothing."""
        self.registry.remove(session)
        for name in self.memberships.of(session):
            self.memberships.leave(session, name)

    def close(self) -> None:
        """Let no client publish any more: members go, who wouldn't hear it. The application still may."""
        self._is_open = False

    def sweep(self, now: float) -> None:
        """Tell the rooms who came and went, and forget what is too old."""
        for room in self.memberships.changed.expired(now):
            self._fanout.send(room.take_diff(), room.listeners)
        self.rooms.sweep(now)
        self._memory.sweep(now)

    def replay(self, session: Session, missed: Collection[Item]) -> None:
        """Send a session what it missed, behind all that it was sent."""
        for item in missed:
            self._fanout.send(item, (session.outbox,))

    def publish(
        self,
        sender: Session | None,
        name: str,
        payload: Payload,
        user: str | None = None,
        *,
        echo: bool = True,
        id: str | None = None,
        ttl: float | None = None,
    ) -> Publication:
        """Publish to a room's members, to the sender too if it is one, unless it wants no `echo`.

        Anyone here may publish. Who can't be sent it within `ttl` seconds misses it. Raises Refusal, or
        AlreadyPublished if the sender has used that `id` before.
        """
        check_room(name)
        if sender is not None and sender.identity is not None:
            sender.identity.rights.check_publish(name)
        self._check_taken(sender, id)
        publication = self._make(Kind.MESSAGE, sender, payload, user, name, ttl)
        room = self.rooms.open(name)
        # Numbered last: one that is refused leaves no gap.
        publication.offset = room.next_offset()
        publication.overflow = room.overflow
        publication.key = key_of(room.overflow.path, payload)
        self._archive.append(room.history, publication)
        if not room.members:
            self.rooms.empty(room, publication.published_at)
        receivers: Collection[Outbox] = room.members
        if self._patterns:
            receivers = self._patterns.hearers(name, room.members)
        self._send(publication, receivers if echo else _others(receivers, sender))
        self._remember(sender, id, publication)
        return publication

    def broadcast(
        self,
        sender: Session | None,
        payload: Payload,
        user: str | None = None,
        *,
        echo: bool = False,
        id: str | None = None,
        ttl: float | None = None,
    ) -> Publication:
        """Publish to everyone else, and with `echo` to the sender too. Raises as `publish` does."""
        if sender is not None and sender.identity is not None:
            sender.identity.rights.check_broadcast()
        self._check_taken(sender, id)
        publication = self._make(Kind.BROADCAST, sender, payload, user, "", ttl)
        everyone = self.registry.outboxes
        self._send(publication, everyone if echo else _others(everyone, sender))
        self._remember(sender, id, publication)
        return publication

    def direct(
        self,
        sender: Session | None,
        payload: Payload,
        user: str | None = None,
        *,
        to_id: str | None = None,
        to_user: str | None = None,
        id: str | None = None,
        ttl: float | None = None,
    ) -> Publication:
        """Publish to the session of that id and to those of that user. Raises Refusal if nobody is there."""
        if sender is not None and sender.identity is not None:
            sender.identity.rights.check_direct()
        self._check_taken(sender, id)
        receivers = [] if to_user is None else self.registry.of_user(to_user)
        session = None if to_id is None else self.registry.get(to_id)
        if session is not None and session not in receivers:
            receivers.append(session)
        if not receivers:
            raise Refusal("not_found", "Nobody is here by that name.")
        publication = self._make(Kind.DIRECT, sender, payload, user, "", ttl)
        self._send(publication, [one.outbox for one in receivers])
        self._remember(sender, id, publication)
        return publication

    def _make(
        self,
        kind: Kind,
        sender: Session | None,
        payload: Payload,
        claimed: str | None,
        room: str,
        ttl: float | None,
    ) -> Publication:
        now = self._clock()
        return Publication(
            kind=kind,
            room=room,
            id=0,
            offset=0,
            time=self._wall_clock(),
            published_at=now,
            sender=SERVER if sender is None else sender.id,
            user=(claimed or SERVER) if sender is None else self.registry.name_of(sender, claimed),
            payload=payload,
            weight=weight_of(payload),
            deadline=math.inf if ttl is None else now + ttl,
            overflow=self._overflow.default,
            traffic=self._traffic,
        )

    def _send(self, publication: Publication, receivers: Collection[Outbox]) -> None:
        self._publications += 1
        publication.id = self._publications
        self.reached.observe(len(receivers))
        self._fanout.send(publication, receivers)

    def _check_taken(self, sender: Session | None, id: str | None) -> None:
        if sender is None:
            return
        if id is not None:
            place = self._memory.find(self.registry.sender_of(sender), id, self._clock())
            if place is not None:
                raise AlreadyPublished(place)
        if not self._is_open:
            raise Refusal(GOING_AWAY, "Nothing is published here any more.")

    def _remember(self, sender: Session | None, id: str | None, publication: Publication) -> None:
        if sender is None or id is None:
            return
        place = Place(publication.room, publication.offset, publication.published_at)
        self._memory.remember(self.registry.sender_of(sender), id, place)


def _others(receivers: Collection[Outbox], sender: Session | None) -> Collection[Outbox]:
    """Leave out the sender, if a session sent it."""
    if sender is None:
        return receivers
    own = sender.outbox
    return [one for one in receivers if one is not own]
