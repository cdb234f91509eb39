"""The echo dialect: what comes goes back as it came, and nothing else is said."""

import pytest

from server.dialects.echo import EchoDialect
from server.session import SessionClosed
from server.tick import Message
from tests.stage import Carrier, Stage, owners
from tests.test_publication import publication


@pytest.fixture
def carrier() -> Carrier:
    carrier = Carrier("s1", EchoDialect())
    carrier.dialect.connected(carrier)
    return carrier


MESSAGES: list[Message] = ["", "hello", "grüße \U0001f600", "\x00", b"", b"\x00\xff", b"hello", "x" * 70_000]


def test_every_message_comes_back_as_it_went(carrier: Carrier) -> None:
    for message in MESSAGES:
        carrier.dialect.receive(carrier, message)
    assert MESSAGES == carrier.heard
    assert [type(message) for message in MESSAGES] == [type(message) for message in carrier.heard]


def test_nobody_is_greeted() -> None:
    carrier = Carrier("s1", EchoDialect())
    carrier.dialect.connected(carrier)
    assert [] == carrier.writes


def test_sessions_stand_apart_from_each_other_and_from_the_hub() -> None:
    stage = Stage()
    listener = stage.connect("listener")
    first, second = (Carrier(id, EchoDialect()) for id in "ab")
    for carrier in (first, second):
        carrier.dialect.connected(carrier)
    first.dialect.receive(first, "hello")
    stage.hub.broadcast(listener, "everybody")
    stage.end_turn()
    assert (["hello"], [], []) == (first.heard, second.heard, listener.heard)
    assert [listener] == owners(stage.hub.registry.outboxes)


def test_what_waits_for_a_paused_session_keeps_its_order() -> None:
    stage = Stage()
    carrier = Carrier("s1", EchoDialect())
    carrier.room_for = 0
    for message in MESSAGES:
        carrier.dialect.receive(carrier, message)
    assert [] == carrier.writes
    stage.resume(carrier)
    while carrier.waiting:
        stage.end_turn()
    assert MESSAGES == carrier.heard


def test_who_passed_a_limit_learns_it_from_the_close_alone(carrier: Carrier) -> None:
    carrier.dialect.refuse(carrier, "rate_limited", "Too many messages a second.")
    assert [] == carrier.writes


def test_end_of_a_session_needs_nothing(carrier: Carrier) -> None:
    carrier.kick(1001, "gone")
    assert [] == carrier.writes
    with pytest.raises(SessionClosed):
        carrier.dialect.receive(carrier, "hello")


def test_publications_have_no_form_in_it(carrier: Carrier) -> None:
    with pytest.raises(NotImplementedError):
        carrier.dialect.encode(publication())
    assert "echo" == carrier.dialect.name
