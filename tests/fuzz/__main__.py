"""`python -m tests.fuzz TARGET --seconds N`, or `all` targets one after the other."""

import subprocess
import sys
from argparse import ArgumentParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from rfc6455 import BUILD
from tests.fuzz import TARGETS
from tests.fuzz.case import Target, decode, encode

_MAX_OCTETS = 2048
# Seconds for one input, and MiB of memory, beyond which something is wrong.
_TIMEOUT = 10
_MEMORY = 1024


def fuzz(name: str, seconds: int) -> int:
    """Fuzz one target, in a process of its own; return its exit status."""
    target: Target = import_module(f"tests.fuzz.{name}").TARGET
    folder = Path(mkdtemp(prefix=f"fuzz-{name}-"))
    with TemporaryDirectory() as corpus:
        for number, case in enumerate(target.seeds()):
            Path(corpus, str(number)).write_bytes(encode(case))
        flags = [
            f"-max_total_time={seconds}",
            f"-max_len={_MAX_OCTETS}",
            f"-timeout={_TIMEOUT}",
            f"-rss_limit_mb={_MEMORY}",
            f"-artifact_prefix={folder}/",
            "-print_final_stats=1",
        ]
        command = [sys.executable, "-m", "tests.fuzz.engine", name, str(folder), *flags, corpus]
        status = subprocess.run(command, check=False).returncode
    kept = list(folder.iterdir())
    if status == 0 and not kept:
        folder.rmdir()
    for path in kept:
        # What took too long or too much memory was not made smaller.
        if path.name.startswith(("timeout-", "oom-")):
            print(f"\n{path}\n\n    {target.row(decode(path.read_bytes()))},\n")
    return status


def main() -> int:
    parser = ArgumentParser(prog="python -m tests.fuzz", description="Fuzz rfc6455, guided by its coverage.")
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=int, default=20, help="for each target [20]")
    arguments = parser.parse_args()
    if find_spec("atheris") is None:
        print("There is no atheris here, so nothing is fuzzed: pip install -e '.[fuzz]'.")
        return 0
    if BUILD == "compiled":
        print("rfc6455 is compiled here, and guides nobody by its coverage: RFC6455_PURE=1 pip install .")
    names = TARGETS if arguments.target == "all" else [arguments.target]
    failed = [name for name in names if fuzz(name, arguments.seconds) != 0]
    print(f"failed: {', '.join(failed)}" if failed else f"nothing found in {', '.join(names)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
