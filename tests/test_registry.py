"""The registry finds who is here, by id and by user, and keeps nobody who left."""

import tracemalloc
import weakref

import pytest

from server.registry import Registry
from tests.stage import Carrier, LineDialect, Stage, owners, refusal_of

DIALECT = LineDialect(Stage().hub)


def test_nobody_is_here_at_first() -> None:
    registry = Registry()
    assert 0 == len(registry)
    assert [] == owners(registry.outboxes) == registry.of_user("alice")
    assert registry.get("a") is None


def test_sessions_are_found_by_id_in_the_order_they_came() -> None:
    registry = Registry()
    carriers = [Carrier(id, DIALECT) for id in "cab"]
    for carrier in carriers:
        registry.add(carrier)
    assert 3 == len(registry)
    assert carriers == owners(registry.outboxes) == [registry.get(id) for id in "cab"]


def test_a_user_has_all_sessions_that_signed_in_by_that_name() -> None:
    registry = Registry()
    phone, desk = Carrier("phone", DIALECT, "alice"), Carrier("desk", DIALECT, "alice")
    for carrier in (phone, Carrier("x", DIALECT), desk, Carrier("y", DIALECT, "bob")):
        registry.add(carrier)
    assert [phone, desk] == registry.of_user("alice")
    registry.remove(phone)
    assert [desk] == registry.of_user("alice")
    registry.remove(desk)
    assert [] == registry.of_user("alice")
    assert 2 == len(registry)


def test_the_list_of_a_users_sessions_is_the_callers_own() -> None:
    registry = Registry()
    registry.add(Carrier("a", DIALECT, "alice"))
    registry.of_user("alice").clear()
    assert 1 == len(registry.of_user("alice"))


def test_an_id_is_not_a_user_and_a_user_not_an_id() -> None:
    registry = Registry()
    registry.add(Carrier("a", DIALECT, "alice"))
    assert registry.get("alice") is None
    assert [] == registry.of_user("a")


def test_to_remove_once_more_or_who_never_came_does_nothing() -> None:
    registry = Registry()
    first, second, stranger = (Carrier(id, DIALECT, "alice") for id in "abc")
    registry.add(first)
    registry.add(second)
    for _ in range(2):
        registry.remove(first)
        registry.remove(stranger)
        assert [second] == owners(registry.outboxes) == registry.of_user("alice")


@pytest.mark.parametrize(
    ("proven", "claimed", "expected"),
    [
        (None, None, "anonymous"),
        (None, "", "anonymous"),
        (None, "carol", "carol"),
        ("bob", None, "bob"),
        ("bob", "", "bob"),
        ("bob", "bob", "bob"),
        (None, "alice", "forbidden"),
        ("bob", "alice", "forbidden"),
        ("bob", "carol", "forbidden"),
        (None, "\n", "invalid_name"),
        (None, "server", "forbidden"),
        ("server", "server", "server"),
    ],
)
def test_nobody_speaks_under_a_name_that_another_has_proved(
    proven: str | None, claimed: str | None, expected: str
) -> None:
    registry = Registry()
    registry.add(Carrier("a", DIALECT, "alice"))
    speaker = Carrier("b", DIALECT, proven)
    registry.add(speaker)
    names: list[str] = []
    refusal = refusal_of(lambda: names.append(registry.name_of(speaker, claimed)))
    assert [expected] == [refusal, *names][-1:]


def test_ids_of_messages_are_a_users_or_those_of_the_session_that_one_was_before() -> None:
    registry = Registry()
    first, second = Carrier("a", DIALECT), Carrier("b", DIALECT)
    phone, desk = Carrier("c", DIALECT, "session a"), Carrier("d", DIALECT, "session a")
    assert registry.sender_of(phone) == registry.sender_of(desk)
    senders = [registry.sender_of(one) for one in (first, second, phone)]
    assert 3 == len(set(senders))
    registry.resume(second, registry.token_of(first))
    assert registry.sender_of(first) == registry.sender_of(second)
    assert "invalid_token" == refusal_of(lambda: registry.resume(second, "a.b"))
    assert registry.sender_of(first) == registry.sender_of(second)
    # A user is known by the name, whatever token comes with it.
    registry.resume(phone, registry.token_of(first))
    assert registry.sender_of(phone) == registry.sender_of(desk)
    registry.remove(second)
    assert senders[1] == registry.sender_of(second)


def test_who_left_is_not_kept() -> None:
    registry = Registry()
    for user in (None, "alice"):
        carrier = Carrier("a", DIALECT, user)
        kept = weakref.ref(carrier)
        registry.add(carrier)
        registry.remove(carrier)
        del carrier.outbox, carrier
        assert kept() is None


def test_nothing_is_left_of_those_who_left() -> None:
    registry = Registry()
    tracemalloc.start()
    try:
        for number in range(5000):
            carrier = Carrier(f"s{number}", DIALECT, f"user {number}")
            registry.add(carrier)
            registry.remove(carrier)
            del carrier.outbox
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 64 * 1024
