"""Hub model: who is here, who hears what and in which order, in as few lines as it can be said."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple, final

from server.hub import AlreadyPublished
from server.idempotency import Place
from server.names import matches
from server.publication import PUBLICATION_OVERHEAD
from server.refusal import Refusal
from tests.stage import changes_line, line, member_line, missed_line, presence_line

GOOD_ROOMS = frozenset({"a", "b", "a.b", "a.c", "d"})
GOOD_PATTERNS = frozenset({">", "a.*", "*.b"})
GOOD_USERS = frozenset({"alice", "bob", "carol"})
PRESENCE_INTERVAL = 1.0
TOO_LARGE = "9" * 1025


class Entry(NamedTuple):
    """One thing that a client is to hear; what nobody asked for has a room, if only an empty one."""

    text: str
    room: str | None = None
    weight: int = 0
    at: float = math.inf
    deadline: float = math.inf
    # What is left of it if it tells who is here, and more of that comes.
    numbers: str = ""


class Saying(NamedTuple):
    """What a session says, and as whom if it claims a name."""

    sender: str
    payload: str
    claimed: str | None
    id: str | None = None
    ttl: float | None = None


class Found(NamedTuple):
    """What one finds on joining."""

    members: int
    users: int = 0
    offset: int = 0
    recovered: bool = False


class Member(NamedTuple):
    user: str | None
    state: str | None
    hears: bool


@final
@dataclass
class Client:
    user: str | None
    sender: str
    rooms: list[str] = field(default_factory=list)
    # Everything that is to reach it, from the first on.
    expected: list[Entry] = field(default_factory=list)


@final
@dataclass(eq=False)
class RoomModel:
    """One life of a room."""

    name: str
    offset: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    history: list[Entry] = field(default_factory=list)
    # The members as its hearers know them, and whose changes these haven't been told.
    known: dict[str, Member] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)

    @property
    def users(self) -> int:
        names = [member.user for member in self.members.values()]
        return len({*names} - {None}) + names.count(None)

    @property
    def hearers(self) -> list[str]:
        return [id for id, member in self.members.items() if member.hears]


@final
class HubModel:
    """Each request raises what the hub raises."""

    def __init__(
        self, max_rooms: int, max_rooms_per_session: int, history_length: int, history_seconds: float
    ) -> None:
        self.max_rooms = max_rooms
        self.max_rooms_per_session = max_rooms_per_session
        self.history_length = history_length
        self.history_seconds = history_seconds
        self.now = 100.0
        self.publications = 0
        # All in the order of coming or of joining.
        self.clients: dict[str, Client] = {}
        self.rooms: dict[str, RoomModel] = {}
        self.patterns: dict[str, list[str]] = {}
        # Since when nothing happened in the rooms without members, the longest empty one first.
        self.empty: dict[str, float] = {}
        self.due: dict[RoomModel, float] = {}
        self.published: dict[tuple[str, str], Place] = {}

    def enter(self, id: str, user: str | None) -> Client:
        self.clients[id] = Client(user, f"user {user}" if user else id)
        return self.clients[id]

    def resume(self, id: str, before: str) -> None:
        if self.clients[id].user is None:
            self.clients[id].sender = before

    def exit(self, id: str) -> None:
        for room in self.clients[id].rooms[:]:
            self.leave(id, room)
        del self.clients[id]

    def sweep(self) -> None:
        for room, due in [*self.due.items()]:
            if due <= self.now:
                del self.due[room]
                self._tell(room)
        for name, since in [*self.empty.items()]:
            if self.now - since >= self.history_seconds:
                del self.empty[name], self.rooms[name]

    def join(
        self,
        id: str,
        name: str,
        life: RoomModel | None = None,
        offset: int = 0,
        *,
        user: str | None = None,
        state: str | None = None,
        hears: bool = False,
    ) -> Found:
        """A `life` of the room, and an `offset` in it, are where the client has been before."""
        rooms = self.clients[id].rooms
        is_new = name not in rooms
        if is_new and len(rooms) == self.max_rooms_per_session:
            raise Refusal("too_many_rooms", "")
        if name in GOOD_PATTERNS:
            self.patterns.setdefault(name, []).extend([id] * is_new)
            rooms.extend([name] * is_new)
            return Found(len(self.patterns[name]))
        if name not in GOOD_ROOMS:
            raise Refusal("invalid_name", "")
        if state == TOO_LARGE:
            raise Refusal("too_large", "")
        named = self._name(id, user)
        if life is not None and not is_new:
            raise Refusal("already_joined", "")
        recovered: list[Entry] | None = None
        if life is not None and life is self.rooms.get(name):
            if offset > life.offset:
                raise Refusal("invalid_since", "")
            young = [entry for entry in life.history if self.now - entry.at <= self.history_seconds]
            count = life.offset - offset
            recovered = young[len(young) - count :] if count <= len(young) else None
        room = self._open(name)
        if is_new or user is not None or state is not None or hears:
            room.members[id] = Member(named, state, hears)
            self._changed(room, id)
        self.empty.pop(name, None)
        rooms.extend([name] * is_new)
        again = [entry._replace(weight=0, at=math.inf) for entry in recovered or ()]
        self.clients[id].expected += self.unexpired(again)
        return Found(len(room.members), room.users, room.offset, recovered is not None)

    def leave(self, id: str, name: str) -> None:
        if name not in self.clients[id].rooms:
            raise Refusal("not_a_member", "")
        self.clients[id].rooms.remove(name)
        if name in self.patterns:
            self.patterns[name].remove(id)
            return
        room = self.rooms[name]
        del room.members[id]
        self._changed(room, id)
        if not room.members:
            self.empty[name] = self.now

    def set_state(self, id: str, name: str, state: str | None) -> None:
        if name not in self.clients[id].rooms or name in self.patterns:
            raise Refusal("not_a_member", "")
        if state == TOO_LARGE:
            raise Refusal("too_large", "")
        room = self.rooms[name]
        room.members[id] = room.members[id]._replace(state=state)
        self._changed(room, id)

    def publish(self, said: Saying, name: str, echo: bool) -> None:
        if name not in GOOD_ROOMS:
            raise Refusal("invalid_name", "")
        self._check_new(said)
        self._name(said.sender, said.claimed)
        room = self._open(name)
        room.offset += 1
        if not room.members:
            self.empty.pop(name, None)
            self.empty[name] = self.now
        by_pattern = [id for one, ids in self.patterns.items() if matches(one, name) for id in ids]
        entry = self._send("message", said, {*room.members, *by_pattern}, echo, name, room.offset)
        room.history = [*room.history, entry][-self.history_length :]

    def broadcast(self, said: Saying, echo: bool) -> None:
        self._check_new(said)
        self._send("broadcast", said, self.clients, echo)

    def direct(self, said: Saying, to_id: str | None, to_user: str | None) -> None:
        self._check_new(said)
        receivers = [id for id, it in self.clients.items() if id == to_id or (to_user and it.user == to_user)]
        if not receivers:
            raise Refusal("not_found", "")
        self._send("direct", said, receivers, True)

    def unexpired(self, entries: list[Entry]) -> list[Entry]:
        """What is left of it now, with a note in the place of what isn't."""
        kept: list[Entry] = []
        for room, group in groupby(entries, lambda one: one.room if one.deadline <= self.now else None):
            these = [*group]
            kept += these if room is None else [Entry(missed_line(room, len(these)), room)]
        return kept

    def _name(self, id: str, claimed: str | None) -> str | None:
        proven = self.clients[id].user
        if claimed and proven and claimed != proven:
            raise Refusal("forbidden", "")
        if claimed and claimed not in GOOD_USERS:
            raise Refusal("invalid_name", "")
        if claimed and not proven and claimed in {client.user for client in self.clients.values()}:
            raise Refusal("forbidden", "")
        return proven or claimed or None

    def _check_new(self, said: Saying) -> None:
        place = self.published.get((self.clients[said.sender].sender, said.id or ""))
        if place is not None and self.now - place.published_at <= self.history_seconds:
            raise AlreadyPublished(place)

    def _send(
        self, kind: str, said: Saying, receivers: Iterable[str], echo: bool, room: str = "", offset: int = 0
    ) -> Entry:
        user = self._name(said.sender, said.claimed) or "anonymous"
        text = line(kind, room, offset, said.sender, user, said.payload)
        deadline = math.inf if said.ttl is None else self.now + said.ttl
        entry = Entry(text, room, PUBLICATION_OVERHEAD + len(said.payload), self.now, deadline)
        for id in receivers:
            if echo or id != said.sender:
                self.clients[id].expected.append(entry)
        self.publications += 1
        if said.id is not None:
            self.published[self.clients[said.sender].sender, said.id] = Place(room, offset, self.now)
        return entry

    def _open(self, name: str) -> RoomModel:
        if name not in self.rooms and len(self.rooms) == self.max_rooms:
            if not self.empty:
                raise Refusal("too_many_rooms", "")
            longest = next(iter(self.empty))
            del self.empty[longest], self.rooms[longest]
        return self.rooms.setdefault(name, RoomModel(name))

    def _changed(self, room: RoomModel, id: str) -> None:
        room.touched.add(id)
        if not room.hearers:
            room.known, room.touched = dict(room.members), set()
        elif room not in self.due:
            self.due[room] = self.now + PRESENCE_INTERVAL

    def _tell(self, room: RoomModel) -> None:
        lines = {id: member_line(id, member.user, member.state) for id, member in room.members.items()}
        joined = [lines[id] for id in lines.keys() - room.known.keys()]
        changed = [lines[id] for id in lines.keys() & room.known.keys() & room.touched]
        left = room.touched - room.members.keys()
        numbers = presence_line(room.name, len(room.members), room.users)
        text = numbers + changes_line(joined, left, changed)
        for id in room.hearers:
            self.clients[id].expected.append(Entry(text, room.name, numbers=numbers))
        room.known, room.touched = dict(room.members), set()


def merged(entries: list[Entry]) -> list[Entry]:
    """What waits for one that is behind: who is here is told once, between two answers to the client."""
    kept: list[Entry] = []
    places: dict[str | None, int] = {}
    for entry in entries:
        if entry.room is None:
            places.clear()
        if entry.numbers and entry.room in places:
            kept[places[entry.room]] = entry._replace(text=entry.numbers)
            continue
        if entry.numbers:
            places[entry.room] = len(kept)
        kept.append(entry)
    return kept
