"""Turned away: a 503 that can be read, bounded in number, time and lines of the log, and a reserve."""

import asyncio
import logging
import os
import re
import resource
import socket

import pytest

from server.linger import MAX_DISCARDED
from server.service import Service
from server.settings import Settings
from server.turned_away import MAX_TURNED_AWAY, TurnedAway
from tests.conftest import count_descriptors, eventually


class Door:
    """What sends clients away, with the client's ends of those."""

    def __init__(self) -> None:
        self.context = Service(Settings()).context
        self.now = 1000.0
        self.context.clock = lambda: self.now
        self.turned_away = TurnedAway(self.context)
        self.clients: list[socket.socket] = []

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None:
        self.turned_away.close()
        assert (0, 0) == (len(self.turned_away), len(self.context.closings))
        for client in self.clients:
            client.close()

    def turn_away(self, *, can_read: bool = True) -> socket.socket:
        client, accepted = socket.socketpair()
        for end in (client, accepted):
            end.setblocking(False)
        self.clients.append(client)
        self.turned_away.add(accepted, "of a test", can_read=can_read)
        return client


async def read(client: socket.socket) -> bytes:
    received = b""
    while more := await asyncio.get_running_loop().sock_recv(client, 1 << 16):
        received += more
    return received


async def test_answer_is_read_to_its_end_by_who_still_sends(loop_name: str) -> None:
    with Door() as door:
        client = door.turn_away()
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        head, _, body = (await read(client)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nConnection: close\r\n" in head + b"\r\n"
        assert re.search(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n", head)
        assert b"There is no room for another connection now." in body
        client.send(b"more")
        await asyncio.sleep(0)
        assert 1 == len(door.turned_away)
        client.close()
        await eventually(0, lambda: len(door.turned_away))
        assert {"503": 1} == door.context.traffic.requests


async def test_times_to_come_back_differ(loop_name: str) -> None:
    with Door() as door:
        answers = [await read(door.turn_away()) for _ in range(100)]
        found = {answer.partition(b"Retry-After: ")[2].partition(b"\r\n")[0] for answer in answers}
        assert {b"1", b"2", b"3", b"4", b"5"} == found


async def test_who_expects_tls_is_only_counted(loop_name: str) -> None:
    with Door() as door:
        assert b"" == await read(door.turn_away(can_read=False))
        assert (1, 0) == (door.context.traffic.turned_away, len(door.turned_away))
        # Its descriptor is the next one in reserve.
        assert door.turned_away.make_room()
        door.turn_away(can_read=False)
        assert door.turned_away.make_room()


async def test_who_never_ends_is_waited_for_in_time_and_in_octets(loop_name: str) -> None:
    with Door() as door:
        slow, endless = door.turn_away(), door.turn_away()
        sent = 0
        while len(door.turned_away) == 2:
            try:
                sent += endless.send(bytes(1 << 16))
            except BlockingIOError:
                await asyncio.sleep(0)
            except OSError:
                break
        assert sent > MAX_DISCARDED
        await eventually(1, lambda: len(door.turned_away))
        door.now += door.context.closings.delay
        for entry in door.context.closings.expired(door.now):
            entry.expire()
        assert 0 == len(door.turned_away)
        assert b"503" in await read(slow)


async def test_one_more_than_the_most_takes_the_place_of_the_first(loop_name: str) -> None:
    with Door() as door:
        clients = [door.turn_away() for _ in range(MAX_TURNED_AWAY)]
        assert MAX_TURNED_AWAY == len(door.turned_away)
        clients[0].send(b"still here")
        last = door.turn_away()
        assert MAX_TURNED_AWAY == len(door.turned_away) == len(door.context.closings)
        with pytest.raises(BrokenPipeError):
            clients[0].send(b"?")
        for client in (clients[1], last):
            client.send(b"!")
            assert b"503" in await read(client)


async def test_descriptor_is_in_reserve_when_nobody_holds_one(loop_name: str) -> None:
    def spares() -> int:
        return sum(os.readlink(f"/proc/self/fd/{number}") == os.devnull for number in _descriptors())

    before, base = spares(), count_descriptors("self")
    with Door() as door:
        assert before + 1 == spares()
        assert [True, False] == [door.turned_away.make_room() for _ in range(2)]
        assert before == spares()
        # The descriptor of who was turned away is the next to be given up.
        client = door.turn_away()
        assert [True, False] == [door.turned_away.make_room() for _ in range(2)]
        client.close()
        door.turn_away().close()
        await eventually(before + 1, spares)
    assert (before, base) == (spares(), count_descriptors("self"))


def _descriptors() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        if os.path.exists(f"/proc/self/fd/{number}"):
            found.append(number)
    return found


async def test_reserve_that_cannot_be_taken_now_is_taken_later(loop_name: str) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Door() as door:
        door.turned_away.make_room()
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
            door.turned_away.keep_spare()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert not door.turned_away.make_room()
        door.turned_away.keep_spare()
        assert door.turned_away.make_room()


async def test_log_has_a_line_a_second_at_the_most(loop_name: str, caplog: pytest.LogCaptureFixture) -> None:
    with Door() as door, caplog.at_level(logging.WARNING):
        for _ in range(25):
            door.turn_away()
            # Binary fractions add up without an error.
            door.now += 0.125
    told = [0, 7, 7, 7]
    assert [f"turned a connection away: of a test (and {count} times untold before)" for count in told] == [
        record.getMessage() for record in caplog.records
    ]
