"""The command line and the rounds: `python -m bench --help`."""

import argparse
import importlib
import json
import os
import platform
import resource
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import final

from bench.generator import Generator, Sample, can_run
from bench.report import ratios, table
from bench.servers import SERVERS, Server, Unusable, ours, peer, running
from bench.workloads import WORKLOADS, Workload

SMOKE_SECONDS = 0.3
SMOKE_CONNECTIONS = 50


def _named(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator and value):
        raise argparse.ArgumentTypeError(f"expected NAME=..., got {text!r}")
    return name, value


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(workload.name for workload in WORKLOADS)
    server_names = ",".join(server.name for server in SERVERS)
    parser = argparse.ArgumentParser("python -m bench", description="Measures the server beside its peers.")
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD",
        help=f"any of {names}, or echo, fan, storm, idle for all of that kind; default all",
    )  # fmt: skip
    parser.add_argument("--servers", default=server_names, help="the first is compared with the others")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="measured in each run, after the warm-up")
    parser.add_argument("--smoke", action="store_true", help="one short round: does everything work?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument(
        "--peer", type=_named, action="append", default=[], metavar="NAME=COMMAND",
        help="one more server that speaks as those in bench/peers do; {port} in the command is replaced",
    )  # fmt: skip
    parser.add_argument(
        "--against", type=_named, action="append", default=[], metavar="NAME=FOLDER",
        help="our server from another checkout: an earlier commit, another build",
    )  # fmt: skip
    return parser


def _chosen_workloads(names: Sequence[str], smoke: bool) -> list[Workload]:
    if unknown := set(names) - {word for workload in WORKLOADS for word in (workload.name, workload.mode)}:
        raise KeyError(*unknown)
    chosen = [each for each in WORKLOADS if not names or each.name in names or each.mode in names]
    if not smoke:
        return chosen
    return [replace(each, connections=min(each.connections, SMOKE_CONNECTIONS)) for each in chosen]


def _chosen_servers(options: argparse.Namespace) -> list[Server]:
    known = {server.name: server for server in SERVERS}
    added = [ours(name, Path(folder).resolve()) for name, folder in options.against]
    added += [peer(name, tuple(shlex.split(command))) for name, command in options.peer]
    chosen = [known[name] for name in options.servers.split(",")] + added
    for server in chosen:
        if not server.installed:
            print(f"{server.name} is left out: {server.library} isn't installed")
    return [server for server in chosen if server.installed]


def _cores() -> tuple[int | None, int | None]:
    """One core for the server, one for the generator, neither where there is only one."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        print("Only one core: the server and the generator share it, so read nothing but per-CPU figures.")
        return None, None
    return available[0], available[1]


def _describe_machine() -> str:
    build = "not importable"
    if find_spec("rfc6455") is not None:
        build = str(getattr(importlib.import_module("rfc6455"), "BUILD", "unknown"))
    loop = "uvloop" if find_spec("uvloop") is not None else "asyncio"
    return f"Python {platform.python_version()}, {loop}, rfc6455: {build}, {os.cpu_count()} cores"


def _raise_descriptor_limit() -> None:
    """The servers inherit it; the generator raises its own."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@final
@dataclass(frozen=True, slots=True)
class Bench:
    generator: Generator
    server_core: int | None
    rounds: int
    seconds: float

    def measure(self, workload: Workload, servers: Sequence[Server]) -> dict[str, list[Sample]]:
        samples: dict[str, list[Sample]] = {server.name: [] for server in servers}
        for _ in range(self.rounds):
            for server in servers:
                with running(server, self.server_core) as (port, pid):
                    sample = self.generator.run(workload, server, port, pid, self.seconds)
                samples[server.name].append(sample)
        return samples


def _run(bench: Bench, workloads: Sequence[Workload], servers: Sequence[Server]) -> list[dict[str, object]]:
    results: list[dict[str, object]] = []
    for workload in workloads:
        able = [server for server in servers if can_run(workload, server)]
        if not able:
            continue
        samples = bench.measure(workload, able)
        print("\n" + table(workload, samples), flush=True)
        compared = ratios(workload, samples)
        results.append({"workload": asdict(workload), "samples": samples, "ratios": compared})
    return results


def main() -> int:
    parser = _parser()
    options = parser.parse_args()
    try:
        workloads = _chosen_workloads(options.workloads, options.smoke)
        servers = _chosen_servers(options)
    except KeyError as error:
        parser.error(f"no such workload or server: {error}")
    rounds, seconds = (1, SMOKE_SECONDS) if options.smoke else (options.rounds, options.seconds)
    machine = _describe_machine()
    print(f"{machine}; rounds: {rounds}, interleaved, {seconds:g} s each", flush=True)
    _raise_descriptor_limit()
    server_core, generator_core = _cores()
    try:
        bench = Bench(Generator(generator_core), server_core, rounds, seconds)
        results = _run(bench, workloads, servers)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        report = {"machine": machine, "rounds": rounds, "seconds": seconds, "results": results}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
