"""Messages: every rule's row, however it is cut; UTF-8 to the octet; limits; and what is kept meanwhile."""

import random
import tracemalloc
from collections.abc import Iterable
from itertools import product

import pytest

from rfc6455.codes import Role
from rfc6455.deflate import DeflateParameters
from rfc6455.errors import ProtocolError
from rfc6455.events import Ping
from rfc6455.messages import Event, MessageReader
from tests.vectors import (
    BINARY,
    CONT,
    FIN,
    FRAMES,
    MAX_FRAGMENTS,
    MAX_MESSAGE_SIZE,
    PING,
    RSV1,
    TEXT,
    UNMASKED,
    FrameVector,
    begun,
    deflated,
    feeds,
    frame,
    head,
    kept,
    work,
)

DEFLATE = DeflateParameters(True, True, 15, 15)
# What is discarded behind a Close, the connection knows.
ROWS = [row for row in FRAMES if not row.id.endswith("-behind-close")]

NOT_UTF8 = (1007, "text-utf8", "8.1")

Fault = tuple[int, str, str] | None


def events(reader: MessageReader, pieces: Iterable[bytes]) -> tuple[list[Event], Fault]:
    """Feed the pieces: what comes of them, and the rule that they break."""
    found: list[Event] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (event := reader.next_event()) is not None:
                found.append(event)
    except ProtocolError as error:
        return found, (error.close_code, error.rule, error.section)
    return found, None


def rule(reader: MessageReader, data: bytes) -> str:
    _, fault = events(reader, [data])
    return fault[1] if fault else ""


def read(row: FrameVector, pieces: Iterable[bytes]) -> tuple[list[Event], Fault]:
    reader = MessageReader(
        row.role,
        DEFLATE if row.deflate else None,
        max_message_size=MAX_MESSAGE_SIZE,
        max_fragments=MAX_FRAGMENTS,
    )
    return events(reader, pieces)


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_events_of_row(row: FrameVector) -> None:
    fault = (row.close_code, row.rule, row.section) if row.rule else None
    for pieces in feeds(row.data):
        assert ([*row.events], fault) == read(row, pieces)
    # Good messages before the fault come first.
    before = frame(FIN | TEXT, b"before", UNMASKED if row.role is Role.CLIENT else b"abcd")
    assert (["before", *row.events], fault) == read(row, [before + row.data])
    if fault:
        assert ([*row.events], None) == read(row, [row.data[:-1]])
        assert ([*row.events], fault) == read(row, [row.data + frame(FIN | TEXT, b"behind")])


# UTF-8. 3629 4: the ranges of a code point's octets, one line for each form.

