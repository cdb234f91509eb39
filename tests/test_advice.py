"""When a Close tells a client to come back."""

from server.advice import MAX_RETRY, MIN_RETRY, come_back


def test_reason_ends_with_seconds_that_spread() -> None:
    seconds = []
    for _ in range(200):
        reason, _, number = come_back("too slow").partition("; retry=")
        assert "too slow" == reason
        seconds.append(float(number))
    assert MIN_RETRY <= min(seconds) < 1.5
    assert 4.0 < max(seconds) <= MAX_RETRY


def test_reason_fits_into_a_close() -> None:
    for reason in ("the server is going away", "too slow"):
        assert len(come_back(reason)) < 123
