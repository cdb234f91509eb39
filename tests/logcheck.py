"""Log check: whether a client heard all that there was in its rooms, in order and once, or was told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

Json = dict[str, Any]


@final
@dataclass
class _Log:
    """How far one room was heard."""

    epoch: str
    # Of the newest message heard, or the one from which on the client hears.
    offset: int
    is_joined: bool = True
    # Told as missed behind that; and those told before the connection that `offset` comes from was lost.
    missed: int = 0
    missed_before: int = 0
    # Behind it the client's own, of which it wanted no echo.
    own: set[int] = field(default_factory=set)

    @property
    def position(self) -> int:
        return self.offset + self.missed_before + self.missed + len(self.own)


@final
class LogCheck:
    """Takes what one client is sent in the rooms dialect, over all its connections, each from its `welcome`.

    Of acknowledgements it is to be given those of messages that were sent with `"echo":false`. A room that
    conflates has no order that could be checked, and one that is heard by a pattern has no beginning.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        # Messages heard, those told as missed, and how often a room was joined with and without recovery.
        self.heard = 0
        self.missed = 0
        self.recovered = 0
        self.not_recovered = 0
        self._logs: dict[str, _Log] = {}
        self._checks: dict[str, Callable[[Json], None]] = {
            "welcome": self._welcome,
            "joined": self._joined,
            "left": self._left,
            "message": self._message,
            "missed": self._skip,
            "ack": self._ack,
        }

    def hear(self, message: Json) -> None:
        """Hold a message against those before it."""
        check = self._checks.get(message["type"])
        if check is not None:
            check(message)

    @property
    def positions(self) -> dict[str, tuple[str, int]]:
        """How far each room was heard: its epoch and the offset."""
        return {room: (log.epoch, log.position) for room, log in self._logs.items()}

    def since(self, room: str) -> Json | None:
        """Where to go on in a room, as the client says it when it joins again; None if it never was there."""
        log = self._logs.get(room)
        return None if log is None else {"epoch": log.epoch, "offset": log.position}

    def _welcome(self, message: Json) -> None:
        for log in self._logs.values():
            log.is_joined = False

    def _joined(self, message: Json) -> None:
        room, epoch, offset = message["room"], message["epoch"], message["offset"]
        log = self._logs.get(room)
        if log is not None and log.epoch == epoch and offset < log.position:
            self._complain(room, f"was at {log.position}, and is back at {offset}")
        if log is not None and log.epoch == epoch and log.is_joined and offset > log.position:
            self._complain(room, f"is at {offset}, but only {log.position} was heard")
        if not message["recovered"]:
            self.not_recovered += log is not None
            self._logs[room] = _Log(epoch, offset)
            return
        if log is None or log.epoch != epoch or log.is_joined:
            self._complain(room, "is recovered, but from nowhere")
            self._logs[room] = _Log(epoch, offset)
            return
        # Who goes on from the last message that it heard is sent what it was told it missed, if it is left.
        self.recovered += 1
        log.missed_before += log.missed
        log.missed = 0
        log.is_joined = True

    def _left(self, message: Json) -> None:
        log = self._logs.get(message["room"])
        if log is not None:
            log.is_joined = False

    def _message(self, message: Json) -> None:
        log = self._find(message)
        if log is None:
            return
        self.heard += 1
        room, offset = message["room"], message["offset"]
        if offset <= log.offset:
            self._complain(room, f"{offset} came again, or behind {log.offset}")
            return
        unheard = offset - log.offset - 1 - sum(one < offset for one in log.own)
        if unheard not in (log.missed, log.missed_before + log.missed):
            self._complain(room, f"before {offset} {unheard} weren't heard, but {log.missed} told as missed")
        log.offset = offset
        log.missed = log.missed_before = 0
        log.own = {one for one in log.own if one > offset}

    def _skip(self, message: Json) -> None:
        log = self._find(message)
        if log is not None:
            self.missed += message["count"]
            log.missed += message["count"]

    def _ack(self, message: Json) -> None:
        log = self._find(message)
        # What was published before may have been in another life of the room.
        if log is not None and not message.get("duplicate") and message["offset"] > log.offset:
            log.own.add(message["offset"])

    def _find(self, message: Json) -> _Log | None:
        log = self._logs.get(message.get("room", ""))
        return log if log is not None and log.is_joined else None

    def _complain(self, room: str, what: str) -> None:
        self.problems.append(f"{room}: {what}")
