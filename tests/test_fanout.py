"""The fan-out flushes once a turn whoever has something to send, each in its own order."""

import logging
import sys
import weakref
from collections.abc import Callable
from functools import partial
from typing import final

import pytest

from server.delivery import FrameDelivery
from server.fanout import Fanout
from server.hub import Hub
from server.publication import Shared
from server.session import Session
from server.tick import Item, Message
from server.wakeup import Wakeup
from tests.stage import Carrier, Stage, owners


@final
class Failing:
    """A delivery that can't encode anything."""

    def encode(self, item: Item) -> bytes:
        raise ValueError("no")


@final
class Farewell:
    """A dialect that tells everybody when a session is over."""

    name = "farewell"

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.fanout: Fanout

    def connected(self, session: Session) -> None:
        self.hub.enter(session)

    def receive(self, session: Session, message: Message) -> None:
        raise NotImplementedError

    def encode(self, item: Shared) -> Message:
        raise NotImplementedError

    def refuse(self, session: Session, code: str, reason: str) -> None:
        raise NotImplementedError

    def octets_held(self, session: Session) -> int:
        return 0

    def disconnected(self, session: Session, code: int) -> None:
        self.hub.exit(session)
        self.fanout.send(f"{session.id} left", self.hub.registry.outboxes)


def waiting(stage: Stage, callback: Callable[[], object]) -> Wakeup:
    """A wakeup that one waits for who does as it is told."""
    wakeup = Wakeup(stage.fanout.wakeups)
    wakeup.add_done_callback(lambda _: callback())
    return wakeup


def test_nothing_is_scheduled_while_nobody_has_anything_to_send() -> None:
    stage = Stage()
    stage.connect("a")
    stage.fanout.send("hello", [])
    assert [] == stage.scheduled


def test_one_flush_is_scheduled_a_turn_however_much_is_sent() -> None:
    stage = Stage()
    first, second = stage.connect("a"), stage.connect("b")
    stage.fanout.send("1", [first.outbox, second.outbox])
    stage.fanout.send("2", [first.outbox])
    stage.fanout.add(second.outbox)
    stage.fanout.add(second.outbox)
    assert 1 == len(stage.scheduled)
    assert ([], []) == (first.writes, second.writes)
    stage.end_turn()
    assert (["1", "2"], ["1"]) == (first.heard, second.heard)
    assert [1, 1] == [len(first.writes), len(second.writes)]
    assert [] == stage.scheduled


def test_next_turn_has_its_own_flush() -> None:
    stage = Stage()
    carrier = stage.connect("a")
    for message in ("1", "2"):
        stage.fanout.send(message, [carrier.outbox])
        assert carrier.outbox.is_dirty
        stage.end_turn()
        assert not carrier.outbox.is_dirty
    assert ["1", "2"] == carrier.heard


def test_a_session_may_be_flushed_with_nothing_to_send() -> None:
    stage = Stage()
    carrier = stage.connect("a")
    stage.fanout.add(carrier.outbox)
    stage.end_turn()
    assert [] == carrier.writes


def test_sessions_are_told_the_time_of_the_flush() -> None:
    stage = Stage()
    carriers = [stage.connect(id) for id in "ab"]
    stage.fanout.send("hello", [carrier.outbox for carrier in carriers])
    stage.now = 123.5
    stage.end_turn()
    assert [123.5, 123.5] == [carrier.delivered_at for carrier in carriers]


def test_what_a_flush_causes_leaves_with_the_next_one_at_the_latest() -> None:
    farewells: list[Farewell] = []

    def farewell(hub: Hub) -> Farewell:
        farewells.append(Farewell(hub))
        return farewells[0]

    stage = Stage(farewell)
    farewells[0].fanout = stage.fanout
    first, last = stage.connect("a"), stage.connect("z")
    faulty = stage.connect("b", delivery=Failing())
    stage.fanout.send("hello", [first.outbox, faulty.outbox, last.outbox])
    stage.end_turn()
    assert 1011 == faulty.close_code
    assert 1 == len(stage.scheduled)
    stage.end_turn()
    assert ["hello", "b left"] == first.heard == last.heard
    assert [] == stage.scheduled


