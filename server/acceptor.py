"""Acceptor: takes connections from a listening socket, as many as can be served, and tells the others so.

asyncio's own loop goes on when no descriptor is left, and logs each attempt (CPython gh-151615); libuv's
closes what it can't keep without a word. Here whoever finds no room costs no TLS and no transport.
"""

import asyncio
import errno
import select
import socket
from collections.abc import Generator
from functools import partial
from typing import Any, Final, Self, cast, final

from .context import Context
from .herd import BACKLOG, Herd
from .http import HttpProtocol
from .listening import Listener
from .proxied import Proxied
from .tls import ServerTls
from .turned_away import TurnedAway

# Connections that are accepted in a turn of the loop at the most; what else there is to do comes between.
MAX_PER_TURN: Final = 32
# Seconds: the time for TLS is kept by ours, which forgives what we lost by standing still.
NO_TIMEOUT: Final = 86400.0
# Seconds to wait where accepting fails for want of something that a descriptor less doesn't give.
PAUSE: Final = 0.1

_NO_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE)
_NO_MEMORY: Final = (errno.ENOBUFS, errno.ENOMEM)

_NO_ROOM: Final = "there was no room for another connection"

# What a task would step, from one future to the next.
Opening = Generator[asyncio.Future[Any], None, object]


@final
class Descriptor:
    """The socket accepted last, for uvloop: it asks for these at once, and keeps it till the end.

    So one does for all, which is 86 octets less for each connection. That it calls itself a local one
    saves 255 more and three system calls: of those uvloop doesn't keep the addresses of both ends, nor
    sets TCP_NODELAY, which ours inherit from the listening socket.
    """

    __slots__ = ("_number",)

    family = socket.AF_UNIX
    type = socket.SOCK_STREAM

    def __init__(self) -> None:
        self._number = -1

    def with_number(self, number: int) -> Self:
        """Be that one."""
        self._number = number
        return self

    def fileno(self) -> int:
        """Return the descriptor, which is uvloop's to close."""
        return self._number

    def close(self) -> None:
        """Leave it to uvloop."""


