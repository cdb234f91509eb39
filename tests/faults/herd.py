"""A server is killed, starts again, and all of its clients come back at once.

    python -m tests.faults.herd --clients 5000 --hostile 500

The polite ones come as RFC 6455 7.2.3 says: the first time after a random delay, then after ever longer ones,
and never before they were told to. The hostile ones try again at once, whatever they are told. All are to get
in, what is accepted is to be completed, and who is there already is to be served all the time, over
TLS too (`--tls`).
"""

import argparse
import asyncio
import random
import re
import socket
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Final, final
from urllib.request import urlopen

from tests.conftest import ServerProcess, eventually
from tests.faults.census import WATCHED, Census, first_census, take_census
from tests.faults.swarm import SOURCES, Member, connect, connect_all, raise_descriptor_limit
from tests.rawclient import text, upgrade
from tests.rawserver import CERTIFICATE, write_certificate

# Each client has an address of its own, almost: what an address may have is not what this is about.
FLAGS: Final = (
    *("--host=127.0.0.1", "--max-connections-per-address=1000000", "--handshake-rate-per-address=0"),
    *("--history-seconds=1", "--log-level=error"),
)
# Seconds until the first attempt, and until a later one, at the most.
FIRST: Final = 5.0
LATEST: Final = 20.0
# Seconds that the server's loop may be late: in that time it completes what it lets in.
MAX_LAG: Final = 1.0
# Seconds that one attempt may take.
ATTEMPT: Final = 30.0
# Who is there before the others come back, and is served.
SETTLED: Final = 10


def over_tls(folder: Path) -> tuple[list[str], ssl.SSLContext]:
    """Return a server's flags for TLS, and what its clients trust."""
    flags = [f"--tls-certificate={write_certificate(folder)}", f"--tls-key={folder / 'key.pem'}"]
    return flags, ssl.create_default_context(cadata=CERTIFICATE)


@contextmanager
def kept_port() -> Iterator[int]:
    """Keep a port for a server and the one after it: meanwhile the kernel gives it to nobody else."""
    with socket.socket() as kept:
        # Servers set it too: by that all can be bound, and one can listen.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@final
@dataclass
class Outcome:
    """How they came back."""

    attempts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    # Seconds from the restart until each was in its room, and from its connection.
    back_after: list[float] = field(default_factory=list)
    opened_in: list[float] = field(default_factory=list)
    echo_seconds: list[float] = field(default_factory=list)
    # What the server says: by how many seconds its loop was late at the most, whom it turned away without
    # an answer, and what it held when all were back.
    lag: float = 0.0
    turned_away: int = 0
    census: Census = field(default_factory=dict)

    def __str__(self) -> str:
        attempts = ", ".join(f"{count:,} {how}" for how, count in sorted(self.attempts.items()))
        back = sorted(self.back_after)
        opened, echo = (quantiles(each, n=100)[98] for each in (self.opened_in, self.echo_seconds))
        busiest = max(Counter(int(at) for at in back).values())
        return (
            f"attempts: {attempts}; {len(back):,} are back, 99 % after {back[len(back) * 99 // 100]:.1f} s,"
            f" all after {back[-1]:.1f} s, {busiest:,} in the busiest second;"
            f" an opening takes {opened * 1000:.0f} ms (p99), {max(self.opened_in) * 1000:.0f} ms at most;"
            f" an echo meanwhile {echo * 1000:.0f} ms (p99), {max(self.echo_seconds) * 1000:.0f} ms at most;"
            f" the loop {self.lag * 1000:.0f} ms late at most, {self.turned_away:,} turned away without"
            f" an answer; {len(self.problems)} problems"
        )


