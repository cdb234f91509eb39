"""Frames: every rule of a head, however it is cut; each form of the length; and what is never kept."""

import random
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

import pytest

from rfc6455.codes import Opcode, Role
from rfc6455.errors import ProtocolError
from rfc6455.frames import FrameParser, encode_frame, max_compressed_size
from tests.vectors import (
    BINARY,
    CONT,
    FIN,
    FRAMES,
    MASKING_KEY,
    MAX_FRAGMENTS,
    MAX_MESSAGE_SIZE,
    PING,
    RSV1,
    TEXT,
    UNMASKED,
    FrameVector,
    feeds,
    frame,
    frames_in,
    head,
    kept,
)

# What only those know who put the payloads together.
OF_MESSAGES = {"", "text-utf8", "close-code", "close-code-cut", "close-reason"}
# To the parser a Close is a frame like others.
ROWS = [row for row in FRAMES if not row.id.endswith("-behind-close")]

Frames = list[tuple[int, bytes]]
Way = Callable[[FrameParser, Iterable[bytes]], Iterator[tuple[int, bytes]]]


def whole(parser: FrameParser, pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Take frames as a whole, each by its first octet and its payload."""
    for piece in pieces:
        parser.feed(piece)
        while (found := parser.next_frame()) is not None:
            yield FIN * found.fin | RSV1 * found.rsv1 | found.opcode, found.payload


def in_parts(parser: FrameParser, pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Take the same as a reader of messages does."""
    payload = b""
    for piece in pieces:
        parser.feed(piece)
        while True:
            if not parser.frame_open:
                message = None if parser.message_open else parser.next_whole_message()
                if message is not None:
                    yield (
                        (FIN | TEXT, message.encode())
                        if isinstance(message, str)
                        else (FIN | BINARY, message)
                    )
                    continue
                if not parser.next_head():
                    break
                payload = b""
            payload += parser.take_payload()
            if parser.frame_open:
                break
            yield FIN * parser.fin | RSV1 * parser.rsv1 | parser.opcode, payload


def read(row: FrameVector, pieces: Iterable[bytes], way: Way) -> tuple[Frames, tuple[int, str, str] | None]:
    parser = FrameParser(
        row.role, deflate=row.deflate, max_message_size=MAX_MESSAGE_SIZE, max_fragments=MAX_FRAGMENTS
    )
    found: Frames = []
    try:
        for item in way(parser, pieces):
            found.append(item)
    except ProtocolError as error:
        return found, (error.close_code, error.rule, error.section)
    return found, None


def fault(parser: FrameParser, data: bytes) -> str:
    """The rule that the data breaks, or an empty string."""
    try:
        list(whole(parser, [data]))
    except ProtocolError as error:
        return error.rule
    return ""


def announces(parser: FrameParser, first: int, length: int) -> str:
    """Feed only a head without its key: the rule that it breaks; there is no payload that could be kept."""
    return fault(parser, head(first, length, UNMASKED + MASKING_KEY)[:-4])


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_frames_of_row(row: FrameVector) -> None:
    of_head = row.rule not in OF_MESSAGES
    # The octet that breaks a head's rule completes no frame.
    frames = list(frames_in(row.data[:-1] if of_head else row.data))
    expected = (frames, (row.close_code, row.rule, row.section) if of_head else None)
    for pieces in feeds(row.data):
        assert expected == read(row, pieces, whole)
        # A whole text is decoded at once.
        if row.rule != "text-utf8":
            assert expected == read(row, pieces, in_parts)
    if of_head:
        for way in (whole, in_parts):
            assert (frames, None) == read(row, [row.data[:-1]], way)
            assert expected == read(row, [row.data + bytes(300)], way)


# Lengths.

LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 65537]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("key", [MASKING_KEY, b"", bytes(4)], ids=["masked", "unmasked", "masked-by-zeros"])
def test_length_is_written_and_read_in_its_shortest_form(length: int, key: bytes) -> None:
    payload = random.Random(length).randbytes(length)
    data = frame(FIN | BINARY, payload, key)
    assert data == encode_frame(Opcode.BINARY, payload, masking_key=key or None)
    for way in (whole, in_parts):
        parser = FrameParser(Role.SERVER if key else Role.CLIENT)
        pieces = [data[:1], data[1:3], data[3:9], data[9:200], data[200:]]
        assert [(FIN | BINARY, payload)] == list(way(parser, pieces))
        assert [(FIN | BINARY, payload)] * 2 == list(way(parser, [data * 2]))


