"""A server under load is told to go away: what becomes of its clients, of every kind.

    python -m tests.faults.drain --clients 10000

Of the clients some talk, a tenth ignores the Close, one in a hundred doesn't read, as many read on only when
the signal has come, and as many have sent half of their handshake. SIGTERM comes in the midst of that, and
they talk on. Who reads is to hear all that is acknowledged, before the signal or behind it, and nothing else,
and then the Close with 1001; nobody gets in any more; and the process ends in its time, with status 0.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from tests.conftest import ServerProcess, eventually
from tests.faults.swarm import SOURCES, Member, connect, connect_all, raise_descriptor_limit
from tests.rawclient import upgrade

# With small buffers, so that what isn't read waits in the server and not in the kernel.
_NARROW: Final = ("--socket-send-buffer=4096", "--write-high-water=8192", "--write-low-water=1024")
_CROWDED: Final = ("--max-connections-per-address=1000000", "--handshake-rate-per-address=0")
FLAGS: Final = (*_CROWDED, *_NARROW, "--log-level=warning")
ROOMS: Final = 10
# Messages a second of all speakers together.
RATE: Final = 200
# Seconds that they talk before the signal.
TALK: Final = 2.0
# Seconds after which a process that doesn't end is given up, whatever it was told.
MAX_SECONDS: Final = 60
_REQUEST: Final = upgrade("/ws")
_HALF: Final = len(_REQUEST) // 2


@final
@dataclass
class Outcome:
    """How it went."""

    problems: list[str] = field(default_factory=list)
    # Messages, until the signal and in all.
    acknowledged: int = 0
    acknowledged_in_all: int = 0
    # Close codes of those who read, or how else it ended.
    ends: Counter[str] = field(default_factory=Counter)
    # Seconds from the signal to each Close, and to the end of the process.
    closed_after: list[float] = field(default_factory=list)
    ended_after: float = 0.0
    status: int | None = None

    @property
    def busiest_second(self) -> float:
        """The share of all Closes that came within one second."""
        times = sorted(self.closed_after)
        most = max(sum(at <= each < at + 1 for each in times) for at in times[:: max(1, len(times) // 200)])
        return most / len(times)

    def __str__(self) -> str:
        times = sorted(self.closed_after)
        ends = ", ".join(f"{count:,} {end}" for end, count in sorted(self.ends.items()))
        return (
            f"{self.acknowledged:,} messages acknowledged before the signal,"
            f" {self.acknowledged_in_all - self.acknowledged} behind it; {ends};"
            f" Closes {times[0]:.1f} to {times[-1]:.1f} s after it, {self.busiest_second:.0%} of them in the"
            f" busiest second; status {self.status} after {self.ended_after:.1f} s;"
            f" {len(self.problems)} problems"
        )


@final
class Crowd:
    """The clients, by kind."""

    def __init__(self, count: int) -> None:
        def make(kind: str, share: float, *, ignores_close: bool = False) -> list[Member]:
            return [
                Member(f"{kind}-{number}", f"room-{number % ROOMS}", ignores_close=ignores_close)
                for number in range(round(count * share))
            ]

        self.speakers = make("speaker", 0.02)
        self.ignoring = make("ignoring", 0.1, ignores_close=True)
        self.stopped = make("stopped", 0.01)
        self.lagging = make("lagging", 0.01)
        self.half = [Member(f"half-{number}", request=_REQUEST[:_HALF]) for number in range(count // 100)]
        special = len(self.members) + len(self.stopped) + len(self.half)
        self.idle = [Member(f"idle-{number}") for number in range(count - special)]

    @property
    def members(self) -> list[Member]:
        """Those in rooms who read, sooner or later."""
        return [*self.speakers, *self.ignoring, *self.lagging]

    @property
    def reading(self) -> list[Member]:
        return [*self.members, *self.idle]

    @property
    def acknowledged(self) -> int:
        """How many messages are, as far as it is known here."""
        return sum(len(one.acknowledged) for one in self.speakers)

    @property
    def is_over(self) -> bool:
        """Whether all connections are ended of those who can see it."""
        return all(member.is_over for member in self.reading)

    async def come(self, port: int) -> None:
        """Connect; who doesn't read stops when it is in its room."""
        unread = [*self.stopped, *self.lagging]
        await connect_all(unread, port, receive_buffer=4096)
        for member in unread:
            member.transport.pause_reading()
        await connect_all([*self.idle, *self.ignoring, *self.speakers], port)
        for number, member in enumerate(self.half):
            await connect(member, port, SOURCES[number % len(SOURCES)])

    def leave(self) -> None:
        for member in (*self.reading, *self.stopped, *self.half):
            member.transport.abort()


