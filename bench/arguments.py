"""What `python -m bench` is told."""

import shlex
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawTextHelpFormatter
from collections.abc import Sequence
from pathlib import Path

from bench.servers import Server, ours, peer


def parse(names: Sequence[str]) -> Namespace:
    """Read the command line; `names` are the rows that can be asked for."""
    parser = ArgumentParser(
        "python -m bench",
        description="Measures the server beside its peers.",
        epilog="rows:\n  " + "\n  ".join(names),
        formatter_class=RawTextHelpFormatter,
    )
    add = parser.add_argument
    add(
        "rows",
        nargs="*",
        metavar="ROW",
        help="a row, or what stands before its first hyphen for all of that kind",
    )
    add("--servers", help="the first is compared with the others; default all that are installed")
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=2.0, help="measured in each run, after the warm-up")
    add("--smoke", action="store_true", help="one short round: does everything work?")
    add("--json", type=Path, metavar="FILE", help="write every sample there")
    add("--plots", type=Path, metavar="FOLDER", help="draw what was measured there, as SVG")
    add("--peer", type=_peer, action="append", default=[], metavar="NAME=COMMAND",
        help="one more server that speaks as those in bench/peers do; {port} is replaced")  # fmt: skip
    add("--against", type=_checkout, action="append", default=[], metavar="NAME=FOLDER",
        help="our server from another checkout: an earlier commit, another build")  # fmt: skip
    options = parser.parse_args()
    kinds = {name.partition("-")[0] for name in names}
    if unknown := set(options.rows) - set(names) - kinds:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return options


def is_chosen(name: str, on_demand: bool, rows: Sequence[str]) -> bool:
    """True if it was asked for by its name or its kind, or if nothing was."""
    return name in rows or (not on_demand and (not rows or name.partition("-")[0] in rows))


def _named(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator and value):
        raise ArgumentTypeError(f"expected NAME=..., got {text!r}")
    return name, value


def _peer(text: str) -> Server:
    name, command = _named(text)
    return peer(name, tuple(shlex.split(command)))


def _checkout(text: str) -> Server:
    name, folder = _named(text)
    return ours(name, Path(folder).resolve())
