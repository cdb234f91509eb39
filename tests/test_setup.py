"""What can't be built is left out: the install succeeds, and BUILD says what it holds."""

import ast
import os
import re
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from shutil import copy, copytree, ignore_patterns, which
from sysconfig import get_config_var, get_path
from typing import Final, NamedTuple

import pytest

CHECKOUT: Final = Path(__file__).parent.parent
COMPILER: Final = which((get_config_var("CC") or "cc").split()[0])

pytestmark = pytest.mark.skipif(
    find_spec("pip") is None or find_spec("setuptools") is None, reason="nothing can be installed here"
)
needs_compiler = pytest.mark.skipif(
    COMPILER is None or not Path(get_path("include"), "Python.h").exists(),
    reason="there is no C compiler here, or none of Python's headers",
)


class Install(NamedTuple):
    """What an install made: the build that it loads as, the wheel's tag, its extensions, what was said."""

    build: str
    tag: str
    extensions: list[str]
    output: str


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of what the source distribution holds, to be broken."""
    folder = tmp_path / "source"
    built = ignore_patterns("__pycache__", *(f"*{suffix}" for suffix in EXTENSION_SUFFIXES))
    for package in ("rfc6455", "server"):
        copytree(CHECKOUT / package, folder / package, ignore=built)
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        copy(CHECKOUT / name, folder)
    return folder


def run(folder: Path, *arguments: str, **environment: str) -> str:
    """Run Python there, with no setting of its caller's build; return all that it says."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("CC", "RFC6455_PURE")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=inherited | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    return done.stdout


def install(source: Path, **environment: str) -> Install:
    site = source.parent / "site"
    quietly = ("--disable-pip-version-check", "--no-deps", "--no-index", "--no-build-isolation")
    output = run(source, "-m", "pip", "install", "-v", *quietly, "--target", str(site), ".", **environment)
    [wheel] = site.glob("*.dist-info/WHEEL")
    [tag] = [line for line in wheel.read_text().splitlines() if line.startswith("Tag: ")]
    extensions = sorted(path.name.partition(".")[0] for path in site.rglob(f"*{EXTENSION_SUFFIXES[0]}"))
    # -S, since an editable install would lend its own modules.
    build = run(site, "-S", "-c", "import rfc6455; print(rfc6455.BUILD)").strip()
    return Install(build, tag.removeprefix("Tag: "), extensions, output)


def compiler(folder: Path, refused: str) -> str:
    """Make a C compiler that fails for sources of that name, and takes little time over the others."""
    path = folder / "compiler"
    path.write_text(f'#!/bin/sh\ncase "$*" in *{refused}.c*) exit 1; esac\nexec {COMPILER} "$@" -O0\n')
    path.chmod(0o755)
    return str(path)


def test_install_runs_plain_where_it_was_asked_to(source: Path) -> None:
    made = install(source, RFC6455_PURE="1")
    assert ("pure", "py3-none-any", []) == made[:3]


def test_install_runs_plain_without_a_compiler(source: Path) -> None:
    made = install(source, PATH="")
    assert ("pure", "py3-none-any", []) == made[:3]


def test_install_runs_plain_with_a_compiler_that_fails(source: Path) -> None:
    made = install(source, CC="/bin/false")
    assert ("pure", []) == (made.build, made.extensions)
    assert "rfc6455: built without the native functions (CompileError: " in made.output


@needs_compiler
def test_install_runs_plain_where_the_native_source_is_no_c(source: Path) -> None:
    with (source / "rfc6455" / "_native.c").open("a") as native:
        native.write("no C at all\n")
    made = install(source)
    assert ("pure", []) == (made.build, made.extensions)
    assert "rfc6455: built without the native functions (CompileError: " in made.output


@needs_compiler
def test_install_has_native_functions_without_mypyc(source: Path) -> None:
    package = source.parent / "hidden" / "mypyc"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('hidden')")
    made = install(source, PYTHONPATH=str(package.parent))
    assert ("native functions", ["_native"]) == (made.build, made.extensions)
    assert "rfc6455: built without the compiled modules (ImportError: hidden)" in made.output


@needs_compiler
def test_install_has_native_functions_where_mypyc_finds_a_wrong_type(source: Path) -> None:
    with (source / "rfc6455" / "frames.py").open("a") as frames:
        frames.write('\n_WRONG: int = "not an int"\n')
    made = install(source)
    assert ("native functions", ["_native"]) == (made.build, made.extensions)
    assert "rfc6455: built without the compiled modules (SystemExit: " in made.output


@needs_compiler
def test_install_has_all_compiled_modules_or_none(source: Path) -> None:
    # When the last of them fails all others are built.
    *_, last = re.findall(r'^    "(\S+)\.py",$', (source / "setup.py").read_text(), re.MULTILINE)
    made = install(source, CC=compiler(source.parent, last))
    assert ("native functions", ["_native"]) == (made.build, made.extensions)
    assert "rfc6455: built without the compiled modules (CompileError: " in made.output


def test_no_compiled_module_awaits() -> None:
    modules = re.findall(r'^    "(\S+\.py)",$', (CHECKOUT / "setup.py").read_text(), re.MULTILINE)
    trees = {module: ast.parse((CHECKOUT / module).read_text()) for module in modules}
    assert "server/protocol.py" in trees
    awaiting = (ast.AsyncFor, ast.AsyncWith, ast.Await, ast.YieldFrom)
    assert [] == [
        name for name, tree in trees.items() for node in ast.walk(tree) if isinstance(node, awaiting)
    ]


def test_editable_install_removes_what_an_earlier_one_built(source: Path) -> None:
    earlier = source / "rfc6455" / f"frames{EXTENSION_SUFFIXES[0]}"
    earlier.touch()
    build = "from setuptools import build_meta; build_meta.build_editable('..')"
    run(source, "-c", build, RFC6455_PURE="1")
    assert not earlier.exists()


@pytest.mark.parametrize(
    ("environment", "required"),
    [({}, ["mypy", "msgspec"]), ({"RFC6455_PURE": "1"}, []), ({"PATH": ""}, [])],
    ids=["a compiler", "asked to run plain", "no compiler"],
)
@needs_compiler
def test_install_asks_for_mypy_only_where_something_is_to_be_built(
    source: Path, environment: dict[str, str], required: list[str]
) -> None:
    ask = "from setuptools import build_meta; print('\\n', *build_meta.get_requires_for_build_wheel())"
    asked = run(source, "-c", ask, **environment).splitlines()[-1]
    assert required == [name for name in ("mypy", "msgspec") if name in asked]
