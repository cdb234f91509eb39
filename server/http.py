"""HTTP on the same port: our own parser judges every head, which then goes one of two ways.

A request that asks for WebSocket becomes a session, which takes over the transport. Any other is
answered through h11; the next one on the same connection may upgrade.
"""

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from typing import Final, cast, final

from rfc6455 import HandshakeError, Request, RequestReader, ServerHandshake, encode_refusal

from .access import note_answered, note_opened, note_refused
from .answer import find_page
from .context import Context, Route
from .http_refusal import RETRY_AFTER, refusal, stopping, unavailable
from .identity import Identity
from .ids import Ids
from .judgement import Judgement
from .linger import Linger
from .pages import PAGE_HEADERS
from .plain import PlainExchange
from .protocol import WebSocketSession
from .upgrade import accept, judge, read_client

# A read may bring thousands of requests: what is more than these waits for the next turn, as others do.
MAX_REQUESTS_PER_TURN: Final = 16

_IDS: Final = Ids()


@final
class HttpProtocol:
    """A connection from its first octet until it upgrades or ends.

    An `asyncio.Protocol` by its methods alone.
    """

    __slots__ = (
        "_context",
        "_exchange",
        "_is_ended",
        "_is_handshake",
        "_is_head",
        "_is_paused",
        "_is_postponed",
        "_is_secure",
        "_is_trusted",
        "_judgement",
        "_path",
        "_reader",
        "_received",
        "_transport",
        "address",
        "is_connected",
        "on_late",
    )

    def __init__(self, context: Context, address: str) -> None:
        self._context = context
        # What to call when the time is over while TLS isn't done.
        self.on_late: Callable[[], None] | None = None
        self._transport: asyncio.Transport
        self.come_from(address)
        # Whether the client is known to use TLS, be it with a proxy.
        self._is_secure = False
        # Connected: not in the middle of a TLS handshake any more.
        self.is_connected = False
        # No further request is read: while its client doesn't read, or until the next turn.
        self._is_paused = False
        self._is_postponed = False
        # Ended: its last answer is written, and nothing is read any more.
        self._is_ended = False
        # Whether the request in hand is a HEAD, whose answer has no content.
        self._is_head = False
        # Whether it asks for a WebSocket, and what is awaited for it.
        self._is_handshake = False
        self._judgement: Judgement | None = None
        self._path: str | None = None
        # The request that is being read: its octets, and once its head says that it is a plain one, h11.
        self._reader = self._new_reader()
        self._received = bytearray()
        self._exchange: PlainExchange | None = None
        # One time for all of it: TLS, where there is any, and the first request.
        context.handshakes.add(self, context.clock())

    def come_from(self, address: str) -> None:
        """Have the address that the admission has counted; empty for a proxy that says whose it is."""
        self.address = address
        self._is_trusted = not address

    # From the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read, unless the server is about to go."""
        context = self._context
        self._transport = cast(asyncio.Transport, transport)
        self.is_connected = True
        self._is_secure = transport.get_extra_info("sslcontext") is not None
        context.connections[self] = None
        if not context.is_accepting:
            self._refuse(stopping())
            return
        settings = context.settings
        self._transport.set_write_buffer_limits(settings.write_high_water, settings.write_low_water)

    def data_received(self, data: bytes) -> None:
        """Read on in the request."""
        self._context.traffic.look_at -= len(data)
        if self._judgement is not None:
            self._judgement.receive(data)
            return
        try:
            self._receive(data)
        except HandshakeError as error:
            self._refuse(error)

    def eof_received(self) -> None:
        """Drop what is unfinished; the transport closes itself when the answers before it are read."""
        self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave everything that knows this connection."""
        self._leave()
        self._context.admission.release(self.address)

    def pause_writing(self) -> None:
        """Answer no further request until what is written has gone."""
        self._is_paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on with what came behind the last request."""
        self._is_paused = False
        if not self._is_postponed:
            self._go_on()

    # The request.

    def _receive(self, data: bytes) -> None:
        """Read requests, one after the other. Raises HandshakeError."""
        for _ in range(MAX_REQUESTS_PER_TURN):
            if self._exchange is None:
                self._received += data
                if self._is_paused or self._is_postponed:
                    return
                request = self._reader.feed(data)
                if request is None:
                    return
                self._path = request.path
                self._is_head = request.method == "HEAD"
                self._is_handshake = request.upgrades_to("websocket")
                if self._is_trusted:
                    self._learn_client(request)
                if self._is_handshake:
                    self._upgrade(request)
                    return
                self._exchange = PlainExchange(request)
                # 9112 2.2: the empty line that may come before a request, and that h11 doesn't know.
                data = bytes(self._received).removeprefix(b"\r\n")
            self._exchange.receive_data(data)
            if not self._exchange.has_ended:
                return
            self._answer(self._exchange)
            if not self._exchange.may_continue:
                self._finish()
                return
            data = self._exchange.trailing
            self._begin_request()
            if not data:
                return
        self._postpone(data)

    def _postpone(self, data: bytes) -> None:
        """Leave the next request for another turn."""
        self._received += data
        self._is_postponed = True
        self._transport.pause_reading()
        asyncio.get_running_loop().call_soon(self._on_turn)

    def _on_turn(self) -> None:
        self._is_postponed = False
        if not self._is_paused:
            self._go_on()

    def _go_on(self) -> None:
        """Read on with what came behind the last request, unless the connection ended meanwhile."""
        if self._is_ended or self._transport.is_closing():
            return
        self._transport.resume_reading()
        behind = bytes(self._received)
        self._received.clear()
        self.data_received(behind)

    def _learn_client(self, request: Request) -> None:
        """Take a trusted proxy's word for who the client is, else count the proxy. Raises HandshakeError."""
        client = read_client(self._context, request)
        address = client.address
        if address is None:
            peer = self._transport.get_extra_info("peername")
            address = peer[0] if isinstance(peer, tuple) else ""
        if not self._context.admission.move(self.address, address):
            raise unavailable()
        self.address = address
        if client.scheme is None:
            self._is_secure = self._transport.get_extra_info("sslcontext") is not None
        else:
            self._is_secure = client.scheme in ("https", "wss")

    def _begin_request(self) -> None:
        self._exchange = None
        self._path = None
        self._is_head = False
        self._is_handshake = False
        self._received.clear()
        self._reader = self._new_reader()
        self._context.handshakes.add(self, self._context.clock())

    def _upgrade(self, request: Request) -> None:
        """Judge a request for a WebSocket. Raises HandshakeError."""
        context = self._context
        handshake, route = judge(context, request, self.address, is_secure=self._is_secure)
        if context.authenticator is None:
            self._open(handshake, route, None)
            return
        judged = context.authenticator.authenticate(handshake)
        if isinstance(judged, Identity):
            self._open(handshake, route, judged)
            return
        self._judgement = Judgement(
            judged, self._transport, partial(self._open, handshake, route), self._refuse
        )

    def _open(
        self, handshake: ServerHandshake, route: Route, identity: Identity | None, behind: bytes = b""
    ) -> None:
        """Make the connection a session; `behind` came after the last read. Raises HandshakeError."""
        context = self._context
        accepted = accept(context, handshake, route, identity)
        self._leave()
        id = _IDS.new()
        note_opened(context.traffic, id, self.address, self._path or "", identity)
        session = WebSocketSession(
            context,
            self._transport,
            accepted,
            route.dialect(),
            id=id,
            address=self.address,
            identity=identity,
        )
        session.start(accepted.response, self._reader.trailing + behind)

    def _answer(self, exchange: PlainExchange) -> None:
        """Write the answer to a plain request. Raises HandshakeError."""
        context = self._context
        page = find_page(context, exchange.request, self.address)
        fields = [("Content-Type", page.content_type), *PAGE_HEADERS]
        if context.is_draining:
            # 9112 9.6: this was the last request.
            fields.append(("Connection", "close"))
        note_answered(context.traffic)
        self._transport.write(exchange.respond(200, fields, page.body))

    # The end.

    def shut_down(self) -> None:
        """Drop a connection that is between two requests; one whose request has begun may end it."""
        if not (self._received or self._is_ended):
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def octets_held(self) -> int:
        """Count what has come of a request, and the answers that aren't read yet."""
        behind = 0 if self._judgement is None else self._judgement.octets_held()
        return len(self._received) + behind + self._transport.get_write_buffer_size()

    def octets_waiting(self) -> int:
        """Nothing is published to it."""
        return 0

    def drop_waiting(self) -> None:
        """Nothing waits."""

    def evict(self) -> None:
        """Answer with an error, or if there was an answer, let nobody read it."""
        if self._is_ended:
            self._transport.abort()
        else:
            self._refuse(unavailable())

    def expire(self) -> None:
        """Wait no longer for TLS, or for the end of a request."""
        if not self.is_connected:
            if self.on_late is not None:
                self.on_late()
            return
        if self._judgement is not None:
            self._refuse(refusal(503, "It could not be found out in time who you are.", RETRY_AFTER))
        elif self._received or self._exchange is not None:
            self._refuse(refusal(408, "The request did not end in time."))
        elif self._transport.get_write_buffer_size():
            # It had that time to read the last answer.
            self._transport.abort()
        else:
            self._transport.close()

    def _refuse(self, error: HandshakeError) -> None:
        """Answer with an error, and end the connection so that the answer can be read."""
        traffic = self._context.traffic
        note_refused(traffic, self.address, self._path, error, is_handshake=self._is_handshake)
        head, end, content = encode_refusal(error, formatdate(usegmt=True)).partition(b"\r\n\r\n")
        # 9110 9.3.2: the answer to a HEAD has the same head, and nothing behind it.
        self._transport.write(head + end if self._is_head else head + end + content)
        self._finish()

    def _finish(self) -> None:
        """Read no further request, and end the connection when the last answer is read."""
        self._is_ended = True
        self._stop_waiting()
        self._received.clear()
        Linger(self._transport, self, self._context)

    def _leave(self) -> None:
        self._stop_waiting()
        self._context.connections.pop(self, None)

    def _stop_waiting(self) -> None:
        self._context.handshakes.discard(self)
        if self._judgement is not None:
            self._judgement.cancel()

    def _new_reader(self) -> RequestReader:
        settings = self._context.settings
        return RequestReader(
            max_head=settings.max_head, max_fields=settings.max_fields, max_target=settings.max_target
        )
