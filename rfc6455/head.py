"""The head of a message, by RFC 9112: from octets, in whatever pieces they come, to a Request or a Response.

What is refused, and why, depends on the octets alone and never on where one piece of them ended: a start
line is judged before what stands behind it, an octet before the field lines.
"""

from typing import Final, final

from .errors import HandshakeError, StateError
from .headers import (
    Headers,
    contains_token,
    is_digits,
    is_path_and_query,
    is_token,
    list_members,
    parse_authority,
    parse_fields,
    unexpected,
)

MAX_HEAD: Final = 16 * 1024
MAX_FIELDS: Final = 100
# 9112 3: a request line of 8000 octets should find room.
MAX_TARGET: Final = 8 * 1024
# What a request line holds beside its target: a method, two spaces and the version.
_METHOD_AND_VERSION: Final = 32
# A body's length fits into 64 bits.
_MAX_LENGTH_DIGITS: Final = 18

_CRLF: Final = b"\r\n"
# Control octets but HTAB become NUL, so that one find() tells where the first one stands.
_CONTROLS_TO_NUL: Final = bytes(
    0 if (octet < 0x20 and octet != 0x09) or octet == 0x7F else octet for octet in range(256)
)

_LINE_ENDS: Final = {0x0A: ("bare-lf", "9112 2.2"), 0x0D: ("bare-cr", "9112 2.2")}

_MINOR_VERSIONS: Final = {f"HTTP/1.{minor}": minor for minor in range(10)}
_OTHER_VERSIONS: Final = frozenset(
    f"HTTP/{major}.{minor}" for major in (0, *range(2, 10)) for minor in range(10)
)
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
        """Tell whether the request asks for that protocol."""
        # 9110 7.8: in HTTP/1.0 Upgrade is ignored.
        return self.minor_version > 0 and contains_token(self.headers.get_all("Upgrade"), protocol)

    def has_body(self) -> bool:
        """Tell whether octets of the request follow its head (9112 6.3)."""
        length = self.headers.get("Content-Length")
        return "Transfer-Encoding" in self.headers or (length is not None and length.strip("0") != "")


@final
class Response:
    """A response head that obeys RFC 9112."""

    __slots__ = ("headers", "minor_version", "reason", "status")

    def __init__(self, status: int, reason: str, minor_version: int, headers: Headers) -> None:
        self.status = status
        self.reason = reason
        self.minor_version = minor_version
        self.headers = headers


@final
class RequestReader:
    """Reads one request head."""

    __slots__ = ("_ended", "_head", "_max_target", "_request")

    def __init__(
        self, *, max_head: int = MAX_HEAD, max_fields: int = MAX_FIELDS, max_target: int = MAX_TARGET
    ) -> None:
        self._head = _Head(max_head, max_fields)
        self._max_target = max_target
        self._request: Request | None = None
        self._ended = False

    @property
    def trailing(self) -> bytes:
        """What came behind the head; empty until the head is complete."""
        return self._head.trailing

    def feed(self, data: bytes) -> Request | None:
        """Take the next octets; return the request when its head is complete. Raises HandshakeError."""
        if self._ended:
            raise StateError("The request's head has ended: no more can be fed to its reader.")
        # So it stays if a rule is broken.
        self._ended = True
        head = self._head
        head.append(data)
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


@final
class ResponseReader:
    """Reads one response head."""

    __slots__ = ("_ended", "_head", "_response")

    def __init__(self, *, max_head: int = MAX_HEAD, max_fields: int = MAX_FIELDS) -> None:
        self._head = _Head(max_head, max_fields)
        self._response: Response | None = None
        self._ended = False

    @property
    def trailing(self) -> bytes:
        """What came behind the head; empty until the head is complete."""
        return self._head.trailing

    def feed(self, data: bytes) -> Response | None:
        """Take the next octets; return the response when its head is complete. Raises HandshakeError."""
        if self._ended:
            raise StateError("The response's head has ended: no more can be fed to its reader.")
        # So it stays if a rule is broken.
        self._ended = True
        head = self._head
        try:
            head.append(data)
            if self._response is None and head.line is not None:
                self._response = _parse_status_line(head.line)
            headers = head.finish()
        except HandshakeError as error:
            # A server's fault can't be answered.
            error.status = 0
            raise
        response = self._response
        if headers is None or response is None:
            self._ended = False
            return None
        response.headers = headers
        return response


