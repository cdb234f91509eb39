"""What every test relies on: the build it was meant for, a loop of its own if it is async, and real peers.

A test that wants a server has `service`, in its own process and loop, or `server`, which is
`python -m server`. Both end with a census: nothing that the test began may outlive it.
"""

import asyncio
import inspect
import logging
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, final

import pytest
from hypothesis import HealthCheck, settings

import rfc6455
from server import protocol
from server.application import Application
from server.dialects.stream import Handler
from server.protocol import WebSocketSession
from server.service import Service
from server.settings import ENVIRONMENT_PREFIX, OPTIONS, Settings
from tests.rawclient import RawClient

_MAX_SECONDS = 60
# Seconds that what must come to pass may take on a machine that is busy with other things.
_PATIENCE = 20

# Settings for tests of something else than rates.
NO_RATES: Final[dict[str, Any]] = {
    **{name: 0 for name in OPTIONS if "_rate" in name},
}
# With these and a client's small receive buffer the kernel hides but a few KiB of what isn't read.
NARROW: Final[dict[str, Any]] = {
    **NO_RATES,
    "socket_send_buffer": 4096,
    "write_high_water": 8192,
    "write_low_water": 1024,
}


# A machine that is busy with other things is no fault of what is tested.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def require(condition: object, reason: str) -> None:
    """Skip where something from outside is missing; fail where REQUIRE_REAL=1 says that nothing may be."""
    if condition:
        return
    if os.environ.get("REQUIRE_REAL") == "1":
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


def pytest_report_header() -> str:
    return f"rfc6455: {rfc6455.BUILD}, {rfc6455.__file__}"


def pytest_sessionstart() -> None:
    expected = os.environ.get("EXPECT_BUILD", rfc6455.BUILD)
    if expected != rfc6455.BUILD:
        raise pytest.UsageError(f"the build under test should be {expected!r}, and is {rfc6455.BUILD!r}")
    package, server = Path(rfc6455.__file__).parent, Path(protocol.__file__).parent
    if package != Path(__file__).parent.parent / "rfc6455":
        return
    # In a checkout an extension hides the source that was edited, and holds constants of other sources.
    suffix = EXTENSION_SUFFIXES[0]
    built = [*package.glob(f"*{suffix}"), *server.glob(f"*{suffix}")]
    hidden = [path.with_name(path.name.removesuffix(suffix) + ".py") for path in server.glob(f"*{suffix}")]
    newest = max(source.stat().st_mtime for source in [*package.glob("*.py"), *package.glob("*.c"), *hidden])
    if any(extension.stat().st_mtime < newest for extension in built):
        raise pytest.UsageError("extensions are older than their sources: install again, or remove them")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    loop_factory = _loop_factory(pyfuncitem.funcargs.get("loop_name", "asyncio"))
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(asyncio.wait_for(pyfuncitem.obj(**arguments), _MAX_SECONDS))
    return True


def _loop_factory(name: object) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


async def eventually(expected: object, observe: Callable[[], object]) -> None:
    """Let the loop run until what is observed is what was expected."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE
    while observe() != expected and loop.time() < deadline:  # noqa: ASYNC110 - it has no event.
        await asyncio.sleep(0.001)
    assert expected == observe()


@final
class Running:
    """A service on a port of its own, with what the test did to it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.context = service.context
        # What was logged as an error; the test takes out what it has provoked.
        self.errors: list[str] = []
        self._clients: list[RawClient] = []

    @property
    def address(self) -> tuple[str, int]:
        return self.service.addresses[0]

    def sessions(self) -> list[WebSocketSession]:
        return [one for one in self.context.connections if isinstance(one, WebSocketSession)]

    async def connect(self, *, receive_buffer: int = 0, source: str = "") -> RawClient:
        """Make a TCP connection."""
        client = await RawClient.connect(self.address, receive_buffer=receive_buffer, source=source)
        self._clients.append(client)
        return client

    async def open(self, path: str = "/echo", *fields: str, receive_buffer: int = 0) -> RawClient:
        """Make a WebSocket connection."""
        client = await self.connect(receive_buffer=receive_buffer)
        await client.open(path, *fields)
        return client

    def close_clients(self) -> None:
        for client in self._clients:
            client.close()


class Serve(Protocol):
    def __call__(
        self,
        handlers: Mapping[str, Handler] | None = None,
        application: Application | None = None,
        /,
        **settings: Any,
    ) -> AbstractAsyncContextManager[Running]:
        """Run a service with these settings."""


class Census(NamedTuple):
    """Everything that a connection could leave behind."""

    descriptors: int
    tasks: int
    timers: int
    connections: int = 0
    handshakes: int = 0
    closings: int = 0
    watched: int = 0
    expiring: int = 0
    admitted: int = 0
    registered: int = 0
    sessions: int = 0
    rooms: int = 0
    members: int = 0
    joined: int = 0
    patterns: int = 0
    held: int = 0
    waiting: int = 0
    paused: int = 0


def count_descriptors(process: int | str) -> int:
    """Count a process's open descriptors, but for the one that libuv keeps in reserve."""
    count = 0
    folder = f"/proc/{process}/fd"
    for descriptor in os.listdir(folder):
        # The one that lists the folder is gone already.
        with suppress(FileNotFoundError):
            count += os.readlink(f"{folder}/{descriptor}") != os.devnull
    return count


