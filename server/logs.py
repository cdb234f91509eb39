"""Logs: lines on standard error that never keep the event loop waiting, whoever reads them or doesn't.

Records become lines where they arise, and a thread writes them. What it can't write in time, since a pipe is
full or a disk, is dropped and counted; the log says how much, once it flows again.
"""

import json
import logging
import os
import select
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any, Final, final

from .printable import PrintableFormatter

# Characters that wait at the most; as many may be on their way.
MAX_WAITING: Final = 1 << 20
# Seconds that the end of the process waits for the last lines.
LAST_CALL: Final = 1.0

# What a record tells besides its message, where it does.
_FIELDS: Final = ("connection", "address", "user", "status", "path")


@final
class Losses:
    """How many records of this process were never written."""

    __slots__ = ("records",)

    def __init__(self) -> None:
        self.records = 0


LOSSES: Final = Losses()

# Which connection the coroutines of an application run for: the id of its session.
CONNECTION: Final[ContextVar[str | None]] = ContextVar("connection", default=None)


def start_logging(level: str, form: str) -> None:
    """Write the records of all loggers to standard error from here on, in text or as JSON."""
    handler: logging.Handler = logging.NullHandler()
    # Where the process began without one, the descriptor is somebody else's by now.
    if sys.stderr is not None:
        handler = LineHandler(sys.stderr.fileno())
        handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])


def rfc3339(time: float) -> str:
    """Write a time, in UTC."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@final
class TextFormatter(PrintableFormatter):
    """Writes lines for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Write when it was."""
        return rfc3339(record.created)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Write the line, with the connection that it is about."""
        line = super().formatMessage(record)
        connection = getattr(record, "connection", CONNECTION.get())
        return line if connection is None or connection in line else f"{line} (session {connection})"


@final
class JsonFormatter(logging.Formatter):
    """Writes an object a line, in ASCII, so that nothing in it is more than a character."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        fields: dict[str, Any] = {
            "time": rfc3339(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "connection": CONNECTION.get(),
            **{name: getattr(record, name) for name in _FIELDS if hasattr(record, name)},
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        known = {name: value for name, value in fields.items() if value is not None}
        return json.dumps(known)


@final
class LineHandler(logging.Handler):
    """Hands lines to a thread that writes them to a descriptor."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.descriptor = descriptor
        self._lines: list[str] = []
        # Characters of these.
        self.waiting = 0
        self._is_closed = False
        # Held for these. Not the handler's own lock: logging.shutdown() holds that one while it waits for the
        # thread. Again from within, too: the garbage collector may come upon something that logs.
        self._lines_lock = threading.RLock()
        # Says that there is something to do for the thread; usable from within as well, as an Event isn't.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="log", daemon=True)
        self.thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Let a record's line wait, if there is room for it."""
        try:
            line = self.format(record) + "\n"
        except Exception:
            # It must not end what it tells of; nor, as with handleError(), wait for who reads the log.
            line = self._tell("can't format the record of %s:%d", record.pathname, record.lineno)
        with self._lines_lock:
            if self.waiting + len(line) > MAX_WAITING:
                LOSSES.records += 1
                return
            is_first = not self._lines
            self._lines.append(line)
            self.waiting += len(line)
        if is_first:
            self._wake.put(None)

    def close(self) -> None:
        """Write what waits, for as long as there is time. Once more does nothing."""
        self._is_closed = True
        self._wake.put(None)
        self.thread.join(LAST_CALL)
        super().close()

    def _run(self) -> None:
        told = LOSSES.records
        while True:
            self._wake.get()
            is_closed = self._is_closed
            lines, lost = self._take()
            # All at once: between two writes the thread may have to wait for the interpreter.
            if lines and not self._write("".join(lines)):
                LOSSES.records += len(lines)
            elif lines and lost > told:
                self._write(self._tell("%d log records were lost before this", lost - told))
                told = lost
            if is_closed:
                return

    def _take(self) -> tuple[list[str], int]:
        """Take what waits, and how many were lost until now: those would have come behind it."""
        with self._lines_lock:
            lines, self._lines, self.waiting = self._lines, [], 0
            return lines, LOSSES.records

    def _tell(self, message: str, *arguments: object) -> str:
        """Make a line of the log's own; with the exception that is handled, if one is."""
        exception = sys.exc_info() if sys.exception() is not None else None
        record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, arguments, exception)
        return self.format(record) + "\n"

    def _write(self, text: str) -> bool:
        """Write it all; tell whether that could be done."""
        # What can't be said in UTF-8 is told all the same.
        unwritten = memoryview(text.encode(errors="backslashreplace"))
        while unwritten:
            try:
                unwritten = unwritten[os.write(self.descriptor, unwritten) :]
            except BlockingIOError:
                # Whoever gave us the pipe has made it so for its own sake.
                select.select([], [self.descriptor], [])
            except OSError:
                return False
        return True
