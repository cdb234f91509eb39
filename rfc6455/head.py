"""The head of an HTTP message (RFC 9112): its octets, in whatever pieces they come, cut into lines.

What is refused, and why, depends on the octets alone and never on where one piece of them ended: a start
line is judged before what stands behind it, an octet before the field lines.
"""

from typing import Final, final

from .errors import HandshakeError
from .headers import Headers, parse_fields, unexpected

MAX_HEAD: Final = 16 * 1024
MAX_FIELDS: Final = 100

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


@final
class Head:
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

    def append(self, data: bytes | bytearray | memoryview) -> None:
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
            raise too_much(self._max_head, "octets of head", 431, "head-size", "9110 5.4")
        if end < 0:
            return None
        fields = buffer[self._fields_begin : end].decode("latin-1")
        lines = fields.split("\r\n") if fields else []
        if len(lines) > self._max_fields:
            raise too_much(self._max_fields, "header fields", 431, "field-count", "9110 5.4")
        self.trailing = bytes(buffer[end + 4 :])
        self._buffer = bytearray()
        return parse_fields(lines)


def _forbidden_octet(octet: int) -> HandshakeError:
    # 9112 2.2: CR and LF stand only together. 9110 5.5: other control octets, HTAB aside, nowhere.
    rule, section = _LINE_ENDS.get(octet, ("control-octet", "9110 5.5"))
    message = f"Expected lines that end in CRLF and hold no control octets, received octet 0x{octet:02x}."
    return HandshakeError(message, status=400, rule=rule, section=section)


def too_much(limit: int, what: str, status: int, rule: str, section: str) -> HandshakeError:
    message = f"Expected at most {limit} {what}, received more."
    return HandshakeError(message, status=status, rule=rule, section=section)


def parse_version(version: str) -> int:
    # 9112 2.3: upper case, one digit each. 9110 2.5: a higher minor version is read as 1.1.
    minor_version = _MINOR_VERSIONS.get(version)
    if minor_version is not None:
        return minor_version
    # 9110 15.6.6: another major version.
    status = 505 if version in _OTHER_VERSIONS else 400
    raise unexpected("HTTP/1.1", version, "http-version", "9112 2.3", status=status)
