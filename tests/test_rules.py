"""Every rule has a test, every test that is named exists, and every row of the vectors proves a rule."""

import pytest

from tests.rules import FOLDER, ROWS, RUNNERS, Rule, faults, load, main, named_tests


def test_table_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    assert (0, "") == (main(), capsys.readouterr().err)


def test_table_keeps_the_order_of_the_sections() -> None:
    rules, _ = load((FOLDER / "rules.toml").read_text(encoding="utf-8"))
    sections = list(dict.fromkeys(rule.section for rule in rules))
    numbers: dict[str, list[list[int]]] = {
        rfc: [] for rfc in dict.fromkeys(section.split()[0] for section in sections)
    }
    for section in sections:
        rfc, number = section.split()
        numbers[rfc].append([int(part) for part in number.split(".")])
    assert {rfc: sorted(found) for rfc, found in numbers.items()} == numbers


@pytest.mark.parametrize(
    ("proofs", "expected"),
    [
        (["frame/a*", "frame/b"], []),
        (["test_a::test_b", "frame/*"], []),
        ([], ["nothing proves", "no rule claims the row frame/ab", "no rule claims the row frame/b"]),
        (["frame/*", "frame/c"], ["there is no frame/c"]),
        (["frame/*", "request/*"], ["there is no request/*"]),
        (["frame/*", "test_a::test_c"], ["there is no test_a::test_c"]),
        (["frame/*b"], []),
        (["frame/b"], ["no rule claims the row frame/ab"]),
    ],
)
def test_what_is_missing_is_told(proofs: list[str], expected: list[str]) -> None:
    rules = [Rule("1", "A must.", proofs)]
    found = list(faults(rules, {"test_a::test_b"}, {"frame/ab", "frame/b"}, {"frame": ["test_a::test_b"]}))
    assert len(expected) == len(found)
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True))


def test_rows_that_no_test_runs_prove_nothing() -> None:
    found = list(faults([], set(), set(), {"frame": ["test_a::test_b"]}))
    assert ["there is no test_a::test_b, which should run the rows of frame"] == found


def test_every_table_has_its_runners() -> None:
    assert {row.partition("/")[0] for row in ROWS} == set(RUNNERS)


def test_tests_are_found_in_every_folder() -> None:
    found = named_tests(FOLDER)
    assert "test_rules::test_tests_are_found_in_every_folder" in found
    assert any(name.startswith("fuzz/test_fuzz::") for name in found)


def test_level_of_a_rule_is_the_word_in_it() -> None:
    duties = {
        "A must or may.": "must",
        "It should.": "should",
        "It may.": "may",
        "Mayor of a mustang.": "choice",
    }
    assert list(duties.values()) == [Rule("1", duty, []).level for duty in duties]
