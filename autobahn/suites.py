"""Suites: how the cases are run against our server and our client, in each form that the suite comes in.

The original is the judge: in its image where there is Docker, or on a Python 2.7. kosoku drives the same
case files from Python 3, in less than half the time.
"""

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, Protocol, final

from environments import KOSOKU, ORIGINAL, SuiteError, docker_answers, install_kosoku, install_original

HERE: Final = Path(__file__).resolve().parent

# Seconds for all cases, of which the original needs about 600 for each half, and then for the reports.
CASES_TIMEOUT: Final = 3600
REPORTS_TIMEOUT: Final = 300

# The original has to be told its port, and takes it seconds later.
BELOW_EPHEMERAL: Final = range(10_000, 30_000)

# A program's command line: for its mode, a URL, the cases, and the folder of the reports.
Command = Callable[[str, str, Sequence[str], Path], Sequence[str]]


class Suite(Protocol):
    """Runs cases, and leaves its reports in a folder: index.html for a person, index.json for us."""

    name: str

    def test_server(self, cases: Sequence[str], reports: Path) -> None:
        """Be the client of our server."""

    def test_client(self, cases: Sequence[str], reports: Path) -> None:
        """Be the server of our client."""


@final
class LocalSuite:
    """A program on this machine, against the server and the client that this Python has."""

    def __init__(self, name: str, command: Command) -> None:
        self.name = name
        self._command = command

    def test_server(self, cases: Sequence[str], reports: Path) -> None:
        with our_server() as url, (reports / "suite.log").open("wb") as log:
            command = self._command("fuzzingclient", url, cases, reports)
            # Its exit status only repeats what the reports say.
            subprocess.run(command, stdout=log, stderr=log, timeout=CASES_TIMEOUT, check=False)

    def test_client(self, cases: Sequence[str], reports: Path) -> None:
        url = f"ws://127.0.0.1:{free_port()}"
        command = self._command("fuzzingserver", url, cases, reports)
        client = [sys.executable, "-P", str(HERE / "client.py"), url]
        with (reports / "suite.log").open("wb") as log, running(command, log, log) as suite:
            if subprocess.run(client, timeout=CASES_TIMEOUT, check=False).returncode:
                raise SuiteError(f"our client failed; what the suite says is in {log.name}")
            suite.wait(REPORTS_TIMEOUT)


@final
class DockerSuite:
    """The suite's image against the image of this project; compose.yml has both."""

    name = "original in Docker"

    def test_server(self, cases: Sequence[str], reports: Path) -> None:
        write_spec("ws://server:8765/echo", cases, reports, "/reports/server")
        self._run("fuzzingclient")

    def test_client(self, cases: Sequence[str], reports: Path) -> None:
        write_spec("ws://fuzzingserver:9001", cases, reports, "/reports/client")
        self._run("client")

    def _run(self, service: str) -> None:
        compose = ["docker", "compose", "--file", str(HERE / "compose.yml")]
        # The reports are to belong to the person who asked for them.
        environment = {**os.environ, "SUITE_USER": f"{os.getuid()}:{os.getgid()}"}
        try:
            subprocess.run([*compose, "build"], env=environment, check=True)
            subprocess.run(
                [*compose, "run", "--rm", service], env=environment, timeout=CASES_TIMEOUT, check=True
            )
        finally:
            subprocess.run([*compose, "down"], env=environment, check=False)


def make_docker() -> Suite:
    """Return the original in its image. Raises SuiteError."""
    if not docker_answers():
        raise SuiteError("there is no Docker engine with Compose")
    return DockerSuite()


def make_original() -> Suite:
    """Return the original on a Python 2.7. Raises SuiteError."""
    program = str(install_original())

    def command(mode: str, url: str, cases: Sequence[str], reports: Path) -> Sequence[str]:
        spec = write_spec(url, cases, reports, str(reports))
        return [program, "--mode", mode, "--spec", str(spec), "--webport", "0"]

    return LocalSuite(ORIGINAL, command)


def make_kosoku() -> Suite:
    """Return kosoku on this Python. Raises SuiteError."""
    program = [str(install_kosoku()), "-P", str(HERE / "kosoku_mended.py")]

    def command(mode: str, url: str, cases: Sequence[str], reports: Path) -> Sequence[str]:
        includes = [f"--include={case}" for case in cases]
        return [*program, f"--mode={mode}", url, *includes, f"--outdir={reports}"]

    return LocalSuite(KOSOKU, command)


def write_spec(url: str, cases: Sequence[str], reports: Path, outdir: str) -> Path:
    """Write the original's configuration; a fuzzing client reads `servers`, a fuzzing server `url`."""
    path = reports / "spec.json"
    spec = {
        "url": url,
        "servers": [{"agent": "rfc6455", "url": url}],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
        "outdir": outdir,
    }
    path.write_text(json.dumps(spec, indent=2))
    return path


@contextmanager
def our_server() -> Iterator[str]:
    """Run `python -m server` on a free port until the block ends; yield the URL that echoes."""
    settings = ["--config", str(HERE / "server.toml"), "--host", "127.0.0.1", "--port", "0"]
    with running([sys.executable, "-P", "-m", "server", *settings], subprocess.PIPE) as server:
        assert server.stdout is not None
        listening = server.stdout.readline().decode()
        if not listening.startswith("listening on http://"):
            raise SuiteError("our server doesn't start; is it installed as the README says?")
        print(listening, end="", flush=True)
        yield f"ws://{listening.split()[2].removeprefix('http://')}/echo"


@contextmanager
def running(
    command: Sequence[str], output: int | IO[bytes], errors: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends, if it doesn't end before."""
    with subprocess.Popen(command, stdout=output, stderr=errors) as program:
        try:
            yield program
        finally:
            program.terminate()
            program.wait()


def free_port() -> int:
    """Return a port on which nobody listens, and which the system gives to nobody who asks for any."""
    while True:
        port = random.choice(BELOW_EPHEMERAL)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
