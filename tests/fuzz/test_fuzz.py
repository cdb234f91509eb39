"""The targets of the fuzzer hold for all they start from, and what it needs besides atheris works."""

from importlib import import_module
from pathlib import Path

import pytest

from tests.fuzz import TARGETS
from tests.fuzz.case import Case, Target, decode, encode
from tests.fuzz.engine import fault, report, shrink


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_is_as_it_should_be(name: str) -> None:
    target = import_module(f"tests.fuzz.{name}").TARGET
    for case in target.seeds():
        assert case == decode(encode(case))
        target.check(case)
        assert case.data.hex() in target.row(case)


def test_every_target_is_named() -> None:
    folder = Path(__file__).parent
    modules = {path.stem for path in folder.glob("*.py") if "\nTARGET: Final" in path.read_text()}
    assert set(TARGETS) == modules


@pytest.mark.parametrize("octets", [b"", b"\1", b"\1\2\3", b"\1\2\0\1\0\0abc", b"\1\xffabc", b"\1\7abc"])
def test_any_octets_are_a_case(octets: bytes) -> None:
    case = decode(octets)
    assert octets.endswith(case.data)
    assert case == decode(encode(case))


def test_what_fails_is_shrunk_and_reported_as_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(case: Case) -> None:
        assert b"a" not in case.data or b"b" not in case.data

    target = Target(check, list, lambda case: f"Row({case.data!r})")
    octets = encode(Case(3, [b"12345a678", b"9b0"]))
    assert b"ab" == shrink(b"12a34b56", lambda octets: fault(lambda: check(Case(0, [octets]))) is not None)
    report(target, octets, tmp_path)
    assert b"ab" == decode((tmp_path / "smallest").read_bytes()).data
    assert "Row(b'ab')" in capsys.readouterr().out
