"""The heartbeat pings who is silent, gives up who stays silent, and spares everybody else."""

import weakref
from typing import final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.heartbeat import SWEEP, Heartbeat

INTERVAL, TIMEOUT = 30.0, 20.0


@final
class Peer:
    """A peer's connection; it notes when it is pinged and given up, and answers if it is told to."""

    def __init__(self, world: "World", *, answers: bool = False) -> None:
        self._world = world
        self._answers = answers
        self.seat = -1
        self.is_alive = True
        self.pinged_at: list[float] = []
        self.given_up_at: list[float] = []

    def send_ping(self) -> None:
        self.pinged_at.append(self._world.now)
        self.is_alive = self._answers

    def give_up(self) -> None:
        self.given_up_at.append(self._world.now)
        self._world.heartbeat.discard(self)


@final
class World:
    """A heartbeat and its clock, from 0 on; every sweep is on time unless the world is held up."""

    def __init__(self, interval: float = INTERVAL, timeout: float = TIMEOUT) -> None:
        self.heartbeat = Heartbeat(interval, timeout)
        self.now = 0.0

    def add(self, *, answers: bool = False) -> Peer:
        peer = Peer(self, answers=answers)
        self.heartbeat.add(peer)
        return peer

    def run(self, seconds: float) -> None:
        """Let time go by. Times are multiples of a sweep, so all of these floats are exact."""
        end = self.now + seconds
        while self.now < end:
            self.now += SWEEP
            self.heartbeat.sweep(self.now)

    def run_until_pinged(self, peer: Peer) -> float:
        before, end = len(peer.pinged_at), self.now + 1000.0
        while len(peer.pinged_at) == before:
            self.run(SWEEP)
            assert self.now < end
        return self.now


def test_silent_peer_is_pinged_before_an_interval_is_over_and_not_before_half_of_it() -> None:
    world = World()
    for _ in range(50):
        world.run(7.25)
        added_at, peer = world.now, world.add()
        assert INTERVAL / 2 <= world.run_until_pinged(peer) - added_at <= INTERVAL


def test_silent_peer_is_given_up_the_timeout_after_the_ping_and_not_before() -> None:
    world = World()
    peer = world.add()
    pinged_at = world.run_until_pinged(peer)
    world.run(TIMEOUT - SWEEP)
    assert [] == peer.given_up_at
    world.run(SWEEP)
    assert [pinged_at + TIMEOUT] == peer.given_up_at
    world.run(10 * INTERVAL)
    assert ([pinged_at], [pinged_at + TIMEOUT]) == (peer.pinged_at, peer.given_up_at)


def test_quiet_peer_that_answers_is_pinged_once_an_interval_and_never_given_up() -> None:
    world = World()
    peer = world.add(answers=True)
    world.run_until_pinged(peer)
    world.run(20 * INTERVAL)
    assert [] == peer.given_up_at
    first = peer.pinged_at[0]
    assert [first + number * INTERVAL for number in range(21)] == peer.pinged_at


def test_peer_that_always_has_something_to_say_is_never_pinged() -> None:
    world = World()
    peer = world.add()
    for _ in range(40):
        world.run(INTERVAL / 2 - SWEEP)
        peer.is_alive = True
    assert ([], []) == (peer.pinged_at, peer.given_up_at)


@pytest.mark.parametrize("after", [SWEEP, TIMEOUT / 2, TIMEOUT - SWEEP])
def test_any_octet_before_the_timeout_is_life(after: float) -> None:
    world = World()
    peer = world.add()
    world.run_until_pinged(peer)
    world.run(after)
    peer.is_alive = True
    world.run(INTERVAL)
    assert [] == peer.given_up_at


def test_a_sign_of_life_counts_for_one_ping_only() -> None:
    world = World()
    peer = world.add()
    world.run_until_pinged(peer)
    peer.is_alive = True
    pinged_again_at = world.run_until_pinged(peer)
    world.run(TIMEOUT)
    assert [pinged_again_at + TIMEOUT] == peer.given_up_at


@pytest.mark.parametrize("timeout", [INTERVAL, 2 * INTERVAL, 2 * INTERVAL + 5, 10 * INTERVAL])
def test_timeout_may_be_longer_than_the_interval(timeout: float) -> None:
    world = World(timeout=timeout)
    silent, late = world.add(), world.add()
    pinged_at = world.run_until_pinged(silent)
    world.run(timeout - 2 * SWEEP)
    late.is_alive = True
    world.run(2 * SWEEP)
    # Pinged once: the timeout counts from that ping, whatever the visits in between.
    assert ([pinged_at], [pinged_at + timeout]) == (silent.pinged_at, silent.given_up_at)
    world.run(INTERVAL)
    assert [] == late.given_up_at


# Our own lag. -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [1.0, 19.75, 20.0, 1000.0])
def test_time_in_which_we_did_not_look_is_not_counted_against_the_peer(lag: float) -> None:
    world = World()
    peer = world.add()
    pinged_at = world.run_until_pinged(peer)
    world.run(5.0)
    world.now += lag
    world.run(TIMEOUT - 5.0 - SWEEP)
    assert [] == peer.given_up_at
    world.run(SWEEP)
    assert [pinged_at + TIMEOUT + lag] == peer.given_up_at


