"""What is measured: the table of workloads."""

from dataclasses import dataclass
from typing import Final, Literal, final

Mode = Literal["echo", "fan", "storm", "idle"]


@final
@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    mode: Mode
    door: Literal["echo", "room"]
    connections: int
    size: int = 0
    depth: int = 1

    @property
    def title(self) -> str:
        traffic = f"{self.size} octets, {self.depth} in flight"
        match self.mode:
            case "echo":
                return f"{self.connections} connections, {traffic}: messages per second of server CPU"
            case "fan":
                return f"{self.connections} members, {traffic}: deliveries per second of server CPU"
            case "storm":
                return f"{self.connections} handshakes at a time: handshakes per second of server CPU"
            case "idle":
                return f"{self.connections} connections at rest: octets of server memory for each"


WORKLOADS: Final = (
    Workload("echo-small", "echo", "echo", connections=32, size=64),
    Workload("echo-deep", "echo", "echo", connections=32, size=64, depth=16),
    Workload("echo-large", "echo", "echo", connections=16, size=65536),
    Workload("fan-one", "fan", "room", connections=1000, size=128),
    Workload("fan-deep", "fan", "room", connections=1000, size=128, depth=16),
    Workload("storm", "storm", "echo", connections=32),
    Workload("idle-echo", "idle", "echo", connections=2000),
    Workload("idle-room", "idle", "room", connections=2000),
)
