"""Build the two accelerators, each optional; what can't be built here runs as plain Python.

They stand on one another: the native functions in C, then the hot modules through mypyc, all of them or none.
With RFC6455_PURE=1, or without a C compiler, neither is tried, nothing but setuptools is needed, and the
wheel fits every Python.
"""

import os
import sys
from pathlib import Path
from shutil import which
from sysconfig import get_config_var
from textwrap import shorten

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

# What every message goes through, and every request. Nothing that awaits: what mypyc compiles throws into it
# in a way that is deprecated since Python 3.12, and so fails where warnings are errors.
COMPILED = [
    "rfc6455/frames.py",
    "rfc6455/messages.py",
    "rfc6455/connection.py",
    "rfc6455/headers.py",
    "rfc6455/head.py",
    "rfc6455/request.py",
    "rfc6455/handshake.py",
    "server/json_bounds.py",
    "server/histogram.py",
    "server/limits.py",
    "server/tick.py",
    "server/outbox.py",
    "server/traffic.py",
    "server/codecs.py",
    "server/delivery.py",
    "server/deadlines.py",
    "server/context.py",
    "server/heartbeat.py",
    "server/policy.py",
    "server/forwarded.py",
    "server/budget.py",
    "server/linger.py",
    "server/writing.py",
    "server/protocol.py",
    "server/wakeup.py",
    "server/fanout.py",
    "server/dialects/echo.py",
    "server/dialects/arrivals.py",
    "server/dialects/stream.py",
    "server/access.py",
    "server/ids.py",
    "server/upgrade.py",
    "server/http.py",
    "server/herd.py",
    "server/acceptor.py",
]

NATIVE_GROUP = [Extension("rfc6455._native", ["rfc6455/_native.c"], extra_compile_args=["-O3"])]

# mypyc puts the code into one library that the modules share; the dot in its name keeps it in the package.
LIBRARY = "rfc6455._compiled"
COMPILED_GROUP = [
    Extension(name, sources=[])
    for name in [f"{LIBRARY}__mypyc", *(path.removesuffix(".py").replace("/", ".") for path in COMPILED)]
]

# Not in pyproject.toml, which would ask for them where nothing is to be built. The types of msgspec stand in
# what is compiled.
COMPILER = [
    f"{requirement}; platform_python_implementation == 'CPython'"
    for requirement in ("mypy==2.4.1", "msgspec>=0.19")
]


def has_compiler() -> bool:
    """Tell whether there is a C compiler; on Windows setuptools alone knows where to look."""
    command = os.environ.get("CC") or get_config_var("CC")
    return command is None or which(command.split()[0]) is not None


def translate(group: list[Extension], folder: str) -> None:
    """Write the C sources of the compiled modules, and name them in the extensions."""
    from mypyc.build import mypycify

    # What other modules import needn't be there: they aren't compiled.
    options = ["--cache-dir", os.devnull, "--follow-imports", "silent", "--ignore-missing-imports"]
    made = mypycify([*options, *COMPILED], group_name=LIBRARY, target_dir=folder, debug_level="0")
    described = {extension.name: vars(extension) for extension in made}
    for extension in group:
        vars(extension).update(described[extension.name])


class FreshSources(build_py):
    """An editable install first removes what an earlier one built: it would hide the sources of today."""

    def run(self) -> None:
        if self.editable_mode:
            for package in ("rfc6455", "server"):
                for built in Path(package).rglob(f"*{get_config_var('EXT_SUFFIX')}"):
                    built.unlink()
        super().run()


class OptionalExtensions(build_ext):
    """Builds a group whole, or says why not and leaves it out."""

    def build_extensions(self) -> None:
        self.extensions = []
        for name, group in [("native functions", NATIVE_GROUP), ("compiled modules", COMPILED_GROUP)]:
            try:
                self.build_group(group)
            # mypycify ends in sys.exit where the types are wrong.
            except (Exception, SystemExit) as error:
                for extension in group:
                    Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
                reason = shorten(f"{type(error).__name__}: {error}", 80)
                print(f"rfc6455: built without the {name} ({reason})", file=sys.stderr)
                return
            self.extensions += group
            print(f"rfc6455: built the {name}", file=sys.stderr)

    def build_group(self, group: list[Extension]) -> None:
        if group is COMPILED_GROUP:
            translate(group, self.build_temp)
        for extension in group:
            self.build_extension(extension)


if os.environ.get("RFC6455_PURE") == "1" or not has_compiler():
    setup(cmdclass={"build_py": FreshSources})
else:
    setup(
        cmdclass={"build_py": FreshSources, "build_ext": OptionalExtensions},
        ext_modules=[*NATIVE_GROUP, *COMPILED_GROUP],
        setup_requires=COMPILER,
    )
