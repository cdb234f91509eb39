"""All come back at once (`tests/faults/herd.py`), though fewer."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ServerProcess, eventually

from .census import WATCHED, first_census, take_lasting_census
from .herd import FLAGS, SETTLED, kept_port, lose, over_tls, run

CLIENTS: Final = 200
HOSTILE: Final = 20
# Handshakes a second, twice that at once.
RATE: Final = 50

Start = Callable[..., ServerProcess]


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "over TLS"])
async def test_all_come_back_no_faster_than_the_server_lets_them(
    is_secure: bool, start_server: Start, tmp_path: Path
) -> None:
    secure, trusting = over_tls(tmp_path) if is_secure else ([], None)
    with kept_port() as port:
        flags = (*FLAGS, *secure, f"--port={port}")
        killed = start_server(*flags)
        await lose(killed, CLIENTS, trusting)
        again = start_server(*flags, f"--handshake-rate={RATE}", python=[*WATCHED])
    assert killed.port == again.port
    before = first_census(again)
    outcome = await run(again, clients=CLIENTS, hostile=HOSTILE, first=0.5, trusting=trusting)
    assert [] == outcome.problems, outcome
    assert CLIENTS == len(outcome.back_after) == outcome.attempts["let in"]
    assert outcome.attempts["answered 503"] > 0, outcome
    assert max(outcome.back_after) > (CLIENTS - 2 * RATE) / RATE - 1, outcome
    # All that they tried in vain is gone.
    everyone = CLIENTS + SETTLED
    expected = {"handshakes": 0, "connections": everyone, "admitted": everyone, "members": CLIENTS}
    assert expected == {name: outcome.census[name] for name in expected}
    await eventually(before, lambda: take_lasting_census(again))
    assert "" == again.errors()
