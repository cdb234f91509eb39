"""How late the loop was, and how long the collector took."""

import gc

from server.heartbeat import SWEEP
from server.pauses import MAX_STALLS, WINDOW, Pauses

from .conftest import Serve, eventually


def test_lateness_is_observed_and_an_early_call_counts_as_punctual() -> None:
    pauses = Pauses()
    pauses.late(0.2, 1.0)
    pauses.late(-0.0004, 2.0)
    assert (2, 0.2) == (sum(pauses.lag.counts), pauses.lag.sum)
    assert 1 == pauses.lag.counts[0]


def test_longest_lateness_is_kept_for_a_window_at_least_and_two_at_the_most() -> None:
    pauses = Pauses()
    pauses.late(0.1, 0.0)
    pauses.late(3.0, WINDOW - 1)
    pauses.late(0.2, 2 * WINDOW - 2)
    assert 3.0 == pauses.longest_lag
    pauses.late(0.1, 3 * WINDOW - 2)
    assert 0.2 == pauses.longest_lag


def test_stalls_that_ended_a_while_ago_and_the_one_that_ends_now_are_lost() -> None:
    pauses = Pauses()
    assert 0.0 == pauses.lost(10.0, 1000.0)
    pauses.late(3.0, 100.0)
    # As late as that it may always be.
    pauses.late(SWEEP, 101.0)
    pauses.late(2.0, 105.0)
    assert [5.0, 2.0, 0.0] == [pauses.lost(back, 105.0) for back in (5.1, 5.0, 0.0)]
    due = 105.0 + SWEEP
    assert [5.0, 5.0 + 2 * SWEEP] == [pauses.lost(10.0, due + late) for late in (SWEEP, 2 * SWEEP)]
    for _ in range(MAX_STALLS):
        pauses.late(1.0, 106.0)
    assert MAX_STALLS == pauses.lost(10.0, 106.0)


def test_collections_are_timed_by_generation_until_it_is_stopped() -> None:
    pauses = Pauses()
    pauses.start()
    try:
        before = [sum(one.counts) for one in pauses.collections]
        gc.collect(0)
        gc.collect(2)
        counts = [sum(one.counts) for one in pauses.collections]
        assert counts[0] > before[0]
        assert counts[2] > before[2]
        assert 0 < pauses.collections[2].sum
    finally:
        pauses.stop()
    pauses.stop()
    counts = [sum(one.counts) for one in pauses.collections]
    gc.collect()
    assert counts == [sum(one.counts) for one in pauses.collections]


async def test_service_watches_the_loop_and_the_collector_while_it_runs(service: Serve) -> None:
    callbacks = len(gc.callbacks)
    async with service() as running:
        pauses = running.context.pauses
        # From its start on.
        assert pauses.lost(10.0, running.context.clock() + 5.0) > 4.0
        assert callbacks + 1 == len(gc.callbacks)
        await eventually(True, lambda: sum(pauses.lag.counts) > 0)
    assert callbacks == len(gc.callbacks)
