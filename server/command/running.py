"""A run of the command: lines go out, messages come in, and the exit status says how it ended."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from enum import IntEnum
from typing import Final, final

from rfc6455 import CloseCode, StateError

from ..client import (
    BadAnswer,
    ClientConnection,
    ConnectError,
    ConnectionClosed,
    Options,
    Refused,
    connect,
    reconnecting,
)
from .arguments import make_options, make_parser
from .lines import InputError, Lines
from .reports import NORMAL_CODES, JsonReport, PlainReport, Report


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
        return Exit.CLOSED if connection.close_code in NORMAL_CODES else Exit.ABNORMAL

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
                except asyncio.CancelledError:
                    # The connection ended while the line's own end was still to be written.
                    lines.give_back(line)
                    raise
        except InputError:
            connection.start_closing()
            raise
        self._is_done = True
        connection.start_closing()


def main(argv: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the terminal's encoding doesn't have is no reason to stop.
        sys.stdout.reconfigure(errors="backslashreplace")
    is_interactive = sys.stdin is not None and sys.stdin.isatty()
    report: Report = JsonReport() if arguments.json else PlainReport(is_interactive=is_interactive)
    lines = None
    if not arguments.listen:
        lines = Lines(None if sys.stdin is None else sys.stdin.fileno(), arguments.max_message_size)
    command = Command(arguments.uri, make_options(arguments), lines, report, binary=arguments.binary)
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
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, running.cancel)
    await asyncio.wait([running])
    loop.remove_signal_handler(signal.SIGINT)
    # A name that is being looked up holds the end up, in a thread that can't be cancelled.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return Exit.INTERRUPTED if running.cancelled() else running.result()


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise InputError("A line of the input is not UTF-8; --binary sends it as it is.") from None
