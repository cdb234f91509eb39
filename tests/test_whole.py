"""Whole messages: each form parses those that came whole, leaves the rest alone, and joins what goes."""

from types import ModuleType
from typing import NamedTuple, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfc6455 import masking, whole
from rfc6455.frames import MASK
from rfc6455.whole import MAX_PARSED
from tests.native import load_beside
from tests.vectors import BINARY, CLOSE, CONT, FIN, MASKING_KEY, PING, RSV1, TEXT, UNMASKED, frame

NO_LIMIT = 1 << 70
LENGTHS = [*range(131), 599, 600, 601, 4095, 4096, 4097, 65535, 65536, 65537]
NOT_UTF8 = [
    pytest.param(b"\x80", id="continuation alone"),
    pytest.param(b"abc\xe2\x82", id="cut short"),
    pytest.param(b"\xc0\xaf", id="overlong"),
    pytest.param(b"\xed\xa0\x80", id="surrogate"),
    pytest.param(b"\xf4\x90\x80\x80", id="beyond U+10FFFF"),
    pytest.param(b"a" * 124 + b"\xff", id="at the end"),
]

Parsed = tuple[list[str | bytes], int]


class ParseMessage(Protocol):
    def __call__(self, data: bytes, mask_bit: int, /) -> str | bytes | None: ...


class ParseMessages(Protocol):
    def __call__(
        self, data: bytes, position: int, mask_bit: int, max_message_size: int, most: int, /
    ) -> Parsed: ...


class JoinFrames(Protocol):
    def __call__(self, pieces: list[str | bytes], /) -> bytes: ...


class Form(NamedTuple):
    join_frames: JoinFrames
    parse_message: ParseMessage
    parse_messages: ParseMessages


PLAIN = Form(whole.plain_join_frames, whole.plain_parse_message, whole.plain_parse_messages)
LOADED = Form(whole.join_frames, whole.parse_message, whole.parse_messages)

both_forms = pytest.mark.parametrize("form", [PLAIN, LOADED], ids=["plain", "loaded"])
both_ways = pytest.mark.parametrize("mask_bit", [MASK, 0], ids=["masked", "unmasked"])


def sent(first: int, payload: bytes, mask_bit: int) -> bytes:
    return frame(first, payload, MASKING_KEY if mask_bit else UNMASKED)


