"""The writing half of a WebSocket session: nothing but it and its outbox writes to the transport.

    send -> Connection.send_* -> frames_to_send -> one write
    outbox -> one write, while nothing else is to be done
    outbox -> deliver -> Connection.send_encoded -> frames_to_send -> one write

One write answers one read; what arises outside of a read leaves at the end of the event loop's turn.
When the transport pauses writing, what others send waits in the outbox as publications, within bounds.
"""

import asyncio
import logging
from typing import Final

from rfc6455 import Accepted, CloseCode, Connection, Role, Sending

from .advice import come_back
from .context import Context
from .flow import Backlog
from .outbox import Outbox
from .publication import Shared
from .session import Dialect, SessionClosed
from .tick import MAX_BATCH, Item, Message, Tick
from .traffic import Traffic

logger = logging.getLogger(__name__)

# Found faster than a member of its class, and asked for with every message.
_OPEN: Final = Sending.OPEN
_SERVER: Final = Role.SERVER


class WritingHalf:
    """What a session sends, in its order, and what has to wait. The reading half stands on it."""

    __slots__ = (
        "_backlog",
        "_close_wanted",
        "_connection",
        "_context",
        "_delivery",
        "_drain_waiters",
        "_is_corked",
        "_is_ended",
        "_outbox",
        "_owed_pong",
        "_reply_waits",
        "_traffic",
        "_transport",
        "_unwritten",
        "dialect",
        "id",
        "is_alive",
        "is_paused",
    )

    # What is compiled is deleted only if that is said.
    __deletable__ = ("dialect",)

    def __init__(
        self, context: Context, transport: asyncio.Transport, accepted: Accepted, dialect: Dialect, id: str
    ) -> None:
        self.id = id
        self.dialect = dialect
        self._context = context
        # Asked for with every message, and found faster here than through the context.
        self._traffic: Traffic = context.traffic
        self._transport = transport
        self._connection = Connection(
            _SERVER,
            accepted.deflate,
            # Pongs are bounded under back-pressure, and a Close goes behind what is already to be sent.
            auto_reply=False,
            deflater=context.codecs.deflater(accepted.deflate),
            readers=context.codecs.readers(accepted.deflate),
        )
        self._delivery = context.deliveries.get(dialect, accepted.deflate)
        # Octets of messages that the transport hasn't been given yet.
        self._unwritten = 0
        # Who only answers its client needs none.
        self._outbox: Outbox | None = None
        # While the transport has paused writing what others send waits in the outbox.
        self._backlog: Backlog | None = None
        self._owed_pong: bytes | None = None
        self._drain_waiters: list[asyncio.Future[None]] | None = None
        # How to close once all that waits has gone.
        self._close_wanted: tuple[int, str] | None = None
        # One after the other these take an octet each when compiled.
        # Whether something came from the peer, or went to it, since the heartbeat last looked.
        self.is_alive = True
        # Reading: inside the pump one write is gathered; it stops while a reply waits.
        self._is_corked = False
        self._reply_waits = False
        # Writing: paused by the transport.
        self.is_paused = False
        # The session is nobody's any more.
        self._is_ended = False

    # What the reading half adds.

    def kick(self, code: int, reason: str) -> None:
        """Close at once: what waits and what still comes is dropped."""
        raise NotImplementedError

    def _resume(self) -> None:
        """Read on, if nothing else is in the way."""
        raise NotImplementedError

    def pause_writing(self) -> None:
        """Let publications wait from here on."""
        self.is_paused = True
        self.outbox.is_clear = False
        self._context.paused.add(self)
        self._context.journal.note(self.id, "paused: the transport takes no more")

    def resume_writing(self) -> None:
        """Send what waits, at the end of this turn."""
        self.is_paused = False
        self._context.paused.discard(self)
        self._context.journal.note(self.id, "resumed: the transport takes more")
        # Progress in writing is life: the peer reads.
        self.is_alive = True
        if self._owed_pong is not None:
            self._connection.pong(self._owed_pong)
            self._owed_pong = None
        self._context.fanout.add(self.outbox)

    def send(self, message: Message) -> None:
        """Send a message, behind all that waits. Raises SessionClosed, or UnicodeEncodeError."""
        connection = self._connection
        if self._is_ended or self._close_wanted is not None or connection.sending is not _OPEN:
            raise SessionClosed(connection.close_code)
        outbox = self._outbox
        if outbox is not None and (self.is_paused or not outbox.is_empty):
            if isinstance(message, str) and not message.isascii():
                message.encode()
            outbox.append(message)
            self._traffic.look_at -= len(message)
            if self.is_paused and not self._reply_waits:
                self._reply_waits = True
                self._transport.pause_reading()
            return
        if isinstance(message, str):
            connection.send_text(message)
        else:
            connection.send_binary(message)
        self._traffic.messages_sent += 1
        unwritten = self._unwritten = self._unwritten + len(message)
        if unwritten > MAX_BATCH:
            # A read may bring small messages with large replies: the transport is to feel them, and pause.
            self._write()
        elif not self._is_corked and (outbox is None or not outbox.is_dirty):
            self._context.fanout.add(self.outbox)

    @property
    def outbox(self) -> Outbox:
        """What it is to be sent, made when first asked for."""
        if self._outbox is None:
            self._outbox = Outbox(self, self._transport, self._delivery)
        return self._outbox

    def deliver(self, tick: Tick) -> None:
        """Write what is in the outbox, in batches, until the transport has enough."""
        outbox = self._outbox
        # RFC 6455 5.5.1: behind our Close no message is sent.
        if outbox is not None and (self._is_ended or self._connection.sending is not _OPEN):
            outbox.drop()
        if self._is_ended:
            # What was still to be done in this turn is nobody's any more.
            return
        if outbox is None:
            self._write()
            return
        outbox.gather()
        if not outbox.waiting:
            self._write()
        if self._backlog is not None and not self.is_paused:
            outbox.waiting = self._backlog.resume(outbox.waiting or [], tick.now, self._lost(tick.now))
        while outbox.waiting and not self.is_paused:
            if self._delivery is not None:
                batch, count = tick.batch(outbox.waiting, self._delivery)
                self._connection.send_encoded(batch, self._delivery.window_bits)
            else:
                count = self._send_batch(outbox.waiting, tick.max_batch)
            self._traffic.messages_sent += count
            # A new list: the tick keeps the old one to compare with.
            outbox.waiting = outbox.waiting[count:] if count < len(outbox.waiting) else None
            self._write()
            if outbox.waiting and self._transport.is_closing():
                # The peer has reset the connection, which the transport is about to tell.
                return
        if outbox.waiting:
            self._bound_waiting(outbox.waiting, tick.now)
            return
        # What waits from here on is counted anew.
        if self._backlog is not None:
            self._note_missed(self._backlog)
            self._backlog = None
        if not self.is_paused:
            outbox.is_clear = self._close_wanted is None
            self._all_sent()

    def drained(self) -> asyncio.Future[None] | None:
        """Return what to await until the transport takes more; None if it does."""
        outbox = self._outbox
        if not (self.is_paused or self._is_ended) and (outbox is None or outbox.is_empty):
            return None
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._is_ended:
            self._disappoint(waiter)
            return waiter
        # They are woken by what delivers.
        self.outbox.is_clear = False
        if self._drain_waiters is None:
            self._drain_waiters = []
        self._drain_waiters.append(waiter)
        return waiter

    def _disappoint(self, waiter: asyncio.Future[None]) -> None:
        waiter.set_exception(SessionClosed(self._connection.close_code))
        # Looked at: who sent and didn't wait has nothing to complain of.
        waiter.exception()

    def _all_sent(self) -> None:
        """Do what waited for that: wake senders, close, read on."""
        if self._drain_waiters is not None:
            waiters, self._drain_waiters = self._drain_waiters, None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        if self._close_wanted is not None:
            self._connection.close(*self._close_wanted)
            self._write()
        if self._reply_waits:
            self._reply_waits = False
            self._resume()

    def _send_batch(self, items: list[Item], max_size: int) -> int:
        """Send the first items, compressed for this session alone; return how many."""
        size = 0
        for count, item in enumerate(items, 1):
            message = self.dialect.encode(item) if isinstance(item, Shared) else item
            if message is None:
                continue
            if isinstance(message, str):
                self._connection.send_text(message)
            else:
                self._connection.send_binary(message)
            size += len(message)
            if size >= max_size:
                return count
        return len(items)

    def _write(self) -> None:
        self._unwritten = 0
        data = self._connection.frames_to_send()
        if data is not None:
            self._traffic.bytes_sent += len(data)
            self._transport.write(data)

    def _bound_waiting(self, waiting: list[Item], now: float) -> None:
        """Drop what may be dropped for a session that is too far behind, or else close it."""
        settings = self._context.settings
        if self._backlog is None:
            self._backlog = Backlog(
                settings.max_queue_bytes, settings.max_queue_seconds, self._context.hub.drops
            )
        if not self._backlog.admit(waiting, now - self._lost(now)):
            self._traffic.too_slow += 1
            logger.info("session %s is too slow", self.id, extra={"connection": self.id})
            self.kick(CloseCode.TRY_AGAIN_LATER, come_back("too slow"))
        traffic = self._traffic
        if traffic.bytes_received + traffic.bytes_sent > traffic.look_at:
            self._context.budget.look()

    def _lost(self, now: float) -> float:
        """Tell for how long it was behind because we stood still."""
        return self._context.pauses.lost(self._context.settings.max_queue_seconds, now)

    def _note_missed(self, backlog: Backlog) -> None:
        if backlog.missed:
            self._context.journal.note(self.id, f"missed {backlog.missed} publications while it was behind")

    def waiting(self) -> list[Item]:
        """List what isn't written yet, in its order."""
        return [] if self._outbox is None else self._outbox.items()

    def octets_waiting(self) -> int:
        """Count the publications that wait for it, which it may share with others."""
        return 0 if self._backlog is None else self._backlog.weight

    def drop_waiting(self) -> None:
        """Drop of these what may be dropped."""
        outbox = self._outbox
        if self._backlog is None or outbox is None:
            return
        outbox.gather()
        if outbox.waiting is not None:
            self._backlog.drop(outbox.waiting)

    @property
    def waiting_bytes(self) -> int:
        """How many octets the transport holds, and how many of publications are still to be encoded."""
        written: int = self._transport.get_write_buffer_size()
        return written + self.octets_waiting()
