"""Proxied: a connection whose PROXY header is read from the bare socket, for TLS and HTTP begin behind it."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, final

from .http import HttpProtocol
from .proxy_protocol import MAX_V2, ProxyHeader, ProxyProtocolError

_READ_SIZE: Final = MAX_V2


@final
class Proxied:
    """Reads the header, and no octet behind it; then calls `proceed`, or `give_up` with what was wrong."""

    __slots__ = ("_give_up", "_header", "_loop", "_proceed", "protocol", "socket")

    def __init__(
        self,
        accepted: socket.socket,
        protocol: HttpProtocol,
        proceed: "Callable[[Proxied, str | None], None]",
        give_up: "Callable[[Proxied, str], None]",
    ) -> None:
        self.socket = accepted
        self.protocol = protocol
        self._proceed = proceed
        self._give_up = give_up
        self._header = ProxyHeader()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(accepted, self._on_readable)

    def stop(self) -> None:
        """Read no more."""
        self._loop.remove_reader(self.socket)

    def expire(self) -> None:
        """Wait no longer for the header."""
        self._give_up(self, "it didn't end in time")

    def _on_readable(self) -> None:
        try:
            while not self._header.is_complete:
                peeked = self.socket.recv(_READ_SIZE, socket.MSG_PEEK)
                if not peeked:
                    self._give_up(self, "the connection ended")
                    return
                self.socket.recv(self._header.feed(peeked))
        except BlockingIOError:
            return
        except (OSError, ProxyProtocolError) as error:
            self._give_up(self, str(error))
            return
        self._proceed(self, self._header.source)
