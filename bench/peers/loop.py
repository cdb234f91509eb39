"""Runs a peer's server on uvloop where it is installed, so that no peer is held back by its event loop."""

import asyncio
from collections.abc import Callable, Coroutine


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def run(main: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)