def take_census(context: Any = None) -> Census:
    loop = asyncio.get_running_loop()
    # Only asyncio's own loop shows its timers.
    timers = [timer for timer in getattr(loop, "_scheduled", ()) if not timer.cancelled()]
    process = count_descriptors("self"), len(asyncio.all_tasks()), len(timers)
    if context is None:
        return Census(*process)
    return Census(
        *process,
        connections=len(context.connections),
        handshakes=len(context.handshakes),
        closings=len(context.closings),
        watched=len(context.heartbeat),
        expiring=len(context.expiries),
        admitted=len(context.admission),
        registered=len(context.hub.registry),
        sessions=context.traffic.sessions,
        rooms=sum(1 for room in context.hub.rooms if room.members),
        # Both ways: who is in each room or hears by each pattern, and where each session is.
        members=sum(len(room.members) for room in context.hub.rooms),
        joined=sum(len(places) for places in context.hub.memberships._joined.values()),
        patterns=sum(len(pattern.members) for pattern in context.hub._patterns._by_name.values()),
        # Octets: of each connection its own, and publications that wait for anybody.
        held=sum(connection.octets_held() for connection in context.connections),
        waiting=sum(connection.octets_waiting() for connection in context.connections),
        paused=len(context.paused),
    )


class _ErrorLog(logging.Handler):
    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        self._errors.append(self.format(record))


@asynccontextmanager
async def _serve(
    handlers: Mapping[str, Handler] | None = None,
    application: Application | None = None,
    /,
    **settings: Any,
) -> AsyncIterator[Running]:
    before = take_census()
    options = Settings(**{"host": ("127.0.0.1",), "port": 0, **settings})
    running = Running(Service(options, handlers, application))
    error_log = _ErrorLog(running.errors)
    logging.getLogger().addHandler(error_log)
    await running.service.start()
    base = take_census(running.context)
    try:
        yield running
        running.close_clients()
        if not running.context.is_draining:
            await eventually(base, lambda: take_census(running.context))
    finally:
        running.close_clients()
        await running.service.stop()
        logging.getLogger().removeHandler(error_log)
    await eventually(Census(*before), lambda: take_census(running.context))
    assert [] == running.errors


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_name(request: pytest.FixtureRequest) -> str:
    """The event loop that an async test runs on."""
    return str(request.param)


@pytest.fixture
def service(loop_name: str) -> Serve:
    """`async with service(max_connections=2) as running:` runs a service on both kinds of loops."""
    return _serve


@final
class ServerProcess:
    """`python -m server`, from its start-up line on."""

    def __init__(self, flags: list[str], log: Path, python: list[str] | None = None) -> None:
        self._log = log
        self._clients: list[RawClient] = []
        # A warning, of a socket left open for instance, is to be seen.
        command = [sys.executable, *(python or ["-W", "error", "-m", "server"]), "--port", "0", *flags]
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=clean_environment()
            )
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], _PATIENCE)
        self.line = self.process.stdout.readline() if readable else ""
        found = re.search(r"https?://127\.0\.0\.1:(\d+)", self.line)
        if found is None:
            self.kill()
            raise AssertionError(f"no start-up line but {self.line!r}, and {self.errors()!r}")
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._base = self.descriptors()

    async def connect(self, host: str = "127.0.0.1") -> RawClient:
        """Make a TCP connection."""
        self._clients.append(await RawClient.connect((host, self.port)))
        return self._clients[-1]

    def descriptors(self) -> int:
        return count_descriptors(self.process.pid)

    def errors(self) -> str:
        return self._log.read_text()

    def wait(self) -> int:
        """Wait for the end; return the exit status."""
        status = self.process.wait(_PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def stop(self) -> None:
        """Take the census, and stop as an administrator would."""
        if self.process.returncode is not None:
            return
        for client in self._clients:
            client.close()
        deadline = time.monotonic() + _PATIENCE
        while self.descriptors() != self._base and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self._base == self.descriptors()
        self.process.send_signal(signal.SIGTERM)
        assert 0 == self.wait()
        assert "Traceback" not in self.errors()

    def kill(self) -> None:
        """Leave nothing behind, whatever went wrong."""
        for client in self._clients:
            client.close()
        if self.process.poll() is None:
            self.process.kill()
        with suppress(ValueError):
            self.wait()


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Start `python -m server` with these flags; what still runs at the end is stopped."""
    started: list[ServerProcess] = []

    def start(*flags: str, python: list[str] | None = None) -> ServerProcess:
        started.append(ServerProcess([*flags], tmp_path / f"server-{len(started)}.log", python))
        return started[-1]

    try:
        yield start
        for one in started:
            one.stop()
    finally:
        for one in started:
            one.kill()


@pytest.fixture
def server(request: pytest.FixtureRequest, start_server: Callable[..., ServerProcess]) -> ServerProcess:
    """`python -m server`; `parametrize("server", [("--flag", "value")], indirect=True)` adds flags."""
    return start_server(*getattr(request, "param", ()))
