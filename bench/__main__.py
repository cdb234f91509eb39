"""Everything that is measured, in one table, and one run through it: `python -m bench --help`."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, final

from bench import arguments, builds, gc_pauses, growth, json_share, plots
from bench.generator import Generator, can_run
from bench.growth import Axis
from bench.machine import choose_cores, describe_machine, raise_descriptor_limit
from bench.process import Unusable
from bench.report import ratios, table
from bench.rounds import Bench
from bench.servers import Server
from bench.workloads import WORKLOADS, Workload

SMOKE_SECONDS: Final = 0.15
SMOKE_CONNECTIONS: Final = 50
# With fewer connections the larger rows would be those again that stand before them.
SMOKE_LARGEST: Final = 10_000
SMOKE_VALUES: Final = 2
# What shows that a peer works; the other rows of a smoke run are of the first server alone.
SMOKE_ROWS: Final = ("echo-small", "echo-tls", "fan-one", "deflate-200")


@final
@dataclass(frozen=True, slots=True)
class Run:
    """One run: what it measures with, and what it has found."""

    bench: Bench
    servers: Sequence[Server]
    # Those whose growth and pauses are measured.
    watched: Sequence[Server]
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

    def watch_collector(self, workload: Workload) -> str:
        servers = filter(gc_pauses.watches, self.watched)
        measured = [gc_pauses.measure(self.bench, workload, server) for server in servers]
        self._keep("gc", *map(asdict, measured))
        return gc_pauses.report(workload, measured)

    def watch_growth(self, axis: Axis) -> str:
        largest = self.max_connections if axis.quantity == "connections" else max(axis.values)
        values = [value for value in axis.values if value <= largest]
        if self.is_smoke:
            values = values[:SMOKE_VALUES]
        able = [server for server in self.watched if can_run(axis.workload(max(axis.values)), server)]
        growths = [growth.measure(self.bench, axis, server, values) for server in able]
        self._keep("growth", *(asdict(each) | {"is_steep": each.is_steep} for each in growths))
        return growth.report(growths) if growths else f"{axis.name}: none of these servers can do it"

    def divide(self, workload: Workload) -> str:
        share = json_share.measure(self.bench, workload, self.servers[0])
        self._keep("json", asdict(share))
        return share.report(workload)

    def _keep(self, kind: str, *results: object) -> None:
        self.results.setdefault(kind, []).extend(results)


TABLE: Final[tuple[tuple[Sequence[Workload], Callable[[Run, Workload], str]], ...]] = (
    (WORKLOADS, Run.compare),
    ((json_share.WORKLOAD,), Run.divide),
    (gc_pauses.WORKLOADS, Run.watch_collector),
)


def _measure(run: Run, rows: Sequence[str]) -> None:
    for workloads, measure in TABLE:
        for workload in workloads:
            if not arguments.is_chosen(workload.name, workload.on_demand, rows):
                continue
            if run.is_smoke and workload.connections > SMOKE_LARGEST:
                continue
            if run.is_smoke:
                workload = replace(workload, connections=min(workload.connections, SMOKE_CONNECTIONS))
            if workload.connections > run.max_connections:
                limit = f"the descriptor limit allows {run.max_connections:,} connections"
                print(f"\n{workload.name} is left out: {limit}", flush=True)
                continue
            if workload.is_tls and run.bench.certificate is None:
                print(f"\n{workload.name} is left out: it takes OpenSSL's headers and command", flush=True)
                continue
            print("\n" + measure(run, workload), flush=True)
    for axis in growth.AXES:
        if arguments.is_chosen(axis.name, axis.on_demand, rows):
            print("\n" + run.watch_growth(axis), flush=True)


def _choose_servers(options: Namespace) -> list[Server]:
    added = [*options.against, *options.peer]
    known = {server.name: server for server in [*builds.servers(), *added]}
    names = list(known)
    if options.servers is not None:
        # Who is added is measured, named or not, and nobody twice.
        names = list(dict.fromkeys([*options.servers.split(","), *(server.name for server in added)]))
    if unknown := set(names) - set(known):
        raise Unusable(f"no such server: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = []
    for server in map(known.__getitem__, names):
        if server.version is None:
            print(f"{server.name} is left out: {server.needs} isn't installed")
        else:
            chosen.append(server)
    if not chosen:
        raise Unusable("no server is left")
    return chosen


def _choose_watched(options: Namespace, servers: list[Server]) -> list[Server]:
    """Those that were named; else the first, and what the system itself costs."""
    if options.servers and not options.smoke:
        return servers
    return servers[:1] + [each for each in servers[1:] if each.name == "raw-c" and not options.smoke]


def main() -> int:
    names = [each.name for workloads, _ in TABLE for each in workloads]
    options = arguments.parse([*names, *(axis.name for axis in growth.AXES)])
    rounds, seconds = (1, SMOKE_SECONDS) if options.smoke else (options.rounds, options.seconds)
    try:
        servers = _choose_servers(options)
        machine = describe_machine(servers)
        print(f"{machine}; rounds: {rounds}, interleaved, {seconds:g} s each", flush=True)
        server_core, generator_core = choose_cores()
        certificate = builds.certificate()
        generator = Generator(builds.generator(with_tls=certificate is not None), generator_core)
        bench = Bench(generator, server_core, rounds, seconds, certificate)
        run = Run(bench, servers, _choose_watched(options, servers), raise_descriptor_limit(), options.smoke)
        _measure(run, options.rows)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
    report = {"machine": machine, "rounds": rounds, "seconds": seconds, **run.results}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.plots:
        plots.draw(report, options.plots)
    return 0


if __name__ == "__main__":
    sys.exit(main())
