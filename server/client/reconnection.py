"""Connecting again whenever a connection is lost, after delays that are random and grow."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, Self, Unpack, final

from .connection import ClientConnection
from .errors import ConnectError, Refused
from .opening import Connecting, Options, connect

# RFC 6455 7.2.3: seconds up to which the first delay is random; then twice that, and so on to the last.
FIRST_DELAY: Final = 5.0
MAX_DELAY: Final = 60.0


def reconnecting(
    uri: str,
    *,
    random: Callable[[], float] = random.random,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
    **options: Unpack[Options],
) -> "Reconnecting":
    """Connect again whenever the connection is lost, until the iteration is left.

        async for connection in reconnecting(uri):
            async with connection:
                ...

    Raises the ConnectError that time won't heal. `random` gives 0 to 1; `options` are those of `connect()`.
    """
    return Reconnecting(lambda: connect(uri, **options), random, sleep, clock)


@final
class Reconnecting:
    """Connections, one after the other. `error` is why the last attempt failed, None if it didn't."""

    __slots__ = ("_attempts", "_clock", "_connect", "_connection", "_opened_at", "_random", "_sleep", "error")

    def __init__(
        self,
        connect: Callable[[], Connecting],
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        clock: Callable[[], float],
    ) -> None:
        self.error: ConnectError | None = None
        self._connect = connect
        self._random = random
        self._sleep = sleep
        self._clock = clock
        self._connection: ClientConnection | None = None
        self._opened_at = 0.0
        # How many there were since a connection lived.
        self._attempts = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ClientConnection:
        """Close the last connection, wait, and return the next one."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
            # Shorter ones may be the work of a server that accepts and can't go on.
            if self._clock() - self._opened_at >= MAX_DELAY:
                self._attempts = 0
            await self._sleep(self._delay())
        while True:
            try:
                self._connection = await self._connect()
            except ConnectError as error:
                self.error = error
                if not error.is_temporary:
                    raise
                await self._sleep(self._delay())
            else:
                self.error = None
                self._opened_at = self._clock()
                return self._connection

    def _delay(self) -> float:
        """Draw from a range that grows: clients that were lost together come back spread out."""
        # RFC 6455 7.2.3: up to 5 s first, then twice that, and so on.
        delay = self._random() * min(MAX_DELAY, FIRST_DELAY * (1 << min(self._attempts, 10)))
        self._attempts += 1
        # 9110 10.2.3: not before the time that the server named.
        if isinstance(self.error, Refused):
            named = self.error.headers.get("Retry-After") or ""
            delay += min(MAX_DELAY, int(named[:9])) if named.isdecimal() else 0
        return delay
