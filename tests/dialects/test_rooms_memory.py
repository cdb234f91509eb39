"""The rooms dialect where it remembers: coming back, who is here, what is sent again, what is missed."""

from typing import Any

import pytest

from server.dialects.rooms import RoomsDialect
from server.history import Archive
from server.idempotency import MAX_ID
from server.overflow import Overflow, Strategy
from server.presence import MAX_STATE
from server.publication import Missed, Publication
from tests.dialects.test_rooms import Client, Json, errors
from tests.stage import Stage


class House:
    """Two clients of one hub, which keeps three messages of a room."""

    def __init__(self) -> None:
        self.stage = Stage(RoomsDialect, archive=Archive(max_publications=3))
        self.bob = Client(self.stage, "bob")
        self.carol = Client(self.stage, "carol")

    def wait(self) -> None:
        self.stage.wait(1.0)
        self.stage.end_turn()


def test_who_comes_back_is_sent_what_it_missed_behind_the_answer() -> None:
    house = House()
    (joined,) = house.bob.says({"action": "join", "room": "a"})
    house.bob.says({"action": "leave", "room": "a"})
    for number in (1, 2, 3):
        house.carol.says({"action": "message", "room": "a", "message": number})
    since = {"epoch": joined["epoch"], "offset": 1}
    answer, *missed = house.bob.says({"action": "join", "room": "a", "since": since, "ref": 7})
    assert ("joined", 7, True, 3) == (answer["type"], answer["ref"], answer["recovered"], answer["offset"])
    assert [(2, 2), (3, 3)] == [(one["offset"], one["message"]) for one in missed]
    # As they were heard by those who were there.
    assert {"type": "message", "room": "a", "user": "anonymous", "from": "carol"}.items() <= missed[0].items()


@pytest.mark.parametrize(
    ("since", "code"),
    [
        ({"epoch": "x", "offset": 0}, ""),
        ({"epoch": "EPOCH", "offset": 0}, ""),
        ({"epoch": "EPOCH", "offset": 1}, "invalid_since"),
        ({"epoch": "EPOCH", "offset": -1}, "invalid_message"),
        ({"epoch": "EPOCH", "offset": 0.5}, "invalid_message"),
        ({"epoch": "EPOCH", "offset": "0"}, "invalid_message"),
        ({"epoch": "EPOCH"}, "invalid_message"),
        ({"epoch": 1, "offset": 0}, "invalid_message"),
        ("EPOCH", "invalid_message"),
        (None, ""),
    ],
)
def test_since_is_an_epoch_and_an_offset(since: Any, code: str) -> None:
    house = House()
    (joined,) = house.bob.says({"action": "join", "room": "a"})
    if isinstance(since, dict) and since.get("epoch") == "EPOCH":
        since = {**since, "epoch": joined["epoch"]}
    answers = house.carol.says({"action": "join", "room": "a", "since": since, "ref": 1})
    if code:
        assert [(code, 1)] == errors(answers)
    else:
        assert ["joined"] == [answer["type"] for answer in answers]


def test_member_is_asked_to_ask_for_the_history() -> None:
    house = House()
    (joined,) = house.bob.says({"action": "join", "room": "a"})
    since = {"epoch": joined["epoch"], "offset": 0}
    assert [("already_joined", "none")] == errors(
        house.bob.says({"action": "join", "room": "a", "since": since})
    )


def test_history_has_the_last_messages_in_their_order() -> None:
    house = House()
    (joined,) = house.bob.says({"action": "join", "room": "a"})
    heard = [house.bob.says({"action": "message", "room": "a", "message": n})[0] for n in range(5)]
    for limit, expected in (({}, heard[2:]), ({"limit": 2}, heard[3:]), ({"limit": 1000}, heard[2:])):
        (answer,) = house.bob.says({"action": "history", "room": "a", "ref": 1, **limit})
        assert ("history", 1, "a", joined["epoch"], 5) == tuple(
            answer[name] for name in ("type", "ref", "room", "epoch", "offset")
        )
        assert expected == answer["messages"]


@pytest.mark.parametrize("action", ["history", "presence"])
@pytest.mark.parametrize(("limit", "is_good"), [(0, False), (1, True), (1000, True), (1001, False)])
def test_lists_have_a_bound(action: str, limit: int, is_good: bool) -> None:
    house = House()
    house.bob.says({"action": "join", "room": "a"})
    (answer,) = house.bob.says({"action": action, "room": "a", "limit": limit})
    assert is_good == (answer["type"] != "error")


