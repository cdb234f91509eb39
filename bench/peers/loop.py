"""Runs a peer's server on uvloop where it is installed, unless asyncio's own loop is asked for."""

import asyncio
import sys
from collections.abc import Callable, Coroutine


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if "asyncio" in sys.argv:
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def run(main: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)
