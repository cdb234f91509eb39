"""Node, and its package `ws`, where a test finds them."""

import shutil
import subprocess
from functools import cache
from typing import Final

from ..conftest import require

_NODE: Final = shutil.which("node")


def node_with_ws() -> str:
    """Return the path of Node, of which the test is skipped unless it has `ws`."""
    require(_has_ws(), "needs Node with the package ws in NODE_PATH")
    assert _NODE is not None
    return _NODE


@cache
def _has_ws() -> bool:
    return (
        _NODE is not None
        and 0 == subprocess.run([_NODE, "-e", "require('ws')"], capture_output=True).returncode
    )
