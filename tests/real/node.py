"""Node, and the packages of npm, where a test finds them."""

import shutil
import subprocess
from functools import cache
from typing import Final

from ..conftest import require

_NODE: Final = shutil.which("node")


def path_of_node() -> str:
    """Return the path of Node, of which the test is skipped unless it is there."""
    require(_NODE, "needs Node")
    assert _NODE is not None
    return _NODE


def node_with_ws() -> str:
    """Return the path of Node, of which the test is skipped unless it has `ws`."""
    node = path_of_node()
    require(resolve("ws"), "needs Node with the package ws in NODE_PATH")
    return node


@cache
def resolve(module: str) -> str:
    """Find the file of a module in NODE_PATH; empty if it isn't there."""
    command = [path_of_node(), "-p", "require.resolve(process.argv[1])", module]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip()
