"""The rooms dialect: every action and its answer, every error and its code, every form of a publication."""

import base64
import gc
import json
import sys
from typing import Any, final

import pytest
from msgspec import Raw

from server.dialects.rooms import RoomsDialect
from server.json_bounds import JsonBounds
from server.publication import Payload
from tests.stage import Carrier, Stage

Json = dict[str, Any]

REFS = ["r1", "", "\U0001f600 \"'\\", 0, 7, -1, 2**53, 2**64]


@final
class Client:
    """A connected client; what it says is answered by the end of the turn."""

    def __init__(self, stage: Stage, id: str, user: str | None = None) -> None:
        self._stage = stage
        self.carrier = stage.connect(id, user)
        self._read = 0
        self.hears()

    def says(self, message: object) -> list[Json]:
        """Send an object as JSON, or a message as it is; return what is heard by the end of the turn."""
        self.whispers(message)
        self._stage.end_turn()
        return self.hears()

    def whispers(self, message: object) -> None:
        """Send in the midst of a turn."""
        as_it_is = message if isinstance(message, str | bytes) else json.dumps(message)
        self.carrier.dialect.receive(self.carrier, as_it_is)

    def hears(self) -> list[Json]:
        """What came since the last time; a binary message would be a mistake."""
        texts = self.carrier.heard[self._read :]
        self._read += len(texts)
        assert all(isinstance(text, str) for text in texts)
        return [json.loads(text) for text in texts]


@final
class House:
    """Clients of one hub; `alice` and `al` are signed in as alice, and `bob` is nobody by name."""

    def __init__(self, *, max_rooms: int = 100, max_rooms_per_session: int = 2) -> None:
        self.stage = Stage(RoomsDialect, max_rooms=max_rooms, max_rooms_per_session=max_rooms_per_session)
        self.bob = Client(self.stage, "bob")
        self.carol = Client(self.stage, "carol")
        self.alice = Client(self.stage, "alice", "alice")
        self.al = Client(self.stage, "al", "alice")
        self.clients = [self.bob, self.carol, self.alice, self.al]

    def everybody_hears(self) -> list[list[Json]]:
        self.stage.end_turn()
        return [client.hears() for client in self.clients]


def joined(house: House, room: str, *, members: int = 1, offset: int = 0) -> Json:
    return {
        "type": "joined",
        "status": "joined",
        "room": room,
        "members": members,
        "users": members,
        "epoch": house.stage.room(room).epoch,
        "offset": offset,
        "recovered": False,
    }


def errors(answers: list[Json]) -> list[tuple[str, object]]:
    """Codes and refs of what must be errors and nothing else, each with a sentence."""
    for answer in answers:
        assert "error" == answer["type"] and answer["message"]
        assert set(answer) <= {"type", "code", "message", "ref"}
    return [(answer["code"], answer.get("ref", "none")) for answer in answers]


# Actions. ---------------------------------------------------------------------------------------------------


def test_welcome_tells_the_id() -> None:
    stage = Stage(RoomsDialect)
    carrier = stage.connect("s1")
    token = stage.hub.registry.token_of(carrier)
    assert [{"type": "welcome", "id": "s1", "token": token}] == [json.loads(heard) for heard in carrier.heard]


def test_join_tells_where_the_room_is() -> None:
    house = House()
    answers = house.bob.says({"action": "join", "room": "general"})
    assert [joined(house, "general")] == answers
    house.bob.says({"action": "message", "room": "general", "message": 1})
    answers = house.carol.says({"action": "join", "room": "general"})
    assert [joined(house, "general", members=2, offset=1)] == answers
    # A member that joins again is told the same.
    assert answers == house.carol.says({"action": "join", "room": "general"})
    # Others are not told: only where they ask for it.
    assert [] == house.bob.hears()


