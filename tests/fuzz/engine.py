"""Runs one target in atheris, until libFuzzer has had enough or a check fails.

`python -m tests.fuzz.engine TARGET FOLDER FLAGS` is how `python -m tests.fuzz` calls it.
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from tests.fuzz.case import Target

_MAX_TRIES: Final = 5000


class Fuzzer(Protocol):
    """What is used of atheris, which has no types and may not be there."""

    def instrument_imports(self, include: list[str]) -> AbstractContextManager[None]: ...
    def Setup(self, argv: list[str], callback: Callable[[bytes], None]) -> object: ...
    def Fuzz(self) -> None: ...


def fault(action: Callable[[], object]) -> tuple[type[Exception], str, int] | None:
    """Do it; say which exception it ended in, and where."""
    try:
        action()
    except Exception as error:
        trace = error.__traceback__
        assert trace is not None
        while trace.tb_next is not None:
            trace = trace.tb_next
        return type(error), trace.tb_frame.f_code.co_filename, trace.tb_lineno
    return None


def shrink(octets: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """Leave out whatever can be left out with the check still failing."""
    tries = 0
    size = len(octets) // 2
    while size:
        at = 0
        while at < len(octets) and tries < _MAX_TRIES:
            tries += 1
            shorter = octets[:at] + octets[at + size :]
            if fails(shorter):
                octets = shorter
            else:
                at += size
        size //= 2
    return octets


def report(target: "Target", octets: bytes, folder: Path) -> None:
    """Print the smallest octets that fail in the same way, as a row, and keep them."""
    from tests.fuzz.case import decode

    first = fault(lambda: target.check(decode(octets)))
    smallest = shrink(octets, lambda shorter: fault(lambda: target.check(decode(shorter))) == first)
    path = folder / "smallest"
    path.write_bytes(smallest)
    case = decode(smallest)
    print(
        f"\n{first}\nchoice {case.choice:#x}, pieces of {list(map(len, case.pieces))} octets, kept as {path}"
    )
    print(f"\n    {target.row(case)},\n", flush=True)


def run(name: str, folder: Path, flags: list[str]) -> None:
    """Fuzz; the process ends with it."""
    fuzzer = cast(Fuzzer, import_module("atheris"))  # An optional module is a Fuzzer by its functions' names.
    with fuzzer.instrument_imports(include=["rfc6455"]):
        target: Target = import_module(f"tests.fuzz.{name}").TARGET
    from tests.fuzz.case import decode

    def check(octets: bytes) -> None:
        try:
            target.check(decode(octets))
        except Exception:
            report(target, octets, folder)
            raise

    fuzzer.Setup([sys.argv[0], *flags], check)
    fuzzer.Fuzz()


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
