"""Cuts: clients whose connections break all the time, and none of which may miss or hear anything twice.

    python -m tests.cuts --clients 1000 --minutes 10

Each is cut at random moments, with a reset or a silent end, at any octet of what it hears or says. It comes
back, joins with `since`, and sends again what wasn't acknowledged. Every log is checked for gaps, and all of
them, with the acknowledgements, against each other: nothing was published twice, and what is acknowledged has
an offset that nobody passes over who isn't told.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from .conftest import ServerProcess
from .cutclient import Client, Cut, Ledger, Tally
from .faults.swarm import raise_descriptor_limit

FLAGS: Final = ("--max-connections-per-address", "1000000", "--log-level", "warning")
ROOMS_OF_EACH: Final = 2
# Seconds that a client is away; of a few it's longer than the history lasts, if messages are many.
SHORT_ABSENCE: Final = 2.0
LONG_ABSENCE: Final = 120.0
LONG_ABSENCES: Final = 0.03
# Seconds without any progress at the end, until what is still missing is given up.
PATIENCE: Final = 30


@final
@dataclass(frozen=True, slots=True)
class Report:
    """How it went; `unfinished` are the clients that didn't hear the end."""

    seconds: float
    published: int
    tally: Tally
    unfinished: int
    problems: list[str]

    def __str__(self) -> str:
        tally = self.tally
        return (
            f"{self.seconds:.0f} s, {tally.cuts:,} cuts;"
            f" {self.published:,} messages published, {tally.heard:,} heard,"
            f" {tally.resent:,} sent again, {tally.duplicates:,} of them known already;"
            f" {tally.recovered:,} joins recovered, {tally.not_recovered:,} not;"
            f" {tally.missed:,} messages marked as missed; {self.unfinished} clients didn't hear the end;"
            f" {len(self.problems)} problems"
        )


async def run(
    port: int,
    *,
    clients: int,
    rooms: int,
    rate: float,
    lifetime: float,
    seconds: float = 1e9,
    max_cuts: int = sys.maxsize,
    short_absence: float = SHORT_ABSENCE,
    long_absence: float = LONG_ABSENCE,
    seed: int = 0,
) -> Report:
    """Cut so many connections, or for so long; each lives for `lifetime` seconds on average.

    What is sent again after a longer absence than the server's memory is published twice, as documented.
    """
    chance = random.Random(seed)
    ledger, tally = Ledger(), Tally()
    names = [f"room-{number}" for number in range(rooms)]
    all_clients = [
        Client(f"client-{number}", chance.sample(names, ROOMS_OF_EACH), ledger, tally, chance)
        for number in range(clients)
    ]
    over = asyncio.Event()
    absences = short_absence, long_absence
    living = [asyncio.create_task(_live(one, port, lifetime, absences, chance, over)) for one in all_clients]
    began = time.monotonic()
    while time.monotonic() - began < seconds and tally.cuts < max_cuts:
        await asyncio.sleep(1 / rate)
        speakers = [one for one in chance.sample(all_clients, min(10, clients)) if one.is_ready]
        if speakers:
            speakers[0].say()
    over.set()
    await asyncio.gather(*living)
    await _finish(all_clients, tally)
    report = Report(
        time.monotonic() - began,
        sum(ledger.ends.values()),
        tally,
        sum(not one.is_done for one in all_clients),
        [*ledger.problems, *(problem for one in all_clients for problem in one.log.problems)],
    )
    for one in all_clients:
        one.leave()
    return report


async def _live(
    client: Client,
    port: int,
    lifetime: float,
    absences: tuple[float, float],
    chance: random.Random,
    over: asyncio.Event,
) -> None:
    """Connect a client and cut it, over and over; in the end it is connected."""
    loop = asyncio.get_running_loop()
    while True:
        await loop.create_connection(lambda: client, "127.0.0.1", port)
        await _wait(over, chance.expovariate(1 / lifetime))
        if over.is_set() and not client.lost.done():
            return
        client.cut(chance.choice(list(Cut)))
        # One that listens for its last octets may wait for them until the end.
        while not (client.lost.done() or over.is_set()):
            await asyncio.wait([client.lost], timeout=0.1)
        if not client.lost.done():
            client.spare()
            return
        longest = absences[chance.random() < LONG_ABSENCES]
        await _wait(over, chance.uniform(0, longest))


async def _wait(over: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await over.wait()


async def _finish(clients: list[Client], tally: Tally) -> None:
    """Wait until everybody has heard all there is, or nobody hears any more."""
    heard, deadline = 0, time.monotonic() + PATIENCE
    while not all(one.is_done for one in clients) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
        if tally.heard > heard:
            heard, deadline = tally.heard, time.monotonic() + PATIENCE


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.cuts", description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rooms", type=int, default=40)
    parser.add_argument("--rate", type=float, default=100.0, help="messages a second in all")
    parser.add_argument("--lifetime", type=float, default=20.0, help="of a connection on average, in seconds")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    raise_descriptor_limit()
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(list(FLAGS), Path(folder) / "server.log")
        try:
            report = asyncio.run(
                run(
                    server.port,
                    clients=options.clients,
                    rooms=options.rooms,
                    rate=options.rate,
                    lifetime=options.lifetime,
                    seconds=60 * options.minutes,
                    seed=options.seed,
                )
            )
            server.stop()
        finally:
            server.kill()
        complaints = server.errors()
    print(report)
    for problem in [*report.problems[:20], *complaints.splitlines()[:20]]:
        print(problem)
    return int(bool(report.problems or report.unfinished or complaints))


if __name__ == "__main__":
    sys.exit(main())