def test_leave_is_answered_and_ends_the_membership() -> None:
    house = House()
    house.bob.says({"action": "join", "room": "general"})
    assert [{"type": "left", "room": "general"}] == house.bob.says({"action": "leave", "room": "general"})
    assert [] == house.stage.occupied
    assert [] == house.bob.says({"action": "message", "room": "general", "message": 1})


def test_message_goes_to_all_members_the_sender_too() -> None:
    house = House()
    for client in (house.bob, house.carol):
        client.says({"action": "join", "room": "general"})
    expected = {
        "type": "message",
        "room": "general",
        "user": "robert",
        "message": "hello",
        "from": "bob",
        "offset": 1,
        "time": house.stage.unix_time,
    }
    said = {"action": "message", "room": "general", "message": "hello", "user": "robert"}
    assert [expected] == house.bob.says(said)
    assert [[], [expected], [], []] == house.everybody_hears()
    assert [expected | {"offset": 2}] == house.bob.says(said)


def test_message_to_a_room_is_open_to_who_is_not_in_it() -> None:
    house = House()
    house.bob.says({"action": "join", "room": "general"})
    assert [] == house.carol.says({"action": "message", "room": "general", "message": 1})
    assert ["carol"] == [heard["from"] for heard in house.bob.hears()]


@pytest.mark.parametrize(("echo", "heard"), [({}, 0), ({"echo": False}, 0), ({"echo": True}, 1)])
def test_broadcast_goes_to_all_others_and_with_echo_to_the_sender(echo: Json, heard: int) -> None:
    house = House()
    expected = {
        "type": "broadcast",
        "user": "anonymous",
        "message": "hello",
        "from": "bob",
        "time": house.stage.unix_time,
    }
    own = house.bob.says({"action": "broadcast", "message": "hello"} | echo)
    assert [[expected] * heard, [expected], [expected], [expected]] == [own, *house.everybody_hears()[1:]]


@pytest.mark.parametrize(
    ("to", "receivers"),
    [
        ("carol", ["carol"]),
        ({"id": "carol"}, ["carol"]),
        ({"user": "alice"}, ["alice", "al"]),
        ({"id": "carol", "user": "alice"}, ["carol", "alice", "al"]),
        ({"id": None, "user": "alice"}, ["alice", "al"]),
        ({"id": "bob", "user": None}, ["bob"]),
    ],
)
def test_direct_goes_to_that_client_or_each_of_that_users(to: object, receivers: list[str]) -> None:
    house = House()
    expected = {
        "type": "direct",
        "user": "anonymous",
        "message": "hello",
        "from": "bob",
        "time": house.stage.unix_time,
    }
    house.bob.whispers({"action": "direct", "to": to, "message": "hello"})
    heard = house.everybody_hears()
    assert [[expected] * (client.carrier.id in receivers) for client in house.clients] == heard


def test_ping_is_answered() -> None:
    assert [{"type": "pong"}] == House().bob.says({"action": "ping"})


def test_what_the_dialect_does_not_know_is_passed_over() -> None:
    house = House()
    said = {"action": "join", "room": "general", "extra": [None]}
    answers = house.bob.says(said)
    assert [joined(house, "general")] == answers


def test_session_that_is_over_leaves_its_rooms_and_is_nobodys_receiver() -> None:
    house = House()
    for client in (house.bob, house.carol):
        client.says({"action": "join", "room": "general"})
    house.bob.carrier.kick(1001, "gone")
    assert 1 == len(house.stage.room("general").members)
    assert [("not_found", "none")] == errors(
        house.carol.says({"action": "direct", "to": "bob", "message": 1})
    )
    house.carol.carrier.kick(1001, "gone")
    assert [] == house.stage.occupied
    assert 2 == len(house.stage.hub.registry)


