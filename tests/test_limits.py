"""Rates at the edges of their buckets, and who is let in."""

import resource
import tracemalloc
from collections.abc import Iterator

import pytest

from server import limits
from server.limits import (
    BURST,
    RESERVED_DESCRIPTORS,
    Admission,
    Allowance,
    HandshakeRates,
    Limiter,
    Rates,
    SharedAllowances,
    descriptor_limit,
    network_of,
)

RATES = Rates(messages=10, frames=20, bytes=1000)
NO_RATES = Rates(0, 0, 0)


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
    assert passed == Allowance(RATES, 100.0).spend(messages, frames, octets)


@pytest.mark.parametrize(
    ("within", "beyond", "passed"),
    [
        ((5, 0, 0), (1, 0, 0), "messages"),
        ((0, 10, 0), (0, 1, 0), "frames"),
        ((0, 0, 500), (0, 0, 1), "bytes"),
    ],
)
def test_what_was_spent_comes_back_each_at_its_own_rate(
    within: tuple[int, int, int], beyond: tuple[int, int, int], passed: str
) -> None:
    allowance = Allowance(RATES, 100.0)
    assert allowance.spend(20, 40, 2000) is None
    allowance.refill(100.5)
    assert allowance.spend(*within) is None
    assert passed == allowance.spend(*beyond)


def test_what_is_too_much_is_not_spent() -> None:
    allowance = Allowance(RATES, 100.0)
    assert "bytes" == allowance.spend(20, 40, 2001)
    assert allowance.spend(20, 40, 2000) is None


def test_no_more_than_the_burst_is_saved_up() -> None:
    allowance = Allowance(RATES, 100.0)
    allowance.refill(1_000_000.0)
    assert (20, 40, 2000) == (allowance.messages, allowance.frames, allowance.bytes)


@pytest.mark.parametrize("now", [100.0, 99.0, 0.0])
def test_no_time_and_time_backwards_earn_nothing(now: float) -> None:
    allowance = Allowance(RATES, 100.0)
    allowance.spend(20, 40, 2000)
    allowance.refill(now)
    assert (0, 0, 0) == (allowance.messages, allowance.frames, allowance.bytes)
    allowance.refill(100.5)
    assert (5, 10, 500) == (allowance.messages, allowance.frames, allowance.bytes)


def test_time_is_earned_once_however_often_it_is_looked_at() -> None:
    allowance = Allowance(RATES, 100.0)
    allowance.spend(20, 0, 0)
    for eighth in range(1, 9):
        allowance.refill(100.0 + eighth / 8)
    assert 10 == allowance.messages


def test_steady_senders_at_the_rate_never_pass_it() -> None:
    allowance = Allowance(RATES, 0.0)
    for second in range(1, 1001):
        allowance.refill(second)
        assert allowance.spend(10, 20, 1000) is None


def test_one_more_than_the_rate_each_second_passes_it_when_the_burst_is_spent() -> None:
    allowance = Allowance(RATES, 0.0)
    passed: list[str | None] = []
    for second in range(12):
        allowance.refill(second)
        passed.append(allowance.spend(11, 0, 0))
    assert [None] * 10 + ["messages", None] == passed


@pytest.mark.parametrize("limited", ["messages", "frames", "bytes"])
def test_a_rate_of_0_is_no_limit(limited: str) -> None:
    kinds = ("messages", "frames", "bytes")
    allowance = Allowance(Rates(*(kind == limited for kind in kinds)), 0.0)
    unlimited = 10**12
    assert allowance.spend(*(2 if kind == limited else unlimited for kind in kinds)) is None
    allowance.refill(0.5)
    assert limited == allowance.spend(1, 1, 1)


def test_burst_is_twice_the_rate() -> None:
    assert 2 == BURST


# What is shared. --------------------------------------------------------------------------------------------


def test_all_of_one_key_share_what_another_key_does_not() -> None:
    shared = SharedAllowances(RATES)
    assert [None, None, "messages"] == [shared.spend("a", 0.0, 10, 0, 0) for _ in range(3)]
    assert shared.spend("b", 0.0, 20, 0, 0) is None


def test_who_sends_less_goes_on_beside_one_who_sends_too_much() -> None:
    shared = SharedAllowances(RATES)
    for second in range(100):
        assert "bytes" == shared.spend("a", second, 0, 0, 5000)
        assert shared.spend("a", second, 1, 1, 1000) is None


@pytest.mark.parametrize("step", [0.01, 0.3, 1.0, 1.9, 2.0, 2.1, 3.9, 4.0, 4.1, 100.0])
def test_what_is_forgotten_was_full(step: float) -> None:
    # Held against an allowance that is never forgotten.
    shared, kept = SharedAllowances(RATES), Allowance(RATES, 0.0)
    for number in range(200):
        now = number * step
        kept.refill(now)
        messages = int(kept.messages) if number % 3 else 20
        assert kept.spend(messages, 0, 0) == shared.spend("a", now, messages, 0, 0)


