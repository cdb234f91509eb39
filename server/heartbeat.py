"""Heartbeat: finds the peers that are gone without a word.

A peer that was silent for half an interval is pinged, so that something passes at least once in each;
if it stays silent for the timeout, counted from the ping, it is given up. Any octet from it is life. One
sweep serves all connections: they stand in slots, as many as sweeps fit in half an interval, and each
sweep looks at one slot, so that pings are spread too.
"""

from typing import Final, Protocol, final

from .bulkhead import for_each
from .deadlines import Deadlines

# Seconds between two sweeps, and so the grain of every timeout in the server.
SWEEP: Final = 0.25


class Beating(Protocol):
    """What the heartbeat asks of a connection."""

    # The heartbeat's own: where it stands, -1 for nowhere.
    seat: int
    # Whether anything came from the peer, or went to it, since the heartbeat last looked.
    is_alive: bool

    def send_ping(self) -> None:
        """Ask the peer for a sign of life."""

    def give_up(self) -> None:
        """End the connection without waiting for the peer."""


@final
class Heartbeat:
    """`interval` and `timeout` in seconds; an interval of 0 switches it off."""

    __slots__ = ("_awaited", "_next_slot", "_next_visit", "_slots", "_swept_at")

    def __init__(self, interval: float, timeout: float) -> None:
        self._slots: list[list[Beating]] = [[] for _ in range(max(1, round(interval / 2 / SWEEP)))]
        if interval == 0:
            self._slots = []
        self._awaited: Deadlines[Beating] = Deadlines(timeout)
        self._next_slot = 0
        self._next_visit = 0
        self._swept_at: float | None = None

    def __len__(self) -> int:
        return sum(map(len, self._slots))

    def add(self, connection: Beating) -> None:
        """Watch over a connection."""
        if not self._slots:
            return
        self._next_slot = (self._next_slot + 1) % len(self._slots)
        slot = self._slots[self._next_slot]
        # Its slot and its place there in one number.
        connection.seat = len(slot) * len(self._slots) + self._next_slot
        slot.append(connection)

    def discard(self, connection: Beating) -> None:
        """Watch over it no longer."""
        seat = connection.seat
        if seat < 0:
            return
        connection.seat = -1
        self._awaited.discard(connection)
        slot = self._slots[seat % len(self._slots)]
        last = slot.pop()
        if last is not connection:
            slot[seat // len(self._slots)] = last
            last.seat = seat

    def sweep(self, now: float) -> None:
        """Give up who didn't answer in time, and ping the next slot's silent ones."""
        if not self._slots:
            return
        late = 0.0 if self._swept_at is None else now - self._swept_at - SWEEP
        self._swept_at = now
        if late > SWEEP:
            # We were held up ourselves: what the peers sent meanwhile is still to be read.
            self._awaited.postpone(late)
        for_each("giving up", _give_up, self._awaited.expired(now))
        silent: list[Beating] = []
        for connection in self._slots[self._next_visit]:
            if connection.is_alive:
                connection.is_alive = False
                self._awaited.discard(connection)
            elif connection not in self._awaited:
                silent.append(connection)
                self._awaited.add(connection, now)
        self._next_visit = (self._next_visit + 1) % len(self._slots)
        for_each("a ping", _ping, silent)


def _give_up(connection: Beating) -> None:
    if not connection.is_alive:
        connection.give_up()


def _ping(connection: Beating) -> None:
    connection.send_ping()