@pytest.mark.parametrize("action", ["history", "presence", "state"])
def test_what_is_for_members_is_for_members(action: str) -> None:
    house = House()
    house.carol.says({"action": "join", "room": "a"})
    house.bob.says({"action": "join", "room": "*"})
    for room in ("a", "*", "nowhere"):
        assert [("not_a_member", 1)] == errors(house.bob.says({"action": action, "room": room, "ref": 1}))


# Who is here.


def test_members_are_told_by_session_or_by_user() -> None:
    house = House()
    house.bob.says({"action": "join", "room": "a", "user": "al", "state": {"typing": True}})
    house.carol.says({"action": "join", "room": "a", "user": "al"})
    other = Client(house.stage, "other")
    (joined,) = other.says({"action": "join", "room": "a"})
    assert (3, 2) == (joined["members"], joined["users"])
    people = [
        {"id": "bob", "user": "al", "state": {"typing": True}},
        {"id": "carol", "user": "al"},
        {"id": "other"},
    ]
    members = {"type": "members", "room": "a", "count": 3, "users": 2}
    assert [{**members, "members": people}] == other.says({"action": "presence", "room": "a"})
    assert [{**members, "members": people[:1]}] == other.says({"action": "presence", "room": "a", "limit": 1})
    assert [{**members, "members": [{"user": "al", "sessions": 2}]}] == other.says(
        {"action": "presence", "room": "a", "by_user": True}
    )


def test_changes_are_told_to_who_asked() -> None:
    house = House()
    house.bob.says({"action": "join", "room": "a", "presence": True})
    house.carol.says({"action": "join", "room": "a", "state": 1})
    house.wait()
    presence = {"type": "presence", "room": "a", "count": 2, "users": 2}
    joined = [{"id": "bob"}, {"id": "carol", "state": 1}]
    assert [{**presence, "joined": joined}] == house.bob.hears()
    assert [{"type": "ack", "room": "a", "ref": 1}] == house.carol.says(
        {"action": "state", "room": "a", "state": [2], "ref": 1}
    )
    house.wait()
    assert [{**presence, "changed": [{"id": "carol", "state": [2]}]}] == house.bob.hears()
    assert [] == house.carol.says({"action": "state", "room": "a", "state": None})
    house.wait()
    assert [{**presence, "changed": [{"id": "carol"}]}] == house.bob.hears()
    house.carol.says({"action": "leave", "room": "a"})
    house.wait()
    left = {"type": "presence", "room": "a", "count": 1, "users": 1, "left": [{"id": "carol"}]}
    assert [left] == house.bob.hears()
    assert [] == house.carol.hears()


def test_changes_that_are_too_many_are_told_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.presence.MAX_TOLD", 1)
    house = House()
    house.bob.says({"action": "join", "room": "a", "presence": True})
    house.carol.says({"action": "join", "room": "a"})
    house.wait()
    assert [{"type": "presence", "room": "a", "count": 2, "users": 2, "truncated": True}] == house.bob.hears()


@pytest.mark.parametrize("action", ["join", "state"])
@pytest.mark.parametrize(("excess", "is_good"), [(-1, True), (0, True), (1, False)])
def test_state_has_a_bound(action: str, excess: int, is_good: bool) -> None:
    house = House()
    house.bob.says({"action": "join", "room": "a"})
    state = "a" * (MAX_STATE - 2 + excess)
    (answer,) = house.bob.says({"action": action, "room": "a", "state": state, "ref": 1})
    assert is_good == (answer["type"] != "error")
    if not is_good:
        assert [("too_large", 1)] == errors([answer])


# Sent again.


