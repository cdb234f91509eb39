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
from bench.servers import CHECKOUT, PEERS, Server, our_stream, ours, raw

_FOLDER: Final = CHECKOUT / "build" / "bench"
_GENERATOR_SOURCES: Final = CHECKOUT / "bench" / "loadgen"
_RAW_SOURCE: Final = CHECKOUT / "bench" / "peers" / "raw.c"
_COMPILER: Final = os.environ.get("CC", "gcc")


_FIND_HEADERS: Final = (_COMPILER, "-fsyntax-only", "-include", "openssl/ssl.h", "-x", "c", os.devnull)
_NEW_CERTIFICATE: Final = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    *("-nodes", "-subj", "/CN=localhost", "-days", "1"),
)


def generator(with_tls: bool) -> Path:
    """Return the load generator's program."""
    sources = sorted(_GENERATOR_SOURCES.glob("*.c"))
    headers = sorted(_GENERATOR_SOURCES.glob("*.h"))
    if with_tls:
        return _compile("loadgen-tls", sources, headers, "-DWITH_TLS", "-lssl", "-lcrypto")
    return _compile("loadgen", sources, headers)


def certificate() -> Path | None:
    """Return a new certificate with its key, for a day; None without OpenSSL's headers or its command."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    path = str(_FOLDER / "certificate.pem")
    try:
        for command in (_FIND_HEADERS, (*_NEW_CERTIFICATE, "-keyout", path, "-out", path)):
            subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return Path(path)


def servers() -> list[Server]:
    """Return every server that there is: ours in its builds and on its loops, the peers, plain TCP."""
    plain, native = (_copy_without(name, kept) for name, kept in _LESS.items())
    return [
        ours(),
        ours("ours-native", native),
        ours("ours-plain", plain),
        our_stream(),
        ours("ours-asyncio", loop="asyncio"),
        ours("ours-plain-asyncio", plain, loop="asyncio"),
        *PEERS,
        raw("raw-uvloop", (sys.executable, "-m", "bench.peers.raw", "{port}"), members=False),
        raw("raw-c", (str(_compile("raw", [_RAW_SOURCE], [])), "{port}"), members=True),
    ]


# Builds that lack extension modules, and the one that each of them has all the same.
_LESS: Final = {"plain": "", "native": "_native"}


def _copy_without(name: str, kept: str) -> Path:
    """Copy both packages without their extension modules but one."""
    folder = _FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)

    def is_left_out(_: str, files: list[str]) -> list[str]:
        built = [file for file in files if file.endswith(tuple(EXTENSION_SUFFIXES))]
        return [file for file in built if file.partition(".")[0] != kept] + ["__pycache__"]

    for package in ("rfc6455", "server"):
        shutil.copytree(CHECKOUT / package, folder / package, ignore=is_left_out)
    return folder


def _compile(name: str, sources: Sequence[Path], headers: Sequence[Path], *options: str) -> Path:
    program = _FOLDER / name
    newest = max(path.stat().st_mtime for path in (*sources, *headers))
    if program.exists() and program.stat().st_mtime > newest:
        return program
    _FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run([_COMPILER, "-O2", "-Wall", "-Wextra", "-o", program, *sources, *options], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unusable(f"{name} can't be built: {error}") from error
    return program
