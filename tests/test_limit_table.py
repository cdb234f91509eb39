"""`python -m server limits` against the server: each row, provoked, does what it says, and nothing before."""

import subprocess
import sys
from pathlib import Path

import pytest

from server.limit_table import BITES, table
from server.limits import RESERVED_DESCRIPTORS, descriptor_limit
from server.memory import default_budget
from server.settings import KINDS, OPTIONS, Settings

from . import rate_provocations, slow_provocations  # noqa: F401 - they register their own
from .conftest import clean_environment
from .provocations import PROVOCATIONS, Clock

ROWS = {row.name: row for row in table(Settings())}
# Numbers that bound nothing: where and when to do what.
NO_LIMITS = {
    "compression_threshold",
    "drain_delay",
    "jwt_leeway",
    "port",
    "presence_interval",
    "socket_send_buffer",
    "write_low_water",
}


def run(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server", "limits", *argv]
    return subprocess.run(command, capture_output=True, text=True, env={**clean_environment(), **environ})


@pytest.mark.parametrize("excess", [-1, 0, 1])
@pytest.mark.parametrize("name", ROWS)
async def test_limit_does_what_its_row_says_and_nothing_before(name: str, excess: int) -> None:
    assert name in PROVOCATIONS, "a limit that nothing provokes"
    provocation = PROVOCATIONS[name]
    expected = ROWS[name].bites.partition(";")[0] if excess >= provocation.bites_at else ""
    assert expected == await provocation.run(Clock(), provocation.limit, provocation.limit + excess)


def test_every_number_among_the_options_is_in_the_table_or_no_limit() -> None:
    numbers = {name for name, kind in KINDS.items() if kind.limits is not None}
    assert numbers == set(BITES) | NO_LIMITS
    assert set() == set(BITES) & NO_LIMITS


def test_every_provocation_has_its_row() -> None:
    assert set(PROVOCATIONS) == set(ROWS)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.source == "fixed"])
def test_fixed_value_is_the_one_that_is_provoked(name: str) -> None:
    assert PROVOCATIONS[name].limit == KINDS["memory_budget"].parse(ROWS[name].value)


def test_table_is_aligned_and_fits_a_hundred_columns() -> None:
    printed = run()
    assert (0, "") == (printed.returncode, printed.stderr)
    lines = printed.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    columns = [lines[0].index(heading) for heading in ("limit", "value", "set by", "when it bites")]
    for line in lines:
        assert {" "} >= {line[column - 1] for column in columns[1:]}
    names = [line[: columns[1]].strip() for line in lines[1:]]
    assert list(ROWS) == [name for name in names if name]


def test_table_tells_values_and_where_they_were_set(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text('max_rooms = 7\nmax_head = "32KiB"\n')
    printed = run(
        "--config", str(path), "--message-rate", "0", "--max-head=8192", RFC6455_SERVER_MAX_FIELDS="9"
    )
    rows = {line.split("  ")[0]: line.split("  ") for line in printed.stdout.splitlines()}
    found = {name: [cell.strip() for cell in row if cell.strip()][1:3] for name, row in rows.items()}
    assert ["7", "file limits.toml"] == found["max_rooms"]
    assert ["8KiB", "flag"] == found["max_head"]
    assert ["off", "flag"] == found["message_rate"]
    assert ["9", "environment"] == found["max_fields"]
    assert ["4096", "default"] == found["max_fragments"]
    assert ["123", "fixed"] == found["reason of a Close, in bytes"]


def test_what_is_computed_is_shown_as_the_number_it_is() -> None:
    assert str(descriptor_limit()) == ROWS["max_connections"].value
    assert default_budget() == KINDS["memory_budget"].parse(ROWS["memory_budget"].value)
    assert RESERVED_DESCRIPTORS == 256 and "256" in OPTIONS["max_connections"].metadata["zero"]


def test_what_is_given_wrong_is_said_and_nothing_is_printed() -> None:
    printed = run("--max-roms", "3")
    assert (2, "") == (printed.returncode, printed.stdout)
    assert "error: unknown argument '--max-roms'; did you mean --max-rooms?\n" == printed.stderr
