"""A histogram counts each value once, between the right bounds."""

import pytest

from server.histogram import Histogram


@pytest.mark.parametrize(
    ("value", "counts"),
    [(0.0, [1, 0, 0]), (1.0, [1, 0, 0]), (1.1, [0, 1, 0]), (5.0, [0, 1, 0]), (5.1, [0, 0, 1])],
)
def test_value_is_counted_under_the_first_bound_that_it_does_not_exceed(
    value: float, counts: list[int]
) -> None:
    histogram = Histogram("1 5")
    histogram.observe(value)
    assert counts == histogram.counts
    assert value == histogram.sum


def test_values_add_up() -> None:
    histogram = Histogram("1 5")
    for value in (0.5, 2.0, 2.0, 9.0):
        histogram.observe(value)
    assert ([1, 2, 1], 13.5) == (histogram.counts, histogram.sum)
