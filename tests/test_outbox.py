"""An outbox keeps its session's order, and goes straight to the transport when nothing else is to be done."""

import asyncio
import json
import weakref
from collections.abc import Callable
from typing import Any, final

import pytest
from msgspec import Raw

from rfc6455 import CloseCode
from server.fanout import Fanout
from server.outbox import Outbox
from server.presence import Member
from server.publication import Publication, Shared
from server.service import Service
from server.settings import Settings
from server.tick import MAX_BATCH, Item, Tick
from server.traffic import Traffic
from tests.conftest import NO_RATES
from tests.faketransport import FakeTransport
from tests.provocations import session_of
from tests.rawclient import CLOSE, PING, TEXT, text
from tests.stage import Carrier, Stage, owner_of
from tests.test_publication import publication


@final
class Plain:
    """A delivery that adds nothing."""

    def encode(self, item: Item) -> bytes:
        said = item.payload if isinstance(item, Publication) else item
        assert isinstance(said, str)
        return said.encode()


@final
class Writes:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)


@final
class Owner:
    """A session that keeps what it is asked to deliver."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.transport = Writes()
        self.outbox = Outbox(self, self.transport, PLAIN)
        self.delivered: list[list[Item]] = []
        self.then: Callable[[], None] = lambda: None

    def deliver(self, tick: Tick) -> None:
        self.delivered.append(self.outbox.items())
        self.outbox.drop()
        self.then()

    def kick(self, code: int, reason: str) -> None:
        raise NotImplementedError


class Said(Shared):
    """What can be seen to be gone."""


PLAIN = Plain()


def test_who_is_sent_the_same_shares_it_whatever_others_are_sent_in_between() -> None:
    stage = Stage()
    a, b, c = (stage.connect(id).outbox for id in "abc")
    stage.fanout.send("1", [a, b, c])
    stage.fanout.send("2", [b])
    stage.fanout.send("3", [a, b, c])
    stage.fanout.send("4", [c, b, a])
    assert a.last is c.last is not b.last
    for outbox, expected in [(a, "134"), (b, "1234"), (c, "134")]:
        assert list(expected) == outbox.items()


def test_what_is_for_one_alone_keeps_its_place_and_is_nobody_elses() -> None:
    stage = Stage()
    a, b = (stage.connect(id).outbox for id in "ab")
    stage.fanout.send("1", [a, b])
    a.append("own")
    stage.fanout.send("2", [a, b])
    assert (["1", "own", "2"], ["1", "2"]) == (a.items(), b.items())


def test_what_this_turn_brings_goes_behind_what_waits() -> None:
    outbox = Owner("a").outbox
    assert outbox.is_empty
    outbox.waiting = ["1"]
    outbox.append("2")
    outbox.is_clear = True
    assert ["1", "2"] == outbox.items()
    outbox.gather()
    outbox.append("3")
    # Else what came last would be written first.
    assert not outbox.write(Tick(0.0))
    assert (["1", "2", "3"], False) == (outbox.items(), outbox.is_empty)
    outbox.drop()
    assert ([], True) == (outbox.items(), outbox.is_empty)


def test_what_goes_to_the_same_again_is_one_link() -> None:
    stage = Stage()
    room = {stage.connect(id).outbox: None for id in "ab"}
    for item in ("1", "2", "3"):
        stage.fanout.send(item, room)
    links = [outbox.last for outbox in room]
    assert [["1", "2", "3"]] * 2 == [outbox.items() for outbox in room]
    assert (links[0], None) == (links[1], links[0] and links[0].before)


def _leave(stage: Stage, member: Carrier) -> None:
    stage.hub.memberships.leave(member, "r")


def _exit(stage: Stage, member: Carrier) -> None:
    member.kick(1008, "")


def _hear(stage: Stage, member: Carrier) -> None:
    stage.hub.direct(None, "own", to_id=member.id)


def _speak(stage: Stage, member: Carrier) -> None:
    member.send("own")


def _stay(stage: Stage, member: Carrier) -> None:
    pass


def _deliver(stage: Stage, member: Carrier) -> None:
    member.deliver(Tick(0.0))


@pytest.mark.parametrize("is_replaced", [True, False])
@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        (_leave, ["1"]),
        (_exit, []),
        (_hear, ["1", "own", "2", "3"]),
        (_speak, ["1", "own", "2", "3"]),
        (_deliver, ["1", "2", "3"]),
        (_stay, ["1", "2", "3"]),
    ],
)
def test_members_hear_what_is_published_while_they_are_members(
    moves: Callable[[Stage, Carrier], None], expected: list[str], is_replaced: bool
) -> None:
    stage = Stage()
    stays, moving, comes = (stage.connect(id) for id in "abc")
    for member in (stays, moving):
        stage.hub.memberships.join(member, "r")
    stage.hub.publish(None, "r", "1")
    moves(stage, moving)
    if is_replaced:
        stage.hub.memberships.join(comes, "r")
    for payload in ("2", "3"):
        stage.hub.publish(None, "r", payload)
    stage.end_turn()
    heard = [[str(said).rpartition(": ")[2] for said in one.heard] for one in (stays, moving, comes)]
    assert [["1", "2", "3"], expected, ["2", "3"] if is_replaced else []] == heard


@pytest.mark.parametrize("is_of_room", [True, False])
def test_who_is_gone_from_among_all_or_the_listeners_hears_no_more(is_of_room: bool) -> None:
    stage = Stage()
    stays, goes, comes = (stage.connect(id) for id in "abc")
    if not is_of_room:
        stage.hub.exit(comes)
    for member in (stays, goes):
        stage.hub.memberships.join(member, "r", hears_presence=True)
    room = stage.room("r")
    receivers = room.listeners if is_of_room else stage.hub.registry.outboxes
    stage.fanout.send("1", receivers)
    if is_of_room:
        stage.hub.memberships.join(comes, "r", hears_presence=True)
        room.admit(goes.outbox, Member(goes.id))
    else:
        stage.hub.registry.remove(goes)
        stage.hub.enter(comes)
    stage.fanout.send("2", receivers)
    stage.end_turn()
    assert [["1", "2"], ["1"], ["2"]] == [one.heard for one in (stays, goes, comes)]


@pytest.mark.parametrize("is_clear", [True, False])
def test_what_a_flush_brings_in_its_middle_is_for_who_comes_later_and_for_the_next(is_clear: bool) -> None:
    scheduled = list[Callable[[], None]]()
    fanout = Fanout(scheduled.append, lambda: 0.0)
    zeroth, first, second = (Owner(id) for id in "0ab")
    zeroth.outbox.is_clear = is_clear
    room = {owner.outbox: None for owner in (zeroth, first, second)}

    def publish() -> None:
        for item in ("3", "4"):
            fanout.send(item, room)

    first.then = publish
    for item in ("1", "2"):
        fanout.send(item, room)
    fanout.flush()
    assert ([["1", "2"]], [["1", "2", "3", "4"]]) == (first.delivered, second.delivered)
    first.then = lambda: None
    fanout.send("5", room)
    fanout.flush()
    assert ([["3", "4", "5"]], [["5"]]) == (first.delivered[1:], second.delivered[1:])
    if is_clear:
        assert [b"12", b"345"] == zeroth.transport.writes
    else:
        assert [["1", "2"], ["3", "4", "5"]] == zeroth.delivered


def test_what_a_flush_brings_behind_what_went_straight_is_for_the_next() -> None:
    fanout = Fanout(lambda flush: None, lambda: 0.0)
    clear, other = Owner("a"), Owner("b")
    clear.outbox.is_clear = True
    room = {clear.outbox: None}
    other.then = lambda: fanout.send("2", room)
    fanout.send("1", room)
    fanout._dirty.append(other.outbox)
    fanout.flush()
    fanout.flush()
    assert [b"1", b"2"] == clear.transport.writes


def test_what_is_sent_to_nobody_is_not_kept() -> None:
    fanout = Fanout(lambda flush: None, lambda: 0.0)
    nobody: list[Outbox] = []
    kept = list[weakref.ref[Said]]()
    for _ in range(2):
        said = Said()
        kept.append(weakref.ref(said))
        fanout.send(said, nobody)
    del said
    assert [None, None] == [one() for one in kept]


def test_neither_what_was_sent_nor_who_was_sent_it_is_kept() -> None:
    fanout = Fanout(lambda flush: None, lambda: 0.0)
    owner, said = Owner("a"), Said()
    kept: list[weakref.ref[Any]] = [weakref.ref(owner), weakref.ref(said)]
    fanout.send(said, [owner.outbox])
    fanout.flush()
    owner.delivered.clear()
    del owner.outbox, owner, said
    assert [None, None] == [one() for one in kept]


def test_a_long_turn_is_listed_and_freed_without_recursion() -> None:
    outbox = Owner("a").outbox
    for number in range(200_000):
        outbox.append(str(number))
    assert list(map(str, range(200_000))) == outbox.items()


def test_clear_outboxes_are_written_in_one_piece_and_counted() -> None:
    traffic, scheduled = Traffic(), list[Callable[[], None]]()
    fanout = Fanout(scheduled.append, lambda: 0.0, traffic=traffic)
    owners = [Owner(id) for id in "abc"]
    for owner in owners[:2]:
        owner.outbox.is_clear = True
    for item in ("1", publication("22")):
        fanout.send(item, [owner.outbox for owner in owners])
    fanout.flush()
    a, b, c = (owner.transport.writes for owner in owners)
    assert [b"122"] == a == b
    assert a[0] is b[0]
    # One that isn't clear is its session's to deliver.
    assert ([], [], [], 1) == (c, owners[0].delivered, owners[1].delivered, len(owners[2].delivered))
    assert (6, 4) == (traffic.bytes_sent, traffic.messages_sent)


@pytest.mark.parametrize(("excess", "is_straight"), [(-1, True), (0, True), (1, False)])
def test_more_than_a_batch_is_its_sessions_to_deliver(excess: int, is_straight: bool) -> None:
    owner = Owner("a")
    owner.outbox.is_clear = True
    for size in (MAX_BATCH - 10, 10 + excess):
        owner.outbox.append("x" * size)
    assert is_straight == owner.outbox.write(Tick(0.0))
    assert is_straight == owner.outbox.is_empty


def test_what_makes_no_message_is_its_sessions_to_count() -> None:
    traffic = Traffic()
    fanout = Fanout(lambda flush: None, lambda: 0.0, traffic=traffic)
    owner = Owner("a")
    owner.outbox.is_clear = True
    fanout.send("", [owner.outbox])
    fanout.flush()
    assert ([[""]], [], 0) == (owner.delivered, owner.transport.writes, traffic.messages_sent)


def test_one_without_a_delivery_that_others_share_is_its_sessions_to_deliver() -> None:
    owner = Owner("a")
    outbox = Outbox(owner, owner.transport, None)
    outbox.is_clear = True
    outbox.append("1")
    assert not outbox.write(Tick(0.0))


# Of a WebSocket.


async def members(count: int = 1) -> tuple[Service, list[FakeTransport]]:
    """Members of a room who have heard something, and so are clear."""
    service = Service(Settings(**{**NO_RATES, "compression": False}))
    transports = [FakeTransport(service) for _ in range(count)]
    for transport in transports:
        transport.open("/ws")
        transport.receive(text('{"action":"join","room":"a"}'))
    service.context.hub.publish(None, "a", "first")
    await asyncio.sleep(0)
    for transport in transports:
        assert transport.take()
    return service, transports


async def test_a_member_is_clear_once_it_was_sent_all() -> None:
    service, transports = await members(2)
    for outbox in service.context.hub.registry.outboxes:
        assert (True, True) == (outbox.is_clear, outbox.is_empty)
    service.context.hub.publish(None, "a", "second")
    await asyncio.sleep(0)
    first, second = (transport.writes for transport in transports)
    assert first[0] is second[0]


async def test_messages_and_octets_that_go_straight_are_counted() -> None:
    service, (transport, _) = await members(2)
    traffic = service.context.traffic
    before = traffic.bytes_sent, traffic.messages_sent
    for _ in range(3):
        service.context.hub.publish(None, "a", "text")
    await asyncio.sleep(0)
    expected = (before[0] + 2 * len(transport.take()), before[1] + 6)
    assert expected == (traffic.bytes_sent, traffic.messages_sent)


@pytest.mark.parametrize("is_closed_first", [True, False])
async def test_nothing_follows_a_close(is_closed_first: bool) -> None:
    # RFC 6455 5.5.1.
    service, (transport,) = await members()
    session = session_of(transport)
    if is_closed_first:
        session.close()
    service.context.hub.publish(None, "a", "text")
    session.close()
    await asyncio.sleep(0)
    service.context.hub.publish(None, "a", "late")
    await asyncio.sleep(0)
    assert [TEXT, CLOSE] == [one.opcode for one in transport.frames()]


async def test_nothing_is_written_to_who_was_kicked_in_the_same_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service, (transport,) = await members()
    (outbox,) = service.context.hub.registry.outboxes
    service.context.hub.publish(None, "a", "text")
    owner_of(outbox).kick(CloseCode.POLICY_VIOLATION, "")
    service.context.fanout.send("late", [outbox])
    await asyncio.sleep(0)
    assert ([CLOSE], []) == ([one.opcode for one in transport.frames()], caplog.records)


async def test_a_pause_in_mid_turn_holds_what_was_published() -> None:
    service, (transport,) = await members()
    service.context.hub.publish(None, "a", Raw(b'"1"'))
    transport.pause()
    service.context.hub.publish(None, "a", Raw(b'"2"'))
    await asyncio.sleep(0)
    assert [] == transport.writes
    transport.resume()
    service.context.hub.publish(None, "a", Raw(b'"3"'))
    await asyncio.sleep(0)
    assert ["1", "2", "3"] == [json.loads(one.payload)["message"] for one in transport.frames()]


async def test_reply_ping_and_publication_keep_their_order() -> None:
    service, (transport,) = await members()
    session = session_of(transport)
    session.send("reply")
    session.send_ping()
    service.context.hub.publish(None, "a", "text")
    session.send("behind")
    await asyncio.sleep(0)
    reply, ping, publication, behind = transport.frames()
    assert (b"reply", PING, b"behind") == (reply.payload, ping.opcode, behind.payload)
    assert b'"message"' in publication.payload


async def test_who_awaits_that_all_is_sent_is_told_though_it_goes_straight() -> None:
    service, (transport,) = await members()
    session = session_of(transport)
    service.context.hub.publish(None, "a", "text")
    waiting = session.drained()
    assert waiting is not None
    await asyncio.wait_for(waiting, 10)
    assert session.drained() is None


async def test_who_is_never_published_to_has_no_outbox() -> None:
    service = Service(Settings(**NO_RATES))
    transport = FakeTransport(service)
    transport.open("/echo")
    transport.receive(text("Hello"))
    session = session_of(transport)
    session.send_ping()
    assert session._outbox is None
    assert [TEXT, PING] == [one.opcode for one in transport.frames()]