async def _talk(speakers: list[Member], chance: random.Random) -> None:
    """Speak by turns, until told otherwise."""
    while True:
        speaker = chance.choice(speakers)
        if speaker.closed_at is None:
            speaker.say()
        await asyncio.sleep(1 / RATE)


async def _knock(port: int, outcome: Outcome) -> None:
    """Try to come in, until told otherwise."""
    while True:
        member = Member("late")
        try:
            await connect(member, port, SOURCES[0])
            await member.ready
            outcome.ends[f"late ones answered {member.status or 'by nothing'}"] += 1
            if member.status == 101:
                outcome.problems.append("one came in behind the signal")
            member.transport.abort()
        except ConnectionError:
            outcome.ends["late ones refused"] += 1
        await asyncio.sleep(0.05)


def _read_line(server: ServerProcess) -> str:
    assert server.process.stdout is not None
    return server.process.stdout.readline()


async def run(
    server: ServerProcess, clients: int, *, signals: int = 1, talk: float = TALK, seed: int = 0
) -> Outcome:
    """Let them come and talk, send so many signals, and look at how all of them end."""
    loop = asyncio.get_running_loop()
    outcome, crowd = Outcome(), Crowd(clients)
    await crowd.come(server.port)
    talking = asyncio.create_task(_talk(crowd.speakers, random.Random(seed)))
    await asyncio.sleep(talk)
    outcome.acknowledged = crowd.acknowledged
    began = loop.time()
    server.process.send_signal(signal.SIGTERM)
    assert (await asyncio.to_thread(_read_line, server)).startswith("stopping")
    for _ in range(signals - 1):
        server.process.send_signal(signal.SIGTERM)
    knocking = asyncio.create_task(_knock(server.port, outcome))
    for member in crowd.half:
        member.transport.write(_REQUEST[_HALF:])
    # Who came first is told first: from now on the lagging ones have their Close before them.
    await eventually(True, lambda: crowd.is_over or any(member.closed_at for member in crowd.idle))
    for member in crowd.lagging:
        member.transport.resume_reading()
    outcome.status = await asyncio.to_thread(server.process.wait, MAX_SECONDS)
    outcome.ended_after = loop.time() - began
    # What the kernel still holds for them they read before they learn of the end.
    await eventually(True, lambda: crowd.is_over)
    for task in (talking, knocking):
        task.cancel()
    await asyncio.gather(talking, knocking, return_exceptions=True)
    outcome.acknowledged_in_all = crowd.acknowledged
    _judge(crowd, began, outcome)
    crowd.leave()
    return outcome


def _judge(crowd: Crowd, began: float, outcome: Outcome) -> None:
    ends: Counter[str] = Counter()
    for one in crowd.speakers:
        ends[one.room] = max([ends[one.room], *one.acknowledged.values()])
    # Who is cut off may have had an acknowledgement on its way.
    is_exact = all(one.close_code is not None for one in crowd.speakers)
    for member in crowd.reading:
        outcome.ends["without a Close" if member.close_code is None else f"with {member.close_code}"] += 1
        if member.closed_at is not None:
            outcome.closed_after.append(member.closed_at - began)
    for member in crowd.members:
        outcome.problems += [f"{member.name}: {problem}" for problem in member.log.problems]
        if member.close_code is None:
            continue
        if member.position < ends[member.room] or (is_exact and member.position > ends[member.room]):
            problem = f"{member.name} heard {member.position}, and {ends[member.room]} are acknowledged"
            outcome.problems.append(problem)
    for member in crowd.half:
        outcome.ends[f"half handshakes answered {member.status or 'by nothing'}"] += 1
        if member.status == 101:
            outcome.problems.append(f"{member.name} came in behind the signal")


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.faults.drain", description=__doc__)
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--drain-timeout", type=float, default=25.0)
    options = parser.parse_args()
    raise_descriptor_limit()
    flags = [*FLAGS, "--drain-timeout", str(options.drain_timeout)]
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(flags, Path(folder) / "log")
        try:
            outcome = asyncio.run(run(server, options.clients))
        finally:
            server.kill()
        complaints = server.errors().splitlines()
    print(f"{options.clients:,} clients: {outcome}")
    print(*outcome.problems[:20], *complaints[:20], sep="\n")
    lost = outcome.ends["without a Close"]
    is_late = outcome.ended_after > options.drain_timeout
    return int(bool(outcome.problems or complaints or outcome.status or lost or is_late))


if __name__ == "__main__":
    sys.exit(main())
