"""A client's side of the opening handshake (4.1): its request, and the judgement of the answer."""

import os
from collections.abc import Sequence
from typing import Final, final

from .deflate import EXTENSION_NAME, DeflateOptions, DeflateParameters, accept_answer, make_offer
from .errors import HandshakeError, StateError
from .handshake import OWNED_FIELDS, VERSION, Accepted, accept_key, encode_base64, is_key
from .headers import (
    Fields,
    Headers,
    encode_fields,
    is_path_and_query,
    is_token,
    parse_authority,
    parse_extensions,
    unexpected,
)
from .response import Response, ResponseReader

# 3: is the connection secure, and which port is meant when none is named.
_SCHEMES: Final = {"ws": (False, 80), "wss": (True, 443)}
_MAX_INTERIM: Final = 10


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
        self._key = key if key is not None else encode_base64(os.urandom(16))
        if not is_key(self._key):
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
            ("Sec-WebSocket-Version", VERSION),
        ]
        if origin is not None:
            fields.append(("Origin", origin))
        if subprotocols:
            fields.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
        if deflate is not None:
            fields.append(("Sec-WebSocket-Extensions", make_offer(deflate)))
        head = f"GET {resource} HTTP/1.1\r\n{encode_fields(fields)}{encode_fields(headers, OWNED_FIELDS)}\r\n"
        self.request = head.encode("latin-1")

    @property
    def trailing(self) -> bytes:
        """What came behind the answer's head."""
        return self._reader.trailing

    def receive_data(self, data: bytes | bytearray | memoryview) -> Accepted | None:
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
        if not headers.lists("connection", "upgrade"):
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