@pytest.mark.parametrize(("form", "marker", "length"), [("!BBH", 126, 125), ("!BBQ", 127, 65535)])
def test_longer_form_than_needed_is_refused_with_all_of_the_frame_at_hand(
    form: str, marker: int, length: int
) -> None:
    data = struct.pack(form, FIN | BINARY, marker, length) + bytes(length)
    for way in (whole, in_parts):
        with pytest.raises(ProtocolError, match="shortest form"):
            list(way(FrameParser(Role.CLIENT), [data]))


@pytest.mark.parametrize("opcode", Opcode)
@pytest.mark.parametrize(("fin", "rsv1"), [(True, False), (False, False), (True, True), (False, True)])
def test_first_octet_is_written_as_asked(opcode: Opcode, fin: bool, rsv1: bool) -> None:
    first = FIN * fin | RSV1 * rsv1 | opcode
    assert frame(first, b"a", b"") == encode_frame(opcode, b"a", fin=fin, rsv1=rsv1)


def test_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="four octets"):
        encode_frame(Opcode.TEXT, b"Hello", masking_key=b"abc")


# Limits.


@pytest.mark.parametrize("limit", [0, 1, 125, 126, 65535, 65536, 1 << 20])
def test_size_is_judged_by_the_announced_length(limit: int) -> None:
    expected = {limit - 1: "", limit: "", limit + 1: "message-size"}
    for length, rule in expected.items():
        if length >= 0:
            assert rule == announces(FrameParser(Role.SERVER, max_message_size=limit), FIN | TEXT, length)
            parser = FrameParser(Role.SERVER, max_message_size=limit)
            # The head's last octet of the length is the first to tell.
            assert "" == fault(parser, head(TEXT, length)[:-5])


@pytest.mark.parametrize("limit", [1, 2, 200])
@pytest.mark.parametrize("before", [0, 1])
def test_size_is_that_of_all_fragments(limit: int, before: int) -> None:
    for length, rule in {max(before, limit - 1): "", limit: "", limit + 1: "message-size"}.items():
        parser = FrameParser(Role.SERVER, max_message_size=limit)
        begin = frame(BINARY, b"a" * before) + frame(FIN | PING, b"b" * 125) + frame(CONT)
        assert "" == fault(parser, begin)
        assert rule == announces(parser, FIN | CONT, length - before)


def test_compressed_size_may_pass_the_limit_by_what_deflate_adds() -> None:
    most = max_compressed_size(200)
    for length, rule in {most - 1: "", most: "", most + 1: "message-size"}.items():
        parser = FrameParser(Role.SERVER, deflate=True, max_message_size=200)
        assert rule == announces(parser, FIN | RSV1 | BINARY, length)
        parser = FrameParser(Role.SERVER, deflate=True, max_message_size=200)
        assert "" == fault(parser, frame(RSV1 | BINARY, b"a" * 10))
        assert rule == announces(parser, FIN | CONT, length - 10)


@pytest.mark.parametrize("size", [0, 1, 100, 1000, 100_000])
def test_what_deflate_adds_to_random_octets_is_allowed_for(size: int) -> None:
    payload = random.Random(size).randbytes(size)
    codec = zlib.compressobj(level=1, wbits=-9, memLevel=1)
    assert len(codec.compress(payload) + codec.flush(zlib.Z_SYNC_FLUSH)) <= max_compressed_size(size)


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("payload", [b"", b"a"])
def test_frames_of_a_message_are_counted(limit: int, payload: bytes) -> None:
    for count, rule in {limit - 1: "", limit: "", limit + 1: "message-fragments"}.items():
        if count:
            parser = FrameParser(Role.SERVER, max_fragments=limit)
            data = frame(BINARY, payload) + (frame(FIN | PING) + frame(CONT, payload)) * (count - 1)
            assert rule == fault(parser, data)


def test_announced_length_reserves_nothing() -> None:
    parser = FrameParser(Role.SERVER, max_message_size=1 << 40)
    before = kept(parser)
    assert "" == announces(parser, FIN | BINARY, 1 << 40)
    assert kept(parser) - before <= 100


def test_payload_that_was_taken_is_not_kept() -> None:
    parser = FrameParser(Role.SERVER)
    parser.feed(head(FIN | BINARY, 1 << 20))
    assert parser.next_head()
    before = kept(parser)
    while parser.remaining:
        parser.feed(b"a" * 1024)
        assert 1024 == len(parser.take_payload())
        assert kept(parser) - before <= 2048


