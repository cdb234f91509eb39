"""An open connection: messages and Pings both ways, and the end."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, final

from rfc6455 import Accepted, Close, CloseCode, Connection, Ping, Pong, ProtocolError, Receiving, Sending

from .errors import ConnectionClosed, why
from .pings import Pings

Message = str | bytes

# What may wait in the inbox before the server is read no further: messages, and octets of them.
MAX_WAITING: Final = 64
MAX_WAITING_SIZE: Final = 64 * 1024
# Octets that are sent before the event loop's turn ends, in which smaller messages leave together.
_MAX_BATCH: Final = 64 * 1024


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
        self._pings = Pings(self._loop)
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
                # One read may hold more messages than anybody takes in a turn.
                await asyncio.sleep(0)
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
        if not self._inbox:
            # It was full, and all is taken: nobody has asked for more yet.
            self._release()
        self._check_open()
        if self._has_ended:
            raise self._closed()
        payload = self._pings.add()
        self._connection.ping(payload)
        self._write()
        seconds = await self._pings.wait(payload)
        if seconds is None:
            raise self._closed()
        return seconds

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
            self._why = self._why or f"{why(exc)}."
        self._connection.receive_eof()
        self._pump()
        if self._deadline is not None:
            self._deadline.cancel()
        self._lost.set()
        # What waits for room in the inbox may hold Pongs, but nobody need ever make room.
        self._pings.end()
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
                self._pings.note(event.payload)
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
        data = self._connection.frames_to_send()
        if data is not None and not self._transport.is_closing():
            self._transport.write(data)

    # The end.

    def _end(self, ending: Close | ProtocolError | None) -> None:
        """End the messages, and act on what ended them when the answers to those before it are out."""
        self._why = self._why or "The server ended the connection without a Close."
        self._has_ended = True
        self._ending = ending
        self._readable.set()
        self._pings.end()
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
