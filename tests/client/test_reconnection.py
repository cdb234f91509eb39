"""Coming back: when, how often, and where it is given up."""

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, final

import pytest

from server.client import (
    FIRST_DELAY,
    MAX_DELAY,
    BadAnswer,
    ClientConnection,
    ConnectError,
    Refused,
    Unreachable,
    reconnecting,
)
from tests.client.conftest import Listen, cancel, failure
from tests.conftest import eventually, take_census
from tests.rawserver import answer, closed


@final
class Pauses:
    """Stands in for sleep, chance and the clock."""

    def __init__(self, drawn: float = 1.0) -> None:
        self.slept: list[float] = []
        self.now = 0.0
        self._drawn = drawn

    def random(self) -> float:
        return self._drawn

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == 8:
            raise LookupError("that was enough")


def free_uri() -> str:
    """Name a port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"ws://127.0.0.1:{unused.getsockname()[1]}/"


@pytest.mark.parametrize("drawn", [1.0, 0.5, 0.0])
async def test_delays_are_random_and_grow_to_a_bound(drawn: float) -> None:
    pauses = Pauses(drawn)
    connections = reconnecting(free_uri(), random=pauses.random, sleep=pauses.sleep, clock=pauses.clock)
    with pytest.raises(LookupError):
        await anext(connections)
    ceilings = [5, 10, 20, 40, 60, 60, 60, 60]
    assert [drawn * ceiling for ceiling in ceilings] == pauses.slept
    assert isinstance(connections.error, Unreachable)


async def test_delay_stays_bounded_for_ever() -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 100:
            raise LookupError

    with pytest.raises(LookupError):
        await anext(reconnecting(free_uri(), random=lambda: 1.0, sleep=sleep))
    assert MAX_DELAY == slept[-1]


async def test_connection_that_lived_begins_the_delays_anew(peers: Listen) -> None:
    async with peers() as listening:
        pauses = Pauses()
        connections = reconnecting(
            listening.uri, random=pauses.random, sleep=pauses.sleep, clock=pauses.clock, origin="null"
        )
        lives = [MAX_DELAY - 1, MAX_DELAY - 1, MAX_DELAY, MAX_DELAY - 1]
        for life in lives:
            connecting = asyncio.create_task(anext(connections))
            peer = await listening.accept()
            await peer.upgrade()
            assert b"\r\nOrigin: null\r\n" in peer.head
            connection = await connecting
            assert connections.error is None
            pauses.now += life
            answering = asyncio.create_task(peer.answer_close())
            async with connection:
                pass
            await answering
        connecting = asyncio.create_task(anext(connections))
        await listening.accept()
        await cancel(connecting)
        assert [FIRST_DELAY, FIRST_DELAY * 2, FIRST_DELAY, FIRST_DELAY * 2] == pauses.slept


async def test_connection_left_open_is_closed_before_the_next(peers: Listen) -> None:
    async with peers() as listening:
        pauses = Pauses()
        opened = []

        async def iterate() -> None:
            async for connection in reconnecting(listening.uri, sleep=pauses.sleep):
                opened.append(connection)
                if len(opened) == 2:
                    break

        iterating = asyncio.create_task(iterate())
        first = await listening.accept()
        await first.upgrade()
        assert closed(1000) == await first.answer_close()
        await (await listening.accept()).upgrade()
        await iterating
        assert [1000, None] == [connection.close_code for connection in opened]
        opened[1].abort()


async def test_refusal_that_may_pass_is_tried_again_when_the_server_says(peers: Listen) -> None:
    async with peers() as listening:
        pauses = Pauses()
        connections = reconnecting(listening.uri, random=pauses.random, sleep=pauses.sleep)
        connecting = asyncio.create_task(anext(connections))
        for named in ("7", "100000", "Sun, 06 Nov 1994 08:49:37 GMT", "\xb2"):
            peer = await listening.accept()
            await peer.read_head()
            head = f"HTTP/1.1 503 Busy\r\nRetry-After: {named}\r\nContent-Length: 0\r\n\r\n"
            await peer.send(head.encode("latin-1"))
        await (await listening.accept()).upgrade()
        connection = await connecting
        assert [5 + 7, 10 + MAX_DELAY, 20, 40] == pauses.slept
        assert connections.error is None
        connection.abort()


@pytest.mark.parametrize(
    ("sent", "error"),
    [(answer("401 Unauthorized", "Content-Length: 0"), Refused), (b"SSH-2.0\r\n", BadAnswer)],
)
async def test_failure_that_time_does_not_heal_is_raised(
    peers: Listen, sent: bytes, error: type[ConnectError]
) -> None:
    async with peers() as listening:
        pauses = Pauses()
        connecting = asyncio.create_task(failure(anext(reconnecting(listening.uri, sleep=pauses.sleep))))
        peer = await listening.accept()
        await peer.read_head()
        await peer.send(sent)
        assert isinstance(await connecting, error)
        assert [] == pauses.slept


async def test_reconnecting_is_cancelled_in_its_sleep() -> None:
    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await asyncio.get_running_loop().create_future()

    before = take_census()
    connecting = asyncio.create_task(_first(reconnecting(free_uri(), sleep=sleep)))
    await asleep.wait()
    await cancel(connecting)
    await eventually(before, take_census)


def _first(connections: Any) -> Coroutine[Any, Any, ClientConnection]:
    found: Coroutine[Any, Any, ClientConnection] = anext(connections)
    return found


async def test_draws_and_sleeps_of_its_own_by_default(peers: Listen) -> None:
    async with peers() as listening:
        connecting = asyncio.create_task(_first(reconnecting(listening.uri)))
        await (await listening.accept()).upgrade()
        (await connecting).abort()
