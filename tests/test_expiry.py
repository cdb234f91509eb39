"""Expiry: a session ends when its identity does, not before, and leaves nothing behind."""

import math

import pytest

from server.expiry import Expiries
from server.identity import Identity
from server.session import Session
from tests.stage import Carrier, Stage


class Watch:
    """Sessions under watch; both clocks are set by hand."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.unix_time = 1_700_000_000.0
        self.expiries = Expiries(lambda: self.stage.now, lambda: self.unix_time)

    def enter(self, id: str, seconds: float) -> Carrier:
        session = self.stage.connect(id, "alice")
        self.renew(session, seconds)
        return session

    def renew(self, session: Carrier, seconds: float) -> None:
        session.identity = Identity("alice", self.unix_time + seconds)
        self.expiries.watch(session)

    def after(self, seconds: float) -> None:
        self.expiries.sweep(self.stage.now + seconds)


@pytest.mark.parametrize(("seconds", "code"), [(9.999, None), (10.0, 3000), (1e9, 3000)])
def test_session_ends_when_its_time_is_up(seconds: float, code: int | None) -> None:
    watch = Watch()
    session = watch.enter("a", 10.0)
    watch.after(seconds)
    assert (code, int(code is None)) == (session.close_code, len(watch.expiries))


def test_session_that_has_expired_already_ends_at_once() -> None:
    watch = Watch()
    session = watch.enter("a", -5.0)
    watch.after(0)
    assert 3000 == session.close_code


def test_sessions_end_each_in_its_time() -> None:
    watch = Watch()
    sessions = [watch.enter(str(seconds), seconds) for seconds in (30.0, 10.0, 20.0, 10.0)]
    watch.after(10.0)
    assert [None, 3000, None, 3000] == [session.close_code for session in sessions]
    watch.after(29.0)
    assert [None, 3000, 3000, 3000] == [session.close_code for session in sessions]


def test_newer_identity_counts_and_the_older_is_forgotten() -> None:
    watch = Watch()
    longer, shorter = watch.enter("a", 10.0), watch.enter("b", 100.0)
    watch.renew(longer, 100.0)
    watch.renew(shorter, 10.0)
    watch.after(50.0)
    assert (None, 3000) == (longer.close_code, shorter.close_code)


def test_identity_without_an_end_is_not_watched() -> None:
    watch = Watch()
    session = watch.enter("a", math.inf)
    assert 0 == len(watch.expiries)
    watch.renew(session, 10.0)
    watch.renew(session, math.inf)
    assert 0 == len(watch.expiries)
    watch.after(1e12)
    nobody = watch.stage.connect("b")
    watch.expiries.watch(nobody)
    assert (None, None, 0) == (session.close_code, nobody.close_code, len(watch.expiries))


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_clock_that_is_set_anew_ends_nobody_sooner_or_later(jump: float) -> None:
    watch = Watch()
    session = watch.enter("a", 10.0)
    watch.unix_time += jump
    watch.after(9.0)
    assert None is session.close_code
    watch.after(10.0)
    assert 3000 == session.close_code


def test_session_that_is_gone_is_forgotten() -> None:
    watch = Watch()
    session = watch.enter("a", 10.0)
    watch.expiries.discard(session)
    watch.expiries.discard(session)
    watch.after(20.0)
    assert (None, 0) == (session.close_code, len(watch.expiries))


def test_who_comes_and_goes_leaves_a_bounded_number_of_entries() -> None:
    watch = Watch()
    stay = [watch.enter(f"stay {number}", 1000.0 + number) for number in range(10)]
    session = watch.enter("a", 10.0)
    for number in range(10_000):
        watch.renew(session, 3600.0 + number)
        watch.expiries.discard(session)
    assert len(watch.expiries._due) <= 2 * len(stay) + 64 + 1
    watch.after(1005.0)
    assert 4 == len(watch.expiries)


def test_sessions_end_each_in_its_time_though_many_others_have_gone() -> None:
    watch = Watch()
    times = [1000.0 + 37 * number % 100 for number in range(100)]
    stay, gone = [], []
    for number, seconds in enumerate(times):
        stay.append(watch.enter(f"stay {number}", seconds))
        gone += [watch.enter(f"gone {number} {other}", 900.0 + other) for other in range(5)]
    for session in gone:
        watch.expiries.discard(session)
    for now in sorted(times):
        watch.after(now)
        assert [seconds <= now for seconds in times] == [session.close_code == 3000 for session in stay]


def test_session_that_fails_at_its_end_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch()

    def fail(session: Session, code: int) -> None:
        raise ValueError("of the test's own")

    watch.stage.dialect.disconnected = fail  # type: ignore[method-assign]  # as an application may fail
    sessions = [watch.enter(id, 10.0) for id in "ab"]
    watch.after(10.0)
    assert [3000, 3000] == [session.close_code for session in sessions]
    assert ["an expiry failed for a", "an expiry failed for b"] == [
        record.getMessage() for record in caplog.records
    ]
