"""Histogram: how often values were how large."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, final

# Bounds, each two to four times the one before: seconds of our own work, seconds on the network, octets, and
# sessions.
BRIEF: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
NETWORK: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OCTETS: Final = tuple(1 << bits for bits in range(10, 25, 2))
SESSIONS: Final = (0, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)


@final
class Histogram:
    """Counts values between bounds, the upper one included, and sums them up."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        # One more than there are bounds: for what is over the last.
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value
