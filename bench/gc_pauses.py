"""What the garbage collector costs a server with many connections: how often it runs, and for how long."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from bench.process import running
from bench.rounds import Bench
from bench.servers import CHECKOUT, Server
from bench.workloads import Workload

_SCRIPT: Final = str(CHECKOUT / "bench" / "pauses.py")
_PAUSE: Final = re.compile(r"^gc ([0-9]) ([0-9]+)$", re.MULTILINE)
GENERATIONS: Final = 3


@final
@dataclass(frozen=True, slots=True)
class Collections:
    """From the first connection on, while they are opened and all go in and out of a room."""

    server: str
    connections: int
    # Milliseconds, for each generation.
    pauses: tuple[list[float], ...]


WORKLOADS: Final = (
    Workload("gc-10k", "churn", "room", connections=10_000),
    Workload("gc-50k", "churn", "room", connections=50_000),
)


def watches(server: Server) -> bool:
    """True if it is a module that Python runs."""
    return server.command[1:2] == ("-m",)


def measure(bench: Bench, workload: Workload, server: Server) -> Collections:
    python, _, *module = server.command
    watched = replace(server, command=(python, _SCRIPT, *module))
    with running(watched, bench.server_core) as process:
        before = len(process.said())
        bench.generator.run(workload, watched, process, bench.seconds)
        found = _PAUSE.findall(process.said()[before:])
    pauses = tuple(
        [int(pause) / 1e6 for generation, pause in found if int(generation) == number]
        for number in range(GENERATIONS)
    )
    return Collections(server.name, workload.connections, pauses)


def report(workload: Workload, measured: Sequence[Collections]) -> str:
    lines = [f"{workload.name}: pauses of the collector, {workload.connections:,} connections open and churn"]
    lines.append(f"  {'':18} {'generation':>10} {'pauses':>7} {'longest ms':>11} {'in all ms':>10}")
    for each in measured:
        for generation, pauses in enumerate(each.pauses):
            line = f"  {each.server if generation == 0 else '':18} {generation:10} {len(pauses):7}"
            lines.append(line + f" {max(pauses, default=0):11.2f} {sum(pauses):10.1f}")
    return "\n".join(lines)
