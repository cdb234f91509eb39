"""Client: opens WebSocket connections, and keeps opening them, for coroutines.

    async with connect("ws://localhost:8765/echo") as connection:
        await connection.send("hello")
        async for message in connection:
            print(message)

Reading one way and writing the other pause each for itself. What comes waits in a bounded inbox, and the
server is read no further while that is full; `await send()` waits while the server takes no more.
"""

import asyncio
import os
import random
import socket
import ssl as tls
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self, TypedDict, Unpack, cast, final

from rfc6455 import (
    Accepted,
    ClientHandshake,
    Close,
    CloseCode,
    Connection,
    DeflateOptions,
    HandshakeError,
    Headers,
    Ping,
    Pong,
    ProtocolError,
    Receiving,
    Role,
    Sending,
    StateError,
)

Message = str | bytes

# What may wait in the inbox before the server is read no further: messages, and octets of them.
MAX_WAITING: Final = 64
MAX_WAITING_SIZE: Final = 64 * 1024
# Octets that are sent before the event loop's turn ends, in which smaller messages leave together.
_MAX_BATCH: Final = 64 * 1024
# Octets of a refusal's body that are read, and characters of it that the error quotes.
_MAX_BODY: Final = 4096
_MAX_EXCERPT: Final = 200

# Who only listens learns nothing of a network that is gone, unless the kernel asks: seconds of silence
# until it does, seconds between two questions, and how many of them. Not every system has all three.
_KEEPALIVE: Final = tuple(
    (getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 2))
    if hasattr(socket, name)
)

# RFC 6455 7.2.3: seconds up to which the first delay is random; then twice that, and so on to the last.
FIRST_DELAY: Final = 5.0
MAX_DELAY: Final = 60.0
# 9110 15: statuses that another attempt may not meet again, besides those of a server in trouble.
_TEMPORARY: Final = frozenset({408, 425, 429, *range(500, 600)})

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
# 9110 15.3.5, 15.4.5: answers without a body.
_BODILESS: Final = frozenset({204, 304})

_DEFLATE: Final = DeflateOptions()


class ConnectError(Exception):
    """No connection came about; the message says why. `is_temporary`: it may do so later."""

    is_temporary = True


class HostNotFound(ConnectError):
    """The host's name stands for no address."""


class Unreachable(ConnectError):
    """There is no TCP connection to be had."""


class TlsFailed(ConnectError):
    """The server can't be trusted, or doesn't speak TLS."""

    is_temporary = False


class OpenTimeout(ConnectError):
    """It took longer than `open_timeout`."""


class Dropped(ConnectError):
    """The server ended the connection before its answer was complete."""


class Refused(ConnectError):
    """The server answered in HTTP: with `status`, `headers`, and the beginning of a `body`."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        parts = [f"The server answered {status} {_PHRASES.get(status, '')}".rstrip() + " instead of 101"]
        location = headers.get("Location")
        if location is not None:
            parts.append(f"it points to {_excerpt(location.encode())}")
        if body.strip():
            parts.append(_excerpt(body))
        super().__init__("; ".join(parts))
        self.status = status
        self.headers = headers
        self.body = body
        self.is_temporary = status in _TEMPORARY


class BadAnswer(ConnectError):
    """The server's answer isn't one that RFC 6455 4.1 accepts; `rule` and `section` say which it breaks."""

    is_temporary = False

    def __init__(self, error: HandshakeError) -> None:
        super().__init__(f"The server's answer breaks the handshake ({error.section}): {error}")
        self.rule = error.rule
        self.section = error.section


class ConnectionClosed(Exception):
    """The connection is over, or about to be; `code` and `reason` as in `close_code`, `close_reason`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"The connection is closed ({code} {reason})".replace(" )", ")") + ".")
        self.code = code
        self.reason = reason


class Options(TypedDict, total=False):
    """The options of `connect()`."""

    subprotocols: Sequence[str]
    headers: Sequence[tuple[str, str]]
    origin: str | None
    deflate: DeflateOptions | None
    max_message_size: int
    max_fragments: int
    open_timeout: float | None
    close_timeout: float
    ssl: tls.SSLContext | None