def test_answers_and_messages_keep_their_order_within_a_turn() -> None:
    house = House()
    house.carol.says({"action": "join", "room": "general"})
    actions: list[Json] = [
        {"action": "message", "room": "general", "message": 0},
        {"action": "join", "room": "general"},
        {"action": "message", "room": "general", "message": 2},
        {"action": "ping"},
        {"action": "direct", "to": "bob", "message": 4},
        {"action": "leave", "room": "general"},
        {"action": "message", "room": "general", "message": 6},
        {"action": "ping"},
    ]
    for number, action in enumerate(actions):
        house.bob.whispers(action | {"ref": number})
    heard = house.everybody_hears()[0]
    kinds = [(answer["type"], answer.get("ref", answer.get("message"))) for answer in heard]
    by_order = [kind for kind in kinds if kind[0] != "ack"]
    assert [("joined", 1), ("message", 2), ("pong", 3), ("direct", 4), ("left", 5), ("pong", 7)] == by_order
    assert [0, 2, 4, 6] == [ref for kind, ref in kinds if kind == "ack"]


# Refs. ------------------------------------------------------------------------------------------------------

ANSWERED: list[tuple[Json, str]] = [
    ({"action": "join", "room": "r2"}, "joined"),
    ({"action": "leave", "room": "general"}, "left"),
    ({"action": "ping"}, "pong"),
    ({"action": "leave", "room": "nowhere"}, "not_a_member"),
    ({"action": "join", "room": ""}, "invalid_name"),
    ({"action": "message", "room": "", "message": 1}, "invalid_name"),
    ({"action": "message", "room": "general", "message": 1, "user": "\n"}, "invalid_name"),
    ({"action": "message", "room": "general", "message": 1, "user": "alice"}, "forbidden"),
    ({"action": "broadcast", "message": 1, "user": "alice"}, "forbidden"),
    ({"action": "direct", "to": "bob", "message": 1, "user": "alice"}, "forbidden"),
    ({"action": "direct", "to": "nobody", "message": 1}, "not_found"),
    ({"action": "direct", "to": {}, "message": 1}, "not_found"),
    ({"action": "join"}, "invalid_message"),
    ({"action": "nonsense"}, "invalid_message"),
    ({}, "invalid_message"),
    ({"action": "join", "room": 1}, "invalid_message"),
]
ACKNOWLEDGED: list[tuple[Json, Json]] = [
    ({"action": "message", "room": "general", "message": 1}, {"room": "general", "offset": 1}),
    ({"action": "message", "room": "nowhere", "message": 1}, {"room": "nowhere", "offset": 1}),
    ({"action": "broadcast", "message": 1}, {}),
    ({"action": "direct", "to": "carol", "message": 1}, {}),
]


def with_general() -> Client:
    house = House()
    house.bob.says({"action": "join", "room": "general"})
    return house.bob


@pytest.mark.parametrize("ref", REFS)
@pytest.mark.parametrize(("action", "kind"), ANSWERED, ids=str)
def test_ref_comes_back_in_the_answer(action: Json, kind: str, ref: object) -> None:
    [answer] = with_general().says(action | {"ref": ref})
    assert (kind, ref) == (answer.get("code", answer["type"]), answer["ref"])
    assert type(ref) is type(answer["ref"])


@pytest.mark.parametrize(("action", "kind"), ANSWERED, ids=str)
def test_who_gave_no_ref_gets_none(action: Json, kind: str) -> None:
    [answer] = with_general().says(action)
    assert kind == answer.get("code", answer["type"])
    assert "ref" not in answer


@pytest.mark.parametrize("ref", REFS)
@pytest.mark.parametrize(("action", "ack"), ACKNOWLEDGED, ids=str)
def test_who_gave_a_ref_is_acknowledged(action: Json, ack: Json, ref: object) -> None:
    answers = [answer for answer in with_general().says(action | {"ref": ref}) if answer["type"] == "ack"]
    assert [{"type": "ack", "ref": ref, **ack}] == answers