def test_fault_of_one_session_ends_it_and_is_not_its_neighbours(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    first, faulty, last = stage.connect("a"), stage.connect("b", delivery=Failing()), stage.connect("c")
    stage.fanout.send("secret", [first.outbox, faulty.outbox, last.outbox])
    with caplog.at_level(logging.ERROR, "server.fanout"):
        stage.end_turn()
    assert (["secret"], [], ["secret"]) == (first.heard, faulty.heard, last.heard)
    assert (None, 1011, None) == (first.close_code, faulty.close_code, last.close_code)
    assert [first, last] == owners(stage.hub.registry.outboxes)
    assert ["session b failed"] == [record.getMessage() for record in caplog.records]
    assert "secret" not in caplog.text


def test_a_paused_session_keeps_its_place_and_costs_the_others_nothing() -> None:
    stage = Stage()
    slow, quick = stage.connect("a"), stage.connect("b")
    slow.room_for = 0
    for message in ("1", "2", "3"):
        stage.fanout.send(message, [slow.outbox, quick.outbox])
        stage.end_turn()
    assert ([], ["1", "2", "3"]) == (slow.heard, quick.heard)
    stage.resume(slow)
    stage.fanout.send("4", [slow.outbox, quick.outbox])
    stage.end_turn()
    assert ["1", "2", "3", "4"] == slow.heard == quick.heard
    assert 1 == len(slow.writes)


def test_who_was_flushed_is_not_kept() -> None:
    stage = Stage()
    carrier = Carrier("a", stage.dialect)
    kept = weakref.ref(carrier)
    stage.fanout.send("hello", [carrier.outbox])
    stage.end_turn()
    del carrier.outbox, carrier
    assert kept() is None


def test_sessions_of_two_deliveries_each_get_their_own() -> None:
    stage = Stage()
    first = stage.connect("a")
    second = stage.connect("b", delivery=FrameDelivery(stage.dialect, None, None))
    stage.fanout.send("hello", [first.outbox, second.outbox])
    stage.end_turn()
    assert first.writes == second.writes
    assert first.writes[0] is not second.writes[0]


async def test_what_the_woken_send_leaves_in_the_same_turn_and_write() -> None:
    stage = Stage()
    member = stage.connect("a")
    for message in ("1", "2"):
        waiting(stage, partial(stage.fanout.send, message, [member.outbox])).wake()
    stage.fanout.send("0", [member.outbox])
    assert ([], 1) == (member.heard, len(stage.scheduled))
    stage.end_turn()
    assert (["0", "1", "2"], 1) == (member.heard, len(member.writes))
    assert [] == stage.scheduled


async def test_whom_the_woken_wake_waits_for_the_next_turn() -> None:
    stage = Stage()
    woken: list[str] = []
    last = waiting(stage, lambda: woken.append("last"))

    def wake_the_last() -> None:
        woken.append("first")
        last.wake()

    first = waiting(stage, wake_the_last)
    first.wake()
    stage.end_turn()
    assert (["first"], 1) == (woken, len(stage.scheduled))
    stage.end_turn()
    assert (["first", "last"], 0) == (woken, len(stage.scheduled))


async def test_one_that_stops_the_loop_keeps_no_other_from_being_woken_and_flushed() -> None:
    stage = Stage()
    member = stage.connect("a")
    woken: list[str] = []
    waiting(stage, sys.exit).wake()
    waiting(stage, lambda: woken.append("last")).wake()
    stage.fanout.send("hello", [member.outbox])
    with pytest.raises(SystemExit):
        stage.end_turn()
    assert (["hello"], [], 1) == (member.heard, woken, len(stage.scheduled))
    stage.end_turn()
    assert ["last"] == woken
