"""The tree of patterns finds what a look at each of them would."""

from hypothesis import given
from hypothesis import strategies as st

from server.names import is_pattern, matches
from server.patterns import MAX_PATTERNS, Patterns, _Node
from tests.stage import Stage, owner_of, owners, refusal_of

WORD = st.sampled_from(["a", "b", "*"])
PATTERNS = st.lists(
    st.tuples(st.lists(WORD, max_size=3), st.sampled_from(["", ">"]))
    .map(lambda parts: ".".join([*parts[0], *filter(None, [parts[1]])]))
    .filter(is_pattern),
    unique=True,
    max_size=8,
)
ROOM = st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=4).map(".".join)


@given(PATTERNS, ROOM, st.data())
def test_hearers_are_those_whose_patterns_match_each_once_and_members_first(
    names: list[str], room: str, data: st.DataObject
) -> None:
    stage, patterns = Stage(), Patterns()
    member = stage.connect("member").outbox
    joined = {name: stage.connect(name).outbox for name in names}
    for name, session in joined.items():
        patterns.join(name, session)
        # One that hears by two patterns, and one that is a member too.
        patterns.join(name, member)
    expected = {owner_of(session).id for name, session in joined.items() if matches(name, room)}
    hearers = list(patterns.hearers(room, [member]))
    assert member is hearers[0]
    assert expected == {session.id for session in owners(hearers[1:])}
    assert len(hearers) == len(set(hearers))
    gone = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    for name in gone:
        pattern = patterns.join(name, member)
        patterns.leave(pattern, joined[name])
        patterns.leave(pattern, member)
    assert expected - set(gone) == {session.id for session in owners(patterns.hearers(room, []))} - {"member"}
    for name in set(names) - set(gone):
        pattern = patterns.join(name, member)
        patterns.leave(pattern, joined[name])
        patterns.leave(pattern, member)
    assert (0, {}) == (len(patterns), patterns._root.next)


def test_pattern_lives_while_somebody_listens() -> None:
    stage, patterns = Stage(), Patterns()
    first, second = stage.connect("a").outbox, stage.connect("b").outbox
    pattern = patterns.join("a.*", first)
    assert pattern is patterns.join("a.*", second)
    patterns.leave(pattern, first)
    assert (1, [second]) == (len(patterns), list(patterns.hearers("a.b", [])))
    patterns.leave(pattern, second)
    assert 0 == len(patterns)


def test_there_are_so_many_patterns() -> None:
    stage, patterns = Stage(), Patterns()
    session = stage.connect("a").outbox
    for number in range(MAX_PATTERNS):
        patterns.join(f"{number}.*", session)
    assert "too_many_rooms" == refusal_of(lambda: patterns.join("more.*", session))
    pattern = patterns.join("0.*", stage.connect("b").outbox)
    for member in list(pattern.members):
        patterns.leave(pattern, member)
    patterns.join("more.*", session)


def test_room_is_looked_up_in_time_that_the_patterns_bound() -> None:
    # Every pattern of a's and stars matches, so every way through the tree is gone.
    stage, patterns = Stage(), Patterns()
    session = stage.connect("a").outbox
    for number in range(512):
        patterns.join(".".join("a*"[number >> bit & 1] for bit in range(9)) + ".>", session)
    assert 512 == len(patterns._matching(".".join("a" * 64)))
    nodes, count = [patterns._root], 0
    while nodes:
        node: _Node = nodes.pop()
        count += 1
        nodes += node.next.values()
    assert count < 512 * 3
