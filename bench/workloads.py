"""What is measured: the table of workloads."""

from dataclasses import dataclass
from typing import Final, Literal, final

Mode = Literal["echo", "fan", "churn", "storm", "idle"]


@final
@dataclass(frozen=True, slots=True)
class Workload:
    """One row; all that is called `KIND-...` is of that kind."""

    name: str
    mode: Mode
    door: Literal["echo", "room"]
    connections: int
    size: int = 0
    depth: int = 1
    # Messages a second, whatever is in flight: an open loop.
    rate: int = 0
    rooms: int = 1
    # The payload is JSON, and permessage-deflate agreed on.
    is_deflated: bool = False
    is_tls: bool = False
    # Measured only when it is named.
    on_demand: bool = False

    @property
    def title(self) -> str:
        traffic = f"{self.size:,} octets{' of JSON, deflated' if self.is_deflated else ''}"
        traffic += " over TLS" if self.is_tls else ""
        traffic += f", {self.rate:,} a second" if self.rate else f", {self.depth} in flight"
        what = _TITLES[self.mode]
        figure = "p99 of the latency in us" if self.rate else what[1]
        return f"{self.connections:,} {what[0]}, {traffic if self.size else ''}: {figure}".replace(", :", ":")

    @property
    def figure(self) -> str:
        """The key of the sample that is compared."""
        if self.mode == "idle":
            return "bytes_per_connection"
        return "p99_us" if self.rate else "rate_per_cpu_second"

    @property
    def is_less_better(self) -> bool:
        return self.figure != "rate_per_cpu_second"


_TITLES: Final[dict[Mode, tuple[str, str]]] = {
    "echo": ("connections", "messages per second of server CPU"),
    "fan": ("members", "deliveries per second of server CPU"),
    "churn": ("connections in and out of a room", "joins and leaves per second of server CPU"),
    "storm": ("at a time", "handshakes per second of server CPU"),
    "idle": ("connections at rest", "octets of server memory for each"),
}

WORKLOADS: Final = (
    Workload("echo-small", "echo", "echo", connections=32, size=64),
    Workload("echo-deep", "echo", "echo", connections=32, size=64, depth=16),
    Workload("echo-large", "echo", "echo", connections=16, size=65536),
    Workload("echo-tls", "echo", "echo", connections=32, size=64, is_tls=True),
    Workload("echo-tls-large", "echo", "echo", connections=16, size=65536, is_tls=True),
    Workload("open-20k", "echo", "echo", connections=32, size=64, rate=20_000),
    Workload("open-100k", "echo", "echo", connections=32, size=64, rate=100_000),
    Workload("open-fan", "fan", "room", connections=1000, size=128, rate=100),
    Workload("fan-one", "fan", "room", connections=1000, size=128),
    Workload("fan-deep", "fan", "room", connections=1000, size=128, depth=16),
    Workload("deflate-200", "echo", "echo", connections=32, size=200, is_deflated=True),
    Workload("deflate-4k", "echo", "echo", connections=32, size=4096, is_deflated=True),
    Workload("churn", "churn", "room", connections=100),
    Workload("storm", "storm", "echo", connections=32),
    Workload("idle-echo-10k", "idle", "echo", connections=10_000),
    Workload("idle-room-10k", "idle", "room", connections=10_000),
    Workload("idle-echo-50k", "idle", "echo", connections=50_000),
    Workload("idle-room-50k", "idle", "room", connections=50_000),
    Workload("idle-echo-100k", "idle", "echo", connections=100_000, on_demand=True),
    Workload("idle-room-100k", "idle", "room", connections=100_000, on_demand=True),
)
