"""Clients of other makes behind one interface, so that one table of cases fits them all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal, NamedTuple, Protocol, cast, final

import aiohttp
import picows
import picows.websockets
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.typing import Subprotocol

Message = str | bytes


class Ending(NamedTuple):
    """The Close that came."""

    code: int
    reason: str = ""


class Offer(NamedTuple):
    """An offer of permessage-deflate."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | Literal[True] | None = None


class Peer(Protocol):
    """One connection; `extensions` and `subprotocol` are what its client saw agreed."""

    extensions: str
    subprotocol: str | None

    async def send(self, *fragments: Message) -> None:
        """Send a message, in fragments where there are several."""

    async def receive(self) -> Message:
        """Receive a message."""

    async def ping(self, payload: bytes) -> bytes:
        """Send a Ping; return the payload of the Pong."""

    async def close(self, code: int | None = None, reason: str = "") -> None:
        """Send a Close, without a code if there is none."""

    async def closed(self) -> Ending:
        """Wait for the other end's Close."""

    async def abort(self) -> None:
        """Be gone without a word."""


class Open(Protocol):
    def __call__(
        self, url: str, *, offer: Offer | None = None, subprotocols: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Peer]:
        """Connect; messages of any size are taken."""


@final
class WebsocketsPeer:
    """`websockets`, and what picows has in its likeness."""

    def __init__(self, connection: ClientConnection | picows.websockets.ClientConnection) -> None:
        self._connection = connection
        assert connection.response is not None
        self.extensions = connection.response.headers.get("Sec-WebSocket-Extensions", "")
        self.subprotocol = connection.subprotocol

    async def send(self, *fragments: Message) -> None:
        await self._connection.send(fragments[0] if len(fragments) == 1 else fragments)

    async def receive(self) -> Message:
        return await self._connection.recv()

    async def ping(self, payload: bytes) -> bytes:
        # Done when a Pong with this payload is here.
        await (await self._connection.ping(payload))
        return payload

    async def close(self, code: int | None = None, reason: str = "") -> None:
        assert code is not None
        await self._connection.close(code, reason)

    async def closed(self) -> Ending:
        await self._connection.wait_closed()
        assert self._connection.close_code is not None
        return Ending(self._connection.close_code, self._connection.close_reason or "")

    async def abort(self) -> None:
        assert isinstance(self._connection, ClientConnection)
        self._connection.transport.abort()


@asynccontextmanager
async def open_websockets(
    url: str, *, offer: Offer | None = None, subprotocols: Sequence[str] = ()
) -> AsyncIterator[Peer]:
    # An empty list would become an empty field, which is none.
    extensions = [ClientPerMessageDeflateFactory(*offer)] if offer is not None else None
    async with websockets.connect(
        url,
        extensions=extensions,
        compression=None,
        subprotocols=list(map(Subprotocol, subprotocols)) or None,
        max_size=None,
    ) as connection:
        yield WebsocketsPeer(connection)


@asynccontextmanager
async def open_picows_websockets(
    url: str, *, offer: Offer | None = None, subprotocols: Sequence[str] = ()
) -> AsyncIterator[Peer]:
    compression = "deflate" if offer is not None else None
    async with picows.websockets.connect(
        url, compression=compression, subprotocols=subprotocols or None, max_size=None
    ) as connection:
        yield WebsocketsPeer(connection)