@final
class _Head:
    """The octets of a head: where its lines end, that none is forbidden, and that they aren't too many."""

    __slots__ = (
        "_buffer",
        "_checked",
        "_end",
        "_fields_begin",
        "_forbidden",
        "_max_fields",
        "_max_head",
        "line",
        "line_length",
        "trailing",
    )

    def __init__(self, max_head: int, max_fields: int) -> None:
        self._max_head = max_head
        self._max_fields = max_fields
        self._buffer = bytearray()
        self._checked = 0
        self._fields_begin = 0
        self._end = -1
        self._forbidden = False
        self.line: str | None = None
        self.line_length = 0
        self.trailing = b""

    def append(self, data: bytes) -> None:
        """Take octets, look at each of them once, and find the start line."""
        buffer = self._buffer
        resume = max(len(buffer) - 3, 0)
        buffer += data
        self._end = buffer.find(b"\r\n\r\n", resume)
        stop = min(len(buffer) if self._end < 0 else self._end + 4, self._max_head)
        # What a CR is depends on the octet behind it.
        if buffer.endswith(b"\r", 0, stop):
            stop -= 1
        fresh = self._checked
        forbidden = buffer[fresh:stop].replace(_CRLF, b"  ").translate(_CONTROLS_TO_NUL).find(0)
        self._forbidden = forbidden >= 0
        self._checked = fresh + forbidden if self._forbidden else stop
        if self.line is not None:
            return
        # 9112 2.2: one empty line before the start line is ignored.
        begin = 2 if buffer.startswith(_CRLF) else 0
        line_end = buffer.find(_CRLF, max(begin, fresh), self._checked)
        self.line_length = (self._checked if line_end < 0 else line_end) - begin
        if line_end >= 0:
            self.line = buffer[begin:line_end].decode("latin-1")
            self._fields_begin = line_end + 2

    def finish(self) -> Headers | None:
        """Return the fields if the head is complete. Raises HandshakeError for what append() noticed."""
        buffer, end = self._buffer, self._end
        if self._forbidden:
            raise _forbidden_octet(buffer[self._checked])
        if (len(buffer) if end < 0 else end + 4) > self._max_head:
            raise _too_much(self._max_head, "octets of head", 431, "head-size", "9110 5.4")
        if end < 0:
            return None
        fields = buffer[self._fields_begin : end].decode("latin-1")
        lines = fields.split("\r\n") if fields else []
        if len(lines) > self._max_fields:
            raise _too_much(self._max_fields, "header fields", 431, "field-count", "9110 5.4")
        self.trailing = bytes(buffer[end + 4 :])
        self._buffer = bytearray()
        return parse_fields(lines)


def _forbidden_octet(octet: int) -> HandshakeError:
    # 9112 2.2: CR and LF stand only together. 9110 5.5: other control octets, HTAB aside, nowhere.
    rule, section = _LINE_ENDS.get(octet, ("control-octet", "9110 5.5"))
    message = f"Expected lines that end in CRLF and hold no control octets, received octet 0x{octet:02x}."
    return HandshakeError(message, status=400, rule=rule, section=section)


def _too_much(limit: int, what: str, status: int, rule: str, section: str) -> HandshakeError:
    message = f"Expected at most {limit} {what}, received more."
    return HandshakeError(message, status=status, rule=rule, section=section)


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
    if not is_token(method):
        raise unexpected("a token as method", method, "method", "9110 9.1")
    minor_version = _parse_version(version)
    path, query, authority = _parse_target(target)
    return Request(method, target, minor_version, Headers(), path, query, authority)


def _target_too_long(max_target: int) -> HandshakeError:
    return _too_much(max_target, "octets of target", 414, "target-size", "9112 3")


def _parse_status_line(line: str) -> Response:
    """Begin a Response, whose fields are still to come."""
    # 9112 4: HTTP-version SP status-code SP [ reason-phrase ].
    version, _, rest = line.partition(" ")
    minor_version = _parse_version(version)
    status, space, reason = rest.partition(" ")
    if len(status) != 3 or not is_digits(status) or not space:
        raise unexpected("a version, a status of three digits and a reason", line, "status-line", "9112 4")
    return Response(int(status), reason, minor_version, Headers())


def _parse_version(version: str) -> int:
    # 9112 2.3: upper case, one digit each. 9110 2.5: a higher minor version is read as 1.1.
    minor_version = _MINOR_VERSIONS.get(version)
    if minor_version is not None:
        return minor_version
    # 9110 15.6.6: another major version.
    status = 505 if version in _OTHER_VERSIONS else 400
    raise unexpected("HTTP/1.1", version, "http-version", "9112 2.3", status=status)


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
    host = request.headers.get("Host")
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
    length = headers.get("Content-Length")
    # 9112 6.3: a list of lengths, even of equal ones, is no length. 9110 8.6: nor is what overflows.
    if length is not None and (not is_digits(length) or len(length) > _MAX_LENGTH_DIGITS):
        raise unexpected("1 to 18 digits in Content-Length", length, "content-length", "9112 6.3")
    # 9110 10.1.1: HTTP/1.0 knows no Expect, and there is one expectation.
    expect = headers.get("Expect") if not is_http_1_0 else None
    if expect is not None and expect.lower() != "100-continue":
        raise unexpected("100-continue in Expect", expect, "expect", "9110 10.1.1", status=417)
    if "Transfer-Encoding" not in headers:
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