def texts(length: int) -> list[str]:
    """Texts of so many octets, in characters of one, two, three and four."""
    return [
        (character * length).encode()[:length].decode(errors="ignore").ljust(length // 4)
        for character in ("x", "ü", "€", "🙂")
    ]


@both_forms
@both_ways
@pytest.mark.parametrize("length", LENGTHS)
def test_message_of_every_length_is_parsed(form: Form, mask_bit: int, length: int) -> None:
    payload = (bytes(range(256)) * 257)[:length]
    messages: list[str | bytes] = [payload, *texts(length)]
    for message in messages:
        octets = message if isinstance(message, bytes) else message.encode()
        data = sent(FIN | (BINARY if message is payload else TEXT), octets, mask_bit)
        assert ([message], len(data)) == form.parse_messages(data, 0, mask_bit, NO_LIMIT, 1)
        alone = message if len(octets) <= 125 else None
        assert alone == form.parse_message(data, mask_bit)


@both_forms
@both_ways
def test_whole_messages_are_parsed_from_every_position_to_every_cut(form: Form, mask_bit: int) -> None:
    frames = [
        sent(FIN | TEXT, b"Hello", mask_bit),
        sent(FIN | BINARY, b"\xff\x00", mask_bit),
        sent(FIN | TEXT, b"", mask_bit),
        sent(FIN | TEXT, b"y" * 126, mask_bit),
        sent(FIN | TEXT, b"z", mask_bit),
    ]
    said: list[str | bytes] = ["Hello", b"\xff\x00", "", "y" * 126, "z"]
    data = b"".join(frames)
    ends = [sum(map(len, frames[:count])) for count in range(len(frames) + 1)]
    for begun, position in enumerate(ends):
        for cut in range(position, len(data) + 1):
            done = sum(end <= cut for end in ends) - 1
            expected = said[begun:done][::-1], ends[done]
            assert expected == form.parse_messages(data[:cut], position, mask_bit, NO_LIMIT, 64)


@both_forms
@both_ways
def test_message_alone_is_all_of_the_data(form: Form, mask_bit: int) -> None:
    data = sent(FIN | TEXT, b"Hello", mask_bit)
    assert "Hello" == form.parse_message(data, mask_bit)
    for cut in range(len(data)):
        assert form.parse_message(data[:cut], mask_bit) is None
    assert form.parse_message(data + b"\x00", mask_bit) is None
    assert form.parse_message(data + data, mask_bit) is None
    assert form.parse_message(data, mask_bit ^ MASK) is None


@both_forms
@both_ways
@pytest.mark.parametrize(
    "first", [TEXT, BINARY, CONT, FIN | CONT, FIN | RSV1 | TEXT, FIN | PING, FIN | CLOSE]
)
def test_frame_that_is_no_whole_message_is_left_alone(form: Form, mask_bit: int, first: int) -> None:
    good = sent(FIN | TEXT, b"good", mask_bit)
    other = sent(first, b"\x03\xe8", mask_bit)
    assert form.parse_message(other, mask_bit) is None
    assert (["good"], len(good)) == form.parse_messages(good + other + good, 0, mask_bit, NO_LIMIT, 64)


@both_forms
@pytest.mark.parametrize(
    "head",
    [
        "817e007d",
        "817f000000000000007d",
        "817f000000000000ffff",
        "817f8000000000010000",
        "817fffffffffffffffff",
    ],
)
def test_length_that_is_not_minimal_or_too_large_is_left_alone(form: Form, head: str) -> None:
    data = bytes.fromhex(head) + b"x" * 65536
    assert ([], 0) == form.parse_messages(data, 0, 0, NO_LIMIT, 64)
    masked = bytes((data[0], data[1] | MASK)) + data[2:]
    assert ([], 0) == form.parse_messages(masked, 0, MASK, NO_LIMIT, 64)


@both_forms
@both_ways
@pytest.mark.parametrize("payload", NOT_UTF8)
def test_text_that_is_not_utf_8_is_left_alone(form: Form, mask_bit: int, payload: bytes) -> None:
    good = sent(FIN | TEXT, b"good", mask_bit)
    bad = sent(FIN | TEXT, payload, mask_bit)
    assert form.parse_message(bad, mask_bit) is None
    assert (["good"], len(good)) == form.parse_messages(good + bad + good, 0, mask_bit, NO_LIMIT, 64)


@both_forms
@both_ways
def test_message_over_the_limit_is_left_alone(form: Form, mask_bit: int) -> None:
    data = sent(FIN | BINARY, b"four", mask_bit)
    assert ([], 0) == form.parse_messages(data, 0, mask_bit, 3, 64)
    for limit in (4, 5):
        assert ([b"four"], len(data)) == form.parse_messages(data, 0, mask_bit, limit, 64)


@both_forms
@both_ways
def test_no_more_are_parsed_at_a_time_than_asked_for(form: Form, mask_bit: int) -> None:
    one = sent(FIN | TEXT, b"x", mask_bit)
    for most, parsed in [(-1, 0), (0, 0), (1, 1), (2, 2), (MAX_PARSED, MAX_PARSED), (NO_LIMIT, MAX_PARSED)]:
        expected = ["x"] * parsed, len(one) * parsed
        assert expected == form.parse_messages(one * 100, 0, mask_bit, NO_LIMIT, most)


@both_forms
@pytest.mark.parametrize("position", [-1, 5, -(1 << 70), 1 << 70])
def test_position_outside_the_data_is_refused(form: Form, position: int) -> None:
    with pytest.raises(ValueError, match="position"):
        form.parse_messages(b"1234", position, MASK, NO_LIMIT, 64)


@both_forms
def test_texts_get_their_heads_between_what_has_them(form: Form) -> None:
    framed = frame(FIN | BINARY, b"\xff" * 70000, UNMASKED)
    for length in LENGTHS:
        text = "x" * length
        headed = frame(FIN | TEXT, text.encode(), UNMASKED)
        assert headed == form.join_frames([text])
        assert headed + framed + headed * 2 == form.join_frames([text, framed, text, b"", text])


@both_forms
def test_text_of_a_class_of_its_own_gets_its_head(form: Form) -> None:
    class Text(str):
        __slots__ = ()

    assert b"\x81\x05Hello" == form.join_frames([Text("Hello")])


@both_forms
def test_what_is_framed_is_joined_and_one_piece_is_not_copied(form: Form) -> None:
    assert b"" == form.join_frames([])
    assert b"\x82\x00\x81\x01a" == form.join_frames([b"\x82\x00", b"\x81", b"\x01a"])
    alone = b"\x81\x01a"
    assert alone is form.join_frames([alone])


@both_forms
@pytest.mark.parametrize("text", ["ü", "€" * 126, "\ud800"])
def test_text_that_is_not_ascii_is_not_framed_late(form: Form, text: str) -> None:
    with pytest.raises(ValueError, match="must be ASCII"):
        form.join_frames([text])
    with pytest.raises(ValueError, match="must be ASCII"):
        form.join_frames([b"\x82\x00", "a", text])


@both_forms
@pytest.mark.parametrize("wrong", [None, 3])
def test_piece_of_another_type_is_refused(form: Form, wrong: bytes) -> None:
    with pytest.raises(TypeError):
        form.join_frames(["a", wrong])


# What is nearly a stream of whole messages: most octets at random would end the first head.
pieces = st.one_of(
    st.binary(max_size=20),
    st.builds(
        frame,
        st.sampled_from([FIN | TEXT, FIN | BINARY, TEXT, FIN | PING, FIN | RSV1 | TEXT]),
        st.one_of(st.binary(max_size=140), st.text(max_size=140).map(str.encode)),
        st.sampled_from([MASKING_KEY, UNMASKED]),
    ),
)


@given(
    st.lists(pieces, max_size=6),
    st.sampled_from([MASK, 0]),
    st.integers(0, 200),
    st.integers(0, 7),
    st.data(),
)
def test_both_forms_agree(
    parts: list[bytes], mask_bit: int, limit: int, most: int, draw: st.DataObject
) -> None:
    data = b"".join(parts)
    position = draw.draw(st.integers(0, len(data)))
    plain = PLAIN.parse_messages(data, position, mask_bit, limit, most)
    assert plain == LOADED.parse_messages(data, position, mask_bit, limit, most)
    for part in (data, *parts):
        assert PLAIN.parse_message(part, mask_bit) == LOADED.parse_message(part, mask_bit)


@pytest.mark.skipif(not masking.NATIVE, reason="this build has no native functions")
@pytest.mark.parametrize("arguments", [(), (bytearray(4), 0), (b"1234", "0"), (b"1234", None)])
def test_native_form_refuses_arguments_of_another_type(arguments: tuple[object, ...]) -> None:
    with pytest.raises(TypeError):
        whole.parse_message(*arguments)  # type: ignore[arg-type]  # that is what is tested
    with pytest.raises(TypeError):
        whole.join_frames(arguments)  # type: ignore[arg-type]  # the same
    with pytest.raises(TypeError):
        whole.parse_messages(*arguments, 0, 9, 9)  # type: ignore[arg-type,call-arg]  # the same


def test_native_form_is_taken_where_it_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    native = ModuleType("rfc6455._native")
    vars(native).update(
        join_frames="native join", parse_message="native message", parse_messages="native messages"
    )
    loaded = load_beside(whole, native, monkeypatch)
    assert "native join" == loaded.join_frames
    assert ("native message", "native messages") == (loaded.parse_message, loaded.parse_messages)


def test_plain_form_is_taken_where_it_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_beside(whole, ModuleType("rfc6455._native"), monkeypatch)
    assert loaded.plain_join_frames == loaded.join_frames
    plain = loaded.plain_parse_message, loaded.plain_parse_messages
    assert plain == (loaded.parse_message, loaded.parse_messages)
