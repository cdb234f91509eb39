"""The conformance harness: runs the suite against both our halves, and judges by what is expected."""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from environments import BUILD, KOSOKU, SuiteError, docker_answers, find_python2
from suites import Suite, make_docker, make_kosoku, make_original
from verdicts import (
    FLAWLESS,
    Verdicts,
    case_order,
    differences,
    read_expected,
    read_reports,
    summary,
    write_expected,
)

SUITES: Final = {"docker": make_docker, "original": make_original, "kosoku": make_kosoku}
HALVES: Final = ("server", "client")

ALL: Final = ("*",)
# Whole chapters, and slices of the long ones: 9 (limits and speed), 12 and 13 (compression).
QUICK: Final = (
    *(f"{chapter}.*" for chapter in (1, 2, 3, 4, 5, 6, 7, 10)),
    *("9.1.1", "9.2.1", "9.3.5", "9.4.5", "9.5.3", "9.6.3", "9.7.1", "9.8.1"),
    *(f"12.{payload}.{size}" for payload in range(1, 6) for size in (1, 5, 11)),
    *(f"13.{offer}.{size}" for offer in range(1, 8) for size in (1, 5, 11)),
)

DESCRIPTION: Final = """\
Runs the Autobahn test suite against the server and the client of this project,
prints every case that isn't OK, and compares all verdicts with expected.json:
any difference, better or worse, ends in status 1. The suite's reports are in
build/autobahn/server/index.html and build/autobahn/client/index.html."""


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    options = parse_arguments()
    cases = options.cases or (ALL if options.all else QUICK)
    passed = failed = 0
    try:
        suite = SUITES[options.suite]()
        for half in options.half or HALVES:
            verdicts = run_suite(suite, half, cases, BUILD / half)
            if options.accept:
                write_expected(half, verdicts)
            differing = judge(suite, half, cases, verdicts)
            passed += len(verdicts) - differing
            failed += differing
    except (SuiteError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed else 0


def parse_arguments() -> argparse.Namespace:
    chosen = "docker" if docker_answers() else "kosoku"
    parser = argparse.ArgumentParser(
        prog="autobahn/run", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="all 517 cases instead of a quick set")
    which.add_argument("--cases", nargs="+", metavar="CASE", help="these cases, such as 7.1.6 or 9.*")
    parser.add_argument("--half", action="append", choices=HALVES, help="only this half")
    parser.add_argument(
        "--suite",
        choices=SUITES,
        default=chosen,
        help="docker: the original in its image; original: the original on a Python 2.7; kosoku: the same"
        " cases on Python 3, where the original judges what differs if there is a Python 2.7"
        f" (default here: {chosen})",
    )
    parser.add_argument("--accept", action="store_true", help="write the verdicts to expected.json")
    return parser.parse_args()


def run_suite(suite: Suite, half: str, cases: Sequence[str], reports: Path) -> Verdicts:
    """Test one half, the server or the client; print and return the verdicts. Raises SuiteError."""
    print(f"\n== {half}, {suite.name}", flush=True)
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    started = time.monotonic()
    test = suite.test_server if half == "server" else suite.test_client
    test(cases, reports)
    if not (reports / "index.json").exists():
        raise SuiteError(f"the suite wrote no report into {reports}")
    verdicts = read_reports(reports)
    for case in sorted(verdicts, key=case_order):
        if verdicts[case] != FLAWLESS:
            print(f"{case:8}{verdicts[case]}")
    print(f"{summary(verdicts)}; in {time.monotonic() - started:.0f} s", flush=True)
    return verdicts


def judge(suite: Suite, half: str, cases: Sequence[str], verdicts: Verdicts) -> int:
    """Print and count the verdicts that aren't the expected ones."""
    expected = {
        case: verdict
        for case, verdict in read_expected(half).items()
        if any(fnmatchcase(case, pattern) for pattern in cases)
    }
    differing = [case for case, _, _ in differences(expected, verdicts)]
    if differing and suite.name == KOSOKU and find_python2() is not None:
        verdicts |= run_suite(make_original(), half, differing, BUILD / f"{half}-judged")
    found = list(differences(expected, verdicts))
    for case, wanted, got in found:
        print(f"{case:8}expected {wanted}; got {got}")
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
