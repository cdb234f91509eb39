"""Whole messages: most come unfragmented, and are here with their last octet; these are parsed together.

ASCII texts that go are framed together, too.

The native form, when it was built, takes the place of the plain one under the same name.
"""

from struct import pack
from typing import Final

from .masking import MAX_INTEGER, NATIVE, mask

__all__ = ["FRAMED_LATE", "MAX_PARSED", "join_frames", "parse_message", "parse_messages"]

# Messages that are parsed at a time, before the first of them is handed on.
MAX_PARSED: Final = 64

# Whether an ASCII text is best framed when all is joined, and not when it is sent.
FRAMED_LATE: Final = NATIVE

_WHOLE_TEXT: Final = 0x81
_WHOLE_BINARY: Final = 0x82
_integer: Final = int.from_bytes


def plain_parse_message(data: bytes, mask_bit: int) -> str | bytes | None:
    """Parse a short message that came alone; None if the data is anything else, or more."""
    start = 6 if mask_bit else 2
    length = len(data) - start
    if not 0 <= length <= 125 or data[1] != mask_bit | length:
        return None
    first = data[0]
    if first != _WHOLE_TEXT and first != _WHOLE_BINARY:
        return None
    payload = data[start:]
    if mask_bit:
        repeated = (data[2:6] * ((length + 3) >> 2))[:length]
        payload = (_integer(payload) ^ _integer(repeated)).to_bytes(length)
    try:
        return payload.decode() if first == _WHOLE_TEXT else payload
    except UnicodeDecodeError:
        # 8.1: who reads it in parts finds this too, and fails the connection.
        return None


def plain_parse_messages(
    data: bytes, position: int, mask_bit: int, max_message_size: int, most: int
) -> tuple[list[str | bytes], int]:
    """Parse the messages that begin there, while they are whole and each in one frame; `most` at most.

    Returns them, the last first, and where they stop. What follows isn't all here, or something speaks
    against it: a MessageReader tells what.
    """
    if not 0 <= position <= len(data):
        raise ValueError("the position must lie within the data")
    messages: list[str | bytes] = []
    stop = position
    size = len(data)
    head_size = 6 if mask_bit else 2
    # The hot loop.
    for _ in range(min(most, MAX_PARSED)):
        start = stop + head_size
        if start > size:
            break
        first = data[stop]
        if first != _WHOLE_TEXT and first != _WHOLE_BINARY:
            break
        # A frame masked by the wrong role looks too long here.
        length = data[stop + 1] ^ mask_bit
        if length > 125:
            if length == 126 and start + 2 <= size:
                length = data[stop + 2] << 8 | data[stop + 3]
                start += 2
                if length < 126:
                    break
            elif length == 127 and start + 8 <= size:
                length = _integer(data[stop + 2 : stop + 10])
                start += 8
                if length < 65536:
                    break
            else:
                break
        end = start + length
        if end > size or length > max_message_size:
            break
        if not mask_bit:
            payload = data[start:end]
        elif length > MAX_INTEGER:
            payload = mask(data, start, end, data[start - 4 : start], 0)
        else:
            # As mask() has it, but a call nearer.
            repeated = (data[start - 4 : start] * ((length + 3) >> 2))[:length]
            payload = (_integer(data[start:end]) ^ _integer(repeated)).to_bytes(length)
        try:
            messages.append(payload.decode() if first == _WHOLE_TEXT else payload)
        except UnicodeDecodeError:
            # As above.
            break
        stop = end
    messages.reverse()
    return messages, stop


def plain_join_frames(pieces: list[str | bytes]) -> bytes:
    """Join what is framed, in any pieces, and ASCII texts that still lack their heads."""
    try:
        return b"".join(pieces)  # type: ignore[arg-type]  # a text among them is a TypeError
    except TypeError:
        return b"".join([_framed(piece) if isinstance(piece, str) else piece for piece in pieces])


def _framed(text: str) -> bytes:
    if not text.isascii():
        raise ValueError("a text without a head must be ASCII")
    length = len(text)
    # 5.2: the shortest form that holds the length.
    if length < 126:
        head = bytes((_WHOLE_TEXT, length))
    elif length < 65536:
        head = pack("!BBH", _WHOLE_TEXT, 126, length)
    else:
        head = pack("!BBQ", _WHOLE_TEXT, 127, length)
    return head + text.encode()


try:
    from ._native import join_frames, parse_message, parse_messages
except ImportError:
    join_frames = plain_join_frames
    parse_message = plain_parse_message
    parse_messages = plain_parse_messages
