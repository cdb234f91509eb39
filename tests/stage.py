"""Stage: a hub without an event loop, whose turns are ended by hand, and sessions that keep what they get."""

import math
from collections.abc import Callable, Iterable
from typing import final

from msgspec import Raw

from rfc6455 import Connection, Role
from server.delivery import FrameDelivery
from server.fanout import Fanout
from server.flow import Backlog, Drops
from server.history import Archive
from server.hub import Hub
from server.identity import Identity
from server.outbox import Outbox, Owner
from server.overflow import OverflowRules
from server.presence import Change, PresenceDiff
from server.publication import Missed, Publication, Replay, Shared
from server.refusal import Refusal
from server.room import Room
from server.session import Dialect, Session, SessionClosed
from server.tick import Delivery, Item, Message, Tick


def line(kind: str, room: str, offset: int, sender: str, user: str, payload: str) -> str:
    """All that a publication says, in one line."""
    return f"{kind} {room!r} {offset} from {sender} as {user}: {payload}"


def missed_line(room: str, count: int) -> str:
    """All that a note says."""
    return f"missed {count} of {room!r}"


def presence_line(room: str, count: int, users: int) -> str:
    """The numbers that presence tells."""
    return f"presence in {room!r}: {count} of {users}"


def changes_line(joined: Iterable[str], left: Iterable[str], changed: Iterable[str]) -> str:
    """What presence tells besides."""
    return f", joined {sorted(joined)}, left {sorted(left)}, changed {sorted(changed)}"


def member_line(id: str, user: str | None, state: str | None) -> str:
    """A member who came or changed."""
    return f"{id} as {user}: {state}"


@final
class LineDialect:
    """Writes what is shared as lines, and counts how often it is asked to."""

    name = "line"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.encoded = 0
        # Who is over, in that order.
        self.ended: list[str] = []

    def connected(self, session: Session) -> None:
        self._hub.enter(session)

    def receive(self, session: Session, message: Message) -> None:
        raise NotImplementedError

    def encode(self, item: Shared) -> str | None:
        self.encoded += 1
        if isinstance(item, Missed):
            return missed_line(item.room, item.count)
        if isinstance(item, PresenceDiff):
            return _presence(item)
        publication = item.publication if isinstance(item, Replay) else item
        if not isinstance(publication, Publication):
            return None
        payload = publication.payload
        return line(
            publication.kind.value,
            publication.room,
            publication.offset,
            publication.sender,
            publication.user,
            bytes(payload).decode() if isinstance(payload, Raw | bytes) else payload,
        )

    def refuse(self, session: Session, code: str, reason: str) -> None:
        raise NotImplementedError

    def octets_held(self, session: Session) -> int:
        return 0

    def disconnected(self, session: Session, code: int) -> None:
        self.ended.append(session.id)
        self._hub.exit(session)


def _presence(diff: PresenceDiff) -> str:
    numbers = presence_line(diff.room, diff.count, diff.users)
    if diff.changes is None:
        return numbers
    lines = {
        change: [member_line(one.id, one.user, text_of(one.state)) for one in members]
        for change, members in diff.changes.items()
    }
    left = [member.id for member in diff.changes[Change.LEFT]]
    return numbers + changes_line(lines[Change.JOINED], left, lines[Change.CHANGED])


def text_of(state: Raw | None) -> str | None:
    """A state as it was sent."""
    return None if state is None else bytes(state).decode()


