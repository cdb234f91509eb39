"""Clients that together want more memory than there is, beside some who do nothing wrong.

    python -m tests.faults.pressure --clients 500 --rounds 3

Most send messages that never end, in fragments or in what inflates to a thousand times its size; others have
large messages echoed and don't read them, or don't read what is said in their room. The server runs in a
control group of so much memory, if we may make one. It is not to be killed, the others are to be served as
before, and when the greedy ones have gone, so is what they took.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Final, final

from tests.conftest import ServerProcess, eventually
from tests.faults.census import WATCHED, first_census, take_census, take_memory
from tests.faults.herd import keep_echoing
from tests.faults.swarm import SOURCES, Member, connect_all, raise_descriptor_limit
from tests.faults.visits import DEFLATE, deflate, do
from tests.rawclient import BINARY, CONTINUATION, RawClient, frame

MIB: Final = 1 << 20
# What the group allows; of that, the server gives a quarter to queues and unfinished messages.
MEMORY: Final = 256 * MIB
SHARE: Final = 4
FLAGS: Final = (
    *("--host=127.0.0.1", "--max-connections-per-address=1000000", "--handshake-rate-per-address=0"),
    *("--byte-rate-per-address=0", "--history-seconds=5", "--log-level=error"),
)
# Who does nothing wrong, and what they say.
POLITE: Final = 10
ROOM: Final = "busy"
SIZE: Final = 16_000
# Seconds that it goes on when all of them have what they could get.
LASTING: Final = 3.0
_GROUPS: Final = Path("/sys/fs/cgroup/memory")


@contextmanager
def little_memory(limit: int) -> Iterator[tuple[list[str], list[str]]]:
    """Let a server have so much: return its flags and Python's, for a process that can be asked.

    It is in a control group if we may make one; where we may not, it is told its share.
    """
    group = _GROUPS / f"rfc6455-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield [*FLAGS, f"--memory-budget={limit // SHARE}"], [*WATCHED]
        return
    enter = f"import os, pathlib\npathlib.Path('{group}/cgroup.procs').write_text(str(os.getpid()))\n"
    try:
        (group / "memory.limit_in_bytes").write_text(str(limit))
        yield [*FLAGS], [*WATCHED[:-1], enter + WATCHED[-1]]
    finally:
        group.rmdir()


@final
@dataclass
class Outcome:
    """How it went for those who do nothing wrong."""

    problems: list[str] = field(default_factory=list)
    echo_seconds: list[float] = field(default_factory=list)
    heard: int = 0
    # The greedy ones, by how far they came.
    greedy: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        percentiles = quantiles(self.echo_seconds, n=100)
        greedy = ", ".join(f"{count} {how}" for how, count in sorted(self.greedy.items()))
        return (
            f"greedy clients: {greedy}; beside them {len(self.echo_seconds)} echoes,"
            f" p50 {percentiles[49] * 1000:.0f} ms, p99 {percentiles[98] * 1000:.0f} ms,"
            f" {max(self.echo_seconds) * 1000:.0f} ms at most; {self.heard:,} room messages heard;"
            f" {len(self.problems)} problems"
        )


async def _send_fragments(client: RawClient) -> None:
    await client.open()
    await client.send(frame(BINARY, fin=False))
    for _ in range(15):
        await client.send(_FRAGMENT)
        # What the kernel takes at once is no reason for the others to wait.
        await asyncio.sleep(0)


async def _send_bombs(client: RawClient) -> None:
    await client.open("/echo", DEFLATE)
    await client.send(_BOMB)


async def _ask_and_not_read(client: RawClient) -> None:
    await client.open()
    for _ in range(3):
        await client.send(_LARGE)


async def _join_and_not_read(client: RawClient) -> None:
    await client.open("/ws")
    await client.send(do("join", room=ROOM))


# Made once: to mask them takes longer than to send them.
_FRAGMENT: Final = frame(CONTINUATION, bytes(1 << 16), fin=False)
_BOMB: Final = frame(BINARY, deflate(bytes(MIB - 1)), fin=False, rsv1=True)
_LARGE: Final = frame(BINARY, bytes(MIB))
# Of ten.
_GREEDY: Final[tuple[Callable[[RawClient], Awaitable[None]], ...]] = (
    *[_send_fragments] * 5,
    *[_send_bombs] * 3,
    _ask_and_not_read,
    _join_and_not_read,
)


async def _be_greedy(number: int, port: int, outcome: Outcome, clients: list[RawClient]) -> None:
    """Take what there is, and keep it."""
    act, source = _GREEDY[number % len(_GREEDY)], SOURCES[number % len(SOURCES)]
    client = await RawClient.connect(("127.0.0.1", port), receive_buffer=4096, source=source)
    clients.append(client)
    try:
        await act(client)
        how = "sent all they had"
    except AssertionError:
        how = "were refused"
    except (OSError, EOFError):
        how = "were cut off"
    outcome.greedy[how] += 1


async def _speak(members: list[Member]) -> None:
    while True:
        for member in members:
            member.say(SIZE)
            await asyncio.sleep(0.05)


async def run(server: ServerProcess, clients: int, lasting: float = LASTING) -> Outcome:
    """Let the greedy ones take all they can while others talk; at the end all are gone."""
    outcome = Outcome()
    members = [Member(f"polite-{number}", ROOM) for number in range(POLITE)]
    await connect_all(members, server.port)
    polite = [
        asyncio.create_task(keep_echoing(server.port, outcome.echo_seconds, 0.01)),
        asyncio.create_task(_speak(members)),
    ]
    greedy: list[RawClient] = []
    try:
        await asyncio.gather(*(_be_greedy(number, server.port, outcome, greedy) for number in range(clients)))
        await asyncio.sleep(lasting)
    finally:
        for client in greedy:
            client.close()
    polite[1].cancel()
    published = sum(member.said for member in members)
    await eventually({published}, lambda: {member.log.heard for member in members})
    polite[0].cancel()
    for ended in await asyncio.gather(*polite, return_exceptions=True):
        if not isinstance(ended, asyncio.CancelledError):
            outcome.problems.append(f"a polite one failed: {ended!r}")
    for member in members:
        outcome.heard += member.log.heard
        outcome.problems += member.log.problems
        if member.close_code is not None or member.is_over:
            outcome.problems.append(f"{member.name} was closed with {member.close_code}")
        member.transport.abort()
    return outcome


def peak(server: ServerProcess) -> int:
    """The most memory that the process ever had, in octets."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.faults.pressure", description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    raise_descriptor_limit()
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as folder, little_memory(MEMORY) as (flags, python):
        server = ServerProcess(flags, Path(folder) / "log", python)
        try:
            before = first_census(server)
            print(f"{MEMORY >> 20} MiB; {' '.join(flags)}; {take_memory(server)}", flush=True)
            for turn in range(options.rounds):
                outcome = asyncio.run(run(server, options.clients))
                print(f"round {turn + 1}: {outcome}")
                problems += outcome.problems
                deadline = time.monotonic() + 30
                while take_census(server) != before and time.monotonic() < deadline:
                    time.sleep(0.1)
                problems += [] if take_census(server) == before else ["not all is as it was"]
                print(f"  {peak(server) / MIB:.0f} MiB at most, then {take_memory(server)}", flush=True)
            problems += server.errors().splitlines()
            server.stop()
        finally:
            server.kill()
    print(f"{len(problems)} problems", *problems[:20], sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
