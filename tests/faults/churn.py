"""Churn: members whose connections break all the time, and beside them visitors of whom most are rude.

The members publish, and come back (`tests/cuts.py`); each visitor does one thing of `visits.py` over and
over. Every member's log is checked for gaps, and every visitor's answers.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression
from typing import Final, final

from tests import cuts
from tests.conftest import ServerProcess
from tests.rawclient import RawClient, said, text

from .visits import VISITS, Visit, Visitor

# Histories, and what was published under which id, live so long: from then on memory is level.
HISTORY_SECONDS: Final = 60
# All come from one address, the flooders too; each connection has its own bounds.
_UNBOUND: Final = tuple(f"--{what}-rate-per-address=0" for what in ("message", "frame", "byte", "handshake"))
FLAGS: Final = (*cuts.FLAGS, *_UNBOUND, f"--history-seconds={HISTORY_SECONDS}")
ROOMS: Final = 20
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


def resident(pid: int) -> float:
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
        seen.memory.append((time.monotonic() - began, resident(server.process.pid)))
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
