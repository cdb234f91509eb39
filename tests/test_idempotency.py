"""What is remembered of published ids: for how long, how many, and whose go first."""

import pytest

from server import idempotency
from server.idempotency import MAX_ID, MAX_PER_SENDER, Memory, Place
from tests.stage import refusal_of


def place(at: float = 0.0) -> Place:
    return Place("a", 1, at)


def test_id_is_its_senders_own() -> None:
    memory = Memory(10.0)
    memory.remember("alice", "1", place())
    assert place() == memory.find("alice", "1", 0.0)
    assert memory.find("alice", "2", 0.0) is None
    assert memory.find("bob", "1", 0.0) is None


@pytest.mark.parametrize(("age", "is_known"), [(9.9, True), (10.0, True), (10.1, False)])
def test_id_is_remembered_for_so_long(age: float, is_known: bool) -> None:
    memory = Memory(10.0)
    memory.remember("alice", "1", place(5.0))
    assert is_known == (memory.find("alice", "1", 5.0 + age) is not None)
    memory.sweep(5.0 + age)
    assert is_known == (len(memory) == 1)


def test_sweep_ends_at_the_first_sender_who_published_lately() -> None:
    memory = Memory(10.0)
    memory.remember("alice", "1", place(0.0))
    memory.remember("bob", "1", place(1.0))
    memory.remember("alice", "2", place(9.0))
    memory.sweep(12.0)
    assert 2 == len(memory)
    assert memory.find("bob", "1", 1.0) is None


@pytest.mark.parametrize(("age", "left"), [(9.9, 4), (10.0, 4), (10.1, 2)])
def test_sender_who_goes_on_publishing_leaves_no_old_ids_behind(age: float, left: int) -> None:
    memory = Memory(10.0)
    memory.remember("bob", "1", place(5.0))
    for id in ("1", "2"):
        memory.remember("alice", id, place(0.0))
    memory.remember("alice", "3", place(age))
    memory.sweep(age)
    assert left == len(memory)
    assert memory.find("alice", "3", age) is not None


@pytest.mark.parametrize("count", [MAX_PER_SENDER - 1, MAX_PER_SENDER, MAX_PER_SENDER + 1])
def test_sender_has_so_many_ids_and_the_newest(count: int) -> None:
    memory = Memory(10.0)
    for number in range(count):
        memory.remember("alice", str(number), place())
    assert min(count, MAX_PER_SENDER) == len(memory)
    assert (count <= MAX_PER_SENDER) == (memory.find("alice", "0", 0.0) is not None)
    assert memory.find("alice", str(count - 1), 0.0) is not None


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_of_all_senders_the_one_who_published_longest_ago_is_the_first_to_be_forgotten(
    excess: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_IN_ALL", 10)
    memory = Memory(10.0)
    for sender in ("alice", "bob"):
        memory.remember(sender, "0", place())
    for number in range(8 + excess):
        memory.remember("alice", f"more {number}", place())
    assert min(10 + excess, 10) == len(memory)
    assert (excess < 1) == (memory.find("bob", "0", 0.0) is not None)
    assert memory.find("alice", "0", 0.0) is not None


def test_id_that_is_used_again_counts_once() -> None:
    memory = Memory(10.0)
    for at in (0.0, 20.0):
        memory.remember("alice", "1", place(at))
    assert (1, place(20.0)) == (len(memory), memory.find("alice", "1", 20.0))


@pytest.mark.parametrize(
    ("id", "code"),
    [
        ("", "invalid_id"),
        ("1", ""),
        ("a" * (MAX_ID - 1), ""),
        ("a" * MAX_ID, ""),
        ("a" * (MAX_ID + 1), "invalid_id"),
    ],
)
def test_id_has_its_bounds(id: str, code: str) -> None:
    assert code == refusal_of(lambda: Memory(10.0).find("alice", id, 0.0))
