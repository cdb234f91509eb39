"""The Pings that a client sent, and what waits for the Pong of each."""

import asyncio
import time
from collections import OrderedDict
from typing import final


@final
class Pings:
    """The Pings without a Pong yet, in their order."""

    __slots__ = ("_loop", "_sent", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sent = 0
        # When each Pong came; None if it will not.
        self._waiting: OrderedDict[bytes, asyncio.Future[float | None]] = OrderedDict()

    def add(self) -> bytes:
        """Expect the Pong of one more Ping; return the payload by which it is known."""
        self._sent += 1
        payload = self._sent.to_bytes(8, "big")
        self._waiting[payload] = self._loop.create_future()
        return payload

    async def wait(self, payload: bytes) -> float | None:
        """Return the seconds from now to its Pong, or None if none will come."""
        # The event loop's own clock may stand still for its turn.
        sent_at = time.perf_counter()
        try:
            answered_at = await self._waiting[payload]
        finally:
            self._waiting.pop(payload, None)
        return None if answered_at is None else answered_at - sent_at

    def note(self, payload: bytes) -> None:
        """Take a Pong."""
        # RFC 6455 5.5.3: it may answer several Pings, of which it names the last; others asked for nothing.
        if payload not in self._waiting:
            return
        now = time.perf_counter()
        answered = b""
        while answered != payload:
            answered, waiting = self._waiting.popitem(last=False)
            _tell(waiting, now)

    def end(self) -> None:
        """Tell all that wait that no Pong comes any more."""
        for waiting in self._waiting.values():
            _tell(waiting, None)


def _tell(waiting: "asyncio.Future[float | None]", answered_at: float | None) -> None:
    # Who was cancelled in this turn is still here.
    if not waiting.done():
        waiting.set_result(answered_at)
