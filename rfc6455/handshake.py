"""The opening handshake (section 4): a server's judgement of the request, a client's of the answer."""

import os
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from hashlib import sha1
from http import HTTPStatus
from typing import Final, NamedTuple, final

from .deflate import (
    EXTENSION_NAME,
    DeflateOptions,
    DeflateParameters,
    accept_answer,
    answer_offer,
    make_offer,
)
from .errors import HandshakeError, StateError
from .head import Request, Response, ResponseReader
from .headers import (
    Extension,
    Fields,
    Headers,
    contains_token,
    encode_fields,
    is_path_and_query,
    is_token,
    parse_authority,
    parse_extensions,
    parse_token_list,
    unexpected,
)

# 1.3: what the server appends to the key before hashing it.
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION: Final = "13"
# 3: is the connection secure, and which port is meant when none is named.
_SCHEMES: Final = {"ws": (False, 80), "wss": (True, 443)}
_MAX_INTERIM: Final = 10

# What a refusal says to a client that could come back and do it right.
# 4.2.2: the version spoken here. 9110 15.5.22: the protocol to upgrade to.
_UPGRADE_REQUIRED: Final = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", _VERSION))

# Fields that are decided here and nowhere else, or that would change where a head's message ends.
_OWNED: Final = frozenset(
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


class Accepted(NamedTuple):
    """What both ends agreed. `response` is for the server to send; `headers` are those the other end sent."""

    response: bytes
    subprotocol: str | None
    deflate: DeflateParameters | None
    headers: Headers


def accept_key(key: str) -> str:
    """Compute Sec-WebSocket-Accept from the key as it was sent (4.2.2)."""
    digest = sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()
    return _encode_base64(digest)


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
        if not contains_token(headers.get_all("Connection"), "upgrade"):
            raise _upgrade_required("Upgrade in Connection", headers.joined("Connection"), "connection")
        # 9110 7.8: the protocol changes behind the whole request; a body could pass for frames.
        if request.has_body():
            raise HandshakeError(
                "Expected no body in a request to upgrade.", status=400, rule="body", section="9110 7.8"
            )
        # 4.2.1 6, 4.4: exactly 13, or the version is told.
        version = headers.get("Sec-WebSocket-Version")
        if version != _VERSION:
            raise _upgrade_required("Sec-WebSocket-Version 13", version or "", "version")
        self._key = headers.get("Sec-WebSocket-Key") or ""
        # 4.2.1 5: base64 of 16 octets.
        if not _is_key(self._key):
            raise unexpected("16 octets of base64 in Sec-WebSocket-Key", self._key, "key", "4.2.1")
        self.request = request
        self.origin = headers.get("Origin")
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
        extra = encode_fields(headers, _OWNED)
        self._decide()
        answer = [
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(self._key)}\r\n"
        ]
        # 9110 7.8: 100 comes before 101 when it was asked for.
        if "Expect" in self.request.headers:
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


