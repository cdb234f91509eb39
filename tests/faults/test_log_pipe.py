"""Nobody reads what the server says, or no disk has room for it: it serves on, and ends as it should."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import clean_environment, count_descriptors, eventually
from tests.rawclient import RawClient, said, text

# Seconds that a machine which is busy with other things may take.
PATIENCE: Final = 20
Full = Callable[[], AbstractContextManager[int]]
# Each refused request is a line: together they are more than a pipe holds.
REQUESTS: Final = 2000
AT_ONCE: Final = 50


@contextmanager
def full_pipe() -> Iterator[int]:
    """The end of a pipe that takes no octet more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(1 << 12))
    except BlockingIOError:
        os.set_blocking(writing, True)
    try:
        yield writing
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def full_disk() -> Iterator[int]:
    writing = os.open("/dev/full", os.O_WRONLY)
    try:
        yield writing
    finally:
        os.close(writing)


def port_of(process: subprocess.Popen[bytes]) -> int:
    """Find the port that a process listens on, of which it can't tell."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, f"it ended with status {process.returncode}"
        folder = Path(f"/proc/{process.pid}/fd")
        sockets = {os.readlink(one) for one in folder.iterdir() if one.is_symlink()}
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                return int(fields[1].rpartition(":")[2], 16)
        time.sleep(0.01)
    raise AssertionError("it doesn't listen")


@contextmanager
def server(stdout: int, stderr: int, form: str = "text") -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-W", "error", "-m", "server", "--port", "0", "--host", "127.0.0.1"]
    unbound = ["--handshake-rate-per-address", "0", "--log-format", form]
    with subprocess.Popen([*command, *unbound], stdout=stdout, stderr=stderr, env=clean_environment()) as one:
        try:
            yield one
        finally:
            one.kill()


async def _send_bad_request(port: int) -> None:
    client = await RawClient.connect(("127.0.0.1", port))
    await client.send(b"NO REQUEST AT ALL\r\n\r\n")
    assert 400 == (await client.answer()).status
    client.close()


async def _be_served(port: int, process: subprocess.Popen[bytes]) -> None:
    """Have much logged, while somebody else is served as if nothing were."""
    base = count_descriptors(process.pid)
    polite = await RawClient.connect(("127.0.0.1", port))
    await polite.open()
    for _ in range(REQUESTS // AT_ONCE):
        await asyncio.gather(*(_send_bad_request(port) for _ in range(AT_ONCE)))
        await polite.send(text("hello"))
        assert said("hello") == await polite.frame()
    polite.close()
    await eventually(base, lambda: count_descriptors(process.pid))


def _end(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(PATIENCE)


@pytest.mark.parametrize("full", [full_pipe, full_disk])
async def test_start_up_line_that_cannot_be_written_costs_nobody_anything(full: Full) -> None:
    with full() as writing, server(writing, subprocess.DEVNULL) as process:
        await _be_served(port_of(process), process)
        assert 0 == _end(process)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("full", [full_pipe, full_disk])
async def test_log_that_cannot_be_written_costs_nobody_anything(full: Full, form: str) -> None:
    with full() as writing, server(subprocess.PIPE, writing, form) as process:
        assert process.stdout is not None
        found = re.search(rb"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found is not None
        await _be_served(int(found[1]), process)
        assert 0 == _end(process)
