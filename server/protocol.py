"""The WebSocket's transport: bytes from the socket through `rfc6455` to the session's dialect, and back.

    data_received -> Connection.receive_data -> pump: next_event -> dialect.receive
    send, deliver -> Connection.send_* -> data_to_send -> one write

One write answers one read; what arises outside of a read leaves at the end of the event loop's turn.
Both directions pause. When the transport pauses writing, what others send waits in the outbox
as publications, within bounds. Reading is paused only when a reply of the session's own has to wait too, or
when its dialect asks: until then Pong and Close are still seen.
"""

import asyncio
import logging
from sys import intern
from typing import Final, NamedTuple, cast, final

from rfc6455 import (
    Accepted,
    Close,
    CloseCode,
    Connection,
    Ping,
    Pong,
    ProtocolError,
    Role,
    Sending,
    StateError,
    may_be_sent,
)

from .advice import come_back
from .context import Context
from .flow import Backlog
from .identity import Identity
from .limits import Allowance
from .linger import Linger
from .outbox import Outbox
from .publication import Shared
from .session import Dialect, SessionClosed
from .tick import MAX_BATCH, Item, Message, Tick
from .traffic import Traffic

logger = logging.getLogger(__name__)

# Found faster than a member of its class, and asked for with every message.
_OPEN: Final = Sending.OPEN
_SERVER: Final = Role.SERVER
# Seconds from a Ping from which its Pong is worth a note.
LATE_PONG: Final = 1.0


@final
class Standing(NamedTuple):
    """How a session stands, for who looks into it."""

    # Reading: held by our application, or stopped until replies of the session's own are sent.
    is_held: bool
    reply_waits: bool
    is_closing: bool
    # What others published for it, if that has to wait.
    backlog: Backlog | None
    transport: asyncio.Transport


