"""A thousand members: each hears a thousand messages, all in the same order, none missing, none twice."""

from random import Random

from server.delivery import FrameDelivery
from tests.stage import LineDialect, Stage

MEMBERS = MESSAGES = 1000


def test_a_thousand_members_hear_a_thousand_messages_in_one_order() -> None:
    stage, random = Stage(), Random(7)
    members = [stage.connect(f"s{number}") for number in range(MEMBERS)]
    for member in members:
        stage.hub.memberships.join(member, "general")
    sent = 0
    while sent < MESSAGES:
        # Some stop taking, at once or after a write, and go on in another turn.
        for member in random.sample(members, 50):
            member.room_for = min(member.room_for, random.randrange(2))
        for member in random.sample(members, 100):
            stage.resume(member)
        for _ in range(min(random.randrange(1, 40), MESSAGES - sent)):
            sent += 1
            assert sent == stage.hub.publish(random.choice(members), "general", str(sent)).offset
        stage.end_turn()
    for member in members:
        stage.resume(member)
    stage.end_turn()

    heard = members[0].heard
    assert [str(number) for number in range(1, MESSAGES + 1)] == [
        str(text).rpartition(" ")[2] for text in heard
    ]
    octets = b"".join(members[0].writes)
    assert [] == [member.id for member in members if octets != b"".join(member.writes)]


def test_equal_members_share_one_encoding_and_one_join_a_turn() -> None:
    stage = Stage()
    members = [stage.connect(f"s{number}") for number in range(MEMBERS)]
    for member in members:
        stage.hub.memberships.join(member, "general")
    turns = 50
    for _ in range(turns):
        for number in range(MESSAGES // turns):
            stage.hub.publish(members[number], "general", str(number))
        stage.end_turn()
    assert isinstance(stage.dialect, LineDialect)
    assert MESSAGES == stage.dialect.encoded
    assert {turns} == {len(member.writes) for member in members}
    for turn in range(turns):
        assert 1 == len({id(member.writes[turn]) for member in members})


def test_members_of_several_deliveries_in_several_rooms_and_everyone_keep_one_order() -> None:
    stage, random = Stage(), Random(11)
    deliveries = [FrameDelivery(stage.dialect, None, None) for _ in range(3)]
    members = [stage.connect(f"s{number}", delivery=random.choice(deliveries)) for number in range(300)]
    rooms = {member: set(random.sample("abcd", 2)) for member in members}
    for member, names in rooms.items():
        for name in names:
            stage.hub.memberships.join(member, name)
    expected: dict[str, list[str]] = {member.id: [] for member in members}
    for number in range(1000):
        sender, name = random.choice(members), random.choice("abcd*")
        if name == "*":
            stage.hub.broadcast(sender, str(number))
            receivers = [member for member in members if member is not sender]
        else:
            stage.hub.publish(sender, name, str(number))
            receivers = [member for member in members if name in rooms[member]]
        for member in receivers:
            expected[member.id].append(str(number))
        if random.randrange(16) == 0:
            stage.end_turn()
    stage.end_turn()
    for member in members:
        assert expected[member.id] == [str(text).rpartition(" ")[2] for text in member.heard]