@final
class ClientHandshake:
    """A request to upgrade, to be sent as it stands in `request`, and the judgement of its answer (4.1).

    `key` is for tests: 16 octets in base64. Raises StateError for what can't be asked.
    """

    __slots__ = (
        "_deflate",
        "_interim",
        "_key",
        "_reader",
        "_subprotocols",
        "host",
        "port",
        "request",
        "secure",
    )

    def __init__(
        self,
        uri: str,
        *,
        subprotocols: Sequence[str] = (),
        headers: Fields = (),
        origin: str | None = None,
        deflate: DeflateOptions | None = None,
        key: str | None = None,
    ) -> None:
        self.secure, self.host, self.port, host_field, resource = _parse_uri(uri)
        # 4.1 10: tokens, each once.
        if len(set(subprotocols)) < len(subprotocols) or not all(map(is_token, subprotocols)):
            raise StateError(f"Subprotocols are tokens, each given once, not {list(subprotocols)!a}.")
        # 4.1 7: 16 octets that nobody can predict.
        self._key = key if key is not None else _encode_base64(os.urandom(16))
        if not _is_key(self._key):
            raise StateError("A key is 16 octets in base64.")
        self._subprotocols = tuple(subprotocols)
        self._deflate = deflate
        self._reader = ResponseReader()
        self._interim = 0
        fields = [
            ("Host", host_field),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self._key),
            ("Sec-WebSocket-Version", _VERSION),
        ]
        if origin is not None:
            fields.append(("Origin", origin))
        if subprotocols:
            fields.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
        if deflate is not None:
            fields.append(("Sec-WebSocket-Extensions", make_offer(deflate)))
        head = f"GET {resource} HTTP/1.1\r\n{encode_fields(fields)}{encode_fields(headers, _OWNED)}\r\n"
        self.request = head.encode("latin-1")

    @property
    def trailing(self) -> bytes:
        """What came behind the answer's head."""
        return self._reader.trailing

    def receive_data(self, data: bytes) -> Accepted | None:
        """Take the next octets; return what was agreed when the answer is complete. Raises HandshakeError."""
        response = self._reader.feed(data)
        # 9110 15.2: interim responses may come before the answer.
        while response is not None and response.status // 100 == 1 and response.status != 101:
            self._interim += 1
            if self._interim > _MAX_INTERIM:
                raise _bad_answer("the answer", "another interim response", "interim-responses")
            data = self._reader.trailing
            self._reader = ResponseReader()
            response = self._reader.feed(data)
        return self._judge(response) if response is not None else None

    def _judge(self, response: Response) -> Accepted:
        headers = response.headers
        # 4.1 1: any other status is an answer in HTTP, which the caller finds in the error.
        if response.status != 101:
            came = f"{response.status} {response.reason}"
            raise unexpected(
                "status 101", came, "status", "4.1", status=response.status, headers=tuple(headers)
            )
        # 9110 7.8: HTTP/1.0 can't upgrade.
        if response.minor_version == 0:
            raise _bad_answer("HTTP/1.1", "HTTP/1.0", "http-version")
        # 4.1 2: Upgrade is websocket and nothing else.
        if [value.lower() for value in headers.get_all("Upgrade")] != ["websocket"]:
            raise _bad_answer("Upgrade: websocket", headers.joined("Upgrade"), "upgrade")
        # 4.1 3.
        if not contains_token(headers.get_all("Connection"), "upgrade"):
            raise _bad_answer("Upgrade in Connection", headers.joined("Connection"), "connection")
        # 4.1 4: proof that the server read this request.
        accept = accept_key(self._key)
        if headers.get_all("Sec-WebSocket-Accept") != [accept]:
            raise _bad_answer(
                f"Sec-WebSocket-Accept {accept}", headers.joined("Sec-WebSocket-Accept"), "accept"
            )
        return Accepted(b"", self._agreed_subprotocol(headers), self._agreed_deflate(headers), headers)

    def _agreed_subprotocol(self, headers: Headers) -> str | None:
        # 4.1 6: none, or one of those that were offered, octet for octet.
        values = headers.get_all("Sec-WebSocket-Protocol")
        if not values:
            return None
        if len(values) > 1 or values[0] not in self._subprotocols:
            raise _bad_answer("one of the subprotocols offered", ", ".join(values), "subprotocol")
        return values[0]

    def _agreed_deflate(self, headers: Headers) -> DeflateParameters | None:
        # 4.1 5: no extension that wasn't offered, and none twice (7692 5.1).
        if "Sec-WebSocket-Extensions" not in headers:
            return None
        received = headers.joined("Sec-WebSocket-Extensions")
        extensions = parse_extensions([received])
        if extensions is None:
            raise _bad_answer("a list of extensions", received, "extension-grammar")
        # 11.3.2: nor is the field given twice.
        is_repeated = len(headers.get_all("Sec-WebSocket-Extensions")) > 1
        if self._deflate is None or is_repeated or [name for name, _ in extensions] != [EXTENSION_NAME]:
            raise _bad_answer("an extension that was offered, once", received, "extension")
        return accept_answer(extensions[0][1], self._deflate)


def _is_key(key: str) -> bool:
    """4.1 7: the base64, with its padding and nothing else, of 16 octets."""
    try:
        return len(a2b_base64(key, strict_mode=True)) == 16
    except ValueError:
        return False


def _encode_base64(octets: bytes) -> str:
    """Write octets in base64, with its padding and no line end."""
    return b2a_base64(octets, newline=False).decode("ascii")


def _upgrade_required(expected: str, received: str, rule: str) -> HandshakeError:
    return unexpected(expected, received, rule, "4.2.1", status=426, headers=_UPGRADE_REQUIRED)


def _offered_subprotocols(headers: Headers) -> list[str]:
    values = headers.get_all("Sec-WebSocket-Protocol")
    if not values:
        return []
    # 4.3: 1#token. 4.1 10: each once.
    offered = parse_token_list(values)
    if offered is None or len(set(offered)) < len(offered):
        raise unexpected("tokens, each once", headers.joined("Sec-WebSocket-Protocol"), "subprotocol", "4.3")
    return offered


def _offered_extensions(headers: Headers) -> list[Extension]:
    values = headers.get_all("Sec-WebSocket-Extensions")
    if not values:
        return []
    offered = parse_extensions(values)
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


def _parse_uri(uri: str) -> tuple[bool, str, int, str, str]:
    """Read a WebSocket URI (3) into secure, host, port, the value of Host and the resource name."""
    scheme, _, rest = uri.partition("://")
    scheme = scheme.lower()
    authority = rest.partition("/")[0].partition("?")[0]
    address = parse_authority(authority)
    resource = rest.removeprefix(authority)
    # 3: an empty path is "/".
    if not resource.startswith("/"):
        resource = "/" + resource
    if scheme not in _SCHEMES or address is None or address[1] == 0 or not is_path_and_query(resource):
        raise StateError(
            "A WebSocket URI is ws:// or wss://, a host without a user, perhaps a port of 1 to 65535, "
            "a percent-encoded path and query, and no fragment."
        )
    host, port = address
    secure, default_port = _SCHEMES[scheme]
    # 4.1 4: Host names the port unless it is the scheme's own.
    host_field = f"[{host}]" if ":" in host else host
    if port is not None and port != default_port:
        host_field = f"{host_field}:{port}"
    return secure, host, port or default_port, host_field, resource


def _bad_answer(expected: str, received: str, rule: str) -> HandshakeError:
    return unexpected(expected, received, rule, "4.1", status=101)
