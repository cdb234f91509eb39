"""Hub model: who is here, who hears what and in which order, in as few lines as it can be said."""

from dataclasses import dataclass, field
from typing import NamedTuple, final

from tests.stage import line

GOOD_NAMES = frozenset({"a", "b", "c", "d", "alice", "bob", "carol"})


class Saying(NamedTuple):
    """What a session says, and as whom if it claims a name."""

    sender: str
    payload: str
    claimed: str | None


@final
@dataclass
class Client:
    user: str | None
    rooms: list[str] = field(default_factory=list)
    # Every message that is to reach it, from the first on.
    expected: list[str] = field(default_factory=list)


@final
class HubModel:
    """Each request returns the code by which it is refused, or nothing."""

    def __init__(self, max_rooms: int, max_rooms_per_session: int) -> None:
        self.max_rooms = max_rooms
        self.max_rooms_per_session = max_rooms_per_session
        self.publications = 0
        # All in the order of coming or of joining.
        self.clients: dict[str, Client] = {}
        self.members: dict[str, list[str]] = {}
        # Of rooms that emptied too; those stand in `empty`, the longest empty one first.
        self.offsets: dict[str, int] = {}
        self.empty: list[str] = []

    def enter(self, id: str, user: str | None) -> Client:
        self.clients[id] = Client(user)
        return self.clients[id]

    def exit(self, id: str) -> None:
        for room in self.clients[id].rooms[:]:
            self.leave(id, room)
        del self.clients[id]

    def join(self, id: str, room: str) -> str:
        rooms = self.clients[id].rooms
        if room in rooms:
            return ""
        if len(rooms) == self.max_rooms_per_session:
            return "too_many_rooms"
        if room not in GOOD_NAMES:
            return "invalid_name"
        if not self._open(room):
            return "too_many_rooms"
        rooms.append(room)
        self.members.setdefault(room, []).append(id)
        self.empty = [name for name in self.empty if name != room]
        return ""

    def leave(self, id: str, room: str) -> str:
        if room not in self.clients[id].rooms:
            return "not_a_member"
        self.clients[id].rooms.remove(room)
        self.members[room].remove(id)
        if not self.members[room]:
            del self.members[room]
            self.empty.append(room)
        return ""

    def publish(self, said: Saying, room: str) -> str:
        if room not in GOOD_NAMES:
            return "invalid_name"
        if refusal := self._forbid(said):
            return refusal
        if not self._open(room):
            return "too_many_rooms"
        self.offsets[room] += 1
        if room not in self.members:
            self.empty = [*(name for name in self.empty if name != room), room]
        return self._send("message", said, self.members.get(room, []), room, self.offsets[room])

    def broadcast(self, said: Saying, echo: bool) -> str:
        return self._send("broadcast", said, [id for id in self.clients if echo or id != said.sender])

    def direct(self, said: Saying, to_id: str | None, to_user: str | None) -> str:
        receivers = [id for id, it in self.clients.items() if id == to_id or (to_user and it.user == to_user)]
        return self._send("direct", said, receivers) if receivers else "not_found"

    def _send(self, kind: str, said: Saying, receivers: list[str], room: str = "", offset: int = 0) -> str:
        if refusal := self._forbid(said):
            return refusal
        proven, claimed = self.clients[said.sender].user, said.claimed
        self.publications += 1
        text = line(kind, room, offset, said.sender, proven or claimed or "anonymous", said.payload)
        for id in receivers:
            self.clients[id].expected.append(text)
        return ""

    def _forbid(self, said: Saying) -> str:
        proven, claimed = self.clients[said.sender].user, said.claimed
        if claimed and proven and claimed != proven:
            return "forbidden"
        if claimed and claimed not in GOOD_NAMES:
            return "invalid_name"
        if claimed and not proven and claimed in {client.user for client in self.clients.values()}:
            return "forbidden"
        return ""

    def _open(self, room: str) -> bool:
        if room not in self.offsets and len(self.offsets) == self.max_rooms:
            if not self.empty:
                return False
            del self.offsets[self.empty.pop(0)]
        self.offsets.setdefault(room, 0)
        return True
