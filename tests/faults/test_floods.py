"""Floods on sockets: whoever sends them is closed with 1008, and others are served in the same memory."""

import asyncio
from collections.abc import Callable
from typing import Final

import pytest

from tests.conftest import ServerProcess, eventually
from tests.faults.census import WATCHED, first_census, take_census
from tests.faults.pressure import peak
from tests.rawclient import CLOSE, CONTINUATION, PING, TEXT, RawClient, frame, said, text

Start = Callable[..., ServerProcess]

FLOODS: Final = {
    "pings": (b"", frame(PING, b"a")),
    "empty fragments": (frame(TEXT, fin=False), frame(CONTINUATION, fin=False)),
    "fragments of an octet": (frame(TEXT, fin=False), frame(CONTINUATION, b"a", fin=False)),
    "empty messages": (b"", text("")),
}
UNITS: Final = 100_000
FLOODERS: Final = 20
# So low that octets which come one by one are too many too, on any machine.
FLAGS: Final = ("--frame-rate=100", "--message-rate=50", "--log-level=warning")
# Octets that the server may take for a flood: each is of 12 million and more.
SLACK: Final = 2_000_000


async def flood(server: ServerProcess, before: bytes, unit: bytes, size: int) -> None:
    """Send it all, or until nobody takes it; then read why."""
    client = await server.connect()
    await client.open()
    sending = asyncio.ensure_future(send(client, before + unit * UNITS, size))
    # Of the echoes it reads none before the Close.
    while (received := await client.frame()).opcode != CLOSE:
        pass
    assert 1008 == int.from_bytes(received.payload[:2], "big"), received
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    client.close()


async def send(client: RawClient, octets: bytes, size: int) -> None:
    for at in range(0, len(octets), size):
        await client.send(octets[at : at + size])
        await asyncio.sleep(0)


async def be_served(server: ServerProcess, until: asyncio.Event) -> None:
    client = await server.connect()
    await client.open()
    served = 0
    while not until.is_set() or not served:
        await client.send(text("hello"))
        assert said("hello") == await client.frame()
        served += 1
        await asyncio.sleep(0.05)
    client.close()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_floods_end_with_1008_and_take_no_memory(start_server: Start, loop: str) -> None:
    server = start_server(f"--loop={loop}", *FLAGS, python=[*WATCHED])
    before = first_census(server)
    is_over = asyncio.Event()
    polite = asyncio.ensure_future(be_served(server, is_over))
    peaks: list[int] = []
    for size in (1, 1 << 16):
        for first, unit in FLOODS.values():
            # In segments of an octet it is the frames that are too many, not the octets.
            flooders = 1 if size == 1 else FLOODERS
            await asyncio.gather(*(flood(server, first, unit, size) for _ in range(flooders)))
        peaks.append(peak(server))
    is_over.set()
    await polite
    assert peaks[1] - peaks[0] < SLACK
    await eventually(before, lambda: take_census(server))
    assert "" == server.errors()
