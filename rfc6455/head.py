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
_CR: Final = 0x0D
# The end of the last line, and the empty line behind it.
_LAST_CRLFS: Final = b"\r\n\r\n"
# Control octets but HTAB become NUL, so that one search tells whether there is any.
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
        "_forbidden",
        "_has_ended",
        "_is_line_start",
        "_is_too_long",
        "_length",
        "_lines",
        "_max_fields",
        "_max_head",
        "_rest",
        "_seen",
        "line",
        "line_length",
    )

    def __init__(self, max_head: int, max_fields: int) -> None:
        self._max_head = max_head
        self._max_fields = max_fields
        # How many octets were looked at, and those of them from the start line on, until they are lines.
        self._length = 0
        self._seen = bytearray()
        self._lines: list[str] = []
        # Those behind them: what a CR is depends on the octet that follows.
        self._rest = b""
        # Whether a line has just ended: then another CRLF ends the head.
        self._is_line_start = False
        self._has_ended = False
        self._is_too_long = False
        self._forbidden: int | None = None
        self.line: str | None = None
        self.line_length = 0

    @property
    def trailing(self) -> bytes:
        """What came behind the head; empty until the head is complete."""
        return self._rest if self._has_ended else b""

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets, look at each of them once, and find the start line."""
        octets = self._rest + (data if isinstance(data, bytes) else bytes(memoryview(data)))
        stop = self._find_end(octets)
        room = self._max_head - self._length
        if stop > room:
            self._is_too_long, self._has_ended = True, False
            stop = room
        if stop > 0 and octets[stop - 1] == _CR:
            stop -= 1
        self._rest = octets[stop:]
        piece = octets[:stop]
        blanked = piece.replace(_CRLF, b"  ").translate(_CONTROLS_TO_NUL)
        if 0 in blanked:
            self._has_ended = False
            stop = blanked.index(0)
            self._forbidden = piece[stop]
            piece = piece[:stop]
        if piece:
            self._keep(piece)

    def _find_end(self, octets: bytes) -> int:
        """Find where the head ends, or else what has come of it."""
        # The empty line may come apart from the line before it.
        if self._is_line_start and octets.startswith(_CRLF):
            self._has_ended = True
            return len(_CRLF)
        end = octets.find(_LAST_CRLFS)
        self._has_ended = end >= 0
        return end + len(_LAST_CRLFS) if end >= 0 else len(octets)

    def _keep(self, piece: bytes) -> None:
        self._is_line_start = piece.endswith(_CRLF)
        if self._length == 0 and piece.startswith(_CRLF):
            # 9112 2.2: one empty line before the start line is ignored.
            self._length = len(_CRLF)
            piece = piece[len(_CRLF) :]
        self._length += len(piece)
        if self._has_ended:
            if self._seen:
                piece = bytes(self._seen + piece)
                self._seen.clear()
            self._lines = piece.decode("latin-1").split("\r\n")
            self.line = self._lines[0]
            self.line_length = len(self.line)
            return
        self._seen += piece
        if self.line is None:
            end = piece.find(_CRLF)
            self.line_length += len(piece) if end < 0 else end
            if end >= 0:
                self.line = bytes(self._seen[: self.line_length]).decode("latin-1")

    def finish(self) -> Headers | None:
        """Return the fields if the head is complete. Raises HandshakeError for what append() noticed."""
        if self._forbidden is not None:
            raise _forbidden_octet(self._forbidden)
        if self._is_too_long:
            raise too_much(self._max_head, "octets of head", 431, "head-size", "9110 5.4")
        if not self._has_ended:
            return None
        # Behind the start line, and before the empty line and what ends it.
        lines = self._lines[1:-2]
        self._lines = []
        if len(lines) > self._max_fields:
            raise too_much(self._max_fields, "header fields", 431, "field-count", "9110 5.4")
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
