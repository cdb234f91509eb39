"""Fanout: gathers the sessions that have something to send, and flushes them once a turn.

One flush is scheduled per turn of the event loop, behind all the reads of that turn: however many
publications they bring, a member gets them in one write.
"""

import logging
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import final

from .histogram import BRIEF, Histogram
from .session import Session
from .tick import MAX_BATCH, Item, Tick

logger = logging.getLogger(__name__)


@final
class Fanout:
    """The list of dirty sessions. `schedule` calls back later in this turn, `clock` gives seconds.

    `max_batch` is how many octets a session writes before it asks whether the transport takes more.
    """

    __slots__ = ("_clock", "_dirty", "_is_scheduled", "_max_batch", "_schedule", "flushes")

    def __init__(
        self,
        schedule: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
        max_batch: int = MAX_BATCH,
    ) -> None:
        self._schedule = schedule
        self._clock = clock
        self._max_batch = max_batch
        self._dirty: list[Session] = []
        self._is_scheduled = False
        # Seconds that each flush to more than one session took.
        self.flushes = Histogram(BRIEF)

    def add(self, session: Session) -> None:
        """Flush this session at the end of the turn."""
        if not session.is_dirty:
            session.is_dirty = True
            self._dirty.append(session)
            self._schedule_once()

    def send(self, item: Item, sessions: Iterable[Session]) -> None:
        """Put an item at the end of what is to be sent to each session."""
        dirty = self._dirty
        for session in sessions:
            out = session.out
            if out is None:
                session.out = [item]
            else:
                out.append(item)
            if not session.is_dirty:
                session.is_dirty = True
                dirty.append(session)
        self._schedule_once()

    def flush(self) -> None:
        """Deliver to every dirty session. What they cause in turn waits for the next flush."""
        self._is_scheduled = False
        dirty = self._dirty
        self._dirty = []
        # One session isn't worth two looks at the clock.
        begun = perf_counter() if len(dirty) > 1 else None
        tick = Tick(self._clock(), self._max_batch)
        for session in dirty:
            session.is_dirty = False
            try:
                session.deliver(tick)
            except Exception:
                # One session's fault is not its neighbours'.
                logger.exception("session %s failed", session.id, extra={"connection": session.id})
                session.kick(1011, "internal error")
        if begun is not None:
            self.flushes.observe(perf_counter() - begun)

    def _schedule_once(self) -> None:
        if self._dirty and not self._is_scheduled:
            self._is_scheduled = True
            self._schedule(self.flush)
