"""`python -m server connect URI`: a WebSocket client for people at a terminal and for scripts."""

import argparse
import asyncio
import base64
import io
import json
import os
import signal
import ssl
import sys
import unicodedata
from collections.abc import Coroutine, Sequence
from enum import IntEnum
from typing import Final, Protocol, final

from rfc6455 import CloseCode, DeflateOptions, StateError

from .client import (
    BadAnswer,
    ClientConnection,
    ConnectError,
    ConnectionClosed,
    Message,
    Options,
    Refused,
    connect,
    reconnecting,
)
from .settings import parse_bytes

_READ_SIZE: Final = 64 * 1024


class InputError(Exception):
    """A line of the input can't be sent; the message is for the person who gave it."""


class Exit(IntEnum):
    """What the exit status says."""

    CLOSED = 0
    USAGE = 2
    NOT_CONNECTED = 3
    REFUSED = 4
    ABNORMAL = 5
    INTERRUPTED = 130


_STATUSES: Final = (
    ((InputError, StateError), Exit.USAGE),
    ((Refused, BadAnswer), Exit.REFUSED),
    ((ConnectError,), Exit.NOT_CONNECTED),
)
# Codes that complain of nothing: 1000, 1001, and 1005 for a Close without a code.
_NORMAL_CODES: Final = frozenset({1000, 1001, 1005})

DESCRIPTION: Final = """\
Connect to a WebSocket: each line of standard input is sent as a message, each
message received is printed as a line. At the end of the input the connection is
closed, and what still comes until the server has closed too is printed.

Octets and characters that don't print stand as \\xNN, \\uNNNN or \\n; --json tells
exactly what came. What isn't a message is told on standard error."""

EPILOG: Final = """\
With --json each event is one object on a line of its own:
  {"event": "open", "uri": ..., "subprotocol": ..., "headers": [[name, value], ...]}
  {"event": "message", "text": ...}  or  {"event": "message", "base64": ...}
  {"event": "close", "code": ..., "reason": ...}
  {"event": "error", "error": ..., "message": ...}, with "status" if the server gave one
  {"event": "wait", "seconds": ...}  before the next attempt of --reconnect

Exit status:
  0    closed by either side with 1000, 1001 or no code, the end of the input included
  2    the command line, or a line of the input, can't be used
  3    no connection: name, network, TLS or time
  4    the server refused the handshake, or answered it wrongly
  5    closed otherwise: with another code, or without a Close (1006)
  130  interrupted by Ctrl-C; once more ends it at once

Examples:
  echo hello | python -m server connect ws://localhost:8765/echo
  python -m server connect --json --reconnect wss://example.com/feed"""


class Report(Protocol):
    """Where events are told."""

    def opened(self, uri: str, connection: ClientConnection) -> None:
        """Tell that the handshake succeeded."""

    def received(self, message: Message) -> None:
        """Tell a message."""

    def closed(self, connection: ClientConnection) -> None:
        """Tell how a connection ended."""

    def failed(self, error: Exception) -> None:
        """Tell what can't be done."""

    def waits(self, seconds: float) -> None:
        """Tell that another attempt follows."""