def test_frames_that_were_taken_are_not_kept_while_the_peer_is_silent() -> None:
    for key, role in ((MASKING_KEY, Role.SERVER), (UNMASKED, Role.CLIENT)):
        for data in (frame(FIN | BINARY, bytes(100_000), key), frame(FIN | PING, b"", key) * 1000):
            for way in (whole, in_parts):
                parser = FrameParser(role)
                before = kept(parser)
                for _ in way(parser, [data]):
                    pass
                assert kept(parser) - before <= 200


@pytest.mark.parametrize("rest", [b"\x82", b"\x82\xfe", b"\x82\xff\0", b"\x82\x85", b"\x82\x85abcdHe"])
def test_read_that_ends_in_a_frame_is_not_kept_while_the_peer_is_silent(rest: bytes) -> None:
    for way in (whole, in_parts):
        parser = FrameParser(Role.SERVER)
        before = kept(parser)
        assert 1000 == sum(
            1 for first, _ in way(parser, [frame(FIN | PING) * 1000 + rest]) if first == FIN | PING
        )
        assert kept(parser) - before <= 300


def test_empty_fragments_are_not_kept() -> None:
    for way in (whole, in_parts):
        parser = FrameParser(Role.SERVER, max_fragments=1 << 20)
        before = kept(parser)
        assert 10_000 == sum(1 for _ in way(parser, [frame(BINARY), *[frame(CONT)] * 9_999]))
        assert kept(parser) - before <= 200


# The rest of the parser's manners.


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_was_fed_is_a_copy(kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    parser = FrameParser(Role.SERVER)
    buffer = bytearray(frame(FIN | BINARY, b"Hello"))
    parser.feed(kind(buffer))
    buffer[:] = bytes(len(buffer))
    assert b"Hello" == parser.next_whole_message()


@pytest.mark.parametrize("wrong", [5, "Hello", None, [72, 101]])
def test_what_is_no_bytes_is_a_type_error_and_feeds_nothing(wrong: bytes) -> None:
    parser = FrameParser(Role.SERVER)
    parser.feed(frame(FIN | BINARY, b"Hello")[:-1])
    with pytest.raises(TypeError):
        parser.feed(wrong)
    parser.feed(frame(FIN | BINARY, b"Hello")[-1:])
    assert [(FIN | BINARY, b"Hello")] == list(whole(parser, [b""]))


def test_what_was_not_taken_stays_before_what_is_fed() -> None:
    parser = FrameParser(Role.SERVER)
    for payload in (b"a", b"b", b"c"):
        parser.feed(frame(FIN | BINARY, payload))
    assert [(FIN | BINARY, payload) for payload in (b"a", b"b", b"c")] == list(whole(parser, [b""]))


def test_whole_messages_are_text_or_binary() -> None:
    for key, role in ((MASKING_KEY, Role.SERVER), (UNMASKED, Role.CLIENT)):
        parser = FrameParser(role)
        parser.feed(frame(FIN | TEXT, "grüße".encode(), key) + frame(FIN | BINARY, b"\xff", key))
        assert ("grüße", b"\xff", None) == tuple(parser.next_whole_message() for _ in range(3))


@pytest.mark.parametrize("text", [b"\xff", b"gr\xc3", b"\xed\xa0\x80"])
def test_text_that_is_no_utf8_is_left_to_who_checks_it_octet_by_octet(text: bytes) -> None:
    for key, role in ((MASKING_KEY, Role.SERVER), (UNMASKED, Role.CLIENT)):
        parser = FrameParser(role)
        parser.feed(frame(FIN | TEXT, text, key))
        assert parser.next_whole_message() is None
        assert parser.next_head()
        assert text == parser.take_payload()


def test_frames_are_counted_when_they_begin() -> None:
    parser = FrameParser(Role.SERVER)
    begin = frame(FIN | PING) + frame(BINARY, b"a") + head(FIN | CONT, 5)
    assert 2 == len(list(whole(parser, [begin[:-1]])))
    assert 2 == parser.frames_received
    assert [] == list(whole(parser, [begin[-1:]]))
    assert 3 == parser.frames_received
    assert [(FIN | CONT, b"Hello")] == list(whole(parser, [b"\x7f\x9f\x4d\x51\x58"]))
    assert [(FIN | TEXT, b"Hello")] == list(in_parts(parser, [frame(FIN | TEXT, b"Hello")]))
    assert 4 == parser.frames_received


def test_what_is_held_is_what_no_frame_has_brought() -> None:
    parser = FrameParser(Role.SERVER)
    assert 0 == parser.octets_held
    parser.feed(frame(FIN | TEXT, b"Hello")[:3])
    assert 3 == parser.octets_held
    parser.feed(frame(FIN | TEXT, b"Hello")[3:8])
    assert parser.next_frame() is None
    assert 2 == parser.octets_held
