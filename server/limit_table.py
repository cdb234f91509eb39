"""`python -m server limits`: every limit, its value, where it was set, and what happens when it bites."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Final, NamedTuple, final

from .configuration import load
from .dialects.application import MAX_CLOSE_REASON
from .dialects.arrivals import MAX_WAITING, MAX_WAITING_SIZE
from .dialects.rooms import MAX_REASON
from .dialects.rooms_schema import MAX_LISTED, MAX_TTL
from .flow import MAX_NOTES
from .idempotency import MAX_ID, MAX_IN_ALL, MAX_PER_SENDER
from .kinds import show_bytes
from .limits import BURST, descriptor_limit
from .linger import MAX_DISCARDED
from .memory import default_budget
from .names import MAX_NAME, MAX_WORDS
from .patterns import MAX_PATTERNS
from .plain import MAX_UNWANTED_BODY
from .presence import MAX_STATE, MAX_TOLD
from .settings import OPTIONS, Settings
from .turned_away import MAX_TURNED_AWAY

_RATE: Final = "error rate_limited, close 1008"
_SHARED_RATE: Final = f"{_RATE}; to who passed it, the others go on"
_FULL: Final = "HTTP 503; with Retry-After, before the request is read"
_SLOW: Final = "close 1013; unless --slow-readers says to drop"

# By option: what is seen when it bites, and behind a semicolon what else there is to say.
BITES: Final = {
    "max_head": "HTTP 431",
    "max_fields": "HTTP 431",
    "max_target": "HTTP 414",
    "handshake_timeout": "HTTP 408; who sent nothing is just closed",
    "max_message_size": "close 1009; from the length that a frame announces",
    "max_fragments": "close 1008",
    "max_connections": _FULL,
    "max_connections_per_address": _FULL,
    "message_rate": _RATE,
    "frame_rate": _RATE,
    "byte_rate": _RATE,
    "message_rate_per_address": _SHARED_RATE,
    "frame_rate_per_address": _SHARED_RATE,
    "byte_rate_per_address": _SHARED_RATE,
    "message_rate_per_user": _SHARED_RATE,
    "frame_rate_per_user": _SHARED_RATE,
    "byte_rate_per_user": _SHARED_RATE,
    "handshake_rate": "HTTP 503; with Retry-After",
    "handshake_rate_per_address": "HTTP 429; with Retry-After, before all else is looked at",
    "handshake_rate_per_user": "HTTP 429; with Retry-After",
    "memory_budget": "close 1013; from 14/16 on, the longest queues; handshakes get 503 from 12/16 on",
    "max_json_depth": "error too_complex",
    "max_json_keys": "error too_complex",
    "max_rooms_per_connection": "error too_many_rooms",
    "max_rooms": "error too_many_rooms; unless there is one without members, which then goes",
    "history_messages": "recovered false; the oldest message goes",
    "history_seconds": "recovered false; older messages go",
    "history_bytes": "recovered false; the oldest messages go",
    "history_total_bytes": "recovered false; the rooms that were silent for longest lose theirs",
    "ping_interval": "ping; to who was silent for that long",
    "pong_timeout": "close 1011; and the connection is cut off",
    "write_high_water": "paused; what is published then waits, and so does the client's next reply",
    "max_queue_bytes": _SLOW,
    "max_queue_seconds": _SLOW,
    "hook_timeout": "error timeout; and the hook is cancelled",
    "close_timeout": "cut off",
    "drain_timeout": "cut off; a fifth of what the delay leaves of it is for the application's last hooks",
}


@final
class Limit(NamedTuple):
    """A row of the table; `source` is `fixed` for what is no option."""

    name: str
    value: str
    source: str
    bites: str


# Constants of the code. Their names say what is limited.
FIXED: Final = (
    ("burst of every rate, in seconds", f"{BURST:g}", _RATE),
    ("connections that are being refused", str(MAX_TURNED_AWAY), "cut off; whoever was told first"),
    ("body of a plain request", show_bytes(MAX_UNWANTED_BODY), "HTTP 413"),
    ("sent behind the end, + a message", show_bytes(MAX_DISCARDED), "cut off"),
    ("pongs owed while paused", "1", "only the newest ping is answered"),
    ("name of a room or user, in bytes", str(MAX_NAME), "error invalid_name"),
    ("words of a pattern", str(MAX_WORDS), "error invalid_name"),
    ("patterns joined at a time", str(MAX_PATTERNS), "error too_many_rooms"),
    ("id of a message, in characters", str(MAX_ID), "error invalid_id"),
    ("ref, in characters", str(MAX_ID), "error invalid_message; it names the field"),
    ("ids remembered of one sender", str(MAX_PER_SENDER), "heard again; the oldest is forgotten"),
    ("ids remembered in all", str(MAX_IN_ALL), "heard again; the oldest is forgotten"),
    ("ttl, in seconds", str(MAX_TTL), "error invalid_message; it names the field"),
    ("state of a member, in bytes of JSON", str(MAX_STATE), "error too_large"),
    ("members or messages in one answer", str(MAX_LISTED), "error invalid_message; it names the field"),
    ("changes x hearers of one presence", str(MAX_TOLD), "truncated true; only the numbers are told"),
    ("rooms of which a slow reader missed", str(MAX_NOTES), "close 1013"),
    ("messages waiting for a handler", str(MAX_WAITING), "paused; reading stops"),
    ("bytes waiting for a handler", show_bytes(MAX_WAITING_SIZE), "paused; reading stops"),
    ("text of an error, in characters", str(MAX_REASON), "cut in the middle"),
    ("reason of a Close, in bytes", str(MAX_CLOSE_REASON), "cut at the end"),
)

_WIDTH: Final = 100
_HEADINGS: Final = Limit("limit", "value", "set by", "when it bites")


def table(settings: Settings) -> Iterator[Limit]:
    """Make all rows, the options first."""
    for name in OPTIONS:
        if name in BITES:
            yield Limit(name, _value(settings, name), _source(settings, name), BITES[name])
    for name, value, bites in FIXED:
        yield Limit(name, value, "fixed", bites)


def print_limits(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Print the table for these flags and this environment. Raises SettingsError."""
    rows = [_HEADINGS, *table(load(argv, environ))]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines: list[str] = []
    for row in rows:
        cells = "".join(cell.ljust(width + 2) for cell, width in zip(row, widths, strict=False))
        lines += textwrap.wrap(row.bites, _WIDTH, initial_indent=cells, subsequent_indent=" " * len(cells))
    print("\n".join(lines))


def _value(settings: Settings, name: str) -> str:
    """Show a value as it is given, and where another one holds instead, that."""
    if name == "history_total_bytes":
        return show_bytes(min(settings.history_total_bytes, default_budget()))
    if getattr(settings, name):
        return settings.show(name)
    if name == "max_connections":
        return str(descriptor_limit())
    if name == "memory_budget":
        return show_bytes(default_budget())
    return str(OPTIONS[name].metadata["zero"])


def _source(settings: Settings, name: str) -> str:
    """Name the kind of source: the flag's name, and the variable's, are the limit's own."""
    kind, _, where = settings.source(name).partition(" ")
    return f"{kind} {PurePath(where).name}" if kind == "file" else kind
