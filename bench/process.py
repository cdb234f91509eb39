"""One server's process, from its start to its end."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, final

from bench.servers import Server

START_SECONDS: Final = 20
STOP_SECONDS: Final = 5


class Unusable(Exception):
    """A server or the generator didn't do its part, so there is nothing to measure."""


@final
@dataclass(frozen=True, slots=True)
class Process:
    port: int
    pid: int
    _output: IO[bytes]

    def said(self) -> str:
        """Return all that it has printed so far."""
        # Not by seek and read: the process writes at the same offset.
        descriptor = self._output.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")


@contextmanager
def running(
    server: Server, core: int | None, deflate: bool = False, certificate: Path | None = None
) -> Iterator[Process]:
    """Start the server on that core; hand it over once it accepts; end it afterwards.

    With a certificate it speaks TLS.
    """
    port = _free_port()
    places = {"{port}": str(port), "{deflate}": "on" if deflate else "off", "{certificate}": str(certificate)}
    words = server.command + (server.tls if certificate else ())
    command = [places.get(word, word) for word in words]
    with tempfile.TemporaryFile() as output:
        child = _start(server, command, core, output)
        process = Process(port, child.pid, output)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _accepts(port):
                if child.poll() is not None or time.monotonic() > deadline:
                    raise Unusable(f"{server.name} doesn't accept connections:\n{process.said()[-2000:]}")
                time.sleep(0.01)
            yield process
        finally:
            _stop(child)


def _start(
    server: Server, command: list[str], core: int | None, output: IO[bytes]
) -> subprocess.Popen[bytes]:
    # A child inherits the cores, and so do the threads that it starts at once.
    before = os.sched_getaffinity(0)
    try:
        if core is not None:
            os.sched_setaffinity(0, {core})
        return subprocess.Popen(
            command, cwd=server.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise Unusable(f"{server.name}: {error}") from error
    finally:
        os.sched_setaffinity(0, before)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
