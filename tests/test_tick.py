"""A tick encodes a publication once a delivery, and joins once what goes to many, a batch at a time."""

from typing import final

import pytest

from server.publication import Publication
from server.tick import MAX_BATCH, Item, Tick
from tests.test_publication import publication


@final
class Counting:
    """A delivery that notes what it is asked to encode."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.encoded: list[Item] = []

    def encode(self, item: Item) -> bytes:
        self.encoded.append(item)
        if isinstance(item, Publication):
            item = str(item.payload)
        assert isinstance(item, str | bytes)
        return (self.prefix + item).encode() if isinstance(item, str) else item


def test_items_are_joined_in_their_order() -> None:
    delivery = Counting()
    items: list[Item] = [publication("1"), "2", b"3", publication("4")]
    assert (b"1234", 4) == Tick(0.0).batch(items, delivery)
    assert items == delivery.encoded


def test_equal_lists_are_joined_once() -> None:
    delivery, tick = Counting(), Tick(0.0)
    shared = publication("shared")
    first, count = tick.batch([shared, "own"], delivery)
    for _ in range(1000):
        octets, again = tick.batch([shared, "own"], delivery)
        assert octets is first and count == again
    assert [shared, "own"] == delivery.encoded


@pytest.mark.parametrize(
    "others",
    [["1", "2"], ["2", "1"], ["1"], ["1", "2", "3", "4"], ["1", "2", b"3"], ["1", "2", "33"]],
)
def test_lists_that_differ_are_not_taken_for_each_other(others: list[Item]) -> None:
    delivery, tick = Counting(), Tick(0.0)
    assert (b"123", 3) == tick.batch(["1", "2", "3"], delivery)
    expected = "".join(str(item, "ascii") if isinstance(item, bytes) else str(item) for item in others)
    assert (expected.encode(), len(others)) == tick.batch(others, delivery)


def test_publications_that_say_the_same_are_not_taken_for_each_other() -> None:
    delivery, tick = Counting(), Tick(0.0)
    first, second = publication("hello"), publication("hello")
    tick.batch([first], delivery)
    tick.batch([second], delivery)
    assert [first, second] == delivery.encoded


def test_publication_is_encoded_once_a_delivery_whatever_stands_beside_it() -> None:
    one, two, tick = Counting("1"), Counting("2"), Tick(0.0)
    shared, other = publication("x"), publication("y")
    for _ in range(3):
        lists: list[list[Item]] = [[shared], [shared, other], ["own", shared], [other]]
        for items in lists:
            tick.batch(items, one)
        tick.batch([shared], two)
    assert (b"1x", 1) == tick.batch([shared], one)
    assert (b"2x", 1) == tick.batch([shared], two)
    assert 1 == one.encoded.count(shared) == one.encoded.count(other)
    assert [shared] == two.encoded


def test_another_delivery_in_between_costs_no_second_join() -> None:
    one, two, tick = Counting("1"), Counting("2"), Tick(0.0)
    shared, other = publication("x"), publication("y")
    first, _ = tick.batch([shared, other], one)
    tick.batch([shared, other], two)
    assert tick.batch([shared, other], one)[0] is first


def test_next_tick_knows_nothing_of_the_last() -> None:
    delivery, shared = Counting(), publication("x")
    for now in (1.0, 2.0):
        tick = Tick(now)
        assert now == tick.now
        tick.batch([shared], delivery)
    assert [shared, shared] == delivery.encoded


def test_a_batch_has_64_kib() -> None:
    assert 65_536 == MAX_BATCH


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([MAX_BATCH - 1], 1),
        ([MAX_BATCH], 1),
        # A single item that is larger goes alone.
        ([MAX_BATCH + 1], 1),
        ([10 * MAX_BATCH, 0, 1], 1),
        ([1, 10 * MAX_BATCH], 1),
        ([MAX_BATCH // 2, MAX_BATCH // 2 - 1, 1], 3),
        ([MAX_BATCH // 2, MAX_BATCH // 2, 1], 2),
        ([MAX_BATCH // 2, MAX_BATCH // 2 + 1], 1),
        ([1, MAX_BATCH - 2], 2),
        ([1, MAX_BATCH - 1], 2),
        ([1, MAX_BATCH], 1),
        # Empty ones still fit in behind a full batch.
        ([MAX_BATCH, 0, 0, 1], 3),
        ([0, MAX_BATCH + 1], 1),
        ([1] * 100, 100),
        ([], 0),
    ],
)
@pytest.mark.parametrize("are_publications", [False, True])
def test_batch_ends_before_the_item_that_would_pass_64_kib(
    sizes: list[int], count: int, are_publications: bool
) -> None:
    texts = [str(number % 10) * size for number, size in enumerate(sizes)]
    items: list[Item] = [publication(text) if are_publications else text for text in texts]
    expected = "".join(texts[:count]).encode()
    delivery, tick = Counting(), Tick(0.0)
    for _ in range(2):
        assert (expected, count) == tick.batch(items[:], delivery)
    # The batch is kept: at most the item behind it was looked at as well, and nothing twice.
    assert items[: count + 1] == delivery.encoded


def test_batch_is_smaller_where_a_transport_is_to_hold_less() -> None:
    items: list[Item] = ["a" * 10, "b" * 10, "c" * 10, "d"]
    assert (b"a" * 10 + b"b" * 10, 2) == Tick(0.0, 29).batch(items, Counting())
    assert (b"a" * 10 + b"b" * 10 + b"c" * 10, 3) == Tick(0.0, 30).batch(items, Counting())


def test_batches_of_a_long_list_add_up_to_it() -> None:
    delivery, tick = Counting(), Tick(0.0)
    items: list[Item] = [publication(f"{number:05}".ljust(number * 7 % 3000, ".")) for number in range(500)]
    octets, waiting = b"", items
    while waiting:
        batch, count = tick.batch(waiting, delivery)
        assert len(batch) <= MAX_BATCH
        octets += batch
        waiting = waiting[count:]
    assert b"".join(Counting().encode(item) for item in items) == octets
    assert items == delivery.encoded