@pytest.mark.parametrize(("action", "ack"), ACKNOWLEDGED, ids=str)
def test_who_gave_no_ref_is_not_acknowledged(action: Json, ack: Json) -> None:
    assert [] == [answer for answer in with_general().says(action) if answer["type"] != "message"]


def test_publications_bear_no_ref() -> None:
    house = House()
    house.carol.says({"action": "join", "room": "general"})
    for action, _ in ACKNOWLEDGED:
        house.bob.says(action | {"ref": "r1"})
    heard = house.carol.hears()
    assert ["message", "broadcast", "direct"] == [message["type"] for message in heard]
    assert not any("ref" in message for message in heard)


@pytest.mark.parametrize("ref", [None, True, False, 1.5, 1.0, [], ["r1"], {}, {"ref": "r1"}], ids=repr)
@pytest.mark.parametrize("action", [{"action": "ping"}, {"action": "message", "room": "r", "message": 1}])
def test_ref_of_another_type_is_refused_by_name_and_nothing_is_done(action: Json, ref: object) -> None:
    house = House()
    house.carol.says({"action": "join", "room": "r"})
    [answer] = house.bob.says(action | {"ref": ref})
    assert [("invalid_message", "none")] == errors([answer])
    assert "`$.ref`" in answer["message"]
    assert [] == house.carol.hears()


# Errors. ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "hello",
        "{'action':'ping'}",
        '{"action":"ping"',
        '{"action":"ping"}}',
        '{"action":"ping"}{"action":"ping"}',
        '{"action":"ping",}',
        '{action:"ping"}',
        "\ufeff" + '{"action":"ping"}',
        '{"action":"ping","x":NaN}',
        '{"action":"ping","x":-Infinity}',
        '{"action":"ping","x":01}',
        '{"action":"ping","x":"\t"}',
        '{"action":"ping","x":"\\x"}',
        '{"action":"ping"} // a comment',
        # Half of a pair is no character, in a name or in a payload.
        '{"action":"join","room":"\\ud800"}',
        '{"action":"message","room":"r","message":"\\udc00"}',
        # A payload is read to its end before it is passed on.
        '{"action":"message","room":"r","message":{"a":}}',
        '{"action":"message","room":"r","message":[1,]}',
        '{"action":"message","room":"r","message":nul}',
        '{"action":"message","room":"r","message":"\\q"}',
    ],
)
def test_what_is_not_json_is_invalid_json(text: str) -> None:
    house = House()
    house.carol.says({"action": "join", "room": "r"})
    assert [{"type": "error", "code": "invalid_json", "message": "Invalid JSON"}] == house.bob.says(text)
    assert [] == house.carol.hears()
    assert [{"type": "pong"}] == house.bob.says({"action": "ping"})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("null", "object"),
        ("[]", "object"),
        ("1", "object"),
        ('"join"', "object"),
        ("{}", "`action`"),
        ('{"room":"r"}', "`action`"),
        ('{"action":null}', "`$.action`"),
        ('{"action":1}', "`$.action`"),
        ('{"action":["join"]}', "`$.action`"),
        ('{"action":""}', "`$.action`"),
        ('{"action":"Join","room":"r"}', "`$.action`"),
        ('{"action":"error"}', "`$.action`"),
        ('{"action":"join"}', "`room`"),
        ('{"action":"join","room":null}', "`$.room`"),
        ('{"action":"join","room":["r"]}', "`$.room`"),
        ('{"action":"leave"}', "`room`"),
        ('{"action":"leave","room":1}', "`$.room`"),
        ('{"action":"message","message":1}', "`room`"),
        ('{"action":"message","room":"r"}', "`message`"),
        ('{"action":"message","room":1,"message":1}', "`$.room`"),
        ('{"action":"message","room":"r","message":1,"user":1}', "`$.user`"),
        ('{"action":"broadcast"}', "`message`"),
        ('{"action":"broadcast","message":1,"echo":1}', "`$.echo`"),
        ('{"action":"broadcast","message":1,"echo":"true"}', "`$.echo`"),
        ('{"action":"broadcast","message":1,"user":false}', "`$.user`"),
        ('{"action":"direct","message":1}', "`to`"),
        ('{"action":"direct","to":"bob"}', "`message`"),
        ('{"action":"direct","to":null,"message":1}', "`$.to`"),
        ('{"action":"direct","to":1,"message":1}', "`$.to`"),
        ('{"action":"direct","to":["bob"],"message":1}', "`$.to`"),
        ('{"action":"direct","to":{"id":1},"message":1}', "`$.to.id`"),
        ('{"action":"direct","to":{"user":[]},"message":1}', "`$.to.user`"),
    ],
)
def test_what_is_not_a_message_is_invalid_by_name(text: str, named: str) -> None:
    house = House()
    answers = house.bob.says(text)
    assert [("invalid_message", "none")] == errors(answers)
    assert named in answers[0]["message"]
    assert [[], [], [], []] == house.everybody_hears()


