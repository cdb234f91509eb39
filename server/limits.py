"""How much a client may send, and how many clients there may be."""

import math
import resource
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final, final

# Seconds' worth of its rate that a client may save up.
BURST: Final = 2.0
# Addresses or users whose spending is remembered at a time, twice that at most.
MAX_REMEMBERED: Final = 100_000
# RFC 4291 2.5.5.2: what a socket for both families calls a client that came over IPv4.
_IPV4_MAPPED: Final = bytes(10) + b"\xff\xff"
# Descriptors kept for files, pipes and the listening sockets themselves; half of them where they are few.
RESERVED_DESCRIPTORS: Final = 256


@final
class Rates:
    """Messages, frames and octets a second; 0 is no limit."""

    __slots__ = ("bytes", "frames", "messages")

    def __init__(self, messages: float, frames: float, bytes: float) -> None:
        self.messages = messages or math.inf
        self.frames = frames or math.inf
        self.bytes = bytes or math.inf

    @property
    def are_limits(self) -> bool:
        """Tell whether there is any."""
        return min(self.messages, self.frames, self.bytes) < math.inf


@final
class Allowance:
    """What may still be sent: three token buckets that fill together. `network` is whose it is a part of."""

    __slots__ = ("_filled_at", "_rates", "bytes", "frames", "messages", "network")

    def __init__(self, rates: Rates, now: float, network: str = "") -> None:
        self.network = network
        self._rates = rates
        self._filled_at = now
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

    def spend(self, messages: int, frames: int, octets: int) -> str | None:
        """Spend that much, or nothing if it is too much; then say of what."""
        if messages > self.messages:
            return "messages"
        if frames > self.frames:
            return "frames"
        if octets > self.bytes:
            return "bytes"
        self.messages -= messages
        self.frames -= frames
        self.bytes -= octets
        return None


@final
class SharedAllowances:
    """What all who have one address, or one user, may send together.

    What isn't spent from for BURST seconds is full again, and needn't be remembered: it is forgotten when
    it was in neither of the last two spans of that length.
    """

    __slots__ = ("_allowances", "_before", "_began_at", "_rates")

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._began_at = -math.inf
        self._allowances: dict[str, Allowance] = {}
        self._before: dict[str, Allowance] = {}

    def __len__(self) -> int:
        return len(self._allowances) + len(self._before)

    def spend(self, key: str, now: float, messages: int, frames: int, octets: int) -> str | None:
        """Spend that much, or nothing if it is too much: then who sends less may go on; say of what."""
        if now - self._began_at >= BURST or len(self._allowances) >= MAX_REMEMBERED:
            self._before = self._allowances if now - self._began_at < 2 * BURST else {}
            self._allowances = {}
            self._began_at = now
        allowance = self._allowances.get(key)
        if allowance is None:
            allowance = self._before.pop(key, None) or Allowance(self._rates, now)
            self._allowances[key] = allowance
        allowance.refill(now)
        return allowance.spend(messages, frames, octets)


@final
class Limiter:
    """Holds what clients send to the rates per connection, per address and per user."""

    __slots__ = ("_per_address", "_per_connection", "_per_user")

    def __init__(self, per_connection: Rates, per_address: Rates, per_user: Rates) -> None:
        self._per_connection = per_connection
        self._per_address = SharedAllowances(per_address) if per_address.are_limits else None
        self._per_user = SharedAllowances(per_user) if per_user.are_limits else None

    def new_allowance(self, now: float, address: str) -> Allowance:
        """Make what one connection from that address may send."""
        return Allowance(self._per_connection, now, network_of(address))

    def spend(
        self,
        allowance: Allowance,
        user: str | None,
        now: float,
        messages: int,
        frames: int,
        octets: int,
    ) -> str | None:
        """Spend that much of a connection's and of what it shares; say what was too much, if anything."""
        passed = allowance.spend(messages, frames, octets)
        if passed is not None:
            return f"{passed} a second"
        if self._per_address is not None and allowance.network:
            passed = self._per_address.spend(allowance.network, now, messages, frames, octets)
            if passed is not None:
                return f"{passed} a second from your address"
        if self._per_user is not None and user is not None:
            passed = self._per_user.spend(user, now, messages, frames, octets)
            if passed is not None:
                return f"{passed} a second from your user"
        return None


@final
class HandshakeRates:
    """How many handshakes a second there may be: in all, from one address, and by one user; 0 is no limit."""

    __slots__ = ("_in_all", "_per_address", "_per_user")

    def __init__(self, in_all: float, per_address: float, per_user: float) -> None:
        self._in_all = SharedAllowances(Rates(in_all, 0, 0)) if in_all else None
        self._per_address = SharedAllowances(Rates(per_address, 0, 0)) if per_address else None
        self._per_user = SharedAllowances(Rates(per_user, 0, 0)) if per_user else None

    def admit(self, address: str, now: float) -> str | None:
        """Count a handshake; say of what there are too many, `address` or `server`, if anything."""
        per_address = self._per_address if address else None
        if per_address is not None and per_address.spend(network_of(address), now, 1, 0, 0) is not None:
            return "address"
        if self._in_all is not None and self._in_all.spend("", now, 1, 0, 0) is not None:
            return "server"
        return None

    def admit_user(self, user: str, now: float) -> bool:
        """Count a handshake of a user who has proved who that is; False if there are too many."""
        return self._per_user is None or self._per_user.spend(user, now, 1, 0, 0) is None


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
        if self._connections >= self._max_connections or not self._admit_from(network_of(address)):
            return False
        self._connections += 1
        return True

    def move(self, address: str, client: str) -> bool:
        """Count a connection of `address` to the client behind it, if there is room for one of that."""
        network, clients = network_of(address), network_of(client)
        if network == clients:
            return True
        if not self._admit_from(clients):
            return False
        self._release_from(network)
        return True

    def release(self, address: str) -> None:
        """Count a connection out that was admitted."""
        self._connections -= 1
        self._release_from(network_of(address))

    def _admit_from(self, network: str) -> bool:
        here = self._per_address.get(network, 0)
        if here >= self._max_per_address:
            return False
        # No address, that of a peer on this machine or of a proxy, is nobody's.
        if network:
            self._per_address[network] = here + 1
        return True

    def _release_from(self, network: str) -> None:
        if not network:
            return
        here = self._per_address[network] - 1
        if here:
            self._per_address[network] = here
        else:
            del self._per_address[network]


def network_of(address: str) -> str:
    """Return what an address counts as: itself, or in IPv6 the 64 bits of which one subscriber has all."""
    if ":" not in address:
        return address
    packed = inet_pton(AF_INET6, address.partition("%")[0])
    if packed.startswith(_IPV4_MAPPED):
        return inet_ntop(AF_INET, packed[len(_IPV4_MAPPED) :])
    return inet_ntop(AF_INET6, packed[:8] + bytes(8)) + "/64"


def descriptor_limit() -> int:
    """Return how many connections the process has descriptors for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, soft - min(RESERVED_DESCRIPTORS, soft // 2))
