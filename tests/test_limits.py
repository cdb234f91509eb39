"""Rates at the edges of their buckets, and who is let in."""

import resource
import tracemalloc
from collections.abc import Iterator

import pytest

from server.limits import BURST, RESERVED_DESCRIPTORS, Admission, Allowance, Rates, descriptor_limit

RATES = Rates(messages=10, frames=20, bytes=1000)


def spend(allowance: Allowance, *, messages: int = 0, octets: int = 0) -> None:
    allowance.messages -= messages
    allowance.bytes -= octets


# Rates. -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "frames", "octets", "passed"),
    [
        (0, 0, 0, None),
        (19, 39, 1999, None),
        (20, 40, 2000, None),
        (21, 40, 2000, "messages"),
        (20, 41, 2000, "frames"),
        (20, 40, 2001, "bytes"),
        (0, 41, 2001, "frames"),
        (21, 41, 2001, "messages"),
    ],
)
def test_two_seconds_worth_may_come_at_once_and_not_one_more(
    messages: int, frames: int, octets: int, passed: str | None
) -> None:
    allowance = Allowance(RATES, 100.0)
    spend(allowance, messages=messages, octets=octets)
    assert passed == allowance.passed(frames)


def test_what_was_spent_comes_back_at_the_rate() -> None:
    allowance = Allowance(RATES, 100.0)
    spend(allowance, messages=20, octets=2000)
    assert allowance.passed(40) is None
    allowance.refill(100.5)
    spend(allowance, messages=5, octets=500)
    assert allowance.passed(50) is None
    spend(allowance, messages=1)
    assert "messages" == allowance.passed(50)


@pytest.mark.parametrize(
    ("messages", "octets", "frames", "passed"),
    [(6, 0, 0, "messages"), (0, 0, 11, "frames"), (0, 501, 0, "bytes")],
)
def test_each_of_the_three_fills_by_its_own_rate(
    messages: int, octets: int, frames: int, passed: str
) -> None:
    allowance = Allowance(RATES, 100.0)
    spend(allowance, messages=20, octets=2000)
    assert allowance.passed(40) is None
    allowance.refill(100.5)
    spend(allowance, messages=messages, octets=octets)
    assert passed == allowance.passed(40 + frames)


def test_no_more_than_the_burst_is_saved_up() -> None:
    allowance = Allowance(RATES, 100.0)
    allowance.refill(1_000_000.0)
    assert (20, 40, 2000) == (allowance.messages, allowance.frames, allowance.bytes)
    spend(allowance, messages=21)
    assert "messages" == allowance.passed(0)


@pytest.mark.parametrize("now", [100.0, 99.0, 0.0])
def test_no_time_and_time_backwards_earn_nothing(now: float) -> None:
    allowance = Allowance(RATES, 100.0)
    spend(allowance, messages=20, octets=2000)
    allowance.refill(now)
    assert (0, 0) == (allowance.messages, allowance.bytes)
    allowance.refill(100.5)
    assert (5, 500) == (allowance.messages, allowance.bytes)


def test_time_is_earned_once_however_often_it_is_looked_at() -> None:
    allowance = Allowance(RATES, 100.0)
    spend(allowance, messages=20)
    for eighth in range(1, 9):
        allowance.refill(100.0 + eighth / 8)
    assert 10 == allowance.messages


def test_frames_are_counted_by_how_many_more_there_are() -> None:
    allowance = Allowance(RATES, 100.0)
    for received in (10, 10, 30, 40):
        assert allowance.passed(received) is None
    assert "frames" == allowance.passed(41)


def test_steady_senders_at_the_rate_never_pass_it() -> None:
    allowance = Allowance(RATES, 0.0)
    for second in range(1, 1001):
        allowance.refill(second)
        spend(allowance, messages=10, octets=1000)
        assert allowance.passed(second * 20) is None


def test_one_more_than_the_rate_each_second_passes_it_when_the_burst_is_spent() -> None:
    allowance = Allowance(RATES, 0.0)
    spend(allowance, messages=20)
    passed: list[str | None] = []
    for second in range(1, 4):
        allowance.refill(second)
        spend(allowance, messages=11)
        passed.append(allowance.passed(0))
    assert ["messages"] * 3 == passed


@pytest.mark.parametrize("limited", ["messages", "frames", "bytes"])
def test_a_rate_of_0_is_no_limit(limited: str) -> None:
    allowance = Allowance(
        Rates(messages=limited == "messages", frames=limited == "frames", bytes=limited == "bytes"), 0.0
    )
    allowance.refill(1.0)
    unlimited = 10**12
    spend(
        allowance,
        messages=2 if limited == "messages" else unlimited,
        octets=2 if limited == "bytes" else unlimited,
    )
    frames = 2 if limited == "frames" else unlimited
    assert allowance.passed(frames) is None
    allowance.refill(1.5)
    spend(allowance, messages=1, octets=1)
    assert limited == allowance.passed(frames + 1)


def test_burst_is_twice_the_rate() -> None:
    assert 2 == BURST


# Admission. -------------------------------------------------------------------------------------------------


def test_as_many_as_there_is_room_for_are_let_in() -> None:
    admission = Admission(3, 100)
    assert [True, True, True, False] == [admission.admit(f"192.0.2.{n}") for n in range(4)]
    assert 3 == len(admission)
    admission.release("192.0.2.1")
    assert [True, False] == [admission.admit("192.0.2.9"), admission.admit("192.0.2.9")]


def test_as_many_from_one_address_as_it_may_have_are_let_in() -> None:
    admission = Admission(100, 2)
    assert [True, True, False] == [admission.admit("192.0.2.1") for _ in range(3)]
    assert admission.admit("192.0.2.2")
    admission.release("192.0.2.1")
    assert [True, False] == [admission.admit("192.0.2.1") for _ in range(2)]
    assert 3 == len(admission)


def test_who_was_refused_does_not_count() -> None:
    admission = Admission(2, 1)
    assert [True, False, False] == [admission.admit("192.0.2.1") for _ in range(3)]
    assert admission.admit("192.0.2.2")
    assert 2 == len(admission)


def test_an_address_without_connections_is_forgotten() -> None:
    admission = Admission(2, 2)
    tracemalloc.start()
    try:
        for number in range(5000):
            address = f"2001:db8::{number:x}"
            assert admission.admit(address) and admission.admit(address)
            admission.release(address)
            admission.release(address)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0 == len(admission)
    assert kept < 16 * 1024


# Descriptors. -----------------------------------------------------------------------------------------------


@pytest.fixture
def hard_limit() -> Iterator[int]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("soft", "connections"),
    [
        (RESERVED_DESCRIPTORS - 1, 1),
        (RESERVED_DESCRIPTORS, 1),
        (RESERVED_DESCRIPTORS + 1, 1),
        (RESERVED_DESCRIPTORS + 2, 2),
        (1000, 1000 - RESERVED_DESCRIPTORS),
    ],
)
def test_some_descriptors_are_kept_back_and_one_connection_always_may_come(
    soft: int, connections: int, hard_limit: int
) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard_limit))
    assert connections == descriptor_limit()