@pytest.mark.parametrize(
    ("action", "ack"),
    [
        ({"action": "message", "room": "a", "message": 1}, {"room": "a", "offset": 1}),
        ({"action": "broadcast", "message": 1, "echo": True}, {}),
        ({"action": "direct", "to": "bob", "message": 1}, {}),
    ],
)
def test_what_is_sent_again_is_heard_once_and_acknowledged_twice(action: Json, ack: Json) -> None:
    house = House()
    house.bob.says({"action": "join", "room": "a"})
    house.carol.says({"action": "join", "room": "b"})
    again = {**action, "id": "1", "ref": 7}
    token = house.bob.carrier.dialect._hub.registry.token_of(house.bob.carrier)  # type: ignore[attr-defined]
    answers = house.bob.says(again)
    assert 2 == len(answers)
    assert {"type": "ack", "ref": 7, **ack} in answers
    duplicate = {"type": "ack", "ref": 7, "duplicate": True, **ack}
    assert [duplicate] == house.bob.says(again)
    back = Client(house.stage, "back")
    assert [{"type": "resumed", "ref": 1}] == back.says({"action": "resume", "token": token, "ref": 1})
    assert [duplicate] == back.says(again)
    assert [] == back.says({**action, "id": "1"})
    assert [] == house.bob.hears()


def test_token_of_another_server_is_refused() -> None:
    house = House()
    assert [("invalid_token", 1)] == errors(house.bob.says({"action": "resume", "token": "x.y", "ref": 1}))


@pytest.mark.parametrize(
    "action", [{"action": "message", "room": "a"}, {"action": "broadcast"}, {"action": "direct", "to": "bob"}]
)
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"id": ""}, "invalid_id"),
        ({"id": "a" * (MAX_ID - 1)}, ""),
        ({"id": "a" * MAX_ID}, ""),
        ({"id": "a" * (MAX_ID + 1)}, "invalid_id"),
        ({"id": 1}, "invalid_message"),
        ({"ttl": 0}, "invalid_message"),
        ({"ttl": -1}, "invalid_message"),
        ({"ttl": 0.001}, ""),
        ({"ttl": 86_400}, ""),
        ({"ttl": 86_400.001}, "invalid_message"),
        ({"ttl": "1"}, "invalid_message"),
    ],
)
def test_id_and_deadline_have_their_bounds(action: Json, fields: Json, code: str) -> None:
    house = House()
    house.bob.says({"action": "join", "room": "a"})
    answers = house.carol.says({**action, "message": 1, "ref": 1, **fields})
    if code:
        assert [(code, 1)] == errors(answers)
    else:
        assert "ack" in [answer["type"] for answer in answers]


def test_sender_may_rather_not_hear_itself() -> None:
    house = House()
    for client in (house.bob, house.carol):
        client.says({"action": "join", "room": "a"})
    said = {"action": "message", "room": "a", "message": 1, "echo": False, "ref": 1}
    assert [{"type": "ack", "room": "a", "offset": 1, "ref": 1}] == house.bob.says(said)
    assert [1] == [heard["offset"] for heard in house.carol.hears()]


# Many rooms, and slow readers.


def test_pattern_is_joined_as_a_room_is_and_tells_the_room_of_each_message() -> None:
    house = House()
    since = {"epoch": "x", "offset": 1}
    (joined,) = house.bob.says({"action": "join", "room": "s.*", "since": since, "ref": 1})
    assert ("s.*", 1, "", 0, False) == tuple(
        joined[name] for name in ("room", "members", "epoch", "offset", "recovered")
    )
    house.carol.says({"action": "message", "room": "s.x", "message": 1})
    assert [("s.x", 1)] == [(heard["room"], heard["offset"]) for heard in house.bob.hears()]
    assert [{"type": "left", "room": "s.*"}] == house.bob.says({"action": "leave", "room": "s.*"})
    assert [("invalid_name", 1)] == errors(
        house.carol.says({"action": "message", "room": "s.*", "message": 1, "ref": 1})
    )


def test_who_missed_something_is_told_how_much() -> None:
    house = House()
    house.stage.fanout.send(Missed("a", 3), [house.bob.carrier.outbox])
    house.stage.end_turn()
    assert [{"type": "missed", "room": "a", "count": 3}] == house.bob.hears()


def test_dialect_has_no_words_for_what_it_does_not_know() -> None:
    from server.publication import Shared

    house = House()
    house.stage.fanout.send(Shared(), [house.bob.carrier.outbox])
    house.stage.end_turn()
    assert [] == house.bob.hears()


def test_publication_knows_what_becomes_of_it() -> None:
    house = House()
    sent = house.stage.hub.publish(house.bob.carrier, "a", "hello", ttl=5.0)
    assert isinstance(sent, Publication)
    assert (Overflow(Strategy.DISCONNECT), house.stage.now + 5.0) == (sent.overflow, sent.deadline)