def connect(
    uri: str,
    *,
    subprotocols: Sequence[str] = (),
    headers: Sequence[tuple[str, str]] = (),
    origin: str | None = None,
    deflate: DeflateOptions | None = _DEFLATE,
    max_message_size: int = 1 << 20,
    max_fragments: int = 4096,
    open_timeout: float | None = 10,
    close_timeout: float = 10,
    ssl: tls.SSLContext | None = None,
) -> "Connecting":
    """Connect: `async with connect(uri) as connection`, or `connection = await connect(uri)`.

    `open_timeout` in seconds is for all from looking up the name to the server's answer, None waits for
    ever; `close_timeout` is what a server has to close. `ssl` replaces the context that wss:// has by
    default, which verifies the server. Awaiting raises ConnectError; what can't be asked is a StateError.
    """
    handshake = ClientHandshake(
        uri, subprotocols=subprotocols, headers=headers, origin=origin, deflate=deflate
    )
    if ssl is not None and not handshake.secure:
        raise StateError("A TLS context is for wss://, and this URI is ws://.")

    def begin(transport: asyncio.Transport, accepted: Accepted) -> ClientConnection:
        connection = Connection(
            Role.CLIENT,
            accepted.deflate,
            max_message_size=max_message_size,
            max_fragments=max_fragments,
            # Pongs are bounded under back-pressure, and a Close goes behind the answers before it.
            auto_reply=False,
        )
        return ClientConnection(transport, connection, accepted, close_timeout)

    return Connecting(handshake, begin, open_timeout, ssl)


@final
class Connecting:
    """What `connect()` returns, for one use."""

    __slots__ = ("_begin", "_connection", "_handshake", "_open_timeout", "_ssl")

    def __init__(
        self,
        handshake: ClientHandshake,
        begin: "Begin",
        open_timeout: float | None,
        ssl: tls.SSLContext | None,
    ) -> None:
        self._handshake = handshake
        self._begin = begin
        self._open_timeout = open_timeout
        self._ssl = ssl
        self._connection: ClientConnection

    def __await__(self) -> Generator[Any, None, "ClientConnection"]:
        return self._open().__await__()

    async def __aenter__(self) -> "ClientConnection":
        self._connection = await self._open()
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.__aexit__(kind, error, trace)

    async def _open(self) -> "ClientConnection":
        opening = _Opening(self._handshake, self._begin)
        try:
            async with asyncio.timeout(self._open_timeout):
                await self._connect(opening)
                return await opening.outcome()
        except TimeoutError:
            opening.abort()
            raise opening.refusal() or OpenTimeout(
                f"{self._address} took longer than {self._open_timeout:g} s to connect."
            ) from None
        except BaseException:
            opening.abort()
            raise

    async def _connect(self, opening: "_Opening") -> None:
        """Make the TCP connection, with TLS where the URI wants it. Raises ConnectError."""
        handshake = self._handshake
        ssl = self._ssl
        if handshake.secure and ssl is None:
            ssl = tls.create_default_context()
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: opening, handshake.host, handshake.port, ssl=ssl)
        # The name is also tried in the form for other scripts, which knows some that can't be.
        except (socket.gaierror, UnicodeError) as error:
            raise HostNotFound(f"There is no host {handshake.host!a}: {_why(error)}.") from error
        except tls.SSLCertVerificationError as error:
            raise TlsFailed(
                f"{self._address} shows a certificate that can't be trusted: {error.verify_message}."
            ) from error
        except tls.SSLError as error:
            what = (error.reason or str(error)).lower().replace("_", " ")
            raise TlsFailed(f"{self._address} fails in TLS: {what}.") from error
        except (ConnectionResetError, ConnectionAbortedError) as error:
            raise Dropped(f"{self._address} ended the connection before TLS was agreed.") from error
        except OSError as error:
            raise Unreachable(f"{self._address} can't be reached: {_why(error)}.") from error

    @property
    def _address(self) -> str:
        host = self._handshake.host
        return f"[{host}]:{self._handshake.port}" if ":" in host else f"{host}:{self._handshake.port}"


Begin = Callable[[asyncio.Transport, Accepted], "ClientConnection"]