@final
class Acceptor:
    """Accepts from one listener, from `start()` to `close()`."""

    __slots__ = (
        "_begun",
        "_context",
        "_descriptor",
        "_family",
        "_herd",
        "_is_behind",
        "_listener",
        "_loop",
        "_opening",
        "_pause",
        "_proxied",
        "_takes_sockets",
        "_tls",
        "_turned_away",
    )

    def __init__(
        self,
        listener: Listener,
        context: Context,
        tls: ServerTls | None,
        herd: Herd,
        turned_away: TurnedAway,
    ) -> None:
        self._listener = listener
        self._family = listener.socket.family
        self._descriptor = Descriptor()
        self._context = context
        self._herd = herd
        self._turned_away = turned_away
        self._loop = asyncio.get_running_loop()
        self._takes_sockets = isinstance(self._loop, asyncio.BaseEventLoop)
        self._pause: asyncio.TimerHandle | None = None
        self._opening: dict[Opening, HttpProtocol] = {}
        # Those of them that were begun in this turn, and what each of them waits for.
        self._begun: list[tuple[Opening, asyncio.Future[Any]]] = []
        self._proxied: dict[Proxied, None] = {}
        # Whether the last turn took as many as it may, and so left others waiting.
        self._is_behind = False
        self._tls = tls

    def start(self) -> None:
        """Begin to accept. Raises ListenError."""
        self._listener.listen(BACKLOG)
        self._resume()

    def close(self) -> None:
        """Accept nobody any more; the kernel refuses who waits in its queue. Once more does nothing."""
        if self._listener.socket.fileno() < 0:
            return
        self._loop.remove_reader(self._listener.socket)
        if self._pause is not None:
            self._pause.cancel()
        self._listener.close()

    def abort(self) -> None:
        """End the connections that are being opened."""
        for opening, protocol in list(self._opening.items()):
            # One that is connected is aborted as such.
            if not protocol.is_connected:
                self._abandon(opening)
        for proxied in list(self._proxied):
            self._drop(proxied).close()

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener.socket, self._on_readable)

    def _on_readable(self) -> None:
        """Take those who wait, and see to it that they are taken on."""
        self._herd.measure()
        self._take_a_turn()
        # Behind what the loop has to do for each of them.
        if self._begun:
            self._loop.call_soon(self._follow)

    def _take_a_turn(self) -> None:
        """Take those who wait, but not more than a turn's worth."""
        listening = self._listener.socket
        for _ in range(MAX_PER_TURN):
            try:
                # What socket.accept() begins with; the socket that it makes of it isn't always wanted.
                number, name = listening._accept()  # type: ignore[attr-defined]  # see above
            except BlockingIOError:
                self._is_behind = False
                return
            except OSError as error:
                if not self._recover(error):
                    return
                continue
            address = self._address_of(name)
            reason = self._judge(address)
            if reason is None:
                self._open(number, address)
            else:
                self._turned_away.add(self._make_socket(number), reason, can_read=self._tls is None)
        self._is_behind = True

    def _address_of(self, name: Any) -> str:
        """Return a peer's address; "" if its word is taken for whose connection it is.

        Who can open our unix socket is trusted.
        """
        if self._family == socket.AF_UNIX:
            return ""
        address: str = name[0]
        # As a socket of both families, which systemd may have made, writes an IPv4 address.
        address = address.removeprefix("::ffff:")
        return "" if address in self._context.proxies else address

    def _judge(self, address: str) -> str | None:
        """Let somebody in, or tell for the log why not."""
        if self._is_behind and not self._herd.has_room(len(self._context.handshakes)):
            return "more came at once than there is time for"
        if not self._context.admission.admit(address):
            return _NO_ROOM
        return None

    def _recover(self, error: OSError) -> bool:
        """Tell whether to go on accepting after an error."""
        if error.errno in _NO_DESCRIPTORS:
            # accept(2) says so before it looks whether anybody waits.
            if not _is_readable(self._listener.socket):
                return False
            if self._turned_away.make_room():
                return self._turn_one_away()
        if error.errno in _NO_DESCRIPTORS + _NO_MEMORY:
            self._turned_away.log(f"can't accept connections for a moment: {error.strerror}")
            self._loop.remove_reader(self._listener.socket)
            self._pause = self._loop.call_later(PAUSE, self._resume)
            return False
        # accept(2): the connection that was next has failed already; those behind it have not.
        return True

    def _turn_one_away(self) -> bool:
        """Accept the next one on the descriptor in reserve, if no other thread is faster."""
        try:
            number, _ = self._listener.socket._accept()  # type: ignore[attr-defined]  # as above
        except OSError:
            self._turned_away.keep_spare()
            return False
        accepted = self._make_socket(number)
        self._turned_away.add(accepted, "no descriptor was left", can_read=self._tls is None)
        return True

    def _make_socket(self, number: int) -> socket.socket:
        listening = self._listener.socket
        accepted = socket.socket(listening.family, listening.type, listening.proto, number)
        accepted.setblocking(False)
        return accepted

    def _open(self, number: int, address: str) -> None:
        protocol = HttpProtocol(self._context, address)
        if not address and self._context.settings.proxy_protocol:
            proxied = Proxied(self._make_socket(number), protocol, self._proceed, self._give_up)
            self._proxied[proxied] = None
            self._context.handshakes.add(proxied, self._context.clock())
            return
        self._connect(number, protocol)

    def _proceed(self, proxied: Proxied, source: str | None) -> None:
        """Go on with a connection whose PROXY header is read; `source` is None for the proxy's own."""
        context = self._context
        address = "" if source is None or source in context.proxies else source
        if not context.admission.move("", address):
            accepted = self._drop(proxied)
            self._turned_away.add(accepted, _NO_ROOM, can_read=self._tls is None)
            return
        self._leave(proxied)
        proxied.protocol.come_from(address)
        self._connect(proxied.socket.detach(), proxied.protocol)
        self._loop.call_soon(self._follow)

    def _give_up(self, proxied: Proxied, reason: str) -> None:
        """End a connection from a trusted proxy that doesn't begin with a PROXY header."""
        self._turned_away.log(f"closed a connection for its PROXY header: {reason}")
        self._context.traffic.turned_away += 1
        self._drop(proxied).close()

    def _drop(self, proxied: Proxied) -> socket.socket:
        self._leave(proxied)
        proxied.protocol.connection_lost(None)
        return proxied.socket

    def _leave(self, proxied: Proxied) -> None:
        proxied.stop()
        del self._proxied[proxied]
        self._context.handshakes.discard(proxied)

    def _connect(self, number: int, protocol: HttpProtocol) -> None:
        file: Any = self._make_socket(number) if self._takes_sockets else self._descriptor.with_number(number)
        options: dict[str, Any] = {}
        if self._tls is not None:
            # A reload makes it anew.
            options["ssl"] = self._tls.context
            options["ssl_handshake_timeout"] = NO_TIMEOUT
            options["ssl_shutdown_timeout"] = self._context.settings.close_timeout
        opening = self._loop.connect_accepted_socket(
            lambda: cast(asyncio.Protocol, protocol), file, **options
        ).__await__()
        self._opening[opening] = protocol
        if options:
            protocol.on_late = partial(self._abandon, opening)
        waiting = self._step(opening)
        if waiting is not None:
            self._begun.append((opening, waiting))

    def _step(self, opening: Opening) -> asyncio.Future[Any] | None:
        """Do what a task would, without making one, which costs more; return what is to be awaited."""
        try:
            waiting = next(opening, None)
        except (OSError, RuntimeError):
            waiting = None
        if waiting is None:
            self._end(opening)
        return waiting

    def _follow(self) -> None:
        """Go on with those that waited for this turn's end only, all but TLS: one callback is for all."""
        begun, self._begun = self._begun, []
        for opening, waiting in begun:
            if waiting.done():
                self._advance(opening)
            else:
                waiting.add_done_callback(partial(self._advance, opening))

    def _advance(self, opening: Opening, _: object = None) -> None:
        waiting = self._step(opening) if opening in self._opening else None
        if waiting is not None:
            waiting.add_done_callback(partial(self._advance, opening))

    def _abandon(self, opening: Opening) -> None:
        opening.close()
        self._end(opening)

    def _end(self, opening: Opening) -> None:
        protocol = self._opening.pop(opening)
        # Without TLS nobody was told of it yet, and nobody will be.
        if not protocol.is_connected:
            protocol.connection_lost(None)


def _is_readable(listening: socket.socket) -> bool:
    poll = select.poll()
    poll.register(listening, select.POLLIN)
    return bool(poll.poll(0))
