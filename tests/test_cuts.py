"""Connections that break all the time cost nobody a message, and nobody hears one twice."""

from collections.abc import Callable

from .conftest import ServerProcess
from .cuts import FLAGS, run


async def test_nobody_misses_a_message_unmarked_or_hears_one_twice(
    start_server: Callable[..., ServerProcess],
) -> None:
    # A short history, so that some come back too late for it; and all of it in little time.
    server = start_server(*FLAGS, "--history-messages", "20")
    report = await run(
        server.port, clients=100, rooms=6, rate=200.0, lifetime=1.0, short_absence=1.0, max_cuts=300
    )
    assert [] == report.problems, report
    assert 0 == report.unfinished, report
    # It was a trial: all that can happen has happened.
    tally = report.tally
    assert min(tally.recovered, tally.not_recovered, tally.missed, tally.duplicates) > 0, report