@final
class _Opening(asyncio.Protocol):
    """A TCP connection until the server's answer is complete."""

    __slots__ = ("_begin", "_body", "_handshake", "_has_outcome", "_outcome", "_refusal", "_transport")

    def __init__(self, handshake: ClientHandshake, begin: Begin) -> None:
        self._handshake = handshake
        self._begin = begin
        self._transport: asyncio.Transport | None = None
        self._outcome: ClientConnection | ConnectError
        self._has_outcome = asyncio.Event()
        # A refusal waits for the beginning of its body, which may say why.
        self._refusal: HandshakeError | None = None
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = cast(asyncio.Transport, transport)
        _keep_alive(transport.get_extra_info("socket"))
        self._transport.write(self._handshake.request)

    def data_received(self, data: bytes) -> None:
        """Read on in the answer."""
        if self._has_outcome.is_set():
            return
        if self._refusal is None:
            try:
                accepted = self._handshake.receive_data(data)
            except HandshakeError as error:
                if error.rule != "status":
                    self._set_outcome(BadAnswer(error))
                    return
                self._refusal = error
                data = self._handshake.trailing
            else:
                if accepted is not None:
                    self._accept(accepted)
                return
        self._body += data
        refusal = self.refusal()
        assert refusal is not None
        if self._has_body(refusal):
            self._set_outcome(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say what is missing."""
        self._set_outcome(
            self.refusal() or Dropped("The server ended the connection before its answer was complete.")
        )

    async def outcome(self) -> "ClientConnection":
        """Wait for the answer. Raises ConnectError."""
        await self._has_outcome.wait()
        if isinstance(self._outcome, ConnectError):
            raise self._outcome
        return self._outcome

    def refusal(self) -> Refused | None:
        """Return the refusal, with as much of its body as has come."""
        if self._refusal is None:
            return None
        return Refused(self._refusal.status, Headers(self._refusal.headers), self._body[:_MAX_BODY])

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._transport is not None:
            self._transport.abort()

    def _accept(self, accepted: Accepted) -> None:
        transport = self._transport
        assert transport is not None
        connection = self._begin(transport, accepted)
        self._set_outcome(connection)
        transport.set_protocol(connection)
        connection.data_received(self._handshake.trailing)

    def _set_outcome(self, outcome: "ClientConnection | ConnectError") -> None:
        if not self._has_outcome.is_set():
            self._outcome = outcome
            self._has_outcome.set()

    def _has_body(self, refusal: Refused) -> bool:
        """Tell whether enough of the body is here; where nothing says so the end of the connection will."""
        length = refusal.headers.get("Content-Length") or ""
        return (
            refusal.status in _BODILESS
            or len(self._body) >= _MAX_BODY
            or (length.isdecimal() and len(self._body) >= int(length[:9]))
            # 9112 7.1: the last chunk.
            or self._body.endswith(b"0\r\n\r\n")
        )


@final
class ClientConnection(asyncio.Protocol):
    """An open connection: `async for message in connection`, `await connection.send(message)`.

    The iteration ends when no message can come any more; `close_code` and `close_reason` then say why.
    `async with connection` closes it in the end: with 1000, or 1001 when left by an exception.

    `subprotocol` is the one agreed on, `headers` are the server's.
    """

    __slots__ = (
        "_close_timeout",
        "_connection",
        "_deadline",
        "_drops",
        "_ending",
        "_has_ended",
        "_has_received",
        "_inbox",
        "_inbox_size",
        "_is_held",
        "_is_scheduled",
        "_loop",
        "_lost",
        "_owed_pong",
        "_pings",
        "_pings_sent",
        "_readable",
        "_sent",
        "_transport",
        "_unsent",
        "_why",
        "_writable",
        "headers",
        "subprotocol",
    )

    def __init__(
        self, transport: asyncio.Transport, connection: Connection, accepted: Accepted, close_timeout: float
    ) -> None:
        self.subprotocol = accepted.subprotocol
        self.headers = accepted.headers
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._connection = connection
        # Reading: held while the inbox is full; the messages are dropped once nobody wants them.
        self._inbox: deque[Message] = deque()
        self._inbox_size = 0
        self._readable = asyncio.Event()
        self._is_held = False
        self._drops = False
        # Writing: octets for which a write is scheduled; what `send()` returns when there is no waiting.
        self._unsent = 0
        self._is_scheduled = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._owed_pong: bytes | None = None
        self._sent: asyncio.Future[None] = self._loop.create_future()
        self._sent.set_result(None)
        # When each Pong came; None if it will not.
        self._pings: dict[bytes, asyncio.Future[float | None]] = {}
        self._pings_sent = 0
        # The end: of messages, why without a Close, what is still to be done about it, and of TCP.
        self._has_ended = False
        self._why = ""
        self._ending: Close | ProtocolError | None = None
        self._close_timeout = close_timeout
        self._deadline: asyncio.TimerHandle | None = None
        self._has_received = False
        self._lost = asyncio.Event()

    # For the caller.

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        """Return the next message; the iteration ends when none can come any more."""
        while not self._inbox:
            if self._is_held:
                self._release()
            elif self._has_ended:
                raise StopAsyncIteration
            else:
                self._readable.clear()
                await self._readable.wait()
        message = self._inbox.popleft()
        self._inbox_size -= len(message)
        return message

    def send(
        self, message: str | bytes | bytearray | memoryview, *, compress: bool | None = None
    ) -> Awaitable[None]:
        """Send; awaiting the result waits while the server takes no more. Raises ConnectionClosed.

        A message is sent whole even where the wait for it is cancelled. `compress` as in
        `rfc6455.Connection.send_text()`.
        """
        self._check_open()
        if isinstance(message, str):
            self._connection.send_text(message, compress=compress)
        else:
            self._connection.send_binary(message, compress=compress)
        self._unsent += len(message)
        if self._unsent >= _MAX_BATCH:
            self._write()
        elif not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._write_scheduled)
        return self._sent if self._writable.is_set() else self._drain()

    async def ping(self) -> float:
        """Send a Ping and wait for its Pong; return the seconds between. Raises ConnectionClosed.

        The Pong comes behind the messages that the server sent before it, so these must be taken.
        """
        self._check_open()
        self._pings_sent += 1
        payload = self._pings_sent.to_bytes(8, "big")
        answered: asyncio.Future[float | None] = self._loop.create_future()
        self._pings[payload] = answered
        self._connection.ping(payload)
        # The event loop's own clock may stand still for its turn.
        sent_at = time.perf_counter()
        self._write()
        try:
            answered_at = await answered
        finally:
            self._pings.pop(payload, None)
        if answered_at is None:
            raise self._closed()
        return answered_at - sent_at

    def start_closing(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send a Close, behind what was sent. Messages still arrive until the server's Close.

        The connection is aborted when nothing has come for `close_timeout`.
        """
        self._act_on_ending()
        self._connection.close(code, reason)
        self._write()
        self._start_deadline()

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close, and wait for the end, which comes by `close_timeout`. Messages that come now are dropped.

        When the wait is cancelled the connection is aborted.
        """
        self.start_closing(code, reason)
        self._drops = True
        self._release()
        try:
            await self._lost.wait()
        except asyncio.CancelledError:
            self.abort()
            raise

    def abort(self) -> None:
        """End the connection without another octet."""
        self._why = self._why or "It was aborted here."
        self._transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close(CloseCode.NORMAL_CLOSURE if error is None else CloseCode.GOING_AWAY)

    @property
    def close_code(self) -> int | None:
        """The code by which the connection closed (RFC 6455 7.1.5), 1006 without a Close; None before."""
        return self._connection.close_code if self._has_ended else None

    @property
    def close_reason(self) -> str:
        """The server's reason, or what happened where it gave no Close."""
        close = self._connection.close_received
        return self._why if close is None else close.reason

    # From the socket.

    def data_received(self, data: bytes) -> None:
        """Handle what a read brought, and answer it in one write."""
        self._has_received = True
        self._connection.receive_data(data)
        self._pump()

    def eof_received(self) -> None:
        """Note that the server sends no more; the transport then closes itself (RFC 6455 7.1.4)."""
        self._connection.receive_eof()
        self._pump()
        # It does so when all is written, which the server needn't allow.
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake everybody who waits."""
        if exc is not None:
            self._why = self._why or f"{_why(exc)}."
        self._connection.receive_eof()
        self._pump()
        if self._deadline is not None:
            self._deadline.cancel()
        self._lost.set()
        self._writable.set()
        self._readable.set()

    def pause_writing(self) -> None:
        """Let senders wait from here on."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let them go on."""
        self._writable.set()
        if self._owed_pong is not None:
            self._connection.pong(self._owed_pong)
            self._owed_pong = None
            self._write()

    def _pump(self) -> None:
        """Take events until there are none, or the inbox is full."""
        connection = self._connection
        while not self._is_held and not self._has_ended:
            try:
                event = connection.next_event()
            except ProtocolError as error:
                self._why = str(error)
                self._end(error)
                break
            if event is None:
                if connection.receiving is Receiving.ABORTED:
                    self._end(None)
                break
            if isinstance(event, str | bytes):
                self._receive(event)
            elif isinstance(event, Ping):
                self._answer_ping(event)
            elif isinstance(event, Pong):
                self._note_pong(event)
            else:
                self._end(event)
        self._write()

    def _receive(self, message: Message) -> None:
        if self._drops:
            return
        self._inbox.append(message)
        self._inbox_size += len(message)
        if len(self._inbox) >= MAX_WAITING or self._inbox_size >= MAX_WAITING_SIZE:
            self._is_held = True
            self._transport.pause_reading()
        self._readable.set()

    def _release(self) -> None:
        """Go on where the inbox was full."""
        if not self._is_held:
            return
        self._is_held = False
        self._pump()
        if not self._is_held:
            self._transport.resume_reading()

    def _answer_ping(self, ping: Ping) -> None:
        # RFC 6455 5.5.3: the newest of several Pings may be answered alone, here when writing goes on.
        if self._writable.is_set():
            self._connection.pong(ping.payload)
        else:
            self._owed_pong = ping.payload

    def _note_pong(self, pong: Pong) -> None:
        # RFC 6455 5.5.3: it may answer several Pings, of which it names the last; others asked for nothing.
        if pong.payload not in self._pings:
            return
        now = time.perf_counter()
        sent = list(self._pings)
        for payload in sent[: sent.index(pong.payload) + 1]:
            answered = self._pings.pop(payload)
            if not answered.done():
                answered.set_result(now)

    # To the socket.

    def _check_open(self) -> None:
        if self._connection.sending is not Sending.OPEN or self._transport.is_closing():
            raise self._closed()

    def _closed(self) -> ConnectionClosed:
        return ConnectionClosed(self._connection.close_code, self.close_reason)

    async def _drain(self) -> None:
        await self._writable.wait()
        if self._lost.is_set():
            raise self._closed()

    def _write_scheduled(self) -> None:
        self._is_scheduled = False
        self._write()

    def _write(self) -> None:
        self._unsent = 0
        pieces = self._connection.data_to_send()
        if pieces and not self._transport.is_closing():
            self._transport.write(b"".join(pieces))

    # The end.

    def _end(self, ending: Close | ProtocolError | None) -> None:
        """End the messages, and act on what ended them when the answers to those before it are out."""
        self._why = self._why or "The server ended the connection without a Close."
        self._has_ended = True
        self._ending = ending
        self._readable.set()
        for answered in self._pings.values():
            if not answered.done():
                answered.set_result(None)
        # Whoever waits for a message is woken before this is called.
        self._loop.call_soon(self._act_on_ending)

    def _act_on_ending(self) -> None:
        """Answer the server's Close, or fail a connection on which it broke a rule; then wait for its FIN."""
        ending, self._ending = self._ending, None
        if ending is None:
            return
        if isinstance(ending, Close):
            self._connection.answer_close()
        else:
            self._connection.fail(ending.close_code, str(ending))
        self._write()
        self._start_deadline()
        # RFC 6455 7.1.7: what still comes is of no use, and a server at fault may not answer a Close.
        has_failed = isinstance(ending, ProtocolError)
        if has_failed and not self._transport.is_closing() and self._transport.can_write_eof():
            # The server may have gone while it was written to, which the next read will tell.
            with suppress(OSError):
                self._transport.write_eof()

    def _start_deadline(self) -> None:
        if self._deadline is None and not self._lost.is_set():
            self._deadline = self._loop.call_later(self._close_timeout, self._expire)

    def _expire(self) -> None:
        """RFC 6455 7.1.1: the server ends the TCP connection; when it doesn't in time we do."""
        is_read = self._connection.receiving is Receiving.OPEN and not self._drops
        if is_read and (self._has_received or self._is_held):
            self._has_received = False
            self._deadline = self._loop.call_later(self._close_timeout, self._expire)
            return
        self._why = self._why or f"The server did not close within {self._close_timeout:g} s."
        self._transport.abort()


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


def _keep_alive(connected: socket.socket) -> None:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        connected.setsockopt(socket.IPPROTO_TCP, option, value)


def _why(error: Exception) -> str:
    """Say what happened in the system's words where it has some, not in those of the event loop."""
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _excerpt(octets: bytes) -> str:
    """Quote the beginning of what the server sent, on one line and without what a terminal would obey."""
    text = " ".join(octets.decode("utf-8", "replace").split())
    text = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return text if len(text) <= _MAX_EXCERPT else f"{text[:_MAX_EXCERPT]}..."
