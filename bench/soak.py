"""Minutes of churn and faults against a real server, which must leave nothing behind: `python -m bench.soak`.

What comes and goes is `tests/faults/churn.py`. What the server holds is counted before the first connection
and after the last of each round, and its memory is looked at all the time.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Final

from bench.machine import describe_machine, raise_descriptor_limit
from bench.servers import ours
from tests import cuts
from tests.conftest import ServerProcess
from tests.faults.census import WATCHED, Census, first_census, take_census, take_memory
from tests.faults.churn import FLAGS, HISTORY_SECONDS, SAMPLING, Seen, churn, resident

# Seconds that what was left may take to be noticed and forgotten.
PATIENCE: Final = HISTORY_SECONDS + 60


def _last_census(server: ServerProcess, expected: Census) -> Census:
    """Wait until the census is as expected; return what it was in the end."""
    deadline = time.monotonic() + PATIENCE
    while (census := take_census(server)) != expected and time.monotonic() < deadline:
        time.sleep(1)
    return census


def _print(seen: Seen, report: cuts.Report, warm_up: float) -> None:
    percentiles = quantiles(seen.echo_seconds, n=100)
    print(f"  members: {report}")
    visits = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in sorted(seen.visits.items()))
    print(f"  visits: {sum(seen.visits.values()):,} ({visits})")
    print(f"  descriptors: {seen.most_descriptors:,} at most")
    minutes = [f"{size / 1024:.1f}" for at, size in seen.memory if at // 60 > (at - SAMPLING) // 60]
    print(f"  resident memory each minute, MiB: {' '.join(minutes)}")
    print(f"  slope behind {warm_up:.0f} s of warm-up: {seen.slope(warm_up):+,.1f} KiB a minute")
    p50, p99, most = (1000 * each for each in (percentiles[49], percentiles[98], max(seen.echo_seconds)))
    print(f"  an echo beside all that: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {most:.1f} ms at most", flush=True)


def _soak(server: ServerProcess, options: argparse.Namespace) -> list[str]:
    """Go through all rounds, and print how each went; return what was wrong."""
    before = first_census(server)
    seconds = 60 * options.minutes / options.rounds
    problems: list[str] = []
    blocks: list[int] = []
    print(f"before: {before} {take_memory(server)}", flush=True)
    for turn in range(options.rounds):
        seen, report = asyncio.run(
            churn(
                server,
                clients=options.clients,
                visitors=options.visitors,
                rate=options.rate,
                lifetime=options.lifetime,
                seconds=seconds,
                seed=options.seed + turn,
            )
        )
        print(f"round {turn + 1} of {options.rounds}")
        _print(seen, report, min(2 * HISTORY_SECONDS, seconds / 2))
        problems += [*report.problems, *seen.problems]
        if report.unfinished:
            problems.append(f"{report.unfinished} members didn't hear the end")
        after, size = _last_census(server, before), resident(server.process.pid)
        left = take_memory(server)
        print(
            f"at rest: {after} {left}, {size:,.0f} KiB before malloc returned what nobody holds", flush=True
        )
        if after != before:
            problems.append("not all is as it was")
        blocks.append(left["blocks"])
    if blocks[-1] > blocks[0] * 1.01:
        problems.append(f"the blocks that Python's objects take grew from {blocks[0]} to {blocks[-1]}")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser("python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of all rounds together")
    parser.add_argument("--rounds", type=int, default=2, help="with a rest behind each")
    parser.add_argument("--clients", type=int, default=500, help="members that are cut and come back")
    parser.add_argument("--visitors", type=int, default=160)
    parser.add_argument("--rate", type=float, default=50.0, help="messages a second in all")
    parser.add_argument("--lifetime", type=float, default=20.0, help="of a member's connection, in seconds")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    raise_descriptor_limit()
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess([*FLAGS], Path(folder) / "log", [*WATCHED])
        try:
            print(f"{describe_machine([ours()])}; {server.line.strip()}", flush=True)
            problems = _soak(server, options)
            server.stop()
        finally:
            server.kill()
        problems += server.errors().splitlines()
    print(f"{len(problems)} problems")
    print(*problems[:20], sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
