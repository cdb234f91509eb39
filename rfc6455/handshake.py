"""A server's side of the opening handshake (4.2): the judgement of a request, and its answer."""

from binascii import a2b_base64, b2a_base64
from hashlib import sha1
from http import HTTPStatus
from typing import Final, final

from .deflate import (
    EXTENSION_NAME,
    DeflateOptions,
    DeflateParameters,
    answer_offer,
)
from .errors import HandshakeError, StateError
from .headers import (
    Extension,
    Fields,
    Headers,
    encode_fields,
    parse_extensions,
    parse_token_list,
    unexpected,
)
from .request import Request

# 1.3: what the server appends to the key before hashing it.
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION: Final = "13"

# What a refusal says to a client that could come back and do it right.
# 4.2.2: the version spoken here. 9110 15.5.22: the protocol to upgrade to.
_UPGRADE_REQUIRED: Final = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", VERSION))

# Fields that are decided here and nowhere else, or that would change where a head's message ends.
OWNED_FIELDS: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "origin",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    }
)
_OWNED_IN_REFUSAL: Final = frozenset(
    {"connection", "content-length", "content-type", "date", "transfer-encoding"}
)


@final
class Accepted:
    """What both ends agreed. `response` is for the server to send; `headers` are those the other end sent."""

    __slots__ = ("deflate", "headers", "response", "subprotocol")

    def __init__(
        self, response: bytes, subprotocol: str | None, deflate: DeflateParameters | None, headers: Headers
    ) -> None:
        self.response = response
        self.subprotocol = subprotocol
        self.deflate = deflate
        self.headers = headers


def accept_key(key: str) -> str:
    """Compute Sec-WebSocket-Accept from the key as it was sent (4.2.2)."""
    digest = sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()
    return encode_base64(digest)


@final
class ServerHandshake:
    """A request that asks for WebSocket in the way of 4.2.1, to be accepted or refused.

    Raises HandshakeError for any other. What `Origin` and path mean is for the server to judge.
    """

    __slots__ = ("_decided", "_extensions", "_key", "origin", "request", "subprotocols")

    def __init__(self, request: Request) -> None:
        headers = request.headers
        # 4.2.1 1: GET. 9110 15.5.6: a refusal names what is allowed.
        if request.method != "GET":
            raise unexpected(
                "GET", request.method, "method", "4.2.1", status=405, headers=(("Allow", "GET"),)
            )
        # 9110 7.8: HTTP/1.0 can't upgrade, for all it asks.
        if request.minor_version == 0:
            raise _upgrade_required("HTTP/1.1", "HTTP/1.0", "http-version")
        # 4.2.1 3: one of the protocols is websocket. "websocket/13" is another.
        if not request.upgrades_to("websocket"):
            raise _upgrade_required("websocket in Upgrade", headers.joined("Upgrade"), "upgrade")
        # 4.2.1 4, 9110 7.6.1: without this option the Upgrade was meant for someone before us.
        if not headers.lists("connection", "upgrade"):
            raise _upgrade_required("Upgrade in Connection", headers.joined("Connection"), "connection")
        # 9110 7.8: the protocol changes behind the whole request; a body could pass for frames.
        if request.has_body():
            raise HandshakeError(
                "Expected no body in a request to upgrade.", status=400, rule="body", section="9110 7.8"
            )
        # 4.2.1 6, 4.4: exactly 13, or the version is told.
        version = headers.first("sec-websocket-version")
        if version != VERSION:
            raise _upgrade_required("Sec-WebSocket-Version 13", version or "", "version")
        self._key = headers.first("sec-websocket-key") or ""
        # 4.2.1 5: base64 of 16 octets.
        if not is_key(self._key):
            raise unexpected("16 octets of base64 in Sec-WebSocket-Key", self._key, "key", "4.2.1")
        self.request = request
        self.origin = headers.first("origin")
        self.subprotocols = _offered_subprotocols(headers)
        self._extensions = _offered_extensions(headers)
        self._decided = False

    def accept(
        self, *, subprotocol: str | None = None, headers: Fields = (), deflate: DeflateOptions | None = None
    ) -> Accepted:
        """Accept: the response to send and what it agreed to. Raises StateError for what can't be sent."""
        # 4.2.2: only a subprotocol that the client offered; none is said by no field.
        if subprotocol is not None and subprotocol not in self.subprotocols:
            raise StateError(f"Subprotocol {subprotocol!a} was not offered: {self.subprotocols}.")
        extra = encode_fields(headers, OWNED_FIELDS)
        self._decide()
        answer = [
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(self._key)}\r\n"
        ]
        # 9110 7.8: 100 comes before 101 when it was asked for.
        if self.request.headers.first("expect") is not None:
            answer.insert(0, "HTTP/1.1 100 Continue\r\n\r\n")
        if subprotocol is not None:
            answer.append(f"Sec-WebSocket-Protocol: {subprotocol}\r\n")
        agreed = self._agree_deflate(deflate) if deflate is not None else None
        if agreed is not None:
            answer.append(f"Sec-WebSocket-Extensions: {agreed[1]}\r\n")
        answer += extra, "\r\n"
        return Accepted(
            "".join(answer).encode("latin-1"),
            subprotocol,
            agreed[0] if agreed is not None else None,
            self.request.headers,
        )

    def refuse(
        self, status: int, message: str = "", *, headers: Fields = (), date: str | None = None
    ) -> bytes:
        """Refuse: the whole response to send, after which the connection is closed. Raises StateError."""
        error = HandshakeError(message, status=status, rule="refused", section="4.2.2", headers=headers)
        response = encode_refusal(error, date)
        self._decide()
        return response

    def _decide(self) -> None:
        if self._decided:
            raise StateError("The handshake was accepted or refused before.")
        self._decided = True

    def _agree_deflate(self, options: DeflateOptions) -> tuple[DeflateParameters, str] | None:
        # 9.1: offers stand in order of preference. 7692 5.1: the first that can be accepted is, alone.
        for name, parameters in self._extensions:
            agreed = answer_offer(parameters, options) if name == EXTENSION_NAME else None
            if agreed is not None:
                return agreed
        return None


