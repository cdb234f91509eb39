"""What is made under build/bench before a run: programs in C, and our server without its accelerators."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

from bench.process import Unusable
from bench.servers import CHECKOUT, PEERS, Server, ours, raw

_FOLDER: Final = CHECKOUT / "build" / "bench"
_GENERATOR_SOURCES: Final = CHECKOUT / "bench" / "loadgen"
_RAW_SOURCE: Final = CHECKOUT / "bench" / "peers" / "raw.c"


def generator() -> Path:
    """Return the load generator's program."""
    headers = sorted(_GENERATOR_SOURCES.glob("*.h"))
    return _compile("loadgen", sorted(_GENERATOR_SOURCES.glob("*.c")), headers)


def servers() -> list[Server]:
    """Return every server that there is: ours in its builds and on its loops, the peers, plain TCP."""
    plain, masking = (_without(name, pattern) for name, pattern in _LEFT_OUT.items())
    return [
        ours(),
        ours("ours-masking", masking),
        ours("ours-plain", plain),
        ours("ours-asyncio", loop="asyncio"),
        ours("ours-plain-asyncio", plain, loop="asyncio"),
        *PEERS,
        raw("raw-uvloop", (sys.executable, "-m", "bench.peers.raw", "{port}"), members=False),
        raw("raw-c", (str(_compile("raw", [_RAW_SOURCE], [])), "{port}"), members=True),
    ]


# Which extension modules a build hasn't.
_LEFT_OUT: Final = {"plain": "", "masking": "_masking"}


def _without(name: str, kept: str) -> Path:
    """Copy the protocol without its extension modules but one; the server is the same."""
    folder = _FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    protocol = folder / "rfc6455"
    protocol.mkdir(parents=True)
    for path in (CHECKOUT / "rfc6455").iterdir():
        is_extension = path.name.endswith(tuple(EXTENSION_SUFFIXES))
        if path.is_file() and (not is_extension or path.name.partition(".")[0] == kept):
            shutil.copy2(path, protocol)
    (folder / "server").symlink_to(CHECKOUT / "server")
    return folder


def _compile(name: str, sources: Sequence[Path], headers: Sequence[Path]) -> Path:
    program = _FOLDER / name
    newest = max(path.stat().st_mtime for path in (*sources, *headers))
    if program.exists() and program.stat().st_mtime > newest:
        return program
    _FOLDER.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CC", "gcc")
    try:
        subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", program, *sources], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unusable(f"{name} can't be built: {error}") from error
    return program
