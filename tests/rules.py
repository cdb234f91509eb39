"""`python -m tests.rules`: every rule and what proves it, held against the tests and rows there are."""

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.vectors import ANSWERS, FRAMES, REQUESTS
from tests.vectors_deflate import DEFLATED

FOLDER: Final = Path(__file__).parent
ROWS: Final = {
    f"{table}/{row}"
    for table, rows in {
        "request": [vector.id for vector in REQUESTS],
        "answer": [vector.id for vector in ANSWERS],
        "frame": [vector.id for vector in FRAMES],
        "deflate": [vector.id for vector in DEFLATED],
    }.items()
    for row in rows
}
# A row proves nothing unless these run it.
RUNNERS: Final = {
    "request": (
        "test_head::test_request",
        "test_handshake::test_request",
        "test_http::test_request_gets_its_answer",
    ),
    "answer": ("test_head::test_response", "test_handshake::test_answer"),
    "frame": ("test_messages::test_events_of_row", "test_connection::test_events_and_replies_of_row"),
    "deflate": ("test_deflate::test_row",),
}
_LEVELS: Final = ("must", "should", "may")


class Rule(NamedTuple):
    section: str
    duty: str
    proofs: Sequence[str]

    @property
    def level(self) -> str:
        words = re.findall(r"\w+", self.duty)
        return next((word for word in words if word in _LEVELS), "choice")


class Elsewhere(NamedTuple):
    """A duty that is not ours."""

    section: str
    duty: str
    whose: str


def load(text: str) -> tuple[list[Rule], list[Elsewhere]]:
    sections = tomllib.loads(text)
    others = sections.pop("elsewhere", {})
    return (
        [Rule(name, *rule) for name, rules in sections.items() for rule in rules.items()],
        [Elsewhere(name, *duty) for name, duties in others.items() for duty in duties.items()],
    )


def named_tests(folder: Path) -> set[str]:
    """The name of every test, as `file::name`; a file in a folder as `folder/file`."""
    return {
        f"{path.relative_to(folder).with_suffix('').as_posix()}::{node.name}"
        for path in folder.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def rows_of(proof: str, rows: set[str]) -> set[str]:
    """The rows that `table/id` names, in which * is any part of an id."""
    pattern = re.compile(".*".join(map(re.escape, proof.split("*"))))
    return {row for row in rows if pattern.fullmatch(row)}


def faults(
    rules: Sequence[Rule], tests: set[str], rows: set[str], runners: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """What is wrong with the table, one sentence each."""
    claimed: set[str] = set()
    for rule in rules:
        if not rule.proofs:
            yield f"nothing proves the rule of {rule.section}: {rule.duty}"
        for proof in rule.proofs:
            found = {proof} & tests if "::" in proof else rows_of(proof, rows)
            if not found:
                yield f"there is no {proof}, which should prove the rule of {rule.section}: {rule.duty}"
            claimed |= found
    for row in sorted(rows - claimed):
        yield f"no rule claims the row {row}"
    for table, names in runners.items():
        for name in sorted(set(names) - tests):
            yield f"there is no {name}, which should run the rows of {table}"


def lines(rules: Sequence[Rule], others: Sequence[Elsewhere]) -> Iterator[str]:
    """The table as text."""
    for rule in rules:
        yield f"{rule.section:<12} {rule.level:<7} {rule.duty}"
        yield from (f"{'':<21}{proof}" for proof in rule.proofs)
    yield "\nElsewhere:"
    for other in others:
        yield f"{other.section:<12} {'must':<7} {other.duty} ({other.whose})"
    levels = Counter(rule.level for rule in rules)
    counts = ", ".join(f"{levels[level]} {level}" for level in (*_LEVELS, "choice"))
    yield f"\n{len(rules)} rules ({counts}), {len(others)} elsewhere; {len(ROWS)} rows"


def main() -> int:
    rules, others = load((FOLDER / "rules.toml").read_text(encoding="utf-8"))
    for line in lines(rules, others):
        print(line)
    found = list(faults(rules, named_tests(FOLDER), ROWS, RUNNERS))
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