async def _attempt(
    member: Member, port: int, source: str, outcome: Outcome, trusting: ssl.SSLContext | None
) -> str:
    """Try to come in once; return how it ended."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(ATTEMPT):
            await connect(member, port, source, trusting=trusting)
            await member.ready
    except TimeoutError:
        return "without an answer"
    except OSError:
        return "not connected"
    if member.status == 101 and not member.is_over:
        outcome.opened_in.append(time.monotonic() - began)
        return "let in"
    return f"answered {member.status}" if member.status else "cut off"


async def come_back(
    name: str,
    source: str,
    port: int,
    chance: random.Random,
    first: float,
    outcome: Outcome,
    trusting: ssl.SSLContext | None = None,
) -> Member:
    """Come as often as it takes; who is hostile has no `first` delay, and no other."""
    loop = asyncio.get_running_loop()
    began, delay = loop.time(), first
    while True:
        await asyncio.sleep(chance.uniform(0, delay))
        member = Member(name, f"room-{chance.randrange(100)}")
        how = await _attempt(member, port, source, outcome, trusting)
        outcome.attempts[how] += 1
        if how == "let in":
            outcome.back_after.append(loop.time() - began)
            return member
        if member.status == 101:
            outcome.problems.append(f"{name} was let in, and then {how}")
        delay = min(delay * 2, LATEST)
        if first:
            await asyncio.sleep(member.retry_after)


async def keep_echoing(
    port: int, seconds: list[float], pause: float, trusting: ssl.SSLContext | None = None
) -> None:
    """Be served all the time; keep how long each answer took."""
    name = None if trusting is None else "localhost"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
    try:
        writer.write(upgrade())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        while True:
            began = time.perf_counter()
            writer.write(text("still there?"))
            assert b"\x81\x0cstill there?" == await reader.readexactly(14)
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(pause)
    finally:
        writer.transport.abort()


async def lose(server: ServerProcess, clients: int, trusting: ssl.SSLContext | None = None) -> None:
    """Kill a server that has so many clients."""
    members = [Member(f"client-{number}", f"room-{number % 100}") for number in range(clients)]
    await connect_all(members, server.port, trusting=trusting)
    server.kill()
    await eventually(True, lambda: all(member.is_over for member in members))


def _read_metrics(port: int, trusting: ssl.SSLContext | None) -> dict[str, float]:
    """Ask the server for its metrics that have no labels."""
    url = f"{'https' if trusting else 'http'}://localhost:{port}/metrics"
    with urlopen(url, context=trusting) as answer:
        return {
            name: float(value)
            for name, value in re.findall(r"^rfc6455_(\w+) (\S+)$", answer.read().decode(), re.MULTILINE)
        }


async def run(
    server: ServerProcess,
    *,
    clients: int,
    hostile: int,
    first: float = FIRST,
    trusting: ssl.SSLContext | None = None,
    seed: int = 0,
) -> Outcome:
    """Let them all come back to a server that has just started."""
    outcome = Outcome()
    port = server.port
    settled = [
        asyncio.create_task(keep_echoing(port, outcome.echo_seconds, 0.05, trusting)) for _ in range(SETTLED)
    ]
    await eventually(True, lambda: len(outcome.echo_seconds) >= SETTLED)
    members = await asyncio.gather(
        *(
            come_back(
                f"client-{number}",
                SOURCES[number % len(SOURCES)],
                port,
                random.Random(f"{seed} {number}"),
                first if number >= hostile else 0.0,
                outcome,
                trusting,
            )
            for number in range(clients)
        )
    )
    outcome.census = take_census(server)
    metrics = await asyncio.to_thread(_read_metrics, port, trusting)
    outcome.lag, outcome.turned_away = (
        metrics["loop_lag_max_seconds"],
        int(metrics["turned_away_connections_total"]),
    )
    for one in settled:
        one.cancel()
    for ended in await asyncio.gather(*settled, return_exceptions=True):
        if not isinstance(ended, asyncio.CancelledError):
            outcome.problems.append(f"one who was there failed: {ended!r}")
    for member in members:
        outcome.problems += member.log.problems
        if member.is_over:
            outcome.problems.append(f"{member.name} didn't stay")
        member.transport.abort()
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.faults.herd", description=__doc__)
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--hostile", type=int, default=500)
    parser.add_argument("--rate", type=int, default=0, help="the server's --handshake-rate")
    parser.add_argument("--tls", action="store_true", help="they come over TLS")
    parser.add_argument("--first", type=float, default=FIRST, help="delay of the first attempt at the most")
    options = parser.parse_args()
    raise_descriptor_limit()
    with tempfile.TemporaryDirectory() as folder, kept_port() as port:
        common, trusting = [*FLAGS, f"--port={port}"], None
        if options.tls:
            secure, trusting = over_tls(Path(folder))
            common += secure
        killed = ServerProcess(common, Path(folder) / "killed", [*WATCHED])
        again: ServerProcess | None = None
        try:
            asyncio.run(lose(killed, options.clients, trusting))
            flags = [*common, f"--handshake-rate={options.rate}"]
            again = ServerProcess(flags, Path(folder) / "again", [*WATCHED])
            before = first_census(again)
            herd = run(
                again,
                clients=options.clients,
                hostile=options.hostile,
                first=options.first,
                trusting=trusting,
            )
            outcome = asyncio.run(herd)
            print(outcome)
            if outcome.lag > MAX_LAG:
                outcome.problems.append("the loop was late")
            asyncio.run(_until_gone(again, before))
            again.stop()
        finally:
            killed.kill()
            if again is not None:
                again.kill()
        complaints = again.errors().splitlines()
    print(*outcome.problems[:20], *complaints[:20], sep="\n")
    return int(bool(outcome.problems or complaints))


async def _until_gone(server: ServerProcess, before: Census) -> None:
    await eventually(before, lambda: take_census(server))


if __name__ == "__main__":
    sys.exit(main())