@pytest.mark.parametrize("message", [b"", b'{"action":"ping"}', b"\xff"])
def test_binary_message_is_unsupported(message: bytes) -> None:
    house = House()
    assert [("unsupported_data", "none")] == errors(house.bob.says(message))
    assert [{"type": "pong"}] == house.bob.says({"action": "ping"})


def test_too_many_rooms() -> None:
    house = House(max_rooms=3, max_rooms_per_session=2)
    for room in ("a", "b"):
        house.bob.says({"action": "join", "room": room})
    join = {"action": "join", "room": "c", "ref": 1}
    assert [("too_many_rooms", 1)] == errors(house.bob.says(join))
    assert ["joined"] == [answer["type"] for answer in house.carol.says(join)]
    assert [("too_many_rooms", 1)] == errors(house.alice.says(join | {"room": "d"}))


def test_who_passed_a_limit_is_told_which() -> None:
    client = House().bob
    client.carrier.dialect.refuse(client.carrier, "rate_limited", "Too many frames a second.")
    assert [
        {"type": "error", "code": "rate_limited", "message": "Too many frames a second."}
    ] == client.hears()


@pytest.mark.parametrize(
    "said",
    [
        {"action": "x" * 100_000},
        {"action": "\x00" * 100_000},
        {"action": "leave", "room": "\ue000" * 100_000},
        {"action": "join", "room": "x" * 100_000},
        {"action": "message", "room": "general", "message": 1, "user": "x" * 100_000},
        {"action": "direct", "to": "x" * 100_000, "message": 1},
        {"action": "join", "room": "general", "x" * 100_000: 1, "ref": ["x" * 100_000]},
    ],
    ids=lambda said: str(said)[:40],
)
def test_answer_to_nonsense_is_short_however_long_that_was(said: Json) -> None:
    client = House().bob
    [error] = client.says(said)
    assert len(error["message"]) <= 250
    assert error["code"] != "invalid_message" or error["message"].endswith("`")


# Depth, duplicates. -----------------------------------------------------------------------------------------


def nested(depth: int, opening: str, closing: str) -> str:
    return opening * depth + "1" + closing * depth


shapes = pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ('{"a":', "}")], ids=["arrays", "objects"]
)


@shapes
def test_payload_may_be_nested(opening: str, closing: str) -> None:
    house = House()
    house.bob.says({"action": "join", "room": "r"})
    payload = nested(60, opening, closing)
    house.bob.whispers(f'{{"action":"message","room":"r","message":{payload}}}')
    house.stage.end_turn()
    assert payload in str(house.bob.carrier.heard[-1])


