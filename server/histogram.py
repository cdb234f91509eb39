"""Histogram: how often values were how large."""

from typing import Final, final

# Bounds, each two to four times the one before: seconds of our own work, seconds on the network, octets, and
# sessions.
BRIEF: Final = "0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5"
SECONDS: Final = "0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10"
OCTETS: Final = "1024 4096 16384 65536 262144 1048576 4194304 16777216"
SESSIONS: Final = "0 1 3 10 30 100 300 1000 3000 10000 30000 100000"


@final
class Histogram:
    """Counts values between `bounds`, the upper one included, and sums them up."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: str) -> None:
        self.bounds: list[float] = [float(bound) for bound in bounds.split()]
        # One more than there are bounds: for what is over the last.
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        place = 0
        for bound in self.bounds:
            if value <= bound:
                break
            place += 1
        self.counts[place] += 1
        self.sum += value
