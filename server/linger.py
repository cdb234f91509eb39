"""Linger: ends a TCP connection so that the peer can still read what was written last.

Closing a socket with unread input resets the connection, and a reset destroys what the peer has not
read yet (RFC 6455 7.1.1, RFC 9112 9.6). So: half-close, discard what still comes, close at its end.
"""

import asyncio
from contextlib import suppress
from typing import Final, Protocol, cast, final

from .context import Context

# Octets that are discarded before the peer is taken for one that never ends, besides those of a message of
# the largest size: who sends one too large may see why only when it is sent.
MAX_DISCARDED: Final = 1 << 20


class Owner(Protocol):
    """Whose connection it was."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn that it is over."""


@final
class Linger:
    """Takes over a transport whose last octets are written, and hands its end back to the owner.

    An `asyncio.Protocol` by its methods alone.
    """

    __slots__ = ("_context", "_discardable", "_owner", "_transport")

    def __init__(self, transport: asyncio.Transport, owner: Owner, context: Context) -> None:
        self._transport = transport
        self._owner = owner
        self._context = context
        self._discardable = context.settings.max_message_size + MAX_DISCARDED
        context.closings.add(self, context.clock())
        transport.set_protocol(cast(asyncio.Protocol, self))
        if transport.is_closing():
            return
        transport.resume_reading()
        if transport.can_write_eof():
            # The peer may have reset the connection, which the transport is about to learn.
            with suppress(OSError):
                transport.write_eof()
        else:
            # TLS can't be closed by half: its own ending reads on for as long as it may take.
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Discard it."""
        self._discardable -= len(data)
        if self._discardable < 0:
            self._transport.abort()

    def eof_received(self) -> None:
        """Let the transport close itself: nothing can be lost any more."""

    def pause_writing(self) -> None:
        """Nothing: no more is written."""

    def resume_writing(self) -> None:
        """Nothing: what was written last is on its way."""

    def expire(self) -> None:
        """Wait for the peer no longer."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the one whose connection it was."""
        self._context.closings.discard(self)
        self._owner.connection_lost(exc)