@shapes
@pytest.mark.parametrize(
    "around",
    [
        '{"action":"message","room":"r","message":DEEP}',
        '{"action":"ping","unknown":DEEP}',
        '{"action":"ping","ref":DEEP}',
        '{"action":"nonsense","unknown":DEEP}',
        '{"unknown":DEEP}',
        '{"action":"join","room":1,"unknown":DEEP}',
        "DEEP",
        '{"action":DEEP}',
    ],
)
def test_what_is_nested_without_end_is_refused_and_the_session_goes_on(
    around: str, opening: str, closing: str
) -> None:
    house = House()
    house.bob.says({"action": "join", "room": "r"})
    text = around.replace("DEEP", nested(100_000, opening, closing))
    [(code, ref)] = errors(house.bob.says(text))
    assert ("too_complex", "none") == (code, ref)
    assert [{"type": "pong"}] == house.bob.says({"action": "ping"})


def test_what_is_nested_too_deep_for_the_decoder_is_invalid_where_the_bounds_allow_it() -> None:
    dialect = RoomsDialect(House().stage.hub, JsonBounds(1_000_000, 1_000_000))
    carrier = Carrier("dave", dialect)
    dialect.receive(carrier, '{"action":' + nested(100_000, "[", "]") + "}")
    assert "invalid_json" == json.loads(carrier.heard[-1])["code"]


@pytest.mark.parametrize(("excess", "is_good"), [(-1, True), (0, True), (1, False)])
def test_ref_is_as_long_as_an_id(excess: int, is_good: bool) -> None:
    [answer] = House().bob.says({"action": "ping", "ref": "r" * (128 + excess)})
    assert is_good == (answer["type"] == "pong")
    assert is_good or answer["message"].endswith("at `$.ref`")


@pytest.mark.parametrize(
    ("text", "room"),
    [
        ('{"action":"join","room":"a","room":"b"}', "b"),
        ('{"room":"a","action":"join","room":"b"}', "b"),
        ('{"action":"join","action":"join","room":"b"}', "b"),
    ],
)
def test_of_a_field_given_twice_the_last_counts(text: str, room: str) -> None:
    [answer] = House().bob.says(text)
    assert ("joined", room) == (answer["type"], answer["room"])


def test_of_a_ref_given_twice_the_last_counts_in_answers_and_in_errors() -> None:
    client = House().bob
    assert [{"type": "pong", "ref": 2}] == client.says('{"action":"ping","ref":1,"ref":2}')
    assert [("invalid_message", 2)] == errors(client.says('{"action":"x","ref":1,"ref":2}'))


@pytest.mark.parametrize("actions", [("join", "leave"), ("leave", "join"), ("ping", "join"), ("join", "x")])
def test_two_actions_are_refused(actions: tuple[str, str]) -> None:
    house = House()
    first, second = actions
    text = f'{{"action":"{first}","action":"{second}","room":"r"}}'
    assert [("invalid_message", "none")] == errors(house.bob.says(text))
    assert [] == house.stage.occupied


def test_an_escaped_key_is_the_key() -> None:
    assert [{"type": "pong"}] == House().bob.says('{"\\u0061ction":"p\\u0069ng"}')


# Payloads. --------------------------------------------------------------------------------------------------


def published(house: House, heard: object) -> str:
    """What stands in a message where its payload is."""
    start, end = f'"user":"{house.bob.carrier.id}","message":', ',"from":"bob"'
    text = str(heard)
    assert start in text and end in text
    return text[text.index(start) + len(start) : text.rindex(end)]


@pytest.mark.parametrize(
    "payload",
    [
        "null",
        "true",
        "0",
        "-0",
        "1.0",
        "1e400",
        "12345678901234567890123456789",
        '""',
        '"hello"',
        '"\\u00e9"',
        '"é"',
        '"\\ud83d\\ude00"',
        '"\\u0000"',
        '"</script>"',
        "[]",
        "{}",
        "[ 1 ,\n\t2 ]",
        '{ "b" : 1 , "a" : [ ] , "b" : 2 }',
        '{"type":"error","from":"somebody else"}',
        '"' + "x" * 100_000 + '"',
    ],
    ids=lambda payload: payload[:30],
)
def test_payload_goes_out_as_its_sender_wrote_it(payload: str) -> None:
    house = House()
    house.carol.says({"action": "join", "room": "r"})
    for action in ('"message","room":"r"', '"broadcast"', '"direct","to":"carol"'):
        house.bob.whispers(f'{{"action":{action},"user":"bob","message":  {payload}  }}')
        house.stage.end_turn()
        assert payload == published(house, house.carol.carrier.heard[-1])


