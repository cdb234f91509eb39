"""Configuration: the settings from flags, environment variables and a TOML file, by the rows of one table."""

import argparse
import difflib
import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from .settings import ENVIRONMENT_PREFIX, KINDS, OPTIONS, Settings, SettingsError

DESCRIPTION: Final = f"""\
A WebSocket server with rooms, broadcast and presence.

An option is a flag, an environment variable and a key of the TOML file:
--max-rooms 10, {ENVIRONMENT_PREFIX}MAX_ROOMS=10 or max_rooms = 10. Flags override
the environment, which overrides the file; BYTES may end in KiB, MiB or GiB.
Defaults stand in brackets.

`python -m server connect ws://...` is a client for the command line;
`python -m server limits` prints what these options limit, and how."""
FLAGS: Final = {name: "--" + name.replace("_", "-") for name in OPTIONS}
VARIABLES: Final = {name: ENVIRONMENT_PREFIX + name.upper() for name in OPTIONS}

Given = Iterator[tuple[str, str, str]]  # name, text, where it stood


def load(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """The settings that flags, else the environment, else the file, else the defaults give.

    Raises SettingsError; for `--help` prints the options and raises SystemExit(0).
    """
    try:
        flags, unknown = flag_parser().parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise SettingsError(str(error)) from None
    if unknown:
        raise unknown_name("argument", unknown[0], ["--config", "--help", *FLAGS.values()])

    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    in_file = from_file(flags.config) if flags.config is not None else ()
    # The last to give a value wins.
    for name, text, source in chain(in_file, from_environment(environ), from_flags(flags)):
        kind = KINDS[name]
        try:
            values[name] = kind.parse(text)
        except ValueError:
            raise SettingsError(f"{name}: expected {kind.expected}, got {text!r} ({source})") from None
        sources[name] = source
    return Settings(**values, sources=sources)


def from_file(path: str) -> Given:
    source = f"file {path}"
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"can't read {source}: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"invalid TOML in {source}: {error}") from None
    for name, value in table.items():
        if name not in OPTIONS:
            raise unknown_name(f"key in {source}:", name, OPTIONS)
        kind = KINDS[name]
        items = value if isinstance(value, list) else [str(value)]
        if type(value) not in kind.toml or not all(isinstance(item, str) for item in items):
            raise SettingsError(f"{name}: expected {kind.expected}, got {value!r} ({source})")
        yield name, ",".join(items), source


def from_environment(environ: Mapping[str, str]) -> Given:
    for variable in environ:
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in VARIABLES.values():
            raise unknown_name("environment variable", variable, VARIABLES.values())
    for name, variable in VARIABLES.items():
        if variable in environ:
            yield name, environ[variable], f"environment {variable}"


def from_flags(flags: argparse.Namespace) -> Given:
    for name, flag in FLAGS.items():
        texts = getattr(flags, name)
        if texts is None:
            continue
        # A list given twice adds up; of anything else the last one holds.
        yield name, ",".join(texts) if list in KINDS[name].toml else texts[-1], f"flag {flag}"


def unknown_name(what: str, name: str, known: Iterable[str]) -> SettingsError:
    spelled = {one.lower(): one for one in known}
    nearest = difflib.get_close_matches(name.lower(), spelled, 1)
    hint = f"; did you mean {spelled[nearest[0]]}?" if nearest else ""
    return SettingsError(f"unknown {what} {name!r}{hint}")


def flag_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m server",
        usage="%(prog)s [--config FILE] [--OPTION VALUE ...]",
        description=DESCRIPTION,
        formatter_class=lambda prog: argparse.RawTextHelpFormatter(prog, max_help_position=6, width=80),
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--config", metavar="FILE", help="A TOML file with any of the options below.")
    group = parser.add_argument_group()
    for name, row in OPTIONS.items():
        kind, zero = KINDS[name], row.metadata["zero"]
        if row.metadata["group"]:
            group = parser.add_argument_group(row.metadata["group"])
        means = textwrap.fill(row.metadata["help"] + (f" 0: {zero}." if zero else ""), 72)
        means += f"\n[{kind.show(row.default)}] {VARIABLES[name]}"
        group.add_argument(FLAGS[name], action="append", metavar=kind.metavar, help=means)
    return parser
