"""Hub model: who is here, who hears what and in which order, in as few lines as it can be said."""

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

from server.names import matches
from server.presence import MAX_STATE, Change
from tests.stage import line, member_line, presence_line

GOOD_NAMES: Final = frozenset({"a", "b", "s.x", "s.y", "s.x.z", "alice", "bob", "carol"})
GOOD_PATTERNS: Final = frozenset({"s.*", "s.>", ">", "*"})
BAD_PATTERNS: Final = frozenset({">.s"})


class Limits(NamedTuple):
    rooms: int
    rooms_per_session: int
    # Of the history.
    publications: int
    seconds: float
    weight: int
    total_weight: int
    presence_interval: float


class Line(NamedTuple):
    """What is to reach a client, but for what belongs to a room, by `deadline` at the latest."""

    text: str
    room: str = ""
    deadline: float = math.inf


class Saying(NamedTuple):
    """What a session says, or the server if there is no `sender`, and as whom if it claims a name."""

    sender: str | None
    payload: str
    weight: int
    claimed: str | None = None
    echo: bool = True
    id: str | None = None
    ttl: float | None = None


class Since(NamedTuple):
    life: int
    offset: int


class Member(NamedTuple):
    user: str | None
    state: bytes | None
    hears_presence: bool


class Kept(NamedTuple):
    line: Line
    at: float
    weight: int


@final
@dataclass(eq=False)
class RoomModel:
    name: str
    # Which of all lives of rooms it is.
    life: int
    offset: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    history: list[Kept] = field(default_factory=list)
    # Who was there when changes were told last, and who came, went or changed since.
    told: dict[str, Member] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    @property
    def listeners(self) -> list[str]:
        return [id for id, member in self.members.items() if member.hears_presence]

    @property
    def users(self) -> int:
        users = [member.user for member in self.members.values()]
        return len(set(users) - {None}) + users.count(None)

    def begin_to_tell(self) -> None:
        self.told, self.changed = dict(self.members), set()


@final
@dataclass
class Client:
    user: str | None
    # Rooms and patterns, in the order of joining.
    rooms: list[str] = field(default_factory=list)
    # Every message that is to reach it, from the first on; those about presence beside the others.
    expected: list[Line] = field(default_factory=list)
    presence: list[str] = field(default_factory=list)