@pytest.mark.parametrize(
    ("payload", "message", "encoding"),
    [
        ("", "", None),
        ("text", "text", None),
        ('"grüße"\n\x00\U0001f600', '"grüße"\n\x00\U0001f600', None),
        (b"", "", "base64"),
        (b"\x00\xff\xfe", "AP/+", "base64"),
        (bytes(range(256)), base64.b64encode(bytes(range(256))).decode(), "base64"),
        (Raw(b'{"a":[1,2.50]}'), {"a": [1, 2.5]}, None),
    ],
)
def test_application_may_publish_a_text_bytes_or_json(
    payload: Payload, message: object, encoding: str | None
) -> None:
    house = House()
    house.bob.says({"action": "join", "room": "r"})
    house.stage.hub.publish(house.bob.carrier, "r", payload)
    house.stage.hub.broadcast(house.bob.carrier, payload, echo=True)
    house.stage.hub.direct(house.bob.carrier, payload, to_id="bob")
    house.stage.end_turn()
    for heard in house.bob.hears():
        assert (message, encoding) == (heard["message"], heard.get("encoding"))


def test_what_waits_for_a_reader_does_not_hold_all_of_its_senders_message() -> None:
    house = House()
    house.carol.says({"action": "join", "room": "r"})
    house.carol.carrier.room_for = 0
    padding = "x" * 100_000
    for fields in ('"action":"message","room":"r"', '"action":"broadcast"', '"action":"direct","to":"carol"'):
        text = f'{{{fields},"message":"small","padding":"{padding}"}}'
        references = sys.getrefcount(text)
        house.bob.whispers(text)
        house.stage.end_turn()
        gc.collect()
        assert references == sys.getrefcount(text)
    assert 3 == len(house.carol.carrier.waiting)


# Users and names. -------------------------------------------------------------------------------------------

saying = pytest.mark.parametrize(
    "action",
    [
        {"action": "message", "room": "r", "message": 1},
        {"action": "broadcast", "message": 1},
        {"action": "direct", "to": "carol", "message": 1},
    ],
    ids=lambda action: str(action["action"]),
)


@saying
@pytest.mark.parametrize(
    ("client", "claim", "user"),
    [
        ("bob", {}, "anonymous"),
        ("bob", {"user": None}, "anonymous"),
        ("bob", {"user": "robert"}, "robert"),
        (
            "bob",
            {"user": "\U0001f469\u200d\U0001f469\u200d\U0001f467"},
            "\U0001f469\u200d\U0001f469\u200d\U0001f467",
        ),
        ("bob", {"user": "x" * 128}, "x" * 128),
        ("alice", {}, "alice"),
        ("alice", {"user": None}, "alice"),
        ("al", {"user": "alice"}, "alice"),
    ],
)
def test_user_is_anonymous_or_claimed_or_proven(client: str, claim: Json, user: str, action: Json) -> None:
    house = House()
    house.carol.says({"action": "join", "room": "r"})
    speaker: Client = getattr(house, client)
    speaker.says(action | claim)
    assert [user] == [message["user"] for message in house.carol.hears()]


