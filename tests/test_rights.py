"""Rights: what isn't given isn't allowed, whichever way a client asks for it."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw

from server.identity import Identity
from server.refusal import Refusal
from server.rights import EVERYTHING, Rights, parse_rights
from tests.stage import Carrier, Stage, refusal_of

PAYLOAD = Raw(b"1")


def guest(stage: Stage, rights: Rights, id: str = "a") -> Carrier:
    carrier = stage.connect(id, "alice")
    carrier.identity = Identity("alice", rights=rights)
    return carrier


@pytest.mark.parametrize(
    ("patterns", "room", "code"),
    [
        ((), "team.a", "forbidden"),
        (("team.a",), "team.a", ""),
        (("team.a",), "team.b", "forbidden"),
        (("team.*",), "team.b", ""),
        (("team.*",), "team.b.c", "forbidden"),
        (("team.*",), "teams.b", "forbidden"),
        (("x", "team.>"), "team.b.c", ""),
        ((">",), "anything", ""),
        (("*",), "anything", ""),
        (("*",), "any.thing", "forbidden"),
    ],
)
def test_rooms_are_joined_and_published_to_by_right(patterns: tuple[str, ...], room: str, code: str) -> None:
    stage = Stage()
    reader, writer = guest(stage, Rights(join=patterns)), guest(stage, Rights(publish=patterns), "b")
    assert code == refusal_of(lambda: stage.hub.memberships.join(reader, room))
    assert code == refusal_of(lambda: stage.hub.publish(writer, room, PAYLOAD))
    # The one isn't the other.
    assert "forbidden" == refusal_of(lambda: stage.hub.publish(reader, room, PAYLOAD))
    assert "forbidden" == refusal_of(lambda: stage.hub.memberships.join(writer, room))


@pytest.mark.parametrize(
    ("patterns", "pattern", "code"),
    [
        (("team.a",), "team.*", "forbidden"),
        (("team.a",), "team.>", "forbidden"),
        (("team.a",), ">", "forbidden"),
        (("team.*",), "team.*", ""),
        (("team.*",), "team.>", "forbidden"),
        (("team.*",), "*.a", "forbidden"),
        (("team.*",), "*.*", "forbidden"),
        (("team.>",), "team.*", ""),
        (("team.>",), "team.>", ""),
        (("team.>",), "team.a.>", ""),
        (("*",), ">", "forbidden"),
        (("*.>",), ">", "forbidden"),
        ((">",), ">", ""),
        ((">",), "a.>.b", "invalid_name"),
    ],
)
def test_pattern_is_joined_only_if_every_room_of_it_may_be(
    patterns: tuple[str, ...], pattern: str, code: str
) -> None:
    stage = Stage()
    session = guest(stage, Rights(join=patterns))
    assert code == refusal_of(lambda: stage.hub.memberships.join(session, pattern))


@pytest.mark.parametrize(
    ("ask", "rights"),
    [
        (lambda hub, one: hub.broadcast(one, PAYLOAD), Rights(broadcast=True)),
        (lambda hub, one: hub.direct(one, PAYLOAD, to_id="a"), Rights(direct=True)),
        (lambda hub, one: hub.direct(one, PAYLOAD, to_user="alice"), Rights(direct=True)),
    ],
    ids=["broadcast", "direct to an id", "direct to a user"],
)
def test_broadcast_and_direct_messages_have_rights_of_their_own(
    ask: Callable[[Any, Carrier], object], rights: Rights
) -> None:
    stage = Stage()
    rest = Rights((">",), (">",), broadcast=not rights.broadcast, direct=not rights.direct)
    assert "" == refusal_of(lambda: ask(stage.hub, guest(stage, rights)))
    assert "forbidden" == refusal_of(lambda: ask(stage.hub, guest(stage, rest)))


def test_what_is_not_given_is_not_allowed() -> None:
    assert Rights(join=(), publish=(), broadcast=False, direct=False) == Rights() == parse_rights({})


def test_nobody_learns_by_a_refusal_who_is_here() -> None:
    stage = Stage()
    session = guest(stage, Rights())
    for id in ("a", "nobody"):
        assert "forbidden" == refusal_of(lambda id=id: stage.hub.direct(session, PAYLOAD, to_id=id))  # type: ignore[misc]


def test_without_an_identity_and_with_every_right_all_is_allowed() -> None:
    stage = Stage()
    for session in (stage.connect("b"), guest(stage, EVERYTHING)):
        for name in ("room", "team.a", "team.*", ">"):
            stage.hub.memberships.join(session, name)
        stage.hub.publish(session, "team.a", PAYLOAD)
        stage.hub.broadcast(session, PAYLOAD)
        stage.hub.direct(session, PAYLOAD, to_id="a" if session.id == "a" else "b")


def test_server_publishes_where_it_likes() -> None:
    assert 1 == Stage().hub.publish(None, "room", PAYLOAD).offset


def test_rooms_that_new_rights_do_not_allow_are_left() -> None:
    stage = Stage()
    session = guest(stage, EVERYTHING)
    for name in ("a", "team.a", "team.*", "team.>"):
        stage.hub.memberships.join(session, name)
    session.identity = Identity("alice", rights=Rights(join=("team.*",)))
    assert ["a", "team.>"] == stage.hub.memberships.leave_forbidden(session)
    assert ["team.a", "team.*"] == stage.hub.memberships.of(session)
    stage.end_turn()
    stage.hub.publish(None, "a", PAYLOAD)
    stage.hub.publish(None, "team.x.y", PAYLOAD)
    stage.end_turn()
    assert [] == session.heard


def test_who_has_no_identity_keeps_its_rooms() -> None:
    stage = Stage()
    session = stage.connect("a")
    stage.hub.memberships.join(session, "a")
    assert [] == stage.hub.memberships.leave_forbidden(session)


@pytest.mark.parametrize(
    ("claim", "rights"),
    [
        ({}, Rights()),
        ({"join": ["a", "b.*"]}, Rights(join=("a", "b.*"))),
        ({"publish": [">"], "broadcast": True}, Rights(publish=(">",), broadcast=True)),
        ({"direct": True, "more": 1}, Rights(direct=True)),
    ],
)
def test_claim_gives_rights(claim: object, rights: Rights) -> None:
    assert rights == parse_rights(claim)


@pytest.mark.parametrize(
    "claim",
    [
        None,
        True,
        "*",
        ["a"],
        {"join": "a"},
        {"join": None},
        {"join": [1]},
        {"join": [["a"]]},
        {"publish": {"a": True}},
        {"broadcast": 1},
        {"broadcast": "true"},
        {"direct": ["bob"]},
        {"join": [""]},
        {"join": ["a.>.b"]},
        {"join": ["a\x1b[2J"]},
        {"join": ["a" * 129]},
        {"join": [".".join("*" * 17)]},
        {"publish": ["a.>.b"]},
    ],
)
def test_claim_of_another_shape_gives_none(claim: object) -> None:
    with pytest.raises(ValueError, match=r"^[ -~]+$"):
        parse_rights(claim)


@pytest.mark.parametrize("name", ["", "a\nb", "a\u202eb", "a" * 129])
def test_identity_has_a_users_name(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        Identity(name)
    assert "invalid_name" == caught.value.code
