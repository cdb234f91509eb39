"""The compiled build does what this checkout's source does, to the octet."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Final

import pytest

import rfc6455

CHECKOUT: Final = Path(__file__).parent.parent


def compiled_package() -> Path:
    """The compiled build is the one under test, or the one that COMPILED_BUILD names."""
    if rfc6455.BUILD == "compiled":
        return Path(rfc6455.__file__).parent
    if "COMPILED_BUILD" in os.environ:
        return Path(os.environ["COMPILED_BUILD"])
    reason = f"only the {rfc6455.BUILD} build is here; COMPILED_BUILD could name another"
    # Whoever expects a build has made both.
    if "EXPECT_BUILD" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


def transcript(folder: Path) -> list[str]:
    """Return the lines of the build there."""
    paths = os.pathsep.join([str(folder), str(CHECKOUT)])
    # Nothing but the paths is to say which build it is: an editable install would lend its own modules (-S).
    done = subprocess.run(
        [sys.executable, "-P", "-S", "-m", "tests.transcript"],
        env=os.environ | {"PYTHONPATH": paths, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def parting(compiled: str, plain: str) -> tuple[str, ...]:
    """Find the first step in which two lines differ."""
    name, *steps = zip_longest(json.loads(compiled), json.loads(plain))
    return next((name[0], ours, theirs) for ours, theirs in steps if ours != theirs)


def test_compiled_build_does_what_the_source_says(tmp_path: Path) -> None:
    copytree(compiled_package(), tmp_path / "compiled" / "rfc6455", ignore=ignore_patterns("__pycache__"))
    built = ignore_patterns("__pycache__", "*.so", "*.pyd")
    copytree(CHECKOUT / "rfc6455", tmp_path / "pure" / "rfc6455", ignore=built)
    with ThreadPoolExecutor() as pool:
        compiled, plain = pool.map(transcript, [tmp_path / "compiled", tmp_path / "pure"])
    assert ("compiled", "pure") == (compiled.pop(0), plain.pop(0))
    assert len(compiled) == len(plain)
    differing = [pair for pair in zip(compiled, plain, strict=True) if pair[0] != pair[1]]
    assert [] == [parting(*pair) for pair in differing[:5]]
