"""The head of a request, held against RFC 9110 and RFC 9112."""

from typing import Final, final

from .errors import HandshakeError, StateError
from .head import MAX_FIELDS, MAX_HEAD, Head, parse_version, too_much
from .headers import (
    Headers,
    is_digits,
    is_path_and_query,
    is_token,
    list_members,
    parse_authority,
    unexpected,
)

# 9112 3: a request line of 8000 octets should find room.
MAX_TARGET: Final = 8 * 1024
# What a request line holds beside its target: a method, two spaces and the version.
_METHOD_AND_VERSION: Final = 32
# What stands for the fields of a request whose fields are still to come.
_NO_FIELDS: Final = Headers()
# A body's length fits into 64 bits.
_MAX_LENGTH_DIGITS: Final = 18

_SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})
# 9110 5.3: fields that are no lists; of two lines someone would take the first and someone the last.
_SINGLETONS: Final = (
    "authorization",
    "content-length",
    "expect",
    "host",
    "origin",
    "sec-websocket-key",
    "sec-websocket-version",
    "x-forwarded-host",
    "x-forwarded-proto",
)


@final
class Request:
    """A request head that obeys RFC 9112. `host` is the authority it is meant for, "" if none is named."""

    __slots__ = ("headers", "host", "method", "minor_version", "path", "query", "target")

    def __init__(
        self, method: str, target: str, minor_version: int, headers: Headers, path: str, query: str, host: str
    ) -> None:
        self.method = method
        self.target = target
        self.minor_version = minor_version
        self.headers = headers
        self.path = path
        self.query = query
        self.host = host

    def upgrades_to(self, protocol: str) -> bool:
        """Tell whether the request asks for that protocol, in lower case."""
        # 9110 7.8: in HTTP/1.0 Upgrade is ignored.
        return self.minor_version > 0 and self.headers.lists("upgrade", protocol)

    def has_body(self) -> bool:
        """Tell whether octets of the request follow its head (9112 6.3)."""
        headers = self.headers
        length = headers.first("content-length")
        return headers.first("transfer-encoding") is not None or (
            length is not None and length.strip("0") != ""
        )


@final
class RequestReader:
    """Reads one request head."""

    __slots__ = ("_ended", "_head", "_max_target", "_request")

    def __init__(
        self, *, max_head: int = MAX_HEAD, max_fields: int = MAX_FIELDS, max_target: int = MAX_TARGET
    ) -> None:
        self._head = Head(max_head, max_fields)
        self._max_target = max_target
        self._request: Request | None = None
        self._ended = False

    @property
    def trailing(self) -> bytes:
        """What came behind the head; empty until the head is complete."""
        return self._head.trailing

    def feed(self, data: bytes | bytearray | memoryview) -> Request | None:
        """Take the next octets; return the request when its head is complete. Raises HandshakeError."""
        if self._ended:
            raise StateError("The request's head has ended: no more can be fed to its reader.")
        head = self._head
        head.append(data)
        # So it stays if a rule is broken.
        self._ended = True
        if self._request is None:
            # 9112 3: 414 for a target over the limit, told before its end is in sight.
            if head.line_length > self._max_target + _METHOD_AND_VERSION:
                raise _target_too_long(self._max_target)
            if head.line is not None:
                self._request = _parse_request_line(head.line, self._max_target)
        headers = head.finish()
        request = self._request
        if headers is None or request is None:
            self._ended = False
            return None
        request.headers = headers
        _judge_singletons(headers)
        _judge_host(request)
        _judge_framing(request)
        return request


def _parse_request_line(line: str, max_target: int) -> Request:
    """Begin a Request, whose fields are still to come."""
    # 9112 3: method SP request-target SP HTTP-version.
    parts = line.split(" ")
    if len(parts) != 3:
        raise unexpected("a method, a target and a version, one space apart", line, "request-line", "9112 3")
    method, target, version = parts
    if len(target) > max_target:
        raise _target_too_long(max_target)
    # 9110 9.1: a method is a token.
    if method != "GET" and not is_token(method):
        raise unexpected("a token as method", method, "method", "9110 9.1")
    minor_version = parse_version(version)
    path, query, authority = _parse_target(target)
    return Request(method, target, minor_version, _NO_FIELDS, path, query, authority)


