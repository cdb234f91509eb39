"""Verdicts: what the suite says of each case, and whether that is what we expect it to say."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

EXPECTED: Final = Path(__file__).parent / "expected.json"


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """How the peer behaved in a case and how it closed; the reason is for the reader alone."""

    behavior: str
    behavior_close: str
    reason: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.behavior}, close {self.behavior_close}" + (f": {self.reason}" if self.reason else "")


Verdicts = dict[str, Verdict]

FLAWLESS: Final = Verdict("OK", "OK")
MISSING: Final = Verdict("MISSING", "MISSING", "the suite reports nothing")
UNKNOWN: Final = Verdict("UNKNOWN", "UNKNOWN", f"not in {EXPECTED.name}")


def read_reports(folder: Path) -> Verdicts:
    """Return the verdicts on the one peer that the folder has reports of, none if it never answered."""
    peers = json.loads((folder / "index.json").read_text())
    cases: dict[str, dict[str, str]] = next(iter(peers.values()), {})
    return {
        case: Verdict(row["behavior"], row["behaviorClose"], read_reason(folder / row["reportfile"]))
        for case, row in cases.items()
    }


def read_reason(report: Path) -> str:
    """Return the suite's two sentences on a case."""
    case = json.loads(report.read_text())
    return f"{case['result']} {case['resultClose']}".rstrip()


def read_expected(half: str) -> Verdicts:
    """Return the verdicts that are expected of a half: the server or the client."""
    return {case: Verdict(*both) for case, both in json.loads(EXPECTED.read_text())[half].items()}


def write_expected(half: str, verdicts: Verdicts) -> None:
    """Expect these verdicts from now on; other cases, and the other half, stay as they are."""
    halves = {name: read_expected(name) for name in ("server", "client")}
    halves[half] |= verdicts
    # One case a line: so a change of verdicts can be read in a diff.
    tables = []
    for name, cases in halves.items():
        rows = (f'    "{case}": {json.dumps(both)}' for case, both in _pairs(cases))
        tables.append(f'  "{name}": {{\n' + ",\n".join(rows) + "\n  }")
    EXPECTED.write_text("{\n" + ",\n".join(tables) + "\n}\n")


def differences(expected: Verdicts, verdicts: Verdicts) -> Iterator[tuple[str, Verdict, Verdict]]:
    """Yield the cases whose verdict isn't the expected one, be it better or worse, with both verdicts."""
    for case in sorted(expected.keys() | verdicts.keys(), key=case_order):
        wanted, got = expected.get(case, UNKNOWN), verdicts.get(case, MISSING)
        if wanted != got:
            yield case, wanted, got


def case_order(case: str) -> tuple[int, ...]:
    """Order cases as the suite does: 9.8.6 stands before 10.1.1."""
    return tuple(map(int, case.split(".")))


def summary(verdicts: Verdicts) -> str:
    """Say how many cases got which verdict."""
    behavior = Counter(verdict.behavior for verdict in verdicts.values())
    close = Counter(verdict.behavior_close for verdict in verdicts.values())
    return f"{len(verdicts)} cases: {_join(behavior)}; close: {_join(close)}"


def _join(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counter.most_common())


def _pairs(verdicts: Verdicts) -> Iterator[tuple[str, tuple[str, str]]]:
    for case in sorted(verdicts, key=case_order):
        yield case, (verdicts[case].behavior, verdicts[case].behavior_close)