def printable(text: str) -> str:
    """Write what a terminal might obey, or wouldn't show, as an escape."""
    if text.isprintable():
        return text
    return "".join(
        character if _is_harmless(character) else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _is_harmless(character: str) -> bool:
    # Other scripts' spaces don't count as printable, nor do the joiners that they and emoji are written with.
    return character.isprintable() or unicodedata.category(character) == "Zs" or character in "\t\u200c\u200d"


@final
class PlainReport:
    """Messages on standard output, and the rest on standard error: all of it where a person types."""

    def __init__(self, *, is_interactive: bool) -> None:
        self._is_interactive = is_interactive

    def opened(self, uri: str, connection: ClientConnection) -> None:
        """Say so to a person."""
        if self._is_interactive:
            subprotocol = f", speaking {connection.subprotocol}" if connection.subprotocol else ""
            self._remark(f"connected to {uri}{subprotocol}")

    def received(self, message: Message) -> None:
        """Print it as one line."""
        if isinstance(message, bytes):
            message = message.decode("utf-8", "backslashreplace")
        print(printable(message), flush=True)

    def closed(self, connection: ClientConnection) -> None:
        """Say why, unless all went well and nobody is there to read it."""
        if self._is_interactive or connection.close_code not in _NORMAL_CODES:
            self._remark(f"closed: {connection.close_code} {connection.close_reason}".rstrip())

    def failed(self, error: Exception) -> None:
        """Say why."""
        self._remark(f"error: {error}")

    def waits(self, seconds: float) -> None:
        """Say for how long."""
        self._remark(f"trying again in {seconds:.1f} s")

    def _remark(self, text: str) -> None:
        print(printable(text), file=sys.stderr, flush=True)


@final
class JsonReport:
    """Every event as an object on standard output."""

    def opened(self, uri: str, connection: ClientConnection) -> None:
        """Tell what was agreed."""
        headers = list(connection.headers)
        self._event("open", uri=uri, subprotocol=connection.subprotocol, headers=headers)

    def received(self, message: Message) -> None:
        """Tell a text as it is, and octets in base64."""
        if isinstance(message, str):
            self._event("message", text=message)
        else:
            self._event("message", base64=base64.b64encode(message).decode("ascii"))

    def closed(self, connection: ClientConnection) -> None:
        """Tell code and reason."""
        self._event("close", code=connection.close_code, reason=connection.close_reason)

    def failed(self, error: Exception) -> None:
        """Tell which error it was."""
        status = {"status": error.status} if isinstance(error, Refused) else {}
        self._event("error", error=type(error).__name__, message=str(error), **status)

    def waits(self, seconds: float) -> None:
        """Tell for how long."""
        self._event("wait", seconds=round(seconds, 3))

    def _event(self, event: str, **fields: object) -> None:
        # JSON leaves DEL as it is, the one control character that is ASCII and needs no escape there.
        print(json.dumps({"event": event, **fields}).replace("\x7f", "\\u007f"), flush=True)


@final
class Lines:
    """The lines of a descriptor, of which nothing is read before it is asked for; None has none."""

    def __init__(self, descriptor: int | None, max_length: int) -> None:
        self.has_ended = descriptor is None
        self._descriptor = descriptor
        self._max_length = max_length
        self._received = bytearray()
        # How much of it is known to hold no line end.
        self._searched = 0
        self._returned: bytes | None = None

    async def next(self) -> bytes | None:
        """Return the next line without its LF, None at the end. Raises InputError for one too long."""
        if self._returned is not None:
            line, self._returned = self._returned, None
            return line
        while (end := self._received.find(b"\n", self._searched)) < 0 and not self.has_ended:
            self._searched = len(self._received)
            if self._searched > self._max_length:
                raise self._too_long()
            data = await self._read()
            self._received += data
            self.has_ended = not data
        self._searched = 0
        # The last line needs no line end, but then it needs octets.
        if end < 0 and not self._received:
            return None
        line = bytes(self._received[: end if end >= 0 else None])
        del self._received[: len(line) + 1]
        if len(line) > self._max_length:
            raise self._too_long()
        return line

    def give_back(self, line: bytes) -> None:
        """Return this line next."""
        self._returned = line

    def _too_long(self) -> InputError:
        return InputError(f"A line of the input is longer than {self._max_length} octets.")

    async def _read(self) -> bytes:
        assert self._descriptor is not None
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, readable.set)
        except PermissionError:
            # A file can't be waited for: it is always readable. Others have their turn first.
            await asyncio.sleep(0)
            return os.read(self._descriptor, _READ_SIZE)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._descriptor)
        return os.read(self._descriptor, _READ_SIZE)


@final
class Command:
    """One run: what its lines are sent to, and whose messages it reports. Without lines it only listens."""

    def __init__(
        self, uri: str, options: Options, lines: Lines | None, report: Report, *, binary: bool
    ) -> None:
        self._uri = uri
        self._options = options
        self._lines = lines
        self._report = report
        self._binary = binary
        self._is_done = False

    async def run_once(self) -> Exit:
        """Talk over one connection."""
        return await self._converse(await connect(self._uri, **self._options))

    async def run_again(self) -> Exit:
        """Talk over one connection after the other, until the input ends or the server says 1000."""

        async def wait(seconds: float) -> None:
            if connections.error is not None:
                self._report.failed(connections.error)
            self._report.waits(seconds)
            await asyncio.sleep(seconds)

        connections = reconnecting(self._uri, sleep=wait, **self._options)
        while True:
            connection = await anext(connections)
            status = await self._converse(connection)
            if self._is_done or connection.close_code == CloseCode.NORMAL_CLOSURE:
                return status

    async def _converse(self, connection: ClientConnection) -> Exit:
        async with connection:
            self._report.opened(self._uri, connection)
            sending = asyncio.create_task(self._send_lines(connection))
            try:
                async for message in connection:
                    self._report.received(message)
            finally:
                sending.cancel()
                await asyncio.wait([sending])
        self._report.closed(connection)
        if not sending.cancelled():
            sending.result()
        return Exit.CLOSED if connection.close_code in _NORMAL_CODES else Exit.ABNORMAL

    async def _send_lines(self, connection: ClientConnection) -> None:
        """Send what the input brings, and close at its end. Raises InputError."""
        lines = self._lines
        if lines is None:
            return
        try:
            while (line := await lines.next()) is not None:
                try:
                    await connection.send(line if self._binary else _decode(line))
                except ConnectionClosed:
                    # The next connection may bring it there.
                    lines.give_back(line)
                    return
        except InputError:
            connection.start_closing()
            raise
        self._is_done = True
        connection.start_closing()


