"""Traffic: what a server counts, in plain numbers that cost next to nothing where they grow.

Whoever counts something new adds a number here; a scrape takes them all as they stand.
"""

from typing import Final, final

from rfc6455 import Close, CloseCode

from .histogram import OCTETS, SECONDS, Histogram

# From here on close codes are anybody's to choose (RFC 6455 7.4.2): a peer could send any of thousands.
_FREE_CODES: Final = 3000
_ABNORMAL_CLOSURE: Final = CloseCode.ABNORMAL_CLOSURE


@final
class Traffic:
    """The counters of one service. They only grow, but for `sessions` and `publication_bytes`."""

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "closes_received",
        "closes_sent",
        "handshakes",
        "look_at",
        "messages_received",
        "messages_sent",
        "pings_sent",
        "publication_bytes",
        "requests",
        "round_trips",
        "sessions",
        "too_slow",
        "turned_away",
        "unanswered",
        "waiting_bytes",
    )

    def __init__(self) -> None:
        # Connections closed without a word: who expects TLS, or sends no PROXY header, can't be told.
        self.turned_away = 0
        # By status: requests for a WebSocket; and all others, also those whose head never said.
        self.handshakes: dict[str, int] = {}
        self.requests: dict[str, int] = {}
        # Behind the handshake; octets are those of frames, whatever TLS makes of them.
        self.sessions = 0
        self.messages_received = 0
        self.messages_sent = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        # By code, as `code_name` puts it.
        self.closes_received: dict[str, int] = {}
        self.closes_sent: dict[str, int] = {}
        # What all publications weigh that are in memory, waiting for somebody or kept as history.
        self.publication_bytes = 0
        # When this many octets have come and gone the budget looks at what is held; what is inflated, or
        # waits otherwise, comes off it.
        self.look_at = 0
        self.pings_sent = 0
        # Sessions that were given up, for no Pong came in time.
        self.unanswered = 0
        # Sessions that were closed, for too much waited for them or for too long.
        self.too_slow = 0
        self.round_trips = Histogram(SECONDS)
        # Octets that wait for a session that is paused.
        self.waiting_bytes = Histogram(OCTETS)

    def end_session(self, received: int, sent: Close | None) -> None:
        """Count a session's end by the close codes that came and went; 1006 is for none (RFC 6455 7.1.5)."""
        self.sessions -= 1
        count(self.closes_received, code_name(received))
        count(self.closes_sent, code_name(_ABNORMAL_CLOSURE if sent is None else sent.code))


def count(counts: dict[str, int], name: str) -> None:
    """Count one more of that name."""
    counts[name] = counts.get(name, 0) + 1


def code_name(code: int) -> str:
    """Name a close code; of those that anybody may choose, the range alone."""
    return str(int(code)) if code < _FREE_CODES else f"{code // 1000}xxx"