@final
class HubModel:
    """Each request returns the code by which it is refused, or nothing."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.now = 0.0
        self.publications = 0
        self.lives = 0
        # All in the order of coming or of joining.
        self.clients: dict[str, Client] = {}
        self.rooms: dict[str, RoomModel] = {}
        # Since when rooms have no member, the longest empty one first.
        self.empty: dict[str, float] = {}
        # The rooms that have a history, the one written to last at the end.
        self.written: list[RoomModel] = []
        # When changes of presence are to be told.
        self.to_tell: dict[RoomModel, float] = {}
        self.origins: dict[str, str] = {}
        # By sender and id: where it went, and when.
        self.ids: dict[tuple[str, str], tuple[str, float]] = {}

    def enter(self, id: str, user: str | None) -> Client:
        self.clients[id] = Client(user)
        return self.clients[id]

    def exit(self, id: str) -> None:
        for room in self.clients[id].rooms[:]:
            self.leave(id, room)
        del self.clients[id]

    def resume(self, id: str, origin: str) -> None:
        self.origins[id] = origin

    # Rooms.

    def join(self, id: str, name: str, since: Since | None, member: Member) -> str:
        """Join as `member`, whose `user` is the claimed one."""
        client = self.clients[id]
        if name not in client.rooms and len(client.rooms) == self.limits.rooms_per_session:
            return "too_many_rooms"
        if name in GOOD_PATTERNS:
            client.rooms += [name] * (name not in client.rooms)
            hearers = sum(name in other.rooms for other in self.clients.values())
            client.expected.append(Line(f"joined {name!r} {hearers} 0 0 False"))
            return ""
        if name not in GOOD_NAMES:
            return "invalid_name"
        if len(member.state or b"") > MAX_STATE:
            return "too_large"
        if refusal := self._forbid(id, member.user):
            return refusal
        if since is not None and name in client.rooms:
            return "already_joined"
        missed: list[Kept] | None = None
        if since is not None and name in self.rooms and since.life == self.rooms[name].life:
            if since.offset > self.rooms[name].offset:
                return "invalid_since"
            missed = self._behind(self.rooms[name], since.offset)
        if not self._open(name):
            return "too_many_rooms"
        room = self.rooms[name]
        self.empty.pop(name, None)
        client.rooms += [name] * (name not in client.rooms)
        if id not in room.members or member != (None, None, False):
            self._change(room, id, member._replace(user=client.user or member.user or None))
        numbers = f"{len(room.members)} {room.users} {room.offset} {missed is not None}"
        client.expected.append(Line(f"joined {name!r} {numbers}"))
        client.expected += [self._in_time(kept.line) for kept in missed or ()]
        return ""

    def leave(self, id: str, name: str) -> str:
        client = self.clients[id]
        if name not in client.rooms:
            return "not_a_member"
        client.rooms.remove(name)
        if name in GOOD_PATTERNS:
            return ""
        room = self.rooms[name]
        self._change(room, id, None)
        if not room.members:
            self.empty[name] = self.now
        return ""

    def set_state(self, id: str, name: str, state: bytes | None) -> str:
        if name not in self.clients[id].rooms or name in GOOD_PATTERNS:
            return "not_a_member"
        if len(state or b"") > MAX_STATE:
            return "too_large"
        room = self.rooms[name]
        self._change(room, id, room.members[id]._replace(state=state))
        return ""

    def history(self, name: str) -> list[str]:
        """Return what a member of a room can ask for."""
        kept = self._in_age(self.rooms[name])
        return [one.line.text for one in kept if one.line.deadline > self.now]

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for room in [room for room, due in self.to_tell.items() if due <= self.now]:
            del self.to_tell[room]
            self._tell(room)
        for name in [name for name, at in self.empty.items() if at + self.limits.seconds <= self.now]:
            self._drop(name)
        while self.written and self.written[0].history[-1].at + self.limits.seconds < self.now:
            self.written.pop(0).history.clear()

    def _open(self, name: str) -> bool:
        if name in self.rooms:
            return True
        if len(self.rooms) == self.limits.rooms:
            if not self.empty:
                return False
            self._drop(next(iter(self.empty)))
        self.lives += 1
        self.rooms[name] = RoomModel(name, self.lives)
        return True

    def _drop(self, name: str) -> None:
        del self.empty[name]
        self.written = [room for room in self.written if room.name != name]
        del self.rooms[name]

    # Who is there.

    def _change(self, room: RoomModel, id: str, member: Member | None) -> None:
        if member is None:
            del room.members[id]
        else:
            room.members[id] = member
        if not room.listeners:
            room.begin_to_tell()
            return
        room.changed.add(id)
        self.to_tell.setdefault(room, self.now + self.limits.presence_interval)

    def _tell(self, room: RoomModel) -> None:
        changes = []
        for id in room.changed:
            if id in room.members:
                change = Change.CHANGED if id in room.told else Change.JOINED
                changes.append((change, member_line(id, *room.members[id][:2])))
            else:
                changes.append((Change.LEFT, id))
        text = presence_line(room.name, len(room.members), room.users, changes)
        for id in room.listeners:
            self.clients[id].presence.append(text)
        room.begin_to_tell()

    # What is said.

    def publish(self, said: Saying, name: str) -> str:
        if name not in GOOD_NAMES:
            return "invalid_name"
        if refusal := self._forbid_saying(said):
            return refusal
        if not self._open(name):
            return "too_many_rooms"
        room = self.rooms[name]
        room.offset += 1
        if not room.members:
            self.empty.pop(name, None)
            self.empty[name] = self.now
        hearers = [
            id for id, client in self.clients.items() if any(matches(one, name) for one in client.rooms)
        ]
        said_line = self._send("message", said, hearers, name, room.offset)
        self._keep(room, Kept(said_line, self.now, said.weight))
        return ""

    def broadcast(self, said: Saying) -> str:
        if refusal := self._forbid_saying(said):
            return refusal
        self._send("broadcast", said, list(self.clients))
        return ""

    def direct(self, said: Saying, to_id: str | None, to_user: str | None) -> str:
        if place := self._published_before(said):
            return place
        receivers = [id for id, it in self.clients.items() if id == to_id or (to_user and it.user == to_user)]
        if not receivers:
            return "not_found"
        if refusal := self._forbid_saying(said):
            return refusal
        self._send("direct", said._replace(echo=True), receivers)
        return ""

    def expire(self, client: Client, heard: int) -> None:
        """Let a client that reads again miss what it is too late for; it has heard so many before."""
        client.expected[heard:] = map(self._in_time, client.expected[heard:])

    def _send(self, kind: str, said: Saying, hearers: list[str], room: str = "", offset: int = 0) -> Line:
        self.publications += 1
        sender = said.sender or "server"
        user = said.claimed or "server"
        if said.sender is not None:
            user = self.clients[said.sender].user or said.claimed or "anonymous"
            if said.id is not None:
                self.ids[self._sender_of(said.sender), said.id] = f"{room!r} {offset}", self.now
        text = line(kind, room, offset, sender, user, said.payload)
        told = Line(text, room, self.now + (math.inf if said.ttl is None else said.ttl))
        for id in hearers:
            if said.echo or id != said.sender:
                self.clients[id].expected.append(told)
        return told

    def _in_time(self, line: Line) -> Line:
        return line if line.deadline > self.now else Line(f"missed 1 of {line.room!r}")

    def _forbid_saying(self, said: Saying) -> str:
        if said.sender is None:
            return ""
        return self._published_before(said) or self._forbid(said.sender, said.claimed)

    def _published_before(self, said: Saying) -> str:
        if said.sender is None or said.id is None:
            return ""
        place, at = self.ids.get((self._sender_of(said.sender), said.id), ("", -math.inf))
        return f"before: {place}" if self.now - at <= self.limits.seconds else ""

    def _sender_of(self, id: str) -> str:
        user = self.clients[id].user
        return f"user {user}" if user else self.origins.get(id, id)

    def _forbid(self, id: str, claimed: str | None) -> str:
        proven = self.clients[id].user
        if claimed and proven and claimed != proven:
            return "forbidden"
        if claimed and not proven and claimed not in GOOD_NAMES:
            return "invalid_name"
        if claimed and not proven and claimed in {client.user for client in self.clients.values()}:
            return "forbidden"
        return ""

    # What is kept.

    def _keep(self, room: RoomModel, kept: Kept) -> None:
        limits = self.limits
        room.history.append(kept)
        self.written = [*(one for one in self.written if one is not room), room]
        while len(room.history) > limits.publications or weight_of([room]) > limits.weight:
            room.history.pop(0)
        while weight_of(self.written) > limits.total_weight:
            next(one for one in self.written if one.history).history.pop(0)
        self.written = [one for one in self.written if one.history]

    def _in_age(self, room: RoomModel) -> list[Kept]:
        room.history = [one for one in room.history if self.now - one.at <= self.limits.seconds]
        self.written = [one for one in self.written if one.history]
        return room.history

    def _behind(self, room: RoomModel, offset: int) -> list[Kept] | None:
        """Find what came behind an offset, if all of it is kept."""
        kept = self._in_age(room)
        count = room.offset - offset
        return kept[len(kept) - count :] if count <= len(kept) else None


def weight_of(rooms: list[RoomModel]) -> int:
    return sum(one.weight for room in rooms for one in room.history)
