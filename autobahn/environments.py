"""Environments: where each form of the suite is installed, apart from ours, and what there is to run it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

BUILD: Final = Path(__file__).resolve().parent.parent / "build" / "autobahn"

KOSOKU: Final = "kosoku==0.1.0"
ORIGINAL: Final = "autobahntestsuite==0.8.2"
# The last that makes environments of Python 2.7.
VIRTUALENV: Final = "virtualenv<20.22"


class SuiteError(Exception):
    """The suite can't be installed, started or read; the message is for the person who wanted it."""


def install_kosoku() -> Path:
    """Return the Python that has kosoku, which runs the suite's case files on it. Raises SuiteError."""
    programs = BUILD / "kosoku" / "bin"
    if not (programs / "kosoku").exists():
        install(make_environment("kosoku"), KOSOKU)
    return programs / "python"


def install_original() -> Path:
    """Return the suite's own program, which needs a Python 2.7. Raises SuiteError."""
    program = BUILD / "original" / "bin" / "wstest"
    if program.exists():
        return program
    python = find_python2()
    if python is None:
        raise SuiteError("the original needs a Python 2.7; its path may be given as PYTHON2")
    tools = make_environment("virtualenv")
    install(tools, VIRTUALENV)
    run([tools / "virtualenv", "--quiet", "--python", python, BUILD / "original"])
    install(program.parent, ORIGINAL)
    return program


def find_python2() -> str | None:
    """Return a Python 2.7 that runs: from PYTHON2, the path, or pyenv's versions."""
    candidates = [os.environ.get("PYTHON2"), shutil.which("python2.7")]
    candidates += map(str, Path.home().glob(".pyenv/versions/2.7.*/bin/python2.7"))
    # pyenv's own python2.7 in the path fails where that version isn't chosen.
    return next((python for python in candidates if python and succeeds(python, "--version")), None)


def docker_answers() -> bool:
    """Whether there is a Docker engine, which its client alone is not, and Compose."""
    if shutil.which("docker") is None:
        return False
    return succeeds("docker", "version") and succeeds("docker", "compose", "version")


def make_environment(name: str) -> Path:
    """Make a virtual environment; return the folder of its programs."""
    run([sys.executable, "-m", "venv", BUILD / name])
    return BUILD / name / "bin"


def install(programs: Path, requirement: str) -> None:
    """Install what is required into the environment with these programs."""
    run([programs / "pip", "install", "--quiet", requirement])


def run(command: Sequence[str | Path]) -> None:
    """Run a step of an installation. Raises SuiteError with what it complained of."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SuiteError(f"{' '.join(map(str, command))} failed:\n{done.stderr.rstrip()}")


def succeeds(*command: str) -> bool:
    """Whether a command does."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