@final
class AiohttpPeer:
    """`aiohttp`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._socket = socket
        self.extensions = socket._response.headers.get("Sec-WebSocket-Extensions", "")
        self.subprotocol = socket.protocol

    async def send(self, *fragments: Message) -> None:
        (message,) = fragments
        if isinstance(message, str):
            await self._socket.send_str(message)
        else:
            await self._socket.send_bytes(message)

    async def receive(self) -> Message:
        message = await self._socket.receive()
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        assert isinstance(message.data, str | bytes)
        return message.data

    async def ping(self, payload: bytes) -> bytes:
        # Else the Pong is kept from us.
        self._socket._autoping = False
        await self._socket.ping(payload)
        message = await self._socket.receive()
        assert message.type is aiohttp.WSMsgType.PONG, message
        return bytes(message.data)

    async def close(self, code: int | None = None, reason: str = "") -> None:
        assert code is not None
        await self._socket.close(code=code, message=reason.encode())

    async def closed(self) -> Ending:
        if self._socket.closed:
            # Of the answer to its own Close it tells the code alone.
            assert self._socket.close_code is not None
            return Ending(self._socket.close_code)
        message = await self._socket.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return Ending(message.data, message.extra or "")

    async def abort(self) -> None:
        connection = self._socket._response.connection
        assert connection is not None and connection.transport is not None
        connection.transport.abort()


@asynccontextmanager
async def open_aiohttp(
    url: str, *, offer: Offer | None = None, subprotocols: Sequence[str] = ()
) -> AsyncIterator[Peer]:
    compress = 0 if offer is None else offer.server_max_window_bits or 15
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, compress=compress, protocols=subprotocols, max_msg_size=0) as socket,
    ):
        yield AiohttpPeer(socket)


@final
class PicowsPeer(picows.WSListener):
    """What picows is without its likeness of `websockets`: frames, and no extension."""

    def __init__(self) -> None:
        self.extensions = ""
        self.subprotocol: str | None = None
        self._transport: picows.WSTransport
        self._messages = asyncio.Queue[Message]()
        self._pongs = asyncio.Queue[bytes]()
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        self.extensions = transport.response.headers.get("Sec-WebSocket-Extensions", "")
        self.subprotocol = transport.response.headers.get("Sec-WebSocket-Protocol")

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        assert frame.fin
        match frame.msg_type:
            case picows.WSMsgType.TEXT:
                self._messages.put_nowait(frame.get_payload_as_utf8_text())
            case picows.WSMsgType.BINARY:
                self._messages.put_nowait(frame.get_payload_as_bytes())
            case picows.WSMsgType.PONG:
                self._pongs.put_nowait(frame.get_payload_as_bytes())
            case picows.WSMsgType.CLOSE:
                # Not of that enumeration when it isn't named there; 0 when there is none.
                code = cast(int, frame.get_close_code())
                self._ending.set_result(Ending(code or 1005, frame.get_close_reason() or ""))
                if not transport.is_close_frame_sent:
                    transport.send_close(frame.get_close_code())
                transport.disconnect()

    async def send(self, *fragments: Message) -> None:
        kind = picows.WSMsgType.TEXT if isinstance(fragments[0], str) else picows.WSMsgType.BINARY
        for number, fragment in enumerate(fragments, 1):
            self._transport.send(kind, fragment, fin=number == len(fragments))
            kind = picows.WSMsgType.CONTINUATION

    async def receive(self) -> Message:
        return await self._messages.get()

    async def ping(self, payload: bytes) -> bytes:
        self._transport.send_ping(payload)
        return await self._pongs.get()

    async def close(self, code: int | None = None, reason: str = "") -> None:
        if code is None:
            # Its `send_close()` would say 0.
            self._transport.send(picows.WSMsgType.CLOSE, None)
        else:
            self._transport.send_close(cast(picows.WSCloseCode, code), reason.encode())

    async def closed(self) -> Ending:
        return await self._ending

    async def abort(self) -> None:
        self._transport.disconnect(graceful=False)


@asynccontextmanager
async def open_picows(
    url: str, *, offer: Offer | None = None, subprotocols: Sequence[str] = ()
) -> AsyncIterator[Peer]:
    assert offer is None
    headers = [("Sec-WebSocket-Protocol", ", ".join(subprotocols))] if subprotocols else None
    transport, peer = await picows.ws_connect(PicowsPeer, url, extra_headers=headers, max_frame_size=1 << 30)
    try:
        assert isinstance(peer, PicowsPeer)
        yield peer
    finally:
        transport.disconnect()
        await transport.wait_disconnected()