def _target_too_long(max_target: int) -> HandshakeError:
    return too_much(max_target, "octets of target", 414, "target-size", "9112 3")


def _parse_target(target: str) -> tuple[str, str, str]:
    """Read origin-form or absolute-form into path, query and authority."""
    authority, rest = "", target
    if not target.startswith("/"):
        scheme, separator, rest = target.partition("://")
        # 9112 3.2.3, 3.2.4: the other two forms belong to CONNECT and OPTIONS.
        if not separator:
            raise unexpected("a target that begins with a slash", target, "target-form", "9112 3.2")
        authority = rest.partition("/")[0].partition("?")[0]
        if parse_authority(authority) is None:
            raise unexpected("a host and perhaps a port", authority, "target-authority", "9112 3.2.2")
        # 9110 7.4: what belongs to another scheme was sent to the wrong server.
        if scheme.lower() not in _SCHEMES:
            raise unexpected("a target of http or ws", target, "target-scheme", "9110 7.4", status=421)
        rest = rest.removeprefix(authority)
        # 9110 4.2.3: an empty path is "/".
        if not rest.startswith("/"):
            rest = "/" + rest
    # 9112 3.2: nothing that a URI can't hold, nor a fragment; such a target isn't mended.
    if not is_path_and_query(rest):
        raise unexpected("a percent-encoded path and query", target, "target-octets", "9112 3.2")
    path, _, query = rest.partition("?")
    return path, query, authority


def _judge_singletons(headers: Headers) -> None:
    if not headers.has_repeats():
        return
    for name in _SINGLETONS:
        if len(headers.get_all(name)) > 1:
            raise HandshakeError(
                f"Expected one {name} field, received more.",
                status=400,
                rule="repeated-field",
                section="9110 5.3",
            )


def _judge_host(request: Request) -> None:
    host = request.headers.first("host")
    if host is None:
        # 9112 3.2: a request of HTTP/1.1 names its host.
        if request.minor_version > 0:
            raise HandshakeError(
                "Expected a Host field.", status=400, rule="host-missing", section="9112 3.2"
            )
        return
    if parse_authority(host) is None:
        raise unexpected("a host and perhaps a port in Host", host, "host-value", "9112 3.2")
    # 9112 3.2.2: the authority of an absolute target replaces Host.
    request.host = request.host or host


def _judge_framing(request: Request) -> None:
    """Refuse a body whose end two readers could see in two places."""
    headers, is_http_1_0 = request.headers, request.minor_version == 0
    length = headers.first("content-length")
    # 9112 6.3: a list of lengths, even of equal ones, is no length. 9110 8.6: nor is what overflows.
    if length is not None and (not is_digits(length) or len(length) > _MAX_LENGTH_DIGITS):
        raise unexpected("1 to 18 digits in Content-Length", length, "content-length", "9112 6.3")
    # 9110 10.1.1: HTTP/1.0 knows no Expect, and there is one expectation.
    expect = headers.first("expect") if not is_http_1_0 else None
    if expect is not None and expect.lower() != "100-continue":
        raise unexpected("100-continue in Expect", expect, "expect", "9110 10.1.1", status=417)
    if headers.first("transfer-encoding") is None:
        return
    codings = [coding.lower() for coding in list_members(headers.get_all("Transfer-Encoding"))]
    received = ", ".join(codings)
    # 9112 6.1: both fields are an attempt to smuggle, and HTTP/1.0 has no transfer codings.
    if length is not None or is_http_1_0:
        raise unexpected("no Transfer-Encoding here", received, "transfer-encoding", "9112 6.1")
    # 9112 6.3: only a last chunked, and one alone, tells where the body ends.
    if codings[-1:] != ["chunked"] or codings.count("chunked") > 1:
        raise unexpected("chunked as the last coding", received, "transfer-encoding", "9112 6.3")
    # 9112 6.1: no other coding is understood.
    if len(codings) > 1:
        raise unexpected("chunked alone", received, "transfer-coding", "9112 6.1", status=501)