def main(argv: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the terminal's encoding doesn't have is no reason to stop.
        sys.stdout.reconfigure(errors="backslashreplace")
    is_interactive = sys.stdin is not None and sys.stdin.isatty()
    report: Report = JsonReport() if arguments.json else PlainReport(is_interactive=is_interactive)
    lines = None
    if not arguments.listen:
        lines = Lines(None if sys.stdin is None else sys.stdin.fileno(), arguments.max_message_size)
    command = Command(arguments.uri, _options(arguments), lines, report, binary=arguments.binary)
    try:
        running = command.run_again() if arguments.reconnect else command.run_once()
        return asyncio.run(_until_interrupted(running))
    except (InputError, StateError, ConnectError) as error:
        report.failed(error)
        return next(status for kinds, status in _STATUSES if isinstance(error, kinds))
    except KeyboardInterrupt:
        # Before it was handled, or while it ended.
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Nobody reads what is printed, as behind `head`; nor will what is left in the buffer be read.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.CLOSED


async def _until_interrupted(coroutine: Coroutine[None, None, Exit]) -> Exit:
    """Cancel at Ctrl-C, which begins to close; and again at the next, which aborts."""
    running = asyncio.create_task(coroutine)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, running.cancel)
    await asyncio.wait([running])
    return Exit.INTERRUPTED if running.cancelled() else running.result()


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise InputError("A line of the input is not UTF-8; --binary sends it as it is.") from None


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        subprotocols=arguments.subprotocol,
        headers=arguments.header,
        origin=arguments.origin,
        deflate=None if arguments.no_compression else DeflateOptions(),
        max_message_size=arguments.max_message_size,
        ssl=_unverified() if arguments.insecure else arguments.cafile,
    )


def _parse_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"expected NAME:VALUE, got {text!r}")
    return name.strip(), value.strip()


def _parse_size(text: str) -> int:
    try:
        return parse_bytes(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a size such as 65536 or 1MiB, got {text!r}") from None


def _trusting(path: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"can't read certificates from {path!r}: {error.strerror}") from None


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m server connect",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("uri", metavar="URI", help="ws:// or wss://")
    add("--json", action="store_true", help="print one JSON object per event")
    add("--binary", action="store_true", help="send lines as binary messages, octet for octet")
    add("--listen", action="store_true", help="don't read the input, and so don't close at its end")
    add(
        "--reconnect", action="store_true", help="connect again, after a random delay, until closed with 1000"
    )
    add(
        "--header",
        metavar="NAME:VALUE",
        action="append",
        default=[],
        type=_parse_header,
        help="add a header field to the handshake; may be repeated",
    )
    add(
        "--subprotocol",
        metavar="NAME",
        action="append",
        default=[],
        help="offer a subprotocol; may be repeated, best first",
    )
    add("--origin", help="send this Origin, as a page of that origin would")
    add("--no-compression", action="store_true", help="don't offer permessage-deflate")
    add(
        "--max-message-size",
        metavar="BYTES",
        default=1 << 20,
        type=_parse_size,
        help="size of a message either way; may end in KiB, MiB or GiB [1MiB]",
    )
    trust = parser.add_mutually_exclusive_group()
    trust.add_argument(
        "--cafile", metavar="FILE", type=_trusting, help="trust the certificates in this PEM file, no others"
    )
    trust.add_argument(
        "--insecure", action="store_true", help="don't verify who the server of a wss:// URI is"
    )
    return parser
