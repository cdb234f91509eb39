"""Everything that is measured, in one table, and one run through it: `python -m bench --help`."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, final

from bench import arguments, builds
from bench.generator import Generator
from bench.machine import choose_cores, describe_machine, raise_descriptor_limit
from bench.process import Unusable
from bench.report import ratios, table
from bench.rounds import Bench
from bench.servers import Server
from bench.workloads import WORKLOADS, Workload

SMOKE_SECONDS: Final = 0.15
SMOKE_CONNECTIONS: Final = 50
# What shows that a peer works; the other rows of a smoke run are of the first server alone.
SMOKE_ROWS: Final = ("echo-small", "fan-one", "deflate-200")


@final
@dataclass(frozen=True, slots=True)
class Run:
    """One run: what it measures with, and what it has found."""

    bench: Bench
    servers: Sequence[Server]
    max_connections: int
    is_smoke: bool
    results: dict[str, list[Any]] = field(default_factory=dict)

    def compare(self, workload: Workload) -> str:
        servers = self.servers
        if self.is_smoke and workload.name not in SMOKE_ROWS:
            servers = servers[:1]
        samples = self.bench.measure(workload, servers)
        if not samples:
            return f"{workload.name}: none of these servers can do it"
        compared = {"workload": asdict(workload), "samples": samples, "ratios": ratios(workload, samples)}
        self._keep("workloads", compared)
        return table(workload, samples)

    def _keep(self, kind: str, *results: object) -> None:
        self.results.setdefault(kind, []).extend(results)


TABLE: Final[tuple[tuple[Sequence[Workload], Callable[[Run, Workload], str]], ...]] = (
    (WORKLOADS, Run.compare),
)


def _measure(run: Run, rows: Sequence[str]) -> None:
    for workloads, measure in TABLE:
        for workload in workloads:
            if not arguments.is_chosen(workload.name, workload.on_demand, rows):
                continue
            if run.is_smoke:
                workload = replace(workload, connections=min(workload.connections, SMOKE_CONNECTIONS))
            if workload.connections > run.max_connections:
                limit = f"the descriptor limit allows {run.max_connections:,} connections"
                print(f"\n{workload.name} is left out: {limit}", flush=True)
                continue
            print("\n" + measure(run, workload), flush=True)


def _choose_servers(options: Namespace) -> list[Server]:
    added = [*options.against, *options.peer]
    known = {server.name: server for server in [*builds.servers(), *added]}
    names = list(known)
    if options.servers is not None:
        names = options.servers.split(",") + [server.name for server in added]
    if unknown := set(names) - set(known):
        raise Unusable(f"no such server: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = []
    for server in map(known.__getitem__, names):
        if server.version is None:
            print(f"{server.name} is left out: {server.needs} isn't installed")
        else:
            chosen.append(server)
    return chosen


def main() -> int:
    names = [each.name for workloads, _ in TABLE for each in workloads]
    options = arguments.parse(names)
    rounds, seconds = (1, SMOKE_SECONDS) if options.smoke else (options.rounds, options.seconds)
    try:
        servers = _choose_servers(options)
        machine = describe_machine(servers)
        print(f"{machine}; rounds: {rounds}, interleaved, {seconds:g} s each", flush=True)
        server_core, generator_core = choose_cores()
        bench = Bench(Generator(builds.generator(), generator_core), server_core, rounds, seconds)
        run = Run(bench, servers, raise_descriptor_limit(), options.smoke)
        _measure(run, options.rows)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
    report = {"machine": machine, "rounds": rounds, "seconds": seconds, **run.results}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
