"""A thousand clients in one room, on real sockets: each hears every message, in the same order."""

import asyncio
import functools
import json
import resource
import socket
from typing import Final, cast, final

from .conftest import NO_RATES, Running, Serve, eventually, require
from .rawclient import text, upgrade

CLIENTS: Final = 1000
MESSAGES: Final = 1000
# Messages that the publisher has in flight.
AT_ONCE: Final = 50
JOIN: Final = text('{"action":"join","room":"all"}')


@final
class Member(asyncio.Protocol):
    """Keeps what it hears behind the answer to its join, up to a number of messages."""

    def __init__(self, joined: asyncio.Event) -> None:
        self._joined = joined
        self._greeting = b""
        self.heard = bytearray()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(upgrade("/ws") + JOIN)

    def data_received(self, data: bytes) -> None:
        if self._joined.is_set():
            self.heard += data
            return
        self._greeting += data
        # Nobody publishes before everybody has joined: the answer is the last that is heard.
        if b'"type":"joined"' in self._greeting and self._greeting.endswith(b"}"):
            self._joined.set()


def messages_in(heard: bytes) -> list[bytes]:
    """Cut short server frames."""
    found = []
    position = 0
    while position < len(heard):
        length = heard[position + 1]
        start = position + 2
        if length == 126:
            length = int.from_bytes(heard[start : start + 2], "big")
            start += 2
        found.append(heard[start : start + length])
        position = start + length
    return found


def count_those_who_heard(message: bytes, members: list[Member]) -> int:
    return sum(message in member.heard[-400:] for member in members)


async def gather_members(running: Running) -> list[Member]:
    loop = asyncio.get_running_loop()
    members = []
    for number in range(CLIENTS):
        joined = asyncio.Event()
        connected = socket.socket()
        connected.setblocking(False)
        # The limit on connections from one address stays in force.
        connected.bind((f"127.0.0.{2 + number // 500}", 0))
        await loop.sock_connect(connected, running.address)
        _, member = await loop.create_connection(functools.partial(Member, joined), sock=connected)
        await joined.wait()
        members.append(member)
    return members


async def test_a_thousand_members_hear_a_thousand_messages_in_one_order(service: Serve) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CLIENTS + 512
    require(hard == resource.RLIM_INFINITY or hard >= wanted, f"needs {wanted} descriptors, has {hard}")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    async with service(**NO_RATES, max_connections=CLIENTS) as running:
        members = await gather_members(running)
        publisher = members[0]
        for batch in range(MESSAGES // AT_ONCE):
            publisher.transport.write(
                b"".join(
                    text(json.dumps({"action": "message", "room": "all", "message": number}))
                    for number in range(batch * AT_ONCE, (batch + 1) * AT_ONCE)
                )
            )
            last = b'"message":%d,' % ((batch + 1) * AT_ONCE - 1)
            await eventually(CLIENTS, functools.partial(count_those_who_heard, last, members))
        for member in members:
            assert publisher.heard == member.heard
        heard = [json.loads(message) for message in messages_in(bytes(publisher.heard))]
        assert list(range(MESSAGES)) == [message["message"] for message in heard]
        assert list(range(1, MESSAGES + 1)) == [message["offset"] for message in heard]
        for member in members:
            member.transport.abort()
