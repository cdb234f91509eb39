"""`client.js` in Node, on a clock and a socket that the test plays."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ..conftest import require

pytestmark = pytest.mark.real


def test_client_js() -> None:
    node = shutil.which("node")
    require(node, "needs Node")
    assert node is not None
    tests = Path(__file__).with_name("client_test.mjs")
    run = subprocess.run([node, "--test", tests], capture_output=True, text=True, check=False)
    assert 0 == run.returncode, run.stdout + run.stderr
