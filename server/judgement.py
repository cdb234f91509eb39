"""Judgement: a handshake that waits until it is known who asks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, final

from rfc6455 import HandshakeError

from .identity import Identity

# Octets behind the request's head, which a client has no reason to send yet, that are kept.
MAX_BEHIND: Final = 64 * 1024


@final
class Judgement:
    """Awaits an identity, and then does one of the two, unless it is cancelled before.

    The connection is read on, or else it wouldn't be seen that the client has gone, until there is too much.
    """

    __slots__ = ("_behind", "_task", "_transport")

    def __init__(
        self,
        judge: Callable[[], Awaitable[Identity]],
        transport: asyncio.Transport,
        then: Callable[[Identity, bytes], None],
        refuse: Callable[[HandshakeError], None],
    ) -> None:
        self._transport = transport
        self._behind = bytearray()
        self._task = asyncio.ensure_future(self._run(judge, then, refuse))

    def receive(self, data: bytes) -> None:
        """Keep what comes meanwhile."""
        self._behind += data
        if len(self._behind) >= MAX_BEHIND:
            self._transport.pause_reading()

    def octets_held(self) -> int:
        """Count what was kept."""
        return len(self._behind)

    def cancel(self) -> None:
        """Await it no longer. Once more, or from within, does nothing."""
        if self._task is not asyncio.current_task():
            self._task.cancel()

    async def _run(
        self,
        judge: Callable[[], Awaitable[Identity]],
        then: Callable[[Identity, bytes], None],
        refuse: Callable[[HandshakeError], None],
    ) -> None:
        try:
            identity = await judge()
            # An application may not let itself be cancelled: what it says then is for nobody.
            if not self._task.cancelling():
                self._transport.resume_reading()
                then(identity, bytes(self._behind))
        except HandshakeError as error:
            if not self._task.cancelling():
                refuse(error)
