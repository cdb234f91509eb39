"""A delivery makes one frame of a message for all that share it, compressed if all agreed on that."""

from collections.abc import Callable
from random import Random

import pytest

from rfc6455 import Connection, DeflateOptions, DeflateParameters, Role, StateError
from server.codecs import Codecs
from server.delivery import Deliveries, FrameDelivery
from server.tick import Message
from tests.stage import LineDialect, Stage
from tests.test_publication import publication

DIALECT = LineDialect(Stage().hub)
OPTIONS = DeflateOptions(min_size=128, max_size=64 * 1024)
# First octets of a frame: FIN and the opcode, and RSV1 if it is compressed (7692 6).
TEXT, BINARY, COMPRESSED = 0x81, 0x82, 0x40


def agreed(bits: int = 15, *, keeps_no_context: bool = True) -> DeflateParameters:
    return DeflateParameters(keeps_no_context, keeps_no_context, bits, 15, OPTIONS)


def delivery_for(parameters: DeflateParameters | None) -> FrameDelivery:
    delivery = Deliveries(Codecs(1 << 20, 4096)).get(DIALECT, parameters)
    assert delivery is not None
    return delivery


def read(frames: bytes, bits: int = 15) -> list[object]:
    """What a client makes of frames that is new to all that was sent before."""
    client = Connection(Role.CLIENT, DeflateParameters(True, True, 15, bits, OPTIONS))
    client.receive_data(frames)
    messages: list[object] = []
    while (event := client.next_event()) is not None:
        messages.append(event)
    return messages


# Frames. ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "first"),
    [
        ("", TEXT),
        ("hello", TEXT),
        ("grüße", TEXT),
        ("x" * 70_000, TEXT),
        (b"", BINARY),
        (b"\x00\xff", BINARY),
    ],
)
def test_message_is_a_frame_of_its_type(message: Message, first: int) -> None:
    frame = delivery_for(None).encode(message)
    assert first == frame[0]
    assert [message] == read(frame)


def test_publication_is_what_the_dialect_makes_of_it() -> None:
    assert [DIALECT.encode(publication())] == read(delivery_for(None).encode(publication()))


@pytest.mark.parametrize(
    ("size", "is_compressed"),
    [(0, False), (127, False), (128, True), (129, True), (65_535, True), (65_536, True), (65_537, False)],
)
@pytest.mark.parametrize(
    "message_of",
    [
        pytest.param(lambda size: b"x" * size, id="binary"),
        pytest.param(lambda size: "x" * size, id="ASCII"),
        # Sizes are octets of UTF-8, not characters.
        pytest.param(lambda size: "é" * (size // 2) + "x" * (size % 2), id="two octets a character"),
        pytest.param(lambda size: "€" * (size // 3) + "x" * (size % 3), id="three octets a character"),
    ],
)
def test_only_messages_of_sizes_worth_it_are_compressed(
    size: int, is_compressed: bool, message_of: Callable[[int], Message]
) -> None:
    message = message_of(size)
    frame = delivery_for(agreed()).encode(message)
    assert [message] == read(frame)
    assert is_compressed == bool(frame[0] & COMPRESSED)
    assert not is_compressed or len(frame) < size


def test_delivery_compresses_what_the_connection_itself_would() -> None:
    for message in ("x" * 127, "é" * 63, "é" * 64, "€" * 21_845 + "x", "€" * 21_846, b"x" * 128):
        connection = Connection(Role.SERVER, agreed())
        if isinstance(message, str):
            connection.send_text(message)
        else:
            connection.send_binary(message)
        own = b"".join(connection.data_to_send())
        assert own == delivery_for(agreed()).encode(message)


def test_what_is_shared_leans_on_nothing_that_only_some_have_heard() -> None:
    delivery = delivery_for(agreed())
    random = Random(1)
    messages = [" ".join(random.choices(["red", "green", "blue"], k=100)) for _ in range(20)]
    frames = [delivery.encode(message) for message in messages]
    for _ in range(20):
        some = sorted(random.sample(range(20), 7))
        assert [messages[number] for number in some] == read(b"".join(frames[number] for number in some))


# Which sessions share one. ----------------------------------------------------------------------------------


def test_sessions_of_one_dialect_and_window_share_a_delivery() -> None:
    deliveries = Deliveries(Codecs(1 << 20, 4096))
    assert deliveries.get(DIALECT, None) is deliveries.get(DIALECT, None)
    assert deliveries.get(DIALECT, agreed()) is deliveries.get(DIALECT, agreed())


def test_sessions_that_differ_in_either_do_not() -> None:
    deliveries, other = Deliveries(Codecs(1 << 20, 4096)), LineDialect(Stage().hub)
    other.name = "other"
    made = [
        deliveries.get(dialect, parameters)
        for dialect in (DIALECT, other)
        for parameters in (None, agreed(15), agreed(9))
    ]
    assert 6 == len(set(made) - {None})
    assert [0, 15, 9] * 2 == [delivery.window_bits for delivery in made if delivery is not None]


def test_sessions_that_keep_a_context_have_no_delivery() -> None:
    deliveries = Deliveries(Codecs(1 << 20, 4096))
    keeping = agreed(keeps_no_context=False)
    assert deliveries.get(DIALECT, keeping) is None


@pytest.mark.parametrize("bits", range(9, 16))
def test_connection_takes_what_is_compressed_in_its_window_and_no_other(bits: int) -> None:
    delivery = delivery_for(agreed(bits))
    message = "red green blue " * 100
    frame = delivery.encode(message)
    assert [message] == read(frame, bits)
    server = Connection(Role.SERVER, agreed(bits))
    server.send_encoded(frame, delivery.window_bits)
    assert [frame] == server.data_to_send()
    other = Connection(Role.SERVER, agreed(9 if bits > 9 else 15))
    with pytest.raises(StateError):
        other.send_encoded(frame, delivery.window_bits)