FORMS = [
    [(0x00, 0x7F)],
    [(0xC2, 0xDF), (0x80, 0xBF)],
    [(0xE0, 0xE0), (0xA0, 0xBF), (0x80, 0xBF)],
    [(0xE1, 0xEC), (0x80, 0xBF), (0x80, 0xBF)],
    [(0xED, 0xED), (0x80, 0x9F), (0x80, 0xBF)],
    [(0xEE, 0xEF), (0x80, 0xBF), (0x80, 0xBF)],
    [(0xF0, 0xF0), (0x90, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
    [(0xF1, 0xF3), (0x80, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
    [(0xF4, 0xF4), (0x80, 0x8F), (0x80, 0xBF), (0x80, 0xBF)],
]


def judge(octets: Iterable[int]) -> tuple[int | None, bool]:
    """Where the first impossible octet stands, if there is one; and whether all code points are whole."""
    forms, place = FORMS, 0
    for at, octet in enumerate(octets):
        forms = [form for form in forms if form[place][0] <= octet <= form[place][1]]
        if not forms:
            return at, False
        place += 1
        if place == len(forms[0]):
            forms, place = FORMS, 0
    return None, place == 0


SECONDS = (0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xF0, 0xFF)
FIRSTS = (0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5)
SEQUENCES = {
    1: product(range(256)),
    2: product(range(256), range(256)),
    3: product((0x41, 0xC2, *FIRSTS), range(0x70, 0xD0), SECONDS),
    4: product(FIRSTS, SECONDS, (0x7F, 0x80, 0xBF, 0xC0), (0x7F, 0x80, 0xBF, 0xC0)),
}


@pytest.mark.parametrize("size", SEQUENCES)
def test_text_fails_at_its_first_impossible_octet(size: int) -> None:
    for octets in map(bytes, SEQUENCES[size]):
        expected, is_whole = judge(octets)
        reader = MessageReader(Role.CLIENT)
        reader.feed(head(FIN | TEXT, 9, UNMASKED))
        failed = None
        for at in range(size):
            if ([], NOT_UTF8) == events(reader, [octets[at : at + 1]]):
                failed = at
                break
        assert expected == failed, octets.hex()
        found = events(MessageReader(Role.CLIENT), [frame(FIN | TEXT, octets, UNMASKED)])
        assert found == (([octets.decode()], None) if is_whole else ([], NOT_UTF8))


def test_code_points_may_be_cut_anywhere_between_fragments() -> None:
    text = "a\xe9\u20ac\U0001f600\ud7ff\ue000\U0010ffff"
    payload = text.encode()
    for first, second in product(range(len(payload) + 1), repeat=2):
        parts = payload[:first], payload[first:second], payload[max(first, second) :]
        data = frame(TEXT, parts[0]) + frame(CONT, parts[1]) + frame(FIN | CONT, parts[2])
        assert ([text], None) == events(MessageReader(Role.SERVER), [data])
        compressed = deflated(payload)
        parts = compressed[:first], compressed[first:second], compressed[max(first, second) :]
        data = frame(RSV1 | TEXT, parts[0]) + frame(CONT, parts[1]) + frame(FIN | CONT, parts[2])
        assert ([text], None) == events(MessageReader(Role.SERVER, DEFLATE), [data])


def test_each_text_is_checked_by_itself() -> None:
    reader = MessageReader(Role.SERVER)
    for _ in range(2):
        data = frame(TEXT, b"\xc3") + frame(FIN | CONT, b"\xa9") + frame(BINARY) + frame(FIN | CONT, b"\xc3")
        assert (["é", b"\xc3"], None) == events(reader, [data])


# Limits.


@pytest.mark.parametrize("limit", [0, 1, 125, 126, 200, 65536])
@pytest.mark.parametrize("kind", [TEXT, BINARY])
def test_size_of_a_message_may_reach_the_limit(limit: int, kind: int) -> None:
    for length, broken in {limit - 1: "", limit: "", limit + 1: "message-size"}.items():
        if length < 0:
            continue
        payload = b"a" * length
        half = length // 2
        for data in (
            frame(FIN | kind, payload),
            frame(kind, payload) + frame(FIN | CONT),
            frame(kind) + frame(CONT, payload[:half]) + frame(FIN | CONT, payload[half:]),
        ):
            reader = MessageReader(Role.SERVER, max_message_size=limit)
            assert broken == rule(reader, data)
            assert broken or "" == rule(reader, data)


@pytest.mark.parametrize("deflate", [None, DEFLATE], ids=["plain", "deflate"])
def test_size_of_a_text_is_counted_in_octets(deflate: DeflateParameters | None) -> None:
    # A limit of 200 takes 50 of these code points, and not 200.
    for text, is_broken in {"\U0001f600" * 50: False, "\U0001f600" * 50 + "a": True}.items():
        octets = text.encode()
        data = frame(FIN | TEXT, octets) if deflate is None else frame(FIN | RSV1 | TEXT, deflated(octets))
        broken = rule(MessageReader(Role.SERVER, deflate, max_message_size=200), data)
        assert is_broken == (broken in ("message-size", "inflated-size"))


@pytest.mark.parametrize("limit", [1, 200, 65536])
def test_size_of_a_compressed_message_is_that_which_it_inflates_to(limit: int) -> None:
    for length, broken in {limit - 1: "", limit: "", limit + 1: "inflated-size"}.items():
        for payload in (b"a" * length, random.Random(length).randbytes(length)):
            compressed = deflated(payload)
            half = len(compressed) // 2
            for data in (
                frame(FIN | RSV1 | BINARY, compressed),
                frame(RSV1 | BINARY, compressed[:half]) + frame(FIN | CONT, compressed[half:]),
            ):
                reader = MessageReader(Role.SERVER, DEFLATE, max_message_size=limit)
                assert broken == rule(reader, data)
            # It is over the limit before it is finished.
            reader = MessageReader(Role.SERVER, DEFLATE, max_message_size=limit)
            data = frame(RSV1 | BINARY, compressed[:half]) + begun(CONT, compressed[half:])
            assert broken == rule(reader, data)


def empty_message(frames: int) -> bytes:
    if frames == 1:
        return frame(FIN | BINARY)
    return frame(BINARY) + frame(CONT) * (frames - 2) + frame(FIN | CONT)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_frames_of_a_message_are_counted_and_begin_anew_with_the_next(limit: int) -> None:
    for count, broken in {limit - 1: "", limit: "", limit + 1: "message-fragments"}.items():
        if count:
            reader = MessageReader(Role.SERVER, max_fragments=limit)
            assert broken == rule(reader, empty_message(count))
            assert broken or "" == rule(reader, empty_message(count))


# What is kept, and what it costs.


def test_frame_in_single_octets_takes_no_more_than_three_times_its_size() -> None:
    size = 1 << 15
    data = frame(FIN | BINARY, b"a" * size)
    pieces = [data[at : at + 1] for at in range(len(data))]
    reader = MessageReader(Role.SERVER)
    tracemalloc.start()
    try:
        found, _ = events(reader, pieces)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [b"a" * size] == found
    assert peak < 3 * size


def test_frame_in_single_octets_keeps_one_buffer() -> None:
    reader = MessageReader(Role.SERVER)
    before = kept(reader)
    data = begun(TEXT, "grüße".encode() * 1000)
    for at in range(len(data)):
        assert ([], None) == events(reader, [data[at : at + 1]])
        assert kept(reader) - before <= at * 9 // 8 + 1000


@pytest.mark.parametrize("first", [BINARY, TEXT, RSV1 | TEXT])
def test_octet_by_octet_costs_no_more_for_the_last_than_for_the_first(first: int) -> None:
    def run(size: int) -> None:
        payload = deflated(random.Random(1).randbytes(size // 2).hex().encode())[:size]
        data = begun(first, payload if first & RSV1 else b"a" * size)
        assert ([], None) == events(
            MessageReader(Role.SERVER, DEFLATE), [data[at : at + 1] for at in range(len(data))]
        )

    # Ten times for eight times as much: zlib gives nothing for the first octets.
    assert work(lambda: run(8192)) <= 10 * work(lambda: run(1024))


@pytest.mark.parametrize("first", [BINARY, TEXT, RSV1 | TEXT])
def test_ten_thousand_empty_fragments_keep_nothing(first: int) -> None:
    reader = MessageReader(Role.SERVER, DEFLATE, max_fragments=1 << 20)
    assert ([], None) == events(reader, [frame(first)])
    before = kept(reader)
    assert ([], None) == events(reader, [frame(CONT)] * 10_000)
    assert kept(reader) - before <= 100
    assert 10_001 == reader.frames_received


def test_message_that_was_taken_is_not_kept() -> None:
    reader = MessageReader(Role.SERVER, DEFLATE)
    before = kept(reader)
    payload = random.Random(1).randbytes(100_000)
    data = frame(RSV1 | BINARY, deflated(payload)) + frame(FIN | PING, b"a" * 125) + frame(FIN | CONT)
    assert ([Ping(b"a" * 125), payload], None) == events(reader, [data[:50_000], data[50_000:]])
    assert kept(reader) - before <= 1000
