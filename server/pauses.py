"""Pauses: how late the event loop is, and how long the garbage collector stops it."""

import gc
import math
from collections import deque
from time import perf_counter
from typing import Final, final

from .heartbeat import SWEEP
from .histogram import BRIEF, SECONDS, Histogram

# Seconds over which the longest lateness is kept, at the least; at the most twice that.
WINDOW: Final = 60.0
# Times that the loop stood still which are kept in mind.
MAX_STALLS: Final = 100


@final
class Pauses:
    """Begins to watch the collector, which the whole process shares, with `start()`."""

    __slots__ = (
        "_begun",
        "_due",
        "_longest",
        "_longest_before",
        "_stalls",
        "_window_ends",
        "collections",
        "lag",
    )

    def __init__(self) -> None:
        self.lag = Histogram(SECONDS)
        # By generation.
        self.collections = tuple(Histogram(BRIEF) for _ in gc.get_threshold())
        self._begun = 0.0
        # When the loop is to call back next, and its latest stalls: when each ended, and how long it was.
        self._due = math.inf
        self._stalls: deque[tuple[float, float]] = deque(maxlen=MAX_STALLS)
        self._longest = 0.0
        self._longest_before = 0.0
        self._window_ends = 0.0

    @property
    def longest_lag(self) -> float:
        """The worst lateness of this window and the last."""
        return max(self._longest, self._longest_before)

    def start(self) -> None:
        """Watch the collector."""
        gc.callbacks.append(self._on_collection)

    def stop(self) -> None:
        """Watch it no longer. Once more does nothing."""
        if self._on_collection in gc.callbacks:
            gc.callbacks.remove(self._on_collection)

    def late(self, seconds: float, now: float) -> None:
        """Take by how much the loop missed a time it was to call back at; the next is a sweep from now."""
        self._due = now + SWEEP
        if seconds > SWEEP:
            self._stalls.append((now, seconds))
        # A clock in milliseconds may be early by a part of one.
        seconds = max(seconds, 0.0)
        if now >= self._window_ends:
            self._window_ends = now + WINDOW
            self._longest_before, self._longest = self._longest, 0.0
        self._longest = max(self._longest, seconds)
        self.lag.observe(seconds)

    def lost(self, seconds: float, now: float) -> float:
        """Tell how long we stood still by stalls that ended in the last so many seconds, or end now."""
        late = now - self._due
        lost = late if late > SWEEP else 0.0
        # Asked for each slow member: those that are too long ago are not looked at.
        for ended, length in reversed(self._stalls):
            if ended <= now - seconds:
                break
            lost += length
        return lost

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._begun = perf_counter()
        else:
            self.collections[info["generation"]].observe(perf_counter() - self._begun)
