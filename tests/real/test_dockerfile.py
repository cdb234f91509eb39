"""The Dockerfile's steps without an engine: copying, installing, starting and asking for its health."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path
from shutil import copy2, copytree, ignore_patterns
from typing import Final

import pytest

from ..conftest import clean_environment

pytestmark = pytest.mark.real

ROOT: Final = Path(__file__).parents[2]
PLACE: Final = "/opt/server"
_PATIENCE: Final = 20
# An instruction and what stands behind it, to the end of its last line.
STEPS: Final = [
    (name, text.replace("\\\n", " "))
    for name, text in re.findall(
        r"^([A-Z]+) +((?:.*\\\n)*.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
]


def steps(instruction: str) -> list[str]:
    return [text for name, text in STEPS if name == instruction]


def copied() -> list[tuple[list[str], str]]:
    """Return what is copied from the checkout, and where to."""
    parts = [text.split() for text in steps("COPY") if not text.startswith("--from=")]
    return [(names, target) for *names, target in parts]


def build(folder: Path) -> dict[str, str]:
    """Take the steps of the first stage; return the environment of the second."""
    source, place = folder / "source", folder / "server"
    for names, target in copied():
        for name in names:
            if (ROOT / name).is_dir():
                copytree(ROOT / name, source / target, ignore=ignore_patterns("*.so", "__pycache__"))
            else:
                source.mkdir(exist_ok=True)
                copy2(ROOT / name, source / target)
    # The accelerators are other tests' affair.
    environment = {**clean_environment(), "RFC6455_PURE": "1"}
    for command in steps("RUN"):
        if PLACE in command:
            local = command.replace(PLACE, str(place)).replace("python -m", f"{sys.executable} -m", 1)
            subprocess.run(local, shell=True, cwd=source, env=environment, check=True, capture_output=True)
    (variables,) = steps("ENV")
    given = dict(pair.split("=", 1) for pair in variables.split())
    return {**environment, **given, "PATH": f"{place}/bin:{os.environ['PATH']}"}


def test_what_it_copies_is_all_that_the_engine_is_given() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    given = {rule[1:] for rule in rules if rule.startswith("!")}
    assert "*" in rules
    assert {name for names, _ in copied() for name in names} == given


def test_it_is_run_by_a_user_without_rights() -> None:
    # By number, so that an orchestrator can tell that it isn't root; the one that was made.
    (user,) = steps("USER")
    assert user.isdecimal()
    assert int(user) > 0
    assert [f"--uid {user} "] == re.findall(r"--uid \d+ ", " ".join(steps("RUN")))


def test_what_it_installs_starts_is_healthy_and_stops(tmp_path: Path) -> None:
    environment = build(tmp_path)
    (entrypoint,), (health,) = steps("ENTRYPOINT"), steps("HEALTHCHECK")
    ask = json.loads(health.partition("CMD")[2])
    empty = tmp_path / "empty"
    empty.mkdir()
    # Options stand behind the image's name.
    command = [*json.loads(entrypoint), "--port", "0", "--allowed-hosts", "chat.example.com"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=empty) as server:
        try:
            assert server.stdout is not None
            readable, _, _ = select.select([server.stdout], [], [], _PATIENCE)
            line = server.stdout.readline() if readable else ""
            found = re.match(r"listening on http://0\.0\.0\.0:(\d+) ", line)
            assert found is not None
            environment["RFC6455_SERVER_PORT"] = found[1]
            subprocess.run(ask, env=environment, cwd=empty, check=True)
        finally:
            server.send_signal(signal.SIGTERM)
        assert 0 == server.wait(_PATIENCE)
    gone = subprocess.run(ask, env=environment, cwd=empty, stderr=subprocess.DEVNULL)
    assert 1 == gone.returncode
