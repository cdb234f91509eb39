"""docs/threat-model.md: each threat has its test, and each test that it names is there."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from tests.rules import FOLDER, named_tests

DOCUMENT: Final = (Path(__file__).parent.parent / "docs" / "threat-model.md").read_text(encoding="utf-8")
COLUMNS: Final = ["threat", "what the server does", "shown by", "what remains"]
NAME: Final = re.compile(r"`tests/([\w/]+)\.py::(test_\w+)`")


class Threat(NamedTuple):
    words: str
    answer: str
    tests: str
    remains: str


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def lines() -> list[list[str]]:
    return [cells(line) for line in DOCUMENT.splitlines() if line.startswith("|") and "|---" not in line]


def threats() -> list[Threat]:
    return [Threat(*row) for row in lines() if row != COLUMNS]


def test_every_surface_has_a_table_of_the_same_columns() -> None:
    *surfaces, not_here_yet = DOCUMENT.split("\n## ")[1:]
    assert "|" not in not_here_yet
    for surface in surfaces:
        assert 1 == surface.count("\nAt stake: ")
        assert 1 == surface.count(f"| {' | '.join(COLUMNS)} |")
    assert {len(COLUMNS)} == {len(row) for row in lines()}


def test_every_threat_is_answered_and_names_tests_and_nothing_else() -> None:
    for threat in threats():
        assert threat.words
        assert threat.answer
        assert "" == re.sub(r",\s*", "", NAME.sub("", threat.tests)), threat.words
        assert NAME.search(threat.tests), threat.words


def test_every_test_that_is_named_is_there() -> None:
    named = {f"{file}::{test}" for file, test in NAME.findall(DOCUMENT)}
    assert set() == named - named_tests(FOLDER)
