"""Expiry: ends the sessions whose identity has expired, by one sweep for all of them."""

import heapq
import math
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Final, final

from .bulkhead import for_each
from .identity import UNAUTHORIZED
from .session import Session

# Entries of sessions that are gone, besides as many as are here, before they are cleared away.
_MAX_STALE: Final = 64

_NUMBERS: Final = count()


@final
class Expiries:
    """Sessions in the order in which they expire.

    `clock` gives the event loop's seconds, `wall_clock` Unix time, which is looked at once for each token: a
    clock that is set anew ends nobody.
    """

    __slots__ = ("_clock", "_due", "_numbers", "_sessions", "_wall_clock")

    def __init__(self, clock: Callable[[], float], wall_clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        # A number stands for a session, so that none is kept that is gone.
        self._due: list[tuple[float, int]] = []
        self._sessions: dict[int, Session] = {}
        self._numbers: dict[Session, int] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def watch(self, session: Session) -> None:
        """End a session when its identity expires, unless it has another by then."""
        self.discard(session)
        if session.identity is None or session.identity.expires_at == math.inf:
            return
        number = next(_NUMBERS)
        self._numbers[session] = number
        self._sessions[number] = session
        due = self._clock() + session.identity.expires_at - self._wall_clock()
        heapq.heappush(self._due, (due, number))

    def discard(self, session: Session) -> None:
        """Let a session go."""
        number = self._numbers.pop(session, None)
        if number is None:
            return
        del self._sessions[number]
        if len(self._due) > 2 * len(self._sessions) + _MAX_STALE:
            self._due = [entry for entry in self._due if entry[1] in self._sessions]
            heapq.heapify(self._due)

    def sweep(self, now: float) -> None:
        """End those whose time is up: nothing that still comes, or waits, is delivered."""
        for_each("an expiry", _end, self._expired(now))

    def _expired(self, now: float) -> Iterator[Session]:
        while self._due and self._due[0][0] <= now:
            session = self._sessions.get(heapq.heappop(self._due)[1])
            if session is not None:
                self.discard(session)
                yield session


def _end(session: Session) -> None:
    session.kick(UNAUTHORIZED, "the token has expired")
