"""What connections that do nothing cost the server in computing time: `python -m bench.heartbeat`.

It opens them, lets one ping interval pass, and then measures; the clients answer pings and say nothing.
"""

import argparse
import asyncio

from bench.members import Member, connect
from bench.own_server import OwnServer, serve
from bench.servers import rates_off
from tests.faults.swarm import raise_descriptor_limit


def _ignore(message: bytes) -> None:
    pass


async def _measure(server: OwnServer, connections: int, settle: float, seconds: float) -> None:
    members = [await connect(server.port, Member(_ignore)) for _ in range(connections)]
    await asyncio.sleep(settle)
    cpu_before, pings_before = server.cpu_seconds(), sum(member.pings for member in members)
    await asyncio.sleep(seconds)
    spent = server.cpu_seconds() - cpu_before
    pings = sum(member.pings for member in members) - pings_before
    print(
        f"{connections:,} idle connections: {spent / seconds:.2%} of a core ({spent:.2f} s in {seconds:g} s),"
        f" with {pings / seconds:.0f} pings a second"
    )


def main() -> None:
    parser = argparse.ArgumentParser("python -m bench.heartbeat", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument(
        "--interval", type=float, default=30.0, help="the server's --ping-interval; 0 for none"
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    raise_descriptor_limit()
    flags = ["--max-connections-per-address", "1000000", "--ping-interval", str(options.interval)]
    with serve(*rates_off(), *flags) as server:
        asyncio.run(_measure(server, options.connections, options.interval, options.seconds))


if __name__ == "__main__":
    main()