def test_who_spends_nothing_for_a_while_is_forgotten() -> None:
    shared = SharedAllowances(RATES)
    for number in range(1000):
        shared.spend(str(number), 0.0, 1, 1, 1)
    assert 1000 == len(shared)
    shared.spend("a", BURST, 1, 1, 1)
    assert 1001 == len(shared)
    shared.spend("a", 2 * BURST, 1, 1, 1)
    assert 1 == len(shared)


def test_no_more_than_a_number_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    if not limits.__file__.endswith(".py"):
        pytest.skip("a compiled module's constants stay as they are")
    monkeypatch.setattr(limits, "MAX_REMEMBERED", 10)
    shared = SharedAllowances(RATES)
    most = 0
    for number in range(1000):
        shared.spend(str(number), 0.0, 1, 1, 1)
        most = max(most, len(shared))
    assert 20 == most


def test_limiter_says_whose_rate_was_passed() -> None:
    limiter = Limiter(Rates(30, 0, 0), Rates(20, 0, 0), Rates(10, 0, 0))
    passed = [
        limiter.spend(limiter.new_allowance(0.0, address), user, 0.0, messages, 0, 0)
        for address, user, messages in [
            ("a", None, 61),
            ("a", None, 41),
            ("a", "alice", 21),
            ("b", "alice", 20),
            ("b", "alice", 1),
            ("b", "bob", 19),
            ("b", None, 1),
        ]
    ]
    assert [
        "messages a second",
        "messages a second from your address",
        "messages a second from your user",
        None,
        "messages a second from your user",
        None,
        "messages a second from your address",
    ] == passed


def test_limiter_without_rates_lets_everything_pass() -> None:
    limiter = Limiter(NO_RATES, NO_RATES, NO_RATES)
    allowance = limiter.new_allowance(0.0, "a")
    assert limiter.spend(allowance, "alice", 0.0, 10**9, 10**9, 10**12) is None


# Addresses. ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("", ""),
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_an_address_of_ipv6_counts_with_all_that_its_subscriber_has(address: str, network: str) -> None:
    assert network == network_of(address)


def test_all_limits_per_address_hold_for_a_network() -> None:
    one, other, elsewhere = "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"
    rates = HandshakeRates(0, 1, 0)
    assert [None, None, "address", None] == [rates.admit(each, 0.0) for each in (one, other, one, elsewhere)]
    limiter = Limiter(NO_RATES, Rates(1, 0, 0), NO_RATES)
    allowances = [limiter.new_allowance(0.0, each) for each in (one, other, elsewhere)]
    passed = [limiter.spend(allowance, None, 0.0, 2, 0, 0) for allowance in allowances]
    assert [None, "messages a second from your address", None] == passed
    admission = Admission(100, 2)
    assert [True, True, False, True] == [admission.admit(each) for each in (one, other, one, elsewhere)]
    assert [True, False] == [admission.move(one, other), admission.move(elsewhere, one)]
    admission.release(other)
    assert admission.move(elsewhere, one)
    # Its place there is free again.
    assert [True, True, False] == [admission.admit(elsewhere) for _ in range(3)]


# Handshakes. ------------------------------------------------------------------------------------------------


def test_handshakes_have_their_rates_in_all_per_address_and_per_user() -> None:
    rates = HandshakeRates(in_all=3, per_address=2, per_user=1)
    assert [None] * 4 + ["address"] == [rates.admit("a", 0.0) for _ in range(5)]
    assert [None] * 2 + ["server"] == [rates.admit("b", 0.0) for _ in range(3)]
    assert [True, True, False] == [rates.admit_user("alice", 0.0) for _ in range(3)]
    assert rates.admit_user("bob", 0.0)
    assert [None, None, "address"] == [rates.admit("a", 1.0) for _ in range(3)]
    assert [True, False] == [rates.admit_user("alice", 1.0) for _ in range(2)]


def test_handshakes_without_rates_are_not_counted() -> None:
    rates = HandshakeRates(0, 0, 0)
    assert {None} == {rates.admit("a", 0.0) for _ in range(1000)}
    assert {True} == {rates.admit_user("alice", 0.0) for _ in range(1000)}


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
        (80, 40),
        (2 * RESERVED_DESCRIPTORS - 2, RESERVED_DESCRIPTORS - 1),
        (2 * RESERVED_DESCRIPTORS, RESERVED_DESCRIPTORS),
        (2 * RESERVED_DESCRIPTORS + 2, RESERVED_DESCRIPTORS + 2),
        (1000, 1000 - RESERVED_DESCRIPTORS),
    ],
)
def test_some_descriptors_are_kept_back_and_one_connection_always_may_come(
    soft: int, connections: int, hard_limit: int
) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard_limit))
    assert connections == descriptor_limit()
