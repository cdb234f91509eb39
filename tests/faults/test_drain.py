"""SIGTERM in the midst of everything: `tests/faults/drain.py` with few clients."""

from collections.abc import Callable

from tests.conftest import ServerProcess

from .drain import FLAGS, run

Start = Callable[..., ServerProcess]

CLIENTS = 600
DRAIN_TIMEOUT = 4
# Seconds that a busy machine may take besides.
PATIENCE = 10


async def test_who_reads_hears_all_that_was_acknowledged_and_then_the_close(start_server: Start) -> None:
    server = start_server(*FLAGS, "--drain-timeout", str(DRAIN_TIMEOUT))
    outcome = await run(server, CLIENTS)
    assert [] == outcome.problems, outcome
    assert 0 == outcome.ends["without a Close"], outcome
    assert outcome.acknowledged > 0, outcome
    assert 0 == outcome.status, outcome
    assert outcome.ended_after < DRAIN_TIMEOUT + PATIENCE, outcome
    # A hundred each quarter of a second: their clients come back as spread out.
    assert max(outcome.closed_after) - min(outcome.closed_after) > 1, outcome
    assert "" == server.errors()


async def test_second_signal_waits_for_none_of_them(start_server: Start) -> None:
    server = start_server(*FLAGS, "--drain-timeout", str(10 * PATIENCE), "--close-timeout", "100")
    outcome = await run(server, CLIENTS // 2, signals=2, talk=0.5)
    assert [] == outcome.problems, outcome
    assert 0 == outcome.status, outcome
    assert outcome.ended_after < PATIENCE, outcome
    assert "" == server.errors()
