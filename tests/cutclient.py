"""A client whose connection breaks wherever it likes, and that comes back as the documents tell it to."""

import asyncio
import json
import random
import socket
import struct
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, cast, final

from .logcheck import LogCheck
from .rawclient import CLOSE, PING, PONG, TEXT, frame, text, upgrade

# Octets of the next reads, behind which a client is cut while it listens.
MAX_MORE: Final = 400


class Cut(Enum):
    """Where a connection breaks."""

    AT_ONCE = "at once"
    LISTENING = "in the midst of what it hears"
    SPEAKING = "in the midst of what it says"
    UNACKNOWLEDGED = "behind what it says"


@final
@dataclass
class Tally:
    """What happened to all clients together."""

    cuts: int = 0
    heard: int = 0
    resent: int = 0
    # Of these, the ones that had arrived before.
    duplicates: int = 0
    recovered: int = 0
    not_recovered: int = 0
    # Messages that are missing, as the clients were told.
    missed: int = 0


@final
class Ledger:
    """What was published where, by all that anybody was told: there is one truth."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, int], str] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self.ends: dict[str, int] = {}
        self.problems: list[str] = []

    def note(self, room: str, offset: int, text: str) -> None:
        """Hold a message, heard or acknowledged, against what is known of its place."""
        place = room, offset
        known_text, known_place = self._texts.setdefault(place, text), self._places.setdefault(text, place)
        if (known_text, known_place) != (text, place):
            self.problems.append(f"{text} at {place}, but {known_text} there, and it at {known_place}")
        if offset > self.ends.get(room, 0):
            self.ends[room] = offset


@final
class Client(asyncio.Protocol):
    """One client, over all of its connections."""

    def __init__(
        self, name: str, rooms: list[str], ledger: Ledger, tally: Tally, chance: random.Random
    ) -> None:
        self._name = name
        self._rooms = rooms
        self._ledger = ledger
        self._tally = tally
        self._chance = chance
        self.log = LogCheck()
        self._token: str | None = None
        # What isn't acknowledged yet: the room by the text, which is the id too.
        self.pending: dict[str, str] = {}
        self._said = 0
        # This connection.
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._is_open = False
        self._to_join: set[str] = set()
        self._cut: Cut | None = None
        self._octets_left = 0
        self.lost: asyncio.Future[None]

    @property
    def is_ready(self) -> bool:
        """Whether it is in all of its rooms."""
        return self._is_open and self._token is not None and not self._to_join

    def _position(self, room: str) -> int | None:
        since = self.log.since(room)
        return None if since is None else int(since["offset"])

    @property
    def is_done(self) -> bool:
        """Whether it has heard all there is, and what it said is acknowledged."""
        ends = self._ledger.ends
        return (
            self.is_ready
            and not self.pending
            and all(self._position(room) == ends.get(room, 0) for room in self._rooms)
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._received.clear()
        self._is_open = False
        self._to_join = set(self._rooms)
        self._cut = None
        self.lost = asyncio.get_running_loop().create_future()
        self._transport.write(upgrade("/ws"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._is_open = False
        self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._cut is Cut.LISTENING and len(data) >= self._octets_left:
            self._take(data[: self._octets_left])
            self._break()
            return
        self._octets_left -= len(data)
        self._take(data)

    def cut(self, how: Cut) -> None:
        """Break the connection, now or when it comes to that."""
        self._cut = how
        self._octets_left = self._chance.randrange(1, MAX_MORE)
        if how is Cut.AT_ONCE or not (how is Cut.LISTENING or self.is_ready):
            self._break()
        elif how is not Cut.LISTENING:
            self.say()

    def spare(self) -> None:
        """Break it no more."""
        self._cut = None

    def leave(self) -> None:
        """Go, for good."""
        if self._transport is not None:
            self._transport.abort()

    def say(self) -> None:
        """Publish something that nobody has said before."""
        self._said += 1
        said = f"{self._name}-{self._said}"
        self.pending[said] = self._chance.choice(self._rooms)
        message = self._message(said)
        if self._cut is Cut.SPEAKING:
            message = message[: self._chance.randrange(len(message))]
        self._write(message)
        if self._cut in (Cut.SPEAKING, Cut.UNACKNOWLEDGED):
            self._break()

    def _message(self, said: str) -> bytes:
        return text(
            json.dumps(
                {"action": "message", "room": self.pending[said], "message": said, "id": said, "ref": said}
            )
        )

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _break(self) -> None:
        """Reset the connection, or end it without a Close."""
        if self._transport is None:
            return
        self._tally.cuts += 1
        if self._chance.random() < 0.5:
            connected: socket.socket = self._transport.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        # What is still to come was never heard.
        self._transport = None
        self._is_open = False

    def _take(self, data: bytes) -> None:
        received = self._received
        received += data
        if not self._is_open:
            head, found, rest = received.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self.log.problems.append(f"refused: {bytes(head)!r}")
            self._is_open = True
            received[:] = rest
        position = 0
        while len(received) >= position + 4:
            opcode, size, start = received[position] & 0x0F, received[position + 1], position + 2
            if size == 126:
                size, start = int.from_bytes(received[start : start + 2], "big"), start + 2
            if len(received) < start + size:
                break
            position = start + size
            self._hear(opcode, bytes(received[start:position]))
        del received[:position]

    def _hear(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._write(frame(PONG, payload))
        elif opcode == CLOSE:
            self.log.problems.append(f"closed with {payload!r}")
        elif opcode != TEXT:
            self.log.problems.append(f"a frame of opcode {opcode}")
        else:
            message = json.loads(payload)
            self._hear_message(message)

    def _hear_message(self, message: dict[str, Any]) -> None:
        room = message.get("room", "")
        before = self.log.since(room)
        if message["type"] != "ack":
            self.log.hear(message)
        match message["type"]:
            case "welcome":
                self._enter(message["token"])
            case "joined":
                if message["recovered"]:
                    self._tally.recovered += 1
                elif before is not None:
                    self._tally.not_recovered += 1
                    self._tally.missed += message["offset"] - before["offset"]
                self._to_join.discard(room)
                if not self._to_join:
                    self._say_again()
            case "message":
                self._tally.heard += 1
                self._ledger.note(room, message["offset"], message["message"])
            case "ack":
                del self.pending[message["ref"]]
                self._tally.duplicates += "duplicate" in message
                self._ledger.note(room, message["offset"], message["ref"])
            case "missed":
                self._tally.missed += message["count"]
            case "resumed":
                pass
            case _:
                self.log.problems.append(f"heard {message}")

    def _enter(self, token: str) -> None:
        if self._token is None:
            self._token = token
        else:
            self._write(text(json.dumps({"action": "resume", "token": self._token})))
        for room in self._rooms:
            join: dict[str, Any] = {"action": "join", "room": room}
            if (since := self.log.since(room)) is not None:
                join["since"] = since
            self._write(text(json.dumps(join)))

    def _say_again(self) -> None:
        self._tally.resent += len(self.pending)
        for said in self.pending:
            self._write(self._message(said))
