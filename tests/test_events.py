"""The payload of a Close: which codes are read, and where a long reason is cut."""

import pytest

from rfc6455.errors import ProtocolError
from rfc6455.events import Close, encode_close, parse_close
from tests.vectors import CLOSE, FRAMES, FrameVector, frames_in

CLOSES = [row for row in FRAMES if row.id.startswith("close-") and len(list(frames_in(row.data))) == 1]


@pytest.mark.parametrize("row", CLOSES, ids=[row.id for row in CLOSES])
def test_close(row: FrameVector) -> None:
    [(first, payload)] = frames_in(row.data)
    assert CLOSE == first & 0x0F
    if not row.rule:
        close = parse_close(payload)
        assert (close,) == row.events
        assert payload == encode_close(close)
        return
    with pytest.raises(ProtocolError) as caught:
        parse_close(payload)
    assert (row.close_code, row.rule, row.section) == (
        caught.value.close_code,
        caught.value.rule,
        caught.value.section,
    )


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("a" * 122, "a" * 122),
        ("a" * 123, "a" * 123),
        ("a" * 124, "a" * 123),
        ("€" * 41, "€" * 41),
        ("€" * 42, "€" * 41),
        ("a" + "€" * 41, "a" + "€" * 40),
        ("a" * 122 + "é", "a" * 122),
        ("a" * 121 + "é", "a" * 121 + "é"),
        *(("a" * (123 - size) + "\U0001f600", "a" * (123 - size)) for size in (1, 2, 3)),
        ("a" * 119 + "\U0001f600", "a" * 119 + "\U0001f600"),
    ],
)
def test_reason_is_cut_to_123_octets_between_two_code_points(reason: str, sent: str) -> None:
    assert b"\x03\xe8" + sent.encode() == encode_close(Close(1000, reason))


def test_close_without_code_carries_no_reason_either() -> None:
    assert b"" == encode_close(Close(1005, "not sent"))


def test_reason_with_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_close(Close(1000, "\ud800"))
