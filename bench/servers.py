"""Who is measured: the table of servers, and one server's process from its start to its end."""

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

CHECKOUT: Final = Path(__file__).resolve().parent.parent
START_SECONDS: Final = 20
STOP_SECONDS: Final = 5


class Unusable(Exception):
    """A server or the generator didn't do its part, so there is nothing to measure."""


@final
@dataclass(frozen=True, slots=True)
class Room:
    """How the generator becomes a member and publishes; `%P` is the payload's place."""

    path: str
    hello: str
    template: str = "%P"
    greetings: int = 0
    replies: int = 1


@final
@dataclass(frozen=True, slots=True)
class Server:
    name: str
    command: tuple[str, ...]
    room: Room | None
    echo_path: str | None = "/echo"
    library: str | None = None
    folder: Path = CHECKOUT

    @property
    def raw(self) -> bool:
        return self.echo_path is None

    @property
    def installed(self) -> bool:
        return self.library is None or importlib.util.find_spec(self.library) is not None


_OUR_ROOM: Final = Room(
    path="/ws",
    hello='{"action":"join","room":"bench"}',
    template='{"action":"message","room":"bench","message":"%P"}',
    greetings=1,
)
_PEER_ROOM: Final = Room(path="/room", hello="join")
_UNLIMITED: Final = ("--message-rate", "0", "--frame-rate", "0", "--byte-rate", "0", "--compression", "false")


def ours(name: str = "ours", folder: Path = CHECKOUT) -> Server:
    command = (sys.executable, "-m", "server", "--port", "{port}", *_UNLIMITED)
    return Server(name, command, _OUR_ROOM, folder=folder)


def peer(name: str, command: tuple[str, ...]) -> Server:
    """A server that speaks as those in `bench/peers` do."""
    return Server(name, command, _PEER_ROOM)


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"bench.peers.{name}", "{port}")


SERVERS: Final = (
    ours(),
    Server("picows", _module("picows"), _PEER_ROOM, library="picows"),
    Server("websockets", _module("websockets"), _PEER_ROOM, library="websockets"),
    Server("raw", _module("raw"), room=None, echo_path=None),
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(server: Server, core: int | None) -> Iterator[tuple[int, int]]:
    """Start the server on that core; give its port and process id once it accepts; end it afterwards."""
    port = _free_port()
    command = [word.replace("{port}", str(port)) for word in server.command]
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command, cwd=server.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        except OSError as error:
            raise Unusable(f"{server.name}: {error}") from error
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            deadline = time.monotonic() + START_SECONDS
            while not _accepts(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    said = output.read().decode(errors="replace").strip()
                    raise Unusable(f"{server.name} doesn't accept connections:\n{said[-2000:]}")
                time.sleep(0.01)
            yield port, process.pid
        finally:
            _stop(process)
