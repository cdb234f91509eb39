"""Turned away: who can't be let in is told so in plain HTTP on a bare socket, and has a while to read it.

Each holds a descriptor, which is taken from the one who has had it longest when there is no other left. While
nobody was turned away, a descriptor is kept in reserve for that.
"""

import asyncio
import logging
import os
import socket
from contextlib import suppress
from email.utils import formatdate
from typing import Final, final

from rfc6455 import encode_refusal

from .context import Context
from .http_refusal import unavailable
from .limits import RESERVED_DESCRIPTORS
from .linger import MAX_DISCARDED
from .traffic import count

logger = logging.getLogger(__name__)

# How many may still be reading: half of the descriptors that aren't for connections.
MAX_TURNED_AWAY: Final = RESERVED_DESCRIPTORS // 2
# Seconds between two lines in the log.
LOG_INTERVAL: Final = 1.0

_READ_SIZE: Final = 1 << 16


@final
class TurnedAway:
    """Those of one service, from its start to `close()`."""

    __slots__ = ("_context", "_logged_at", "_loop", "_readers", "_spare", "_unlogged")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        # In the order in which they came.
        self._readers: dict[Reader, None] = {}
        self._spare = -1
        self.keep_spare()
        self._logged_at = -LOG_INTERVAL
        self._unlogged = 0

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, accepted: socket.socket, reason: str, *, can_read: bool) -> None:
        """Send somebody away; who expects TLS can't read what isn't in it."""
        self.log(f"turned a connection away: {reason}")
        traffic = self._context.traffic
        if not can_read:
            traffic.turned_away += 1
            accepted.close()
            self.keep_spare()
            return
        count(traffic.requests, "503")
        if len(self._readers) >= MAX_TURNED_AWAY:
            self.make_room()
        reader = Reader(self, accepted)
        self._readers[reader] = None
        self._context.closings.add(reader, self._context.clock())
        self._loop.add_reader(accepted, reader.on_readable)
        with suppress(OSError):
            accepted.send(encode_refusal(unavailable(), formatdate(usegmt=True)))
            accepted.shutdown(socket.SHUT_WR)

    def make_room(self) -> bool:
        """Give up a descriptor for the next one who comes; tell whether there was any."""
        if self._readers:
            self.discard(next(iter(self._readers)), is_needed=True)
            return True
        if self._spare < 0:
            return False
        os.close(self._spare)
        self._spare = -1
        return True

    def discard(self, reader: "Reader", *, is_needed: bool = False) -> None:
        """Let somebody go."""
        del self._readers[reader]
        self._context.closings.discard(reader)
        self._loop.remove_reader(reader.socket)
        reader.socket.close()
        if not is_needed:
            self.keep_spare()

    def log(self, what: str) -> None:
        """Tell the log, at most once in LOG_INTERVAL."""
        now = self._context.clock()
        if now - self._logged_at < LOG_INTERVAL:
            self._unlogged += 1
            return
        logger.warning("%s (and %d times untold before)", what, self._unlogged)
        self._unlogged = 0
        self._logged_at = now

    def close(self) -> None:
        """Let everybody go."""
        while self._readers:
            self.make_room()
        self.make_room()

    def keep_spare(self) -> None:
        """Take a descriptor into reserve, if there is nobody whose could be taken."""
        if self._spare < 0 and not self._readers:
            with suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY)


@final
class Reader:
    """Somebody who still reads why, and whose own octets are discarded meanwhile (see linger.py)."""

    __slots__ = ("_discardable", "_turned_away", "socket")

    def __init__(self, turned_away: TurnedAway, accepted: socket.socket) -> None:
        self._turned_away = turned_away
        self._discardable = MAX_DISCARDED
        self.socket = accepted

    def on_readable(self) -> None:
        """Discard it; at its end all was read."""
        try:
            received = len(self.socket.recv(_READ_SIZE))
        except BlockingIOError:
            return
        except OSError:
            received = 0
        self._discardable -= received
        if not received or self._discardable < 0:
            self._turned_away.discard(self)

    def expire(self) -> None:
        """Wait no longer."""
        self._turned_away.discard(self)