@final
class WebSocketSession:
    """A session carried by a WebSocket: the only code that writes to its transport.

    An `asyncio.Protocol` by its methods alone: what is compiled inherits from nothing that isn't.
    """

    # What is compiled is deleted only if that is said.
    __deletable__ = ("dialect",)

    __slots__ = (
        "_allowance",
        "_backlog",
        "_close_wanted",
        "_connection",
        "_context",
        "_delivery",
        "_drain_waiters",
        "_is_corked",
        "_is_ended",
        "_is_held",
        "_outbox",
        "_owed_pong",
        "_pinged_at",
        "_reply_waits",
        "_traffic",
        "_transport",
        "_unwritten",
        "address",
        "dialect",
        "id",
        "identity",
        "is_alive",
        "is_paused",
        "opened_at",
        "rtt",
        "seat",
        "user",
    )

    def __init__(
        self,
        context: Context,
        transport: asyncio.Transport,
        accepted: Accepted,
        dialect: Dialect,
        *,
        id: str,
        address: str,
        identity: Identity | None = None,
    ) -> None:
        self.id = id
        self.dialect = dialect
        # One string for all that come from there.
        self.address = intern(address)
        self.identity = identity
        self.user = None if identity is None else identity.user
        self.rtt: float | None = None
        self.opened_at: float = context.clock()
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
        self._allowance: Allowance | None = None
        # When the Ping was sent whose Pong is awaited.
        self._pinged_at: float | None = None
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
        # Where the heartbeat has it.
        self.seat = -1
        # One after the other these take an octet each when compiled.
        # Whether something came from the peer, or went to it, since the heartbeat last looked.
        self.is_alive = True
        # Reading: inside the pump one write is gathered; it stops while a reply waits, or is held.
        self._is_corked = False
        self._reply_waits = False
        self._is_held = False
        # Writing: paused by the transport.
        self.is_paused = False
        # The session is nobody's any more.
        self._is_ended = False

    def start(self, response: bytes, trailing: bytes) -> None:
        """Take over the transport and answer the handshake; `trailing` came behind the request's head."""
        self._transport.set_protocol(cast(asyncio.Protocol, self))
        # It leaves in one write with what the dialect greets with.
        self._connection.send_encoded(response)
        self._context.connections[self] = None
        self._traffic.sessions += 1
        self._context.heartbeat.add(self)
        if self.identity is not None:
            self._context.expiries.watch(self)
        if self._context.rates is not None:
            self._allowance = self._context.rates.new_allowance(self._context.clock(), self.address)
        self._is_corked = True
        self.dialect.connected(self)
        self.data_received(trailing)

    # From the socket.

    def data_received(self, data: bytes) -> None:
        """Handle what a read brought, and answer it in one write."""
        self.is_alive = True
        self._traffic.bytes_received += len(data)
        self._connection.receive_data(data)
        self._pump(len(data))

    def eof_received(self) -> None:
        """Note that the peer sends no more; the transport then closes itself (RFC 6455 7.1.4)."""
        self._connection.receive_eof()
        self.deliver(Tick(self._context.clock()))
        # Until what was sent is read, or the time for that is over.
        self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave everything that knows this session."""
        self._end()
        self._context.connections.pop(self, None)
        self._context.admission.release(self.address)
        # A dialect may know its session, and an outbox does: together they would be garbage that waits for
        # the collector.
        del self.dialect
        self._outbox = None

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

    def _pump(self, received: int = 0) -> None:
        """Take events until there are none, or until the session must wait; `received` octets are new."""
        connection = self._connection
        dialect = self.dialect
        allowance = self._allowance
        traffic = self._traffic
        self._is_corked = True
        # What is spent: the allowance is charged when all is taken.
        messages = 0
        octets = received
        now = 0.0
        frames_before = 0
        held_before = 0
        inflates = connection.deflate is not None
        if inflates:
            held_before = connection.octets_held
        if allowance is not None:
            now = self._context.clock()
            allowance.refill(now)
            frames_before = connection.frames_received
        while not (self._reply_waits or self._is_held):
            try:
                event = connection.next_event()
                if event is None:
                    break
                if type(event) is str or type(event) is bytes:
                    messages += 1
                    if allowance is not None and messages > allowance.messages:
                        break
                    if inflates:
                        # What was read may be a thousandth of what it inflates to.
                        octets += len(event)
                        if allowance is not None and octets > allowance.bytes:
                            break
                    dialect.receive(self, event)
                elif isinstance(event, Ping):
                    self._answer_ping(event)
                elif isinstance(event, Close):
                    self.deliver(Tick(self._context.clock()))
                    connection.answer_close()
                elif isinstance(event, Pong):
                    self._measure(event)
            except SessionClosed:
                # A reply to what crossed our Close has nowhere to go.
                continue
            except ProtocolError as error:
                extra = {"connection": self.id}
                logger.info("session %s failed: %s (%s)", self.id, error, error.rule, extra=extra)
                self.deliver(Tick(self._context.clock()))
                connection.fail(error.close_code, str(error))
                break
            except Exception:
                logger.exception("session %s failed", self.id, extra={"connection": self.id})
                connection.fail(CloseCode.INTERNAL_ERROR, "internal error")
                break
        if allowance is not None:
            frames = connection.frames_received - frames_before
            self._charge(allowance, now, messages, frames, octets)
        traffic.messages_received += messages
        self._is_corked = False
        self._write()
        if inflates:
            traffic.look_at -= octets - received + connection.octets_held - held_before
        if traffic.bytes_received + traffic.bytes_sent > traffic.look_at:
            self._context.budget.look()
        if connection.is_over:
            self._finish()

    def _charge(self, allowance: Allowance, now: float, messages: int, frames: int, octets: int) -> None:
        """Hold a client to its rates; fail one that passed them, and say so in its dialect first."""
        rates = self._context.rates
        assert rates is not None
        passed = rates.spend(allowance, self.user, now, messages, frames, octets)
        if passed is None or self._connection.is_over:
            return
        if self._connection.sending is _OPEN and self._close_wanted is None:
            self.dialect.refuse(self, "rate_limited", f"Too many {passed}.")
            self.deliver(Tick(self._context.clock()))
        self._connection.fail(CloseCode.POLICY_VIOLATION, f"too many {passed}")

    def _answer_ping(self, ping: Ping) -> None:
        # RFC 6455 5.5.3: of several Pings the newest may be answered alone; it waits while writing is paused.
        if self.is_paused:
            self._owed_pong = ping.payload
        else:
            self._connection.pong(ping.payload)

    def _measure(self, pong: Pong) -> None:
        """Take the time since our Ping, if this is its Pong: others may come unasked (RFC 6455 5.5.3)."""
        if self._pinged_at is not None and pong.payload == _ping_payload(self._pinged_at):
            self.rtt = self._context.stopwatch() - self._pinged_at
            self._traffic.round_trips.observe(self.rtt)
            if self.rtt > LATE_PONG:
                self._context.journal.note(self.id, f"its pong took {self.rtt:.1f} s")
            self._pinged_at = None

    # To the socket.

    def send(self, message: Message) -> None:
        """Send a message, behind all that waits. Raises SessionClosed, or UnicodeEncodeError."""
        if self._is_ended or self._close_wanted is not None or self._connection.sending is not _OPEN:
            raise SessionClosed(self._connection.close_code)
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
            self._connection.send_text(message)
        else:
            self._connection.send_binary(message)
        self._traffic.messages_sent += 1
        self._unwritten += len(message)
        if self._unwritten > MAX_BATCH:
            # A read may bring small messages with large replies: the transport is to feel them, and pause.
            self._write()
        elif not self._is_corked:
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
        if outbox is None:
            self._write()
            return
        if self._is_ended or self._connection.sending is not _OPEN:
            # RFC 6455 5.5.1: behind our Close no message is sent.
            outbox.drop()
        if self._is_ended:
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

    def hold(self) -> None:
        """Hand the dialect no message until `release()`."""
        if not self._is_held:
            self._is_held = True
            self._transport.pause_reading()

    def release(self) -> None:
        """Go on where `hold()` stopped."""
        if self._is_held:
            self._is_held = False
            self._resume()

    def _resume(self) -> None:
        if not (self._is_held or self._reply_waits or self._is_ended):
            self._transport.resume_reading()
            # Inside the pump it goes on by itself.
            if not self._is_corked:
                self._pump()

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
        pieces = self._connection.data_to_send()
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
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

    # What it holds: see Holder.

    def octets_held(self) -> int:
        """Count an unfinished message, what waits of its own, and what the transport hasn't written."""
        held = self._connection.octets_held + self._transport.get_write_buffer_size()
        held += self.dialect.octets_held(self)
        if self._backlog is not None:
            return held + self._backlog.octets_of_replies(self.waiting())
        for item in self.waiting():
            if not isinstance(item, Shared):
                held += len(item)
        return held

    def waiting(self) -> list[Item]:
        """List what isn't written yet, in its order."""
        return [] if self._outbox is None else self._outbox.items()

    def octets_waiting(self) -> int:
        """Count the publications that wait for it, which it may share with others."""
        return 0 if self._backlog is None else self._backlog.weight

    def drop_waiting(self) -> None:
        """Drop of these what may be dropped."""
        if self._backlog is not None:
            self._backlog.drop(self.waiting())

    def evict(self) -> None:
        """Close for want of memory, and if that is done already, abort."""
        if self._is_ended:
            self._transport.abort()
        else:
            self.kick(CloseCode.TRY_AGAIN_LATER, come_back("the server is short of memory"))

    @property
    def waiting_bytes(self) -> int:
        """How many octets the transport holds, and how many of publications are still to be encoded."""
        written: int = self._transport.get_write_buffer_size()
        return written + self.octets_waiting()

    def standing(self) -> Standing:
        """Tell how it stands."""
        is_closing = self._close_wanted is not None or self._connection.sending is not _OPEN
        return Standing(self._is_held, self._reply_waits, is_closing, self._backlog, self._transport)

    def _note_missed(self, backlog: Backlog) -> None:
        if backlog.missed:
            self._context.journal.note(self.id, f"missed {backlog.missed} publications while it was behind")

    # The end.

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close, behind all that waits; messages still arrive until the peer's Close. Raises StateError."""
        if not may_be_sent(code):
            raise StateError(f"Close code {code} may not be sent (RFC 6455 7.4).")
        if self._is_ended or self._close_wanted is not None:
            return
        self._close_wanted = code, reason
        self._context.closings.add(self, self._context.clock())
        self._context.fanout.add(self.outbox)

    def kick(self, code: int, reason: str) -> None:
        """Close at once: what waits and what still comes is dropped."""
        if self._is_ended:
            return
        if self._outbox is not None:
            self._outbox.drop()
        self._context.journal.note(self.id, f"closed at once: {code} {reason[:123]}")
        self._connection.fail(code, reason)
        self._write()
        self._finish()

    def shut_down(self) -> None:
        """Close because the server stops."""
        self.close(CloseCode.GOING_AWAY, come_back("the server is going away"))

    def abort(self) -> None:
        """End the connection without another octet."""
        self._end()
        self._transport.abort()

    def expire(self) -> None:
        """Wait no longer for the peer's Close (RFC 6455 7.1.1)."""
        self.abort()

    def send_ping(self) -> None:
        """Ask for a sign of life; while writing is paused its progress is one."""
        if self._connection.sending is _OPEN and not self.is_paused:
            self._pinged_at = self._context.stopwatch()
            self._connection.ping(_ping_payload(self._pinged_at))
            self._traffic.pings_sent += 1
            if self._outbox is None:
                # To make one for that would be to keep it for nothing.
                self._write()
            else:
                self._context.fanout.add(self._outbox)

    def give_up(self) -> None:
        """End the connection to a peer that fell silent; should it still listen, it learns why."""
        if self._is_held:
            # Who isn't read can't show that he lives; one that is gone will show in the next Ping's write.
            return
        logger.info("session %s gave no sign of life", self.id, extra={"connection": self.id})
        self._traffic.unanswered += 1
        self._context.journal.note(self.id, "given up: no pong in time")
        self._connection.fail(CloseCode.INTERNAL_ERROR, "no pong in time")
        self._write()
        self.abort()

    def _finish(self) -> None:
        """Nothing more is sent or received: a server ends the TCP connection first (RFC 6455 7.1.1)."""
        if self._is_ended:
            return
        self._end()
        Linger(self._transport, self, self._context)

    def _end(self) -> None:
        if self._is_ended:
            return
        self._is_ended = True
        if self._backlog is not None:
            self._note_missed(self._backlog)
        self._backlog = None
        if self._outbox is not None:
            self._outbox.is_clear = False
            self._outbox.drop()
        if self.is_paused:
            self._context.paused.discard(self)
        self._context.heartbeat.discard(self)
        self._context.closings.discard(self)
        if self.identity is not None:
            self._context.expiries.discard(self)
        self._traffic.end_session(self._connection.close_code, self._connection.close_sent)
        for waiter in self._drain_waiters or ():
            if not waiter.done():
                self._disappoint(waiter)
        try:
            self.dialect.disconnected(self, self._connection.close_code)
        except Exception:
            logger.exception("session %s failed at its end", self.id, extra={"connection": self.id})


def _ping_payload(time: float) -> bytes:
    """Tell pings apart by when they were sent; without the hours, for what our clock shows is nobody's."""
    return (int(time * 1_000_000) & 0xFFFF_FFFF).to_bytes(4, "big")
