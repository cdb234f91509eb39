"""The head of a response, held against RFC 9112."""

from typing import final

from .errors import HandshakeError, StateError
from .head import MAX_FIELDS, MAX_HEAD, Head, parse_version
from .headers import Headers, is_digits, unexpected


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
class ResponseReader:
    """Reads one response head."""

    __slots__ = ("_ended", "_head", "_response")

    def __init__(self, *, max_head: int = MAX_HEAD, max_fields: int = MAX_FIELDS) -> None:
        self._head = Head(max_head, max_fields)
        self._response: Response | None = None
        self._ended = False

    @property
    def trailing(self) -> bytes:
        """What came behind the head; empty until the head is complete."""
        return self._head.trailing

    def feed(self, data: bytes | bytearray | memoryview) -> Response | None:
        """Take the next octets; return the response when its head is complete. Raises HandshakeError."""
        if self._ended:
            raise StateError("The response's head has ended: no more can be fed to its reader.")
        head = self._head
        head.append(data)
        # So it stays if a rule is broken.
        self._ended = True
        try:
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


def _parse_status_line(line: str) -> Response:
    """Begin a Response, whose fields are still to come."""
    # 9112 4: HTTP-version SP status-code SP [ reason-phrase ].
    version, _, rest = line.partition(" ")
    minor_version = parse_version(version)
    status, space, reason = rest.partition(" ")
    if len(status) != 3 or not is_digits(status) or not space:
        raise unexpected("a version, a status of three digits and a reason", line, "status-line", "9112 4")
    return Response(int(status), reason, minor_version, Headers())