@final
class Carrier:
    """A session that keeps its writes for a client to read, and takes only as many as it has room for.

    What waits beyond that is held to a `backlog`, as a slow reader's connection does.
    """

    __slots__ = (
        "__weakref__",
        "_client",
        "_heard",
        "_make_backlog",
        "_read",
        "address",
        "backlog",
        "close_code",
        "delivered_at",
        "delivery",
        "dialect",
        "id",
        "identity",
        "is_held",
        "outbox",
        "room_for",
        "rtt",
        "user",
        "writes",
    )

    def __init__(
        self,
        id: str,
        dialect: Dialect,
        user: str | None = None,
        *,
        delivery: Delivery | None = None,
        backlog: Callable[[], Backlog] = lambda: Backlog(1 << 62, math.inf, Drops()),
    ) -> None:
        self.id = id
        self.dialect = dialect
        self.address = "192.0.2.1"
        self.user = user
        self.identity: Identity | None = None
        self.outbox = Outbox(self, self, None)
        self.delivery = delivery or FrameDelivery(dialect, None, None)
        self._make_backlog = backlog
        self.backlog: Backlog | None = None
        self.room_for: float = math.inf
        self.rtt: float | None = None
        self.writes: list[bytes] = []
        self.close_code: int | None = None
        self.delivered_at: float | None = None
        self.is_held = False
        self._client = Connection(Role.CLIENT)
        self._read = 0
        self._heard: list[Message] = []

    @property
    def heard(self) -> list[Message]:
        """The messages that the client has read, from the first on."""
        self._client.receive_data(b"".join(self.writes[self._read :]))
        self._read = len(self.writes)
        while (event := self._client.next_event()) is not None:
            assert isinstance(event, str | bytes)
            self._heard.append(event)
        return self._heard

    @property
    def waiting(self) -> list[Item]:
        """What is still to be sent."""
        return self.outbox.items()

    @property
    def is_paused(self) -> bool:
        return self.room_for <= 0

    def deliver(self, tick: Tick) -> None:
        self.delivered_at = tick.now
        outbox = self.outbox
        outbox.gather()
        if self.backlog is not None and not self.is_paused:
            outbox.waiting = self.backlog.resume(outbox.waiting or [], tick.now)
        while outbox.waiting and not self.is_paused:
            octets, count = tick.batch(outbox.waiting, self.delivery)
            outbox.waiting = outbox.waiting[count:]
            self.write(octets)
        if not outbox.waiting:
            self.backlog = None
            return
        if self.backlog is None:
            self.backlog = self._make_backlog()
        if not self.backlog.admit(outbox.waiting, tick.now):
            self.kick(1013, "too slow")

    def send(self, message: Message) -> None:
        if self.close_code is not None:
            raise SessionClosed(self.close_code)
        if self.is_paused or not self.outbox.is_empty:
            self.outbox.append(message)
        else:
            self.write(self.delivery.encode(message))

    def close(self, code: int = 1000, reason: str = "") -> None:
        raise NotImplementedError

    def kick(self, code: int, reason: str) -> None:
        if self.close_code is not None:
            return
        self.close_code = code
        self.outbox.drop()
        self.dialect.disconnected(self, code)

    def drained(self) -> None:
        return None

    def hold(self) -> None:
        self.is_held = True

    def release(self) -> None:
        self.is_held = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.room_for -= 1


class Stage:
    """A hub, its fan-out and a dialect for everybody on it, with clocks that are set by hand."""

    def __init__(
        self,
        dialect: Callable[[Hub], Dialect] = LineDialect,
        *,
        max_rooms: int = 100_000,
        max_rooms_per_session: int = 100,
        archive: Archive | None = None,
        overflow: OverflowRules | None = None,
        max_queue_weight: int = 1 << 62,
        max_queue_seconds: float = math.inf,
    ) -> None:
        self._max_queue = max_queue_weight, max_queue_seconds
        self.now = 100.0
        self.unix_time = 1_700_000_000.5
        self.scheduled: list[Callable[[], None]] = []
        self.fanout = Fanout(self.scheduled.append, lambda: self.now)
        self.hub = Hub(
            self.fanout,
            lambda: self.now,
            max_rooms=max_rooms,
            max_rooms_per_session=max_rooms_per_session,
            archive=archive,
            overflow=overflow,
            wall_clock=lambda: self.unix_time,
        )
        self.dialect = dialect(self.hub)
        self.delivery = FrameDelivery(self.dialect, None, None)

    def connect(self, id: str, user: str | None = None, *, delivery: Delivery | None = None) -> Carrier:
        """Let a session in, which shares the stage's delivery unless it has another."""
        carrier = Carrier(id, self.dialect, user, delivery=delivery or self.delivery, backlog=self._backlog)
        self.dialect.connected(carrier)
        return carrier

    def resume(self, carrier: Carrier) -> None:
        """Give a session room again, as a transport does."""
        carrier.room_for = math.inf
        self.fanout.add(carrier.outbox)

    def room(self, name: str) -> Room:
        """Find a room that is there."""
        room = self.hub.rooms.get(name)
        assert room is not None
        return room

    @property
    def occupied(self) -> list[str]:
        """The names of the rooms that have members."""
        return [room.name for room in self.hub.rooms if room.members]

    def wait(self, seconds: float) -> None:
        """Let time pass, and the service look at what it ends."""
        self.now += seconds
        self.unix_time += seconds
        self.hub.sweep(self.now)

    def _backlog(self) -> Backlog:
        return Backlog(*self._max_queue, self.hub.drops)

    def end_turn(self) -> None:
        """Run what was scheduled for the end of this turn, and nothing that it schedules in turn."""
        callbacks = self.scheduled[:]
        self.scheduled.clear()
        for callback in callbacks:
            callback()


def owners(outboxes: Iterable[Outbox]) -> list[Owner]:
    """The sessions whose outboxes they are."""
    return [owner_of(outbox) for outbox in outboxes]


def owner_of(outbox: Outbox) -> Owner:
    """The session whose outbox it is, which is still here."""
    assert outbox.owner is not None
    return outbox.owner


def refusal_of(request: Callable[[], object]) -> str:
    """The code of the refusal that a request meets, or nothing."""
    try:
        request()
    except Refusal as refusal:
        return refusal.code
    return ""
