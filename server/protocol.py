"""The WebSocket's protocol: bytes from the socket through `rfc6455` to the session's dialect, and its end.

    data_received -> Connection.receive_data -> pump: next_event -> dialect.receive

Reading is paused only when a reply of the session's own has to wait, or when its dialect asks: until then
Pong and Close are still seen. How it writes is the other half.
"""

import asyncio
import logging
from sys import intern
from typing import Final, NamedTuple, cast, final

from rfc6455 import Accepted, Close, CloseCode, Ping, Pong, ProtocolError, Sending, StateError, may_be_sent

from .advice import come_back
from .context import Context
from .flow import Backlog
from .identity import Identity
from .limits import Allowance
from .linger import Linger
from .publication import Shared
from .session import Dialect, SessionClosed
from .tick import Tick
from .writing import WritingHalf

logger = logging.getLogger(__name__)

# Found faster than a member of its class, and asked for with every message.
_OPEN: Final = Sending.OPEN
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
class WebSocketSession(WritingHalf):
    """A session carried by a WebSocket.

    An `asyncio.Protocol` by its methods alone: what is compiled inherits from nothing that isn't compiled.
    """

    __slots__ = (
        "_allowance",
        "_is_held",
        "_pinged_at",
        "address",
        "identity",
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
        super().__init__(context, transport, accepted, dialect, id)
        # One string for all that come from there.
        self.address = intern(address)
        self.identity = identity
        self.user = None if identity is None else identity.user
        self.rtt: float | None = None
        self.opened_at: float = context.clock()
        self._allowance: Allowance | None = None
        # When the Ping was sent whose Pong is awaited.
        self._pinged_at: float | None = None
        # Where the heartbeat has it.
        self.seat = -1
        # Reading stops while our application holds it.
        self._is_held = False

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
        size = len(data)
        self._traffic.bytes_received += size
        self._connection.receive_data(data)
        self._pump(size)

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
        if self._outbox is not None:
            self._outbox.owner = None

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
        if connection.sending is not _OPEN and connection.is_over:
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

    # What it holds: see Holder.

    def octets_held(self) -> int:
        """Count an unfinished message, what waits of its own, and what the transport hasn't written."""
        held = self._connection.octets_held + self._transport.get_write_buffer_size()
        held += self.dialect.octets_held(self)
        outbox = self._outbox
        if self._backlog is not None and outbox is not None:
            # What waits may be long, and every connection is asked.
            outbox.gather()
            return held + self._backlog.octets_of_replies(outbox.waiting or [])
        for item in self.waiting():
            if not isinstance(item, Shared):
                held += len(item)
        return held

    def evict(self) -> None:
        """Close for want of memory, and if that is done already, abort."""
        if self._is_ended:
            self._transport.abort()
        else:
            self.kick(CloseCode.TRY_AGAIN_LATER, come_back("the server is short of memory"))

    def standing(self) -> Standing:
        """Tell how it stands."""
        is_closing = self._close_wanted is not None or self._connection.sending is not _OPEN
        return Standing(self._is_held, self._reply_waits, is_closing, self._backlog, self._transport)

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
