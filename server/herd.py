"""Herd: how many handshakes may be in progress at a time when more clients come than are being served.

1. A turn of the loop accepts a few; then sessions, and the handshakes of those few, have theirs.
2. While a turn takes all who wait, everybody is let in: the loop keeps up, whatever is in progress.
3. Handshakes completed, divided by the CPU time of the loop's thread, is how many it completes in a second;
   measured while clients come, and the past fades.
4. Behind a turn that left some waiting, who comes is let in while fewer are in progress than one second
   completes, and else sent away before TLS and authentication, to come back at a time of its own.
5. As many as the kernel's queue holds are let in all the same: else nothing could be learnt any more.
"""

import time
from collections.abc import Callable
from typing import Final, final

# Connections that the kernel keeps for us between two turns of the loop.
BACKLOG: Final = 128
# Seconds that a measurement takes at the least, and at the most: in a longer one nobody came for a while.
MIN_SPAN: Final = 0.1
MAX_SPAN: Final = 1.0
# What is left of an old measurement when the next one is added.
FADING: Final = 0.95


@final
class Herd:
    """Measures the capacity of the loop that it is used on."""

    __slots__ = ("_busy", "_clock", "_completed", "_count", "_counted", "_cpu", "_spent", "_started")

    def __init__(
        self,
        count: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        # How many handshakes were completed since the beginning.
        self._count = count
        self._clock = clock
        self._cpu = cpu
        self._completed = 0.0
        self._busy = 0.0
        self._begin(clock())

    @property
    def capacity(self) -> float:
        """How many handshakes can be in progress and be done in a second."""
        return max(BACKLOG, self._completed / self._busy if self._busy else 0)

    def has_room(self, in_progress: int) -> bool:
        """Tell whether one more would be done in a second, as far as is known."""
        return not self._completed or in_progress < self.capacity

    def measure(self) -> None:
        """Take a measurement, if it is time for one: whenever there is somebody to accept."""
        now = self._clock()
        span = now - self._started
        if span < MIN_SPAN:
            return
        if span <= MAX_SPAN:
            self._completed = self._completed * FADING + self._count() - self._counted
            self._busy = self._busy * FADING + self._cpu() - self._spent
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._started = now
        self._counted = self._count()
        self._spent = self._cpu()
