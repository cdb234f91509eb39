"""Paused sessions are sampled in turn, so many at a time and no more."""

from dataclasses import dataclass

from server.histogram import Histogram
from server.paused import MAX_SAMPLES, Paused


@dataclass(eq=False)
class Session:
    waiting_bytes: int
    samples: int = 0


def test_sweep_observes_what_waits_for_each() -> None:
    samples = Histogram("10 20")
    paused = Paused(samples)
    for waiting in (5, 15, 25, 25):
        paused.add(Session(waiting))
    paused.sweep()
    assert ([1, 1, 2], 70.0) == (samples.counts, samples.sum)


def test_session_that_resumed_is_sampled_no_more() -> None:
    samples = Histogram("10")
    paused = Paused(samples)
    session = Session(1)
    paused.add(session)
    paused.discard(session)
    paused.discard(session)
    paused.sweep()
    assert (0, [0, 0]) == (len(paused), samples.counts)


def test_sweep_looks_at_a_bounded_number_and_goes_on_with_the_others() -> None:
    samples = Histogram(" ".join(str(bound) for bound in range(MAX_SAMPLES + 1)))
    paused = Paused(samples)
    for waiting in range(MAX_SAMPLES + 1):
        paused.add(Session(waiting))
    paused.sweep()
    assert [1] * MAX_SAMPLES + [0, 0] == samples.counts
    paused.sweep()
    # The last one, and the first ones again.
    assert [2] * (MAX_SAMPLES - 1) + [1, 1, 0] == samples.counts
    assert MAX_SAMPLES + 1 == len(list(paused))
