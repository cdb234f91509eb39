"""Minutes of churn and faults against a real server, which must leave nothing behind: `python -m bench.soak`.

Members whose connections break all the time publish, and come back (`tests/cuts.py`); beside them visitors
come and go, of whom most are rude in one way or the other (`tests/faults/visits.py`). Every member's log is
checked for gaps, and every visitor's answers. What the server holds is counted before the first connection
and after the last of each round, and its memory is looked at all the time.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression, quantiles
from typing import Final, final

from bench.machine import describe_machine, raise_descriptor_limit
from bench.servers import ours
from tests import cuts
from tests.conftest import ServerProcess
from tests.faults.census import WATCHED, Census, first_census, take_census, take_memory
from tests.faults.visits import VISITS, Visit, Visitor
from tests.rawclient import RawClient, said, text

# Histories, and what was published under which id, live so long: from then on memory is level.
HISTORY_SECONDS: Final = 60
# All come from one address, the flooders too; each connection has its own bounds.
_UNBOUND: Final = tuple(f"--{what}-rate-per-address=0" for what in ("message", "frame", "byte", "handshake"))
FLAGS: Final = (*cuts.FLAGS, *_UNBOUND, f"--history-seconds={HISTORY_SECONDS}")
ROOMS: Final = 20
# Seconds that what was left may take to be noticed and forgotten.
PATIENCE: Final = HISTORY_SECONDS + 60
# Seconds between two looks at the server's memory.
SAMPLING: Final = 0.5
# Seconds that a member stays away at most: within its memory, so that it is told of all that it missed.
LONG_ABSENCE: Final = HISTORY_SECONDS / 2
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@final
@dataclass
class Seen:
    """What was seen of the server, and of its visitors."""

    visits: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    # Seconds since the beginning, and the server's memory in KiB.
    memory: list[tuple[float, float]] = field(default_factory=list)
    most_descriptors: int = 0
    echo_seconds: list[float] = field(default_factory=list)

    def slope(self, warm_up: float) -> float:
        """KiB by which the memory grew in a minute, once it was warm."""
        warm = [(at, size) for at, size in self.memory if at > warm_up]
        times, sizes = zip(*warm, strict=True)
        return linear_regression(times, sizes).slope * 60


def _resident(pid: int) -> float:
    """Return a process's resident memory in KiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1024


async def _visit(port: int, visit: Visit, chance: random.Random, seen: Seen) -> None:
    """Come again and again."""
    rooms = [f"room-{number}" for number in range(ROOMS)]
    while True:
        visitor = Visitor(port, chance.sample(rooms, 3), chance)
        try:
            await visit(visitor)
            seen.visits[visit.__name__] += 1
        except (AssertionError, OSError, EOFError) as error:
            seen.problems.append(f"{visit.__name__}: {type(error).__name__} {error}")
        finally:
            visitor.leave()
        await visitor.wait()


async def _probe(port: int, seen: Seen) -> None:
    """Have somebody who does nothing wrong served all the time."""
    client = await RawClient.connect(("127.0.0.1", port))
    with closing(client):
        await client.open()
        while True:
            began = time.perf_counter()
            await client.send(text("still there?"))
            assert said("still there?") == await client.frame()
            seen.echo_seconds.append(time.perf_counter() - began)
            await asyncio.sleep(SAMPLING)


async def _watch(server: ServerProcess, seen: Seen) -> None:
    began = time.monotonic()
    while True:
        seen.memory.append((time.monotonic() - began, _resident(server.process.pid)))
        seen.most_descriptors = max(seen.most_descriptors, server.descriptors())
        await asyncio.sleep(SAMPLING)


async def churn(
    server: ServerProcess,
    *,
    clients: int,
    visitors: int,
    rate: float,
    lifetime: float,
    seconds: float,
    long_absence: float = LONG_ABSENCE,
    seed: int = 0,
) -> tuple[Seen, cuts.Report]:
    """Do it all at once, for as long as the members are cut."""
    seen = Seen()
    beside: list[Awaitable[None]] = [_watch(server, seen), _probe(server.port, seen)]
    for number in range(visitors):
        chance = random.Random(f"{seed} {number}")
        beside.append(_visit(server.port, VISITS[number % len(VISITS)], chance, seen))
    running = [asyncio.ensure_future(one) for one in beside]
    report = await cuts.run(
        server.port,
        clients=clients,
        rooms=ROOMS,
        rate=rate,
        lifetime=lifetime,
        seconds=seconds,
        long_absence=long_absence,
        seed=seed,
    )
    for each in running:
        each.cancel()
    for ended in await asyncio.gather(*running, return_exceptions=True):
        if not isinstance(ended, asyncio.CancelledError):
            seen.problems.append(repr(ended))
    return seen, report


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
        after, resident = _last_census(server, before), _resident(server.process.pid)
        left = take_memory(server)
        print(f"at rest: {after} {left}, {resident} KiB before malloc returned what nobody holds", flush=True)
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
