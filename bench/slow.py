"""What members that never read cost those who do: `python -m bench.slow`.

A room of 1,000, and a fixed number of publications a second; the latency counts from when each was due until
the last member that reads has it. Rounds without stalled members and with some take turns.
"""

import argparse
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Final

from bench import builds
from bench.generator import Generator, Sample
from bench.machine import choose_cores, describe_machine, raise_descriptor_limit
from bench.members import REQUEST, action
from bench.process import running
from bench.servers import Server, ours
from bench.workloads import Workload

POLICIES: Final = ("disconnect", "drop-oldest", "drop-newest", "conflate:key")
# Who never reads isn't given up while it is measured, but has had too much before that begins.
_FLAGS: Final = ("--ping-interval", "0", "--max-queue-seconds", "3600", "--max-queue-bytes", "32KiB")


def _server(policy: str) -> Server:
    server = ours()
    assert server.room is not None
    room = replace(
        server.room,
        join='{"action":"join","room":"bench"}',
        template='{"action":"message","room":"bench","message":{"key":1,"text":"%P"}}',
    )
    return replace(
        server, name=policy, command=(*server.command, *_FLAGS, "--slow-readers", policy), room=room
    )


@contextmanager
def _stalled(port: int, count: int) -> Iterator[None]:
    """Let so many join the room, and never read."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", port))
            one.sendall(REQUEST + action(action="join", room="bench"))
        yield
    finally:
        for one in sockets:
            one.close()


def _sample(
    generator: Generator, server: Server, core: int | None, workload: Workload, stalled: int, seconds: float
) -> Sample:
    with running(server, core) as process, _stalled(process.port, stalled):
        return generator.run(workload, server, process, seconds)


def main() -> None:
    parser = argparse.ArgumentParser("python -m bench.slow", description=__doc__)
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--stalled", type=int, default=10)
    parser.add_argument("--rate", type=int, default=30, help="publications a second")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    raise_descriptor_limit()
    server_core, generator_core = choose_cores()
    generator = Generator(builds.generator(with_tls=False), generator_core)
    print(f"{describe_machine([ours()])}; {options.rounds} rounds of {options.seconds:g} s", flush=True)
    reading = options.members - options.stalled
    workload = Workload("slow", "fan", "room", connections=reading, size=128, rate=options.rate)
    samples: dict[str, list[Sample]] = {"none": [], **{policy: [] for policy in POLICIES}}
    for turn in range(options.rounds):
        # Each begins a round in its turn.
        names = list(samples)[turn % len(samples) :] + list(samples)[: turn % len(samples)]
        for name in names:
            stalled = 0 if name == "none" else options.stalled
            server = _server("disconnect" if name == "none" else name)
            samples[name].append(_sample(generator, server, server_core, workload, stalled, options.seconds))
    print(f"{reading} read, {options.stalled} never do, {options.rate} publications a second")
    print(
        f"  {'stalled under':14} {'p50 us':>9} {'p99 us':>9} {'p99 / none':>11} {'CPU':>6} {'CPU / none':>11}"
    )
    for name, taken in samples.items():
        p50, p99 = (median(sample[key] for sample in taken) for key in ("p50_us", "p99_us"))
        cpu = median(sample["server_cpu_seconds"] / sample["seconds"] for sample in taken)
        ratios = [
            median(mine[key] / theirs[key] for mine, theirs in zip(taken, samples["none"], strict=True))
            for key in ("p99_us", "server_cpu_seconds")
        ]
        print(f"  {name:14} {p50:9,.0f} {p99:9,.0f} {ratios[0]:10.2f}x {cpu:6.1%} {ratios[1]:10.2f}x")


if __name__ == "__main__":
    main()
