"""A cable that is pulled: the server finds out whose peer is gone, and leaves alone who is back in time.

The clients sit in a network namespace of their own, behind a link that can be set down. Neither end is told.
"""

import asyncio
import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, final

import pytest

from ..conftest import NO_RATES, Running, Serve, eventually, require
from ..rawclient import PING, PONG, RawClient, frame, text

pytestmark = pytest.mark.real

# From the blocks that no network uses (RFC 5737).
HERE: Final = "198.51.100.1"
THERE: Final = "198.51.100.2"
BEATING: Final[dict[str, Any]] = {**NO_RATES, "host": (HERE,), "ping_interval": 0.5}
JOIN: Final = text('{"action":"join","room":"a"}')

_CLONE_NEWNET: Final = 0x40000000


def ip(*words: str) -> None:
    """Run iproute2. Where the kernel refuses a namespace no installation helps, so that is skipped always."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"`ip {' '.join(words)}` isn't allowed: {done.stderr.strip()}")


@final
class Link:
    """A pair of interfaces, one here and one in a namespace of its own."""

    def __init__(self) -> None:
        self.namespace = f"half-open-{os.getpid()}"
        self.near, self._far = f"near{os.getpid()}", f"far{os.getpid()}"

    def lay(self) -> None:
        ip("netns", "add", self.namespace)
        ip("link", "add", self.near, "type", "veth", "peer", "name", self._far, "netns", self.namespace)
        ip("address", "add", f"{HERE}/30", "dev", self.near)
        ip("-n", self.namespace, "address", "add", f"{THERE}/30", "dev", self._far)
        ip("link", "set", self.near, "up")
        self.set("up")

    def set(self, state: str) -> None:
        """Set the far end `up` or `down`."""
        ip("-n", self.namespace, "link", "set", self._far, state)

    def remove(self) -> None:
        for words in (["link", "del", self.near], ["netns", "del", self.namespace]):
            subprocess.run(["ip", *words], capture_output=True)

    def connect(self, address: tuple[str, int]) -> socket.socket:
        """Connect from the far end: a socket belongs to the namespace in which its thread made it."""
        with ThreadPoolExecutor(1) as thread:
            connected = thread.submit(self._make_socket).result()
        connected.connect(address)
        connected.setblocking(False)
        return connected

    def _make_socket(self) -> socket.socket:
        with open(f"/run/netns/{self.namespace}") as namespace:
            assert 0 == ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET)
        made = socket.socket()
        made.settimeout(20)
        return made


@pytest.fixture
def link() -> Iterator[Link]:
    require(os.geteuid() == 0 and shutil.which("ip"), "needs root and iproute2")
    laid = Link()
    try:
        laid.lay()
        yield laid
    finally:
        laid.remove()


@final
class Peer:
    """A client at the far end, which answers pings for as long as it gets any."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        self.heard: list[bytes] = []
        self._living = asyncio.create_task(self._live())

    async def _live(self) -> None:
        while True:
            received = await self.client.frame()
            if received.opcode == PING:
                await self.client.send(frame(PONG, received.payload))
            else:
                self.heard.append(received.payload)

    async def end(self) -> None:
        self._living.cancel()
        await asyncio.wait([self._living])
        self.client.close()


async def open_over(link: Link, running: Running) -> Peer:
    """Open a WebSocket over the link, join a room, and answer a ping."""
    client = RawClient(link.connect(running.address))
    await client.open("/ws")
    await client.send(JOIN)
    await client.frames(2)
    assert [1] == members(running)
    (session,) = running.sessions()
    peer = Peer(client)
    await eventually(True, lambda: session.rtt is not None)
    return peer


def members(running: Running) -> list[int]:
    return [len(room.members) for room in running.context.hub.rooms]


async def test_client_whose_link_is_down_is_gone_within_the_timeout(service: Serve, link: Link) -> None:
    async with service(**BEATING, pong_timeout=0.5) as running:
        peer = await open_over(link, running)
        link.set("down")
        await eventually(0, lambda: len(running.context.connections))
        assert [0] == members(running)
        assert [] == peer.heard
        await peer.end()


async def test_client_whose_link_is_up_again_in_time_stays(service: Serve, link: Link) -> None:
    async with service(**BEATING, pong_timeout=15.0) as running:
        peer = await open_over(link, running)
        (session,) = running.sessions()
        session.rtt = None
        link.set("down")
        # Until the server has asked, and waits for the answer.
        await eventually(True, lambda: session in running.context.heartbeat._awaited)
        await peer.client.send(text('{"action":"ping"}'))
        link.set("up")
        await eventually([b'{"type":"pong"}'], lambda: peer.heard)
        await eventually(True, lambda: session.rtt is not None)
        assert [1] == members(running)
        await peer.end()
