"""`python -m server`: runs the server until it is interrupted or terminated."""

import asyncio
import contextlib
import gc
import os
import select
import signal
import sys
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from typing import Any, Final

import rfc6455

from .command import main as connect
from .configuration import load
from .logs import start_logging
from .settings import SettingsError
from .systemd import READY, STOPPING, notify, reloading
from .tls import TlsError

# glibc returns the memory of every large message to the system and asks for it anew, until it has seen a
# block of this size come and go (+6 to +22 % messages of 64 KiB).
_LARGEST_BLOCK: Final = 1 << 24
# A full collection walks every object, and so every connection: it is to come rarely. Those of young objects
# are to be short, so they come often.
GC_THRESHOLDS: Final = (1_000, 10, 2_000)

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def main() -> int:
    """Run the server, or with `connect` the client, or print its `limits`; return the exit status."""
    if sys.argv[1:2] == ["connect"]:
        return connect(sys.argv[2:])
    if sys.argv[1:2] == ["limits"]:
        return _print_limits()
    try:
        settings = load(sys.argv[1:], os.environ)
        loop_factory, loop_name = choose_loop(settings.loop)
    except SettingsError as error:
        return _complain(error)
    try:
        from .application import ApplicationError, load_application
        from .listening import ListenError
        from .service import Service
    except ModuleNotFoundError as error:
        return _complain(f"{error.name} is missing; install the extra [server]")
    # Before an application can set up a log by logging.
    start_logging(settings.log_level, settings.log_format)
    try:
        application = load_application(settings.app) if settings.app else None
    except ApplicationError as error:
        return _complain(error)

    async def run() -> None:
        service = Service(settings, application=application)
        # Only where a terminal is closed does the signal mean that; anywhere else the default would end us.
        if service.files or not os.isatty(0):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload, service.reload)
        # Before it is said that we listen: whoever reads that may end us at once.
        signals = _listen_for_signals()
        first = asyncio.ensure_future(signals.get())
        if not await _is_done_before(first, service.start()):
            return
        notify(READY)
        _say(f"listening on {' and '.join(service.places)} ({rfc6455.BUILD} build, {loop_name})")
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        await first
        notify(STOPPING)
        stopping = asyncio.ensure_future(service.stop())
        # It is to have begun when that is said: nobody comes in behind it.
        await asyncio.sleep(0)
        _say("stopping: closing all connections, again to stop at once")
        again = asyncio.ensure_future(signals.get())
        await asyncio.wait([stopping, again], return_when=asyncio.FIRST_COMPLETED)
        service.stop_now()
        again.cancel()
        await stopping

    bytearray(_LARGEST_BLOCK)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(run())
    except (ListenError, SettingsError, TlsError) as error:
        return _complain(error)
    return 0


def _print_limits() -> int:
    try:
        from .limit_table import print_limits
    except ModuleNotFoundError as error:
        return _complain(f"{error.name} is missing; install the extra [server]")
    try:
        # Who reads no more than its beginning has seen enough.
        with contextlib.suppress(BrokenPipeError):
            print_limits(sys.argv[2:], os.environ)
    except SettingsError as error:
        return _complain(error)
    return 0


def choose_loop(loop: str) -> tuple[LoopFactory, str]:
    """Return how to make the event loop, and its name: uvloop where installed, unless told otherwise."""
    if loop != "asyncio":
        try:
            import uvloop
        except ModuleNotFoundError:
            if loop == "uvloop":
                raise SettingsError("loop: uvloop is not installed") from None
        else:
            return uvloop.new_event_loop, f"uvloop {version('uvloop')}"
    return asyncio.new_event_loop, "asyncio"


def _listen_for_signals() -> asyncio.Queue[int]:
    """Return a queue of every Ctrl-C and SIGTERM from now on."""
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signals.put_nowait, number)
    return signals


async def _is_done_before(end: asyncio.Future[int], start: Coroutine[Any, Any, None]) -> bool:
    """Start, which an application may take for ever for; give it up at a signal. Raises what that raises."""
    starting = asyncio.ensure_future(start)
    either: tuple[asyncio.Future[Any], ...] = starting, end
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait([starting])
        return False
    starting.result()
    return True


def _reload(reload: Callable[[], None]) -> None:
    """Read files anew, and tell systemd when that begins and ends."""
    notify(reloading())
    reload()
    notify(READY)


def _say(line: str) -> None:
    """Print a line, unless whoever should read it is gone or doesn't, or no disk has room for it."""
    if sys.stdout is None:
        return
    output = sys.stdout.fileno()
    # Not by print(), which would try once more at the end, and fail the whole run.
    with contextlib.suppress(OSError):
        _, writable, _ = select.select([], [output], [], 0)
        if writable:
            os.write(output, f"{line}\n".encode())


def _complain(problem: object) -> int:
    # In one write, for the log's thread may write too.
    print(f"error: {problem}\n", end="", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
