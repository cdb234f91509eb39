"""Opening a connection: what is asked of the server, and waiting for the answer that accepts or refuses."""

import asyncio
import socket
import ssl as tls
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Final, TypedDict, cast, final

from rfc6455 import (
    Accepted,
    ClientHandshake,
    Connection,
    DeflateOptions,
    HandshakeError,
    Headers,
    Role,
    StateError,
)

from .connection import ClientConnection
from .errors import (
    BadAnswer,
    ConnectError,
    Dropped,
    HostNotFound,
    OpenTimeout,
    Refused,
    TlsFailed,
    Unreachable,
    why,
)

# Octets of a refusal's body that are read.
_MAX_BODY: Final = 4096

# Who only listens learns nothing of a network that is gone, unless the kernel asks: seconds of silence
# until it does, seconds between two questions, and how many of them. Not every system has all three.
_KEEPALIVE: Final = tuple(
    (getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 2))
    if hasattr(socket, name)
)

# 9110 15.3.5, 15.4.5: answers without a body.
_BODILESS: Final = frozenset({204, 304})

_DEFLATE: Final = DeflateOptions()


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

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self._open().__await__()

    async def __aenter__(self) -> ClientConnection:
        self._connection = await self._open()
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.__aexit__(kind, error, trace)

    async def _open(self) -> ClientConnection:
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
            raise HostNotFound(f"There is no host {handshake.host!a}: {why(error)}.") from error
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
            raise Unreachable(f"{self._address} can't be reached: {why(error)}.") from error

    @property
    def _address(self) -> str:
        host = self._handshake.host
        return f"[{host}]:{self._handshake.port}" if ":" in host else f"{host}:{self._handshake.port}"


Begin = Callable[[asyncio.Transport, Accepted], ClientConnection]


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

    async def outcome(self) -> ClientConnection:
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

    def _set_outcome(self, outcome: ClientConnection | ConnectError) -> None:
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


def _keep_alive(connected: socket.socket) -> None:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        connected.setsockopt(socket.IPPROTO_TCP, option, value)