@saying
@pytest.mark.parametrize(
    ("client", "claimed", "code"),
    [
        ("bob", "alice", "forbidden"),
        ("alice", "bob", "forbidden"),
        ("alice", "anonymous", "forbidden"),
        ("bob", "x" * 129, "invalid_name"),
        ("bob", "é" * 65, "invalid_name"),
        ("bob", "al\u200fice", "invalid_name"),
        ("bob", "a\x00", "invalid_name"),
    ],
)
def test_name_of_another_and_what_is_no_name_are_refused(
    client: str, claimed: str, code: str, action: Json
) -> None:
    house = House()
    house.carol.says({"action": "join", "room": "r"})
    speaker: Client = getattr(house, client)
    assert [(code, "none")] == errors(speaker.says(action | {"user": claimed}))
    assert [] == house.carol.hears()
    # Nothing was numbered: the next message has the offset that this one would have had.
    house.bob.says({"action": "message", "room": "r", "message": 1})
    assert [1] == [message["offset"] for message in house.carol.hears()]


@pytest.mark.parametrize(
    ("room", "is_good"),
    [
        ("x" * 127, True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("é" * 63, True),
        ("é" * 64, True),
        ("é" * 64 + "x", False),
        ("\U0001f600" * 32, True),
        ("\U0001f600" * 32 + "x", False),
        ("", False),
        ("a\u0000b", False),
        ("a\u202eb", False),
        ("\U0001f469\u200d\U0001f467", True),
        ('"quoted" \\ / \u2603', True),
    ],
)
def test_room_has_1_to_128_bytes_of_fit_characters(room: str, is_good: bool) -> None:
    house = House()
    [answer] = house.bob.says({"action": "join", "room": room})
    [sent] = house.bob.says({"action": "message", "room": room, "message": 1})
    if is_good:
        assert [("joined", room), ("message", room)] == [(one["type"], one["room"]) for one in (answer, sent)]
    else:
        assert [("invalid_name", "none")] * 2 == errors([answer, sent])


# The recipe. ------------------------------------------------------------------------------------------------

# What its browser client sends and then reads, and what its two servers answer.
JOIN = {"action": "join", "room": "general"}
SAY = {"action": "message", "room": "general", "user": "alice", "message": "hi"}
SAY_UNNAMED = {"action": "message", "room": "general", "message": "hi"}
SHOUT = {"action": "broadcast", "message": "hi"}


@pytest.mark.parametrize(
    ("said", "to_sender", "to_others"),
    [
        # Python
        (JOIN, {"status": "joined", "room": "general"}, None),
        (SAY, *[{"room": "general", "user": "alice", "message": "hi"}] * 2),
        (SAY_UNNAMED, *[{"room": "general", "user": "anonymous", "message": "hi"}] * 2),
        (SHOUT, None, {"message": "hi"}),
        # JavaScript
        (JOIN, {"type": "joined", "room": "general"}, None),
        (SAY, *[{"type": "message", "room": "general", "user": "alice", "message": "hi"}] * 2),
        (SAY_UNNAMED, *[{"type": "message", "room": "general", "user": "anonymous", "message": "hi"}] * 2),
        (SHOUT | {"echo": True}, *[{"type": "broadcast", "message": "hi"}] * 2),
        ("{", {"type": "error", "message": "Invalid JSON"}, None),
    ],
)
def test_recipes_clients_hear_what_its_servers_send(
    said: object, to_sender: Json | None, to_others: Json | None
) -> None:
    stage = Stage(RoomsDialect)
    sender, other = Client(stage, "s1"), Client(stage, "s2")
    other.says(JOIN)
    if said != JOIN:
        sender.says(JOIN)
    heard = [sender.says(said), other.hears()]
    for expected, messages in zip((to_sender, to_others), heard, strict=True):
        assert (
            [] == messages
            if expected is None
            else [expected] == [{key: message.get(key) for key in expected} for message in messages]
        )


def test_recipes_browser_client_is_told_its_id_first() -> None:
    carrier: Carrier = Stage(RoomsDialect).connect("s1")
    welcome = json.loads(carrier.heard[0])
    assert ("welcome", "s1") == (welcome["type"], welcome["id"])


def test_dialect_has_its_name() -> None:
    assert "rooms" == Stage(RoomsDialect).dialect.name
