"""Whatever awaits may be cancelled there: at its first await, at its second, and so on until the last.

After each of these nothing is left, and whoever else is connected is served.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from itertools import count
from typing import Any, Final, final

import pytest

from server.application import Application
from server.client import connect
from server.dialects.stream import Stream
from server.service import Service
from server.settings import Settings
from tests.conftest import NARROW, Serve, eventually, take_census
from tests.rawclient import CLOSE, RawClient, close, text

# More than the kernel takes of who reads nothing.
MUCH: Final = "much" * 100_000


@final
class CancelledAt:
    """Awaits a coroutine, and cancels the task in its await of that number; the first is 0."""

    def __init__(self, number: int, coroutine: Coroutine[Any, Any, None]) -> None:
        self.was_reached = False
        self._number = number
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, None, None]:
        inner = self._coroutine.__await__()
        step: Callable[[], Any] = partial(next, inner)
        for number in count():
            try:
                awaited = step()
            except StopIteration:
                return
            if number == self._number:
                self.was_reached = True
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                yield awaited
            except BaseException as error:
                step = partial(inner.throw, error)
            else:
                step = partial(next, inner)

    async def outcome(self) -> None:
        """Run it in a task of its own, which must end cancelled if it was."""

        async def run() -> None:
            await self

        (result,) = await asyncio.gather(asyncio.create_task(run()), return_exceptions=True)
        assert isinstance(result, asyncio.CancelledError if self.was_reached else type(None)), result


async def at_each_await(attempt: Callable[[int], Awaitable[bool]]) -> int:
    """Attempt with 0, 1, ... until it has no await of that number; return how many it has."""
    number = 0
    while await attempt(number):
        number += 1
    return number


async def test_the_harness_cancels_in_each_await_once() -> None:
    seen: list[str] = []

    async def steps() -> None:
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        seen.append("done")

    async def attempt(number: int) -> bool:
        cancelled = CancelledAt(number, steps())
        await cancelled.outcome()
        return cancelled.was_reached

    assert 2 == await at_each_await(attempt)
    assert ["cancelled", "cancelled", "done"] == seen


async def pong(client: RawClient) -> None:
    """Be served."""
    await client.send(text('{"action":"ping"}'))
    while json.loads((await client.frame()).payload)["type"] != "pong":
        pass


# Handlers. --------------------------------------------------------------------------------------------------


async def converse(stream: Stream) -> None:
    async for message in stream:
        if message == "end":
            break
        await stream.send(message)
        await stream.send(MUCH)
    await stream.close(4000, "that was all")
    async for _ in stream:
        raise AssertionError("behind its Close")


# What whoever is cancelled in these awaits says: for a message, for one that is sent, for the client's Close.
CODES: Final = [1001, 1001, 4000]


async def test_handler_that_is_cancelled_in_any_await_leaves_nothing_behind(service: Serve) -> None:
    handling: list[CancelledAt] = []
    number = 0

    async def handler(stream: Stream) -> None:
        handling.append(CancelledAt(number, converse(stream)))
        await handling[-1]

    async with service({"/app": handler}, **NARROW) as running:
        other = await running.open("/ws")
        base = take_census(running.context)

        async def attempt(number_of_await: int) -> bool:
            nonlocal number
            number = number_of_await
            client = await running.open("/app", receive_buffer=4096)
            await client.send(text("hello") + text("end"))
            while (received := await client.frame()).opcode != CLOSE:
                pass
            await client.send(close())
            await client.eof()
            client.close()
            assert [*CODES, 4000][number] == int.from_bytes(received.payload[:2], "big")
            await eventually(base, lambda: take_census(running.context))
            await pong(other)
            return handling[-1].was_reached

        assert len(CODES) == await at_each_await(attempt)


# Hooks. -----------------------------------------------------------------------------------------------------

HOOKS: Final = ("connect", "join", "publish", "leave", "disconnect")


@final
class Halting:
    """An application whose hooks have two awaits each, and one of which is cancelled in one of them."""

    def __init__(self, name: str) -> None:
        self.number = 0
        self.was_reached = False
        self.application = Application()
        for each in HOOKS:
            hook = self._cancelled if each == name else self._whole
            getattr(self.application, f"on_{each}")(hook)

    async def _whole(self, *_: object) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)

    async def _cancelled(self, *_: object) -> None:
        cancelled = CancelledAt(self.number, self._whole())
        self.was_reached = False
        try:
            await cancelled
        finally:
            self.was_reached = cancelled.was_reached


async def live(client: RawClient) -> None:
    """Do what calls every hook, as far as the server lets it."""
    await client.send(text('{"action":"join","room":"a"}'))
    await client.send(text('{"action":"message","room":"a","message":1}'))
    await client.send(text('{"action":"leave","room":"a"}'))
    await client.send(text('{"action":"join","room":"b"}'))
    await client.send(close())
    await client.rest()
    client.close()


@pytest.mark.parametrize("name", HOOKS)
async def test_hook_that_is_cancelled_in_any_await_leaves_nothing_behind(service: Serve, name: str) -> None:
    halting = Halting(name)
    async with service(None, halting.application) as running:
        base = take_census(running.context)

        async def attempt(number: int) -> bool:
            halting.number = number
            client = await running.open("/ws")
            await live(client)
            await eventually(base, lambda: take_census(running.context))
            return halting.was_reached

        assert 2 == await at_each_await(attempt)
        running.errors.clear()


# The service. -----------------------------------------------------------------------------------------------


async def rest_a_little() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)


def resting_application() -> Application:
    application = Application()
    application.on_start(rest_a_little)
    application.on_stop(rest_a_little)
    return application


async def test_start_that_is_cancelled_in_any_await_leaves_nothing_behind(loop_name: str) -> None:
    base = take_census()

    async def attempt(number: int) -> bool:
        service = Service(Settings(host=("localhost",), port=0), None, resting_application())
        cancelled = CancelledAt(number, service.start())
        await cancelled.outcome()
        if not cancelled.was_reached:
            (await RawClient.connect(service.addresses[0])).close()
            await service.stop()
        await eventually(base, take_census)
        return cancelled.was_reached

    assert await at_each_await(attempt)


async def test_stop_that_is_cancelled_in_any_await_can_be_done_again(loop_name: str) -> None:
    base = take_census()
    settings = Settings(host=("127.0.0.1",), port=0, drain_timeout=0.5)

    async def attempt(number: int) -> bool:
        service = Service(settings, {"/app": converse}, resting_application())
        await service.start()
        clients = [await RawClient.connect(service.addresses[0]) for _ in range(3)]
        # They answer no Close.
        await clients[0].open("/ws")
        await clients[1].open("/app")
        cancelled = CancelledAt(number, service.stop())
        await cancelled.outcome()
        service.stop_now()
        await service.stop()
        for client in clients:
            await client.rest()
            client.close()
        await eventually(base, take_census)
        return cancelled.was_reached

    assert 5 < await at_each_await(attempt)


# The client. ------------------------------------------------------------------------------------------------


async def visit(url: str) -> None:
    connection = await connect(url)
    try:
        await connection.send("hello")
        await anext(connection)
        await connection.send(MUCH)
        await anext(connection)
        await connection.ping()
    finally:
        await connection.close()


async def test_client_that_is_cancelled_in_any_await_leaves_nothing_behind(service: Serve) -> None:
    async with service(**NARROW, max_message_size=1 << 20) as running:
        base = take_census(running.context)
        host, port = running.address

        async def attempt(number: int) -> bool:
            cancelled = CancelledAt(number, visit(f"ws://{host}:{port}/echo"))
            await cancelled.outcome()
            await eventually(base, lambda: take_census(running.context))
            return cancelled.was_reached

        assert 5 < await at_each_await(attempt)
