"""Drain: how a server goes away. It says so first, and then sends everybody away, spread over time.

unready: /readyz and handshakes answer 503, all else goes on, for as long as balancers take to notice
sending away: nothing is accepted, neither connections nor publications; Close 1001 to so many a sweep, over
    half of the time that there is, and to whoever would publish at once
the rest: who is still here when the time is over is aborted
"""

import asyncio
from collections.abc import Callable
from operator import methodcaller
from typing import Final, final

from .bulkhead import for_each
from .context import Context
from .heartbeat import SWEEP

# Sessions that are told to go away per sweep, at the least: their clients come back spread out.
MIN_BATCH: Final = 100
# Of the time behind the delay, what an application's last hooks may take.
_FOR_HOOKS: Final = 0.2


@final
class Drain:
    """`delay` and `timeout` in seconds from the beginning; `timeout` is for all, and `delay` a part of it."""

    __slots__ = ("_context", "_delay", "_is_hurried", "_timeout", "ends_at")

    def __init__(self, context: Context, delay: float, timeout: float) -> None:
        self._context = context
        self._delay = delay
        self._timeout = timeout
        self._is_hurried = asyncio.Event()
        # When all of it must be over, in the loop's time.
        self.ends_at = 0.0

    async def run(self, stop_accepting: Callable[[], None]) -> None:
        """Go through it all; what is then still connected is for the caller to abort."""
        context = self._context
        now = context.clock()
        self.ends_at = now + self._timeout
        context.is_draining = True
        await self._pause(self._delay)
        context.is_accepting = False
        stop_accepting()
        # Whoever was accepted in this turn is among the connections in the next.
        await asyncio.sleep(0)
        # The delay may have left little.
        await self._send_away(self.ends_at - (self.ends_at - context.clock()) * _FOR_HOOKS)

    def hurry(self) -> None:
        """Wait for nobody any longer."""
        self.ends_at = self._context.clock()
        self._is_hurried.set()

    async def _send_away(self, until: float) -> None:
        context = self._context
        # Whoever is gone can't hear it: what isn't acknowledged yet is for the next server.
        context.hub.close()
        spread = (until - context.clock()) / 2
        waiting = list(context.connections)
        batch = max(MIN_BATCH, round(len(waiting) * SWEEP / max(spread, SWEEP)))
        while context.connections and context.clock() < until and not self._is_hurried.is_set():
            for_each("going away", methodcaller("shut_down"), waiting[:batch])
            del waiting[:batch]
            await self._pause(SWEEP)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless there is a hurry."""
        try:
            async with asyncio.timeout(seconds):
                await self._is_hurried.wait()
        except TimeoutError:
            pass
