"""A wakeup is to a task what a future is, but that who made it says when the task goes on."""

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import Any, final

import pytest

from server.wakeup import Wakeup, Wakeups

NAME = ContextVar("NAME", default="nobody")


@final
class Waiting:
    """Awaited for the same wakeup again and again; and counts how often the end of a turn is asked for."""

    def __init__(self) -> None:
        self.scheduled = 0
        self.wakeups = Wakeups(self.schedule)
        self.wakeup = Wakeup(self.wakeups)

    def __await__(self) -> Generator[Wakeup, None, None]:
        yield self.wakeup

    def schedule(self) -> None:
        self.scheduled += 1


@pytest.fixture(params=["Task", "_PyTask"])
def kind_of_task(request: pytest.FixtureRequest) -> Any:
    """The standard library's two, in C and in Python, ask a future for the same in their own ways."""
    return getattr(asyncio.tasks, request.param)


async def started(kind_of_task: Any, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """A task that has come to where it waits."""
    task: asyncio.Task[None] = kind_of_task(coroutine, loop=asyncio.get_running_loop())
    await asyncio.sleep(0)
    return task


async def test_task_goes_on_where_it_is_run_and_waits_again(kind_of_task: Any) -> None:
    waiting = Waiting()
    steps: list[int] = []

    async def count() -> None:
        for number in range(3):
            steps.append(number)
            await waiting

    task = await started(kind_of_task, count())
    loop = asyncio.get_running_loop()
    for number in range(3):
        assert (list(range(number + 1)), True) == (steps, waiting.wakeup.is_awaited)
        waiting.wakeup.wake()
        waiting.wakeup.wake()
        assert (1, number + 1) == (len(waiting.wakeups.due), waiting.scheduled)
        # From the loop: no task goes on while another does.
        loop.call_soon(waiting.wakeups.run)
        await asyncio.sleep(0)
    assert (True, False) == (task.done(), waiting.wakeup.is_awaited)
    waiting.wakeup.wake()
    assert [] == waiting.wakeups.due
    await task


async def test_task_goes_on_in_its_own_context(kind_of_task: Any) -> None:
    waiting = Waiting()
    seen: list[object] = []

    async def named() -> None:
        NAME.set("mine")
        await waiting
        seen.extend([NAME.get(), asyncio.current_task()])

    task = await started(kind_of_task, named())
    waiting.wakeup.wake()
    asyncio.get_running_loop().call_soon(waiting.wakeups.run)
    await task
    assert ["mine", task, "nobody"] == [*seen, NAME.get()]


async def test_who_names_no_context_gets_the_one_he_was_in() -> None:
    wakeup = Waiting().wakeup
    names: list[str] = []
    wakeup.add_done_callback(lambda _: names.append(NAME.get()))
    token = NAME.set("later")
    wakeup.run()
    NAME.reset(token)
    assert ["nobody"] == names


async def test_wait_that_is_cancelled_ends_with_the_reason(kind_of_task: Any) -> None:
    waiting = Waiting()
    reasons: list[object] = []

    async def wait() -> None:
        try:
            await waiting
        except asyncio.CancelledError as error:
            reasons.extend(error.args)
            raise

    for arguments in ((), ("enough",)):
        waiting = Waiting()
        task = await started(kind_of_task, wait())
        assert task.cancel(*arguments)
        # Again, which changes nothing.
        task.cancel()
        waiting.wakeup.wake()
        # What is sent in this turn leaves before.
        assert (True, True, []) == (
            waiting.wakeup.is_cancelled,
            waiting.wakeup.is_awaited,
            waiting.wakeups.due,
        )
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
    assert ["enough"] == reasons


async def test_task_cancelled_when_it_was_to_be_woken_is_cancelled_as_it_wakes(kind_of_task: Any) -> None:
    waiting = Waiting()

    async def wait() -> None:
        await waiting

    task = await started(kind_of_task, wait())
    waiting.wakeup.wake()
    assert task.cancel()
    assert (False, 1) == (waiting.wakeup.is_cancelled, len(waiting.wakeups.due))
    asyncio.get_running_loop().call_soon(waiting.wakeups.run)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nobody_waits_before_the_first_or_after_the_last() -> None:
    waiting = Waiting()
    waiting.wakeup.wake()
    assert ([], False, False) == (waiting.wakeups.due, waiting.wakeup.is_awaited, waiting.wakeup.cancel())


def test_task_of_another_loop_is_refused(kind_of_task: Any) -> None:
    async def make() -> Waiting:
        return Waiting()

    async def wait(waiting: Waiting) -> None:
        async def wait_for_it() -> None:
            await waiting

        with pytest.raises(RuntimeError, match="attached to a different loop"):
            await kind_of_task(wait_for_it(), loop=asyncio.get_running_loop())

    asyncio.run(wait(asyncio.run(make())))
