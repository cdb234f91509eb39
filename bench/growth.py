"""How the cost grows: one quantity at a time over decades, and the slope of the line through its logs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import linear_regression, median
from typing import Final, Literal, final

from bench.rounds import Bench
from bench.servers import Server
from bench.workloads import Workload

Point = tuple[int, float]

# A slope of 1 is linear; what noise and the caches of a machine add stays below this.
STEEPEST: Final = 1.1


@final
@dataclass(frozen=True, slots=True)
class Axis:
    """What is varied, and what one unit of work is: its cost should grow linearly at most."""

    name: str
    quantity: Literal["connections", "rooms", "size"]
    values: tuple[int, ...]
    work: str
    base: Workload
    on_demand: bool = False

    def workload(self, value: int) -> Workload:
        base = self.base
        match self.quantity:
            case "connections":
                return replace(base, connections=value)
            case "rooms":
                return replace(base, rooms=value)
            case "size":
                return replace(base, size=value)

    def microseconds(self, value: int, rate_per_cpu_second: float) -> float:
        """Server CPU for one unit of work: something on each connection or in each room, or one message."""
        count = 1 if self.quantity == "size" else value
        return 1e6 * count / rate_per_cpu_second


@final
@dataclass(frozen=True, slots=True)
class Growth:
    axis: str
    work: str
    server: str
    points: list[Point]
    slope: float
    # Over the last decade alone: there a fixed cost at the small end flatters nobody.
    last_slope: float

    @property
    def is_steep(self) -> bool:
        return max(self.slope, self.last_slope) > STEEPEST


_ECHO: Final = Workload("growth", "echo", "echo", connections=32, size=64)
_FAN: Final = Workload("growth", "fan", "room", connections=1, size=128)

_CONNECTIONS: Final = (10, 100, 1000, 10_000, 50_000)
_COUNTS: Final = (1, 10, 100, 1000, 10_000)
_SIZES: Final = tuple(4**power for power in range(2, 13))

AXES: Final = (
    Axis("growth-members", "connections", _COUNTS, "a publication to all members", _FAN),
    Axis("growth-rooms", "rooms", _COUNTS, "a message in every room", replace(_FAN, depth=16)),
    Axis("growth-connections", "connections", _CONNECTIONS, "an echo on every connection", _ECHO),
    Axis("growth-size", "size", _SIZES, "an echo of so many octets", replace(_ECHO, connections=4)),
)


def measure(bench: Bench, axis: Axis, server: Server, values: Sequence[int]) -> Growth:
    """Measure all the values in each round."""
    costs: dict[int, list[float]] = {value: [] for value in values}
    for _ in range(bench.rounds):
        for value in values:
            sample = bench.sample(axis.workload(value), server)
            costs[value].append(axis.microseconds(value, sample["rate_per_cpu_second"]))
    points = [(value, median(costs[value])) for value in values]
    last_decade = [point for point in points if point[0] * 10 >= values[-1]]
    return Growth(axis.name, axis.work, server.name, points, fit(points), fit(last_decade))


def fit(points: Sequence[Point]) -> float:
    """Return the slope of the straight line through the points' logarithms."""
    x, y = zip(*((math.log(value), math.log(cost)) for value, cost in points), strict=True)
    return linear_regression(x, y).slope


def report(growths: Sequence[Growth]) -> str:
    """Return one axis, a column for each server."""
    first = growths[0]
    lines = [f"{first.axis}: us of server CPU for {first.work}"]
    lines.append(f"  {'':>12}" + "".join(f" {growth.server:>18}" for growth in growths))
    for row, (value, _) in enumerate(first.points):
        lines.append(f"  {value:12,}" + "".join(f" {growth.points[row][1]:18,.1f}" for growth in growths))
    for name, key in (("slope", "slope"), ("last decade", "last_slope")):
        lines.append(f"  {name:>12}" + "".join(f" {getattr(growth, key):18.2f}" for growth in growths))
    steep = [growth.server for growth in growths if growth.is_steep]
    if steep:
        lines.append(f"  STEEPER THAN LINEAR: {', '.join(steep)}")
    return "\n".join(lines)