def encode_refusal(error: HandshakeError, date: str | None = None) -> bytes:
    """Make the whole response that refuses a request. Raises StateError for what can't be sent.

    `date` is the time in the form of 9110 5.6.7, which a server with a clock must send.
    """
    if not 300 <= error.status <= 599:
        raise StateError(f"A refusal has a status of 300 to 599, not {error.status}.")
    body = f"{error}\n".encode()
    # 9110 7.8: who sends Upgrade names it in Connection. 9112 9.6: nothing more is read after a refusal.
    upgrades = any(name.lower() == "upgrade" for name, _ in error.headers)
    fields = [
        *((("Date", date),) if date is not None else ()),
        ("Connection", "Upgrade, close" if upgrades else "close"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
    ]
    head = (
        f"HTTP/1.1 {error.status} {_reason(error.status)}\r\n"
        f"{encode_fields(fields)}{encode_fields(error.headers, _OWNED_IN_REFUSAL)}\r\n"
    )
    return head.encode("latin-1") + body


def is_key(key: str) -> bool:
    """4.1 7: the base64, with its padding and nothing else, of 16 octets."""
    try:
        return len(a2b_base64(key, strict_mode=True)) == 16
    except ValueError:
        return False


def encode_base64(octets: bytes) -> str:
    """Write octets in base64, with its padding and no line end."""
    return b2a_base64(octets, newline=False).decode("ascii")


def _upgrade_required(expected: str, received: str, rule: str) -> HandshakeError:
    return unexpected(expected, received, rule, "4.2.1", status=426, headers=_UPGRADE_REQUIRED)


def _offered_subprotocols(headers: Headers) -> list[str]:
    if headers.first("sec-websocket-protocol") is None:
        return []
    # 4.3: 1#token. 4.1 10: each once.
    offered = parse_token_list(headers.get_all("Sec-WebSocket-Protocol"))
    if offered is None or len(set(offered)) < len(offered):
        raise unexpected("tokens, each once", headers.joined("Sec-WebSocket-Protocol"), "subprotocol", "4.3")
    return offered


def _offered_extensions(headers: Headers) -> list[Extension]:
    if headers.first("sec-websocket-extensions") is None:
        return []
    offered = parse_extensions(headers.get_all("Sec-WebSocket-Extensions"))
    if offered is None:
        raise unexpected(
            "a list of extensions", headers.joined("Sec-WebSocket-Extensions"), "extension-grammar", "9.1"
        )
    return offered


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        # 9112 4: the reason may be empty.
        return ""
