"""Hooks: one at a time for each session, within their time, cancelled with it, and nobody else's affair."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from server.hooks import Hooks
from server.refusal import Refusal
from server.session import SessionClosed
from tests.conftest import eventually
from tests.stage import Carrier, Stage

LONG = 3600.0


class Desk:
    """Hooks for one session, and what came of each call."""

    def __init__(self, timeout: float = LONG) -> None:
        self.hooks = Hooks(timeout)
        self.session: Carrier = Stage().connect("a")
        self.outcomes: list[object] = []

    def run(self, call: Callable[[], Awaitable[object]]) -> None:
        self.hooks.run(self.session, call, self.outcomes.append, lambda refusal: self.note(refusal))

    def note(self, refusal: Refusal) -> None:
        self.outcomes.append((refusal.code, str(refusal)))


async def test_session_is_held_until_its_hook_has_returned() -> None:
    desk = Desk()
    may_go_on = asyncio.Event()

    async def hook() -> str:
        await may_go_on.wait()
        return "done"

    desk.run(hook)
    await asyncio.sleep(0)
    assert (True, []) == (desk.session.is_held, desk.outcomes)
    may_go_on.set()
    await eventually(["done"], lambda: desk.outcomes)
    assert not desk.session.is_held


async def test_refusal_is_handed_on_and_the_session_goes_on() -> None:
    desk = Desk()

    async def hook() -> None:
        raise Refusal("closed", "Come back tomorrow.")

    desk.run(hook)
    await eventually([("closed", "Come back tomorrow.")], lambda: desk.outcomes)
    assert not desk.session.is_held


async def test_hook_that_fails_is_logged_and_its_session_told(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()

    async def hook() -> None:
        raise ValueError("what only the log may tell")

    desk.run(hook)
    await eventually([("internal_error", "The application failed.")], lambda: desk.outcomes)
    assert not desk.session.is_held
    assert "what only the log may tell" in caplog.text
    caplog.clear()


async def test_hook_that_awaits_what_was_cancelled_has_failed_and_its_session_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()

    async def hook() -> None:
        never = asyncio.create_task(asyncio.sleep(LONG))
        asyncio.get_running_loop().call_soon(never.cancel)
        await never

    desk.run(hook)
    await eventually([("internal_error", "The application failed.")], lambda: desk.outcomes)
    assert not desk.session.is_held
    assert "a hook failed" in caplog.text
    caplog.clear()


async def test_session_whose_hook_the_application_cancels_is_closed() -> None:
    desk = Desk()

    async def hook() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(LONG)

    desk.run(hook)
    await eventually(1011, lambda: desk.session.close_code)
    assert [] == desk.outcomes


async def test_hook_that_hangs_is_cancelled_and_its_session_told() -> None:
    desk = Desk(timeout=0.001)
    ended: list[str] = []

    async def hook() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    desk.run(hook)
    await eventually([("timeout", "The application took too long.")], lambda: desk.outcomes)
    assert (["cancelled"], False) == (ended, desk.session.is_held)


async def test_timeout_of_the_hooks_own_is_a_failure_like_others(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()

    async def hook() -> None:
        raise TimeoutError("the database")

    desk.run(hook)
    await eventually([("internal_error", "The application failed.")], lambda: desk.outcomes)
    caplog.clear()


async def test_answer_to_a_session_that_is_over_is_nobodys_mistake(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()

    def answer(result: object) -> None:
        raise SessionClosed(1006)

    async def hook() -> None: ...

    desk.hooks.run(desk.session, hook, answer, desk.note)
    await eventually(False, lambda: desk.session.is_held)
    assert [] == [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_fault_in_what_comes_after_the_hook_ends_its_session(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()

    def answer(result: object) -> None:
        raise RuntimeError("ours")

    async def hook() -> None: ...

    desk.hooks.run(desk.session, hook, answer, desk.note)
    await eventually(1011, lambda: desk.session.close_code)
    caplog.clear()


AWAITS = 4


@pytest.mark.parametrize("nth", range(AWAITS))
async def test_session_that_ends_at_any_await_cancels_its_hook_and_then_says_goodbye(nth: int) -> None:
    desk = Desk()
    story: list[str] = []
    reached = asyncio.Event()

    async def hook() -> str:
        try:
            for step in range(AWAITS):
                if step == nth:
                    reached.set()
                await asyncio.sleep(0)
                story.append(f"step {step}")
        except asyncio.CancelledError:
            story.append("cancelled")
            # Tidying up may take its time too.
            await asyncio.sleep(0)
            story.append("tidied up")
            raise
        return "done"

    async def goodbye(name: str) -> None:
        await asyncio.sleep(0)
        story.append(name)

    desk.run(hook)
    await reached.wait()
    desk.hooks.end(desk.session, [partial(goodbye, "leave"), partial(goodbye, "disconnect")])
    await desk.hooks.close()
    finished = [f"step {step}" for step in range(nth)]
    assert [*finished, "cancelled", "tidied up", "leave", "disconnect"] == story
    assert [] == desk.outcomes


async def test_goodbyes_that_fail_or_refuse_do_not_stop_those_behind_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    story: list[str] = []

    async def refuse() -> None:
        raise Refusal("no", "Nobody leaves.")

    async def fail() -> None:
        raise ValueError("no")

    async def tell() -> None:
        story.append("told")

    desk.hooks.end(desk.session, [refuse, fail, tell])
    await desk.hooks.close()
    assert ["told"] == story
    caplog.clear()


async def test_hook_that_will_not_be_cancelled_does_not_keep_the_server() -> None:
    desk = Desk(timeout=0.001)
    before = len(asyncio.all_tasks())
    is_over = asyncio.Event()

    async def stubborn() -> None:
        while not is_over.is_set():
            try:
                await is_over.wait()
            except asyncio.CancelledError:
                continue

    desk.run(stubborn)
    await asyncio.sleep(0)
    desk.hooks.end(desk.session, [])
    await desk.hooks.close()
    is_over.set()
    await eventually(before, lambda: len(asyncio.all_tasks()))


async def test_end_of_a_session_without_hooks_costs_no_task() -> None:
    desk = Desk()
    before = asyncio.all_tasks()
    desk.hooks.end(desk.session, [])
    assert before == asyncio.all_tasks()
    await desk.hooks.close()