def test_lag_of_no_more_than_a_sweep_is_the_grain_of_all_timeouts() -> None:
    world = World()
    peer = world.add()
    pinged_at = world.run_until_pinged(peer)
    world.run(TIMEOUT - 2 * SWEEP)
    world.now += SWEEP
    world.run(SWEEP)
    assert [pinged_at + TIMEOUT] == peer.given_up_at


def test_pinged_behind_the_lag_the_peer_has_its_whole_timeout() -> None:
    world = World()
    first = world.add()
    world.run_until_pinged(first)
    world.now += 1000.0
    second = world.add()
    pinged_at = world.run_until_pinged(second)
    world.run(TIMEOUT)
    assert [pinged_at + TIMEOUT] == second.given_up_at


def test_first_sweep_is_never_late() -> None:
    world = World()
    world.now = 1_000_000.0
    peer = world.add()
    pinged_at = world.run_until_pinged(peer)
    world.run(TIMEOUT)
    assert [pinged_at + TIMEOUT] == peer.given_up_at


# Many, and none. --------------------------------------------------------------------------------------------


def test_pings_are_spread_evenly() -> None:
    world = World()
    peers = [world.add(answers=True) for _ in range(600)]
    world.run(INTERVAL)
    pinged: list[int] = []
    for _ in range(round(INTERVAL / SWEEP)):
        before = sum(len(peer.pinged_at) for peer in peers)
        world.run(SWEEP)
        pinged.append(sum(len(peer.pinged_at) for peer in peers) - before)
    assert 600 == sum(pinged)
    assert max(pinged) <= 10


@pytest.mark.parametrize("interval", [0.001, SWEEP, 2 * SWEEP, 1.0])
def test_interval_may_be_as_short_as_a_sweep(interval: float) -> None:
    world = World(interval)
    silent, answering = world.add(), world.add(answers=True)
    pinged_at = world.run_until_pinged(silent)
    assert pinged_at <= max(interval, 2 * SWEEP)
    world.run(TIMEOUT)
    assert [pinged_at + TIMEOUT] == silent.given_up_at
    assert [] == answering.given_up_at


def test_interval_of_0_switches_it_off() -> None:
    world = World(0.0)
    peer = world.add()
    assert 0 == len(world.heartbeat)
    world.run(1000.0)
    world.heartbeat.discard(peer)
    assert ([], []) == (peer.pinged_at, peer.given_up_at)


@pytest.mark.parametrize(
    ("seconds", "here"), [(0.0, 300), (INTERVAL / 2, 300), (INTERVAL, 300), (2 * INTERVAL + TIMEOUT, 150)]
)
def test_who_is_gone_is_neither_kept_nor_pinged_nor_given_up(seconds: float, here: int) -> None:
    world = World()
    peers = [world.add(answers=bool(number % 2)) for number in range(300)]
    kept = [weakref.ref(peer) for peer in peers]
    world.run(seconds)
    # By then those that never answer were given up.
    assert here == len(world.heartbeat)
    for peer in peers:
        world.heartbeat.discard(peer)
        world.heartbeat.discard(peer)
    said = [(len(peer.pinged_at), len(peer.given_up_at)) for peer in peers]
    assert 0 == len(world.heartbeat)
    world.run(3 * INTERVAL)
    assert said == [(len(peer.pinged_at), len(peer.given_up_at)) for peer in peers]
    del peer, peers
    assert {None} == {reference() for reference in kept}


@given(st.sets(st.integers(0, 19)), st.permutations(range(20)))
def test_who_stays_is_pinged_on_time_whoever_leaves_in_whatever_order(
    stays: set[int], order: list[int]
) -> None:
    world = World(2.0)
    peers = [world.add(answers=True) for _ in range(20)]
    for number in order:
        if number not in stays:
            world.heartbeat.discard(peers[number])
    world.run(3 * 2.0)
    assert len(stays) == len(world.heartbeat)
    assert [3 if number in stays else 0 for number in range(20)] == [len(peer.pinged_at) for peer in peers]


@given(
    st.sampled_from([0.25, 1.0, 3.0]),
    st.sampled_from([0.5, 1.0, 2.0, 7.0]),
    st.lists(st.integers(0, 120), max_size=20),
)
def test_given_up_is_who_was_silent_from_a_ping_to_the_timeout(
    interval: float, timeout: float, octets: list[int]
) -> None:
    world = World(interval, timeout)
    peer = world.add()
    heard_at = {number * SWEEP for number in octets}
    while world.now < 30.0 and not peer.given_up_at:
        if world.now in heard_at:
            peer.is_alive = True
        world.run(SWEEP)
        if peer.pinged_at[-1:] == [world.now]:
            # What comes at the time of a visit comes before it.
            assert not any(world.now - interval / 2 <= time < world.now for time in heard_at)
    waiting_since = peer.pinged_at[-1] if peer.pinged_at else world.now
    has_answered = any(waiting_since <= time < world.now for time in heard_at)
    is_over = waiting_since + timeout <= world.now
    assert (is_over and not has_answered) == bool(peer.given_up_at)
