"""A network that is slow, or loses everything, is told from a client that doesn't read."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any, Final

import pytest

from server.inspection import Inspector

from ..conftest import NARROW, Running, Serve, eventually, require
from ..rawclient import RawClient
from .test_half_open import HERE, JOIN, Link

pytestmark = pytest.mark.real

SETTINGS: Final[dict[str, Any]] = {
    **NARROW,
    "host": (HERE,),
    "compression": False,
    "max_queue_seconds": 3600.0,
    "drain_timeout": 0.5,
    # The link must not be found dead while it is looked at.
    "ping_interval": 0,
}


@pytest.fixture
def link() -> Iterator[Link]:
    require(os.geteuid() == 0 and shutil.which("ip"), "needs root and iproute2")
    laid = Link()
    try:
        laid.lay()
        yield laid
    finally:
        laid.remove()


def narrow(link: Link) -> None:
    """Let no more than 25 kB/s through, and lose nothing for it."""
    require(shutil.which("tc"), "needs iproute2's tc")
    words = ["root", "tbf", "rate", "200kbit", "burst", "4kb", "latency", "10s"]
    done = subprocess.run(["tc", "qdisc", "add", "dev", link.near, *words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this kernel shapes nothing: {done.stderr.strip()}")


async def join_over(link: Link, running: Running) -> RawClient:
    client = RawClient(link.connect(running.address))
    await client.open("/ws")
    await client.send(JOIN)
    await client.frames(2)
    return client


async def publish_until_paused(running: Running) -> None:
    (session,) = running.sessions()
    while not session.is_paused:
        running.service.hub.publish(None, "a", "x" * 1000)
        await eventually(False, lambda: session.outbox.is_dirty)


def why(running: Running) -> str:
    (session,) = running.sessions()
    told = Inspector(running.context).one(session.id)
    assert told is not None
    return str(told["why"])


async def test_link_that_is_down_loses_what_is_sent(service: Serve, link: Link) -> None:
    async with service(**SETTINGS) as running:
        client = await join_over(link, running)
        link.set("down")
        await publish_until_paused(running)
        expected = "The network loses what is sent: the kernel repeats it, and no acknowledgement comes."
        await eventually(expected, lambda: why(running))
        client.close()
        running.sessions()[0].abort()


async def test_link_with_little_room_is_slow(service: Serve, link: Link) -> None:
    narrow(link)
    async with service(**SETTINGS) as running:
        client = await join_over(link, running)

        async def read() -> None:
            while True:
                await client.frame()

        reading = asyncio.create_task(read())
        await publish_until_paused(running)
        expected = "The network is slower than what is sent"
        await eventually(expected, lambda: why(running).partition(":")[0])
        reading.cancel()
        await asyncio.wait([reading])
        client.close()
        running.sessions()[0].abort()
