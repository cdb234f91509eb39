"""`client.js` in Node: on a clock and sockets that the test plays, and against the server."""

import os
import subprocess
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from ..conftest import ServerProcess
from .node import node_with_ws, path_of_node

pytestmark = pytest.mark.real

FOLDER: Final = Path(__file__).parent
PLAYED: Final = ("client_connection", "client", "client_recovery", "client_resend", "client_token")


# Seconds after which something is waited for in vain.
PATIENCE: Final = 60
SETTINGS: Final = {
    "--app": "docs.example_app",
    "--presence-interval": "0.05",
    "--history-messages": "5",
    "--slow-readers-by-room": "ticker=conflate:symbol",
}


def run(node: str, name: str, url: str = "") -> None:
    done = subprocess.run(
        [node, FOLDER / f"{name}_test.mjs"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env={**os.environ, "SERVER_URL": url},
    )
    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", PLAYED)
def test_client_js(name: str) -> None:
    run(path_of_node(), name)


@pytest.mark.parametrize("server", [[*chain(*SETTINGS.items())]], indirect=True)
def test_client_js_against_the_server(server: ServerProcess) -> None:
    run(node_with_ws(), "client_server", f"ws://127.0.0.1:{server.port}/ws")
