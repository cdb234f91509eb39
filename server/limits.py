"""How much a client may send, and how many clients there may be."""

import math
import resource
from typing import Final, final

# Seconds' worth of its rate that a client may save up.
BURST: Final = 2.0
# Descriptors kept for files, pipes and the listening sockets themselves.
RESERVED_DESCRIPTORS: Final = 256


@final
class Rates:
    """Messages, frames and octets a second; 0 is no limit."""

    __slots__ = ("bytes", "frames", "messages")

    def __init__(self, messages: float, frames: float, bytes: float) -> None:
        self.messages = messages or math.inf
        self.frames = frames or math.inf
        self.bytes = bytes or math.inf


@final
class Allowance:
    """What one client may still send: three token buckets that fill together.

    Spend by subtracting; what falls below 0 was too much.
    """

    __slots__ = ("_filled_at", "_frames_seen", "_rates", "bytes", "frames", "messages")

    def __init__(self, rates: Rates, now: float) -> None:
        self._rates = rates
        self._filled_at = now
        self._frames_seen = 0
        self.messages = rates.messages * BURST
        self.frames = rates.frames * BURST
        self.bytes = rates.bytes * BURST

    def refill(self, now: float) -> None:
        """Add what the time since the last refill has earned; `now` in seconds."""
        rates = self._rates
        elapsed = now - self._filled_at
        if elapsed <= 0:
            return
        self._filled_at = now
        self.messages = min(self.messages + rates.messages * elapsed, rates.messages * BURST)
        self.frames = min(self.frames + rates.frames * elapsed, rates.frames * BURST)
        self.bytes = min(self.bytes + rates.bytes * elapsed, rates.bytes * BURST)

    def passed(self, frames_received: int) -> str | None:
        """Say what there was too much of, if anything; `frames_received` counts from the beginning."""
        self.frames -= frames_received - self._frames_seen
        self._frames_seen = frames_received
        if self.messages < 0:
            return "messages"
        if self.frames < 0:
            return "frames"
        return "bytes" if self.bytes < 0 else None


@final
class Admission:
    """Counts connections, in all and per address, and says who may come in."""

    __slots__ = ("_connections", "_max_connections", "_max_per_address", "_per_address")

    def __init__(self, max_connections: int, max_per_address: int) -> None:
        self._max_connections = max_connections
        self._max_per_address = max_per_address
        self._connections = 0
        self._per_address: dict[str, int] = {}

    def __len__(self) -> int:
        return self._connections

    def admit(self, address: str) -> bool:
        """Count a connection in, if there is room for it."""
        here = self._per_address.get(address, 0)
        if self._connections >= self._max_connections or here >= self._max_per_address:
            return False
        self._connections += 1
        self._per_address[address] = here + 1
        return True

    def release(self, address: str) -> None:
        """Count a connection out that was admitted."""
        self._connections -= 1
        here = self._per_address[address] - 1
        if here:
            self._per_address[address] = here
        else:
            del self._per_address[address]


def descriptor_limit() -> int:
    """Return how many connections the process has descriptors for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, soft - RESERVED_DESCRIPTORS)
