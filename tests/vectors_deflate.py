"""Every rule of permessage-deflate (RFC 7692) that fits into a row; both ends keep their contexts."""

from typing import Final

from rfc6455.codes import Role
from rfc6455.events import Close, Ping, Pong
from rfc6455.messages import Event
from tests.vectors import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    MAX_MESSAGE_SIZE,
    OPCODES,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    FrameVector,
    begun,
    frame,
    head,
)

# 7692 7.2.3: "Hello" in the RFC's own octets.
_HELLO: Final = bytes.fromhex("f248cdc9c90700")
_HELLO_STORED: Final = bytes.fromhex("000500faff48656c6c6f00")
_HELLO_FINAL: Final = bytes.fromhex("f348cdc9c90700")
_HELLO_IN_TWO_BLOCKS: Final = bytes.fromhex("f24805000000ffffcac9c90700")
# All of it is five octets back.
_HELLO_AGAIN: Final = bytes.fromhex("f200110000")
# A block with codes of its own, as zlib makes it.
_DYNAMIC: Final = bytes.fromhex("1cc6490100001040c0aca37f883d3c202a979d375e1d0c00")
_DYNAMIC_MESSAGE: Final = "abaabbbabaababbaababaaaabaaabbbbbaa"


def stored(octets: bytes, *, final: bool = False) -> bytes:
    """A block that shows its octets as they are."""
    size = len(octets)
    return bytes([final]) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + octets


def _sent(*payloads: bytes, opcode: int = TEXT) -> bytes:
    """Compressed messages, each in a frame."""
    return b"".join(frame(FIN | RSV1 | opcode, payload) for payload in payloads)


def _in_fragments(*payloads: bytes, between: bytes = b"") -> bytes:
    """A compressed text in frames."""
    first, *others, last = payloads
    middle = [frame(CONT, payload) for payload in others]
    return between.join([frame(RSV1 | TEXT, first), *middle, frame(FIN | CONT, last)])


def _good(id_: str, section: str, data: bytes, *events: Event) -> FrameVector:
    return FrameVector(id_, section, data, events, deflate=True)


def _bad(id_: str, section: str, data: bytes, rule: str, *events: Event, code: int = 1002) -> FrameVector:
    return FrameVector(id_, section, data, events, code, rule, deflate=True)


_BLOCKS: Final = [
    _good("hello", "7692 7.2.3.1", _sent(_HELLO), "Hello"),
    _good("hello-in-fragments", "7692 7.2.3.1", _in_fragments(_HELLO[:3], _HELLO[3:]), "Hello"),
    _good("context-is-kept", "7692 7.2.3.2", _sent(_HELLO, _HELLO_AGAIN), "Hello", "Hello"),
    _good("stored-block", "7692 7.2.3.3", _sent(_HELLO_STORED), "Hello"),
    _good("two-blocks", "7692 7.2.3.5", _sent(_HELLO_IN_TWO_BLOCKS), "Hello"),
    _good("dynamic-block", "7692 7.2.1", _sent(_DYNAMIC), _DYNAMIC_MESSAGE),
    _good(
        "blocks-of-every-type-in-a-message",
        "7692 7.2.1",
        _sent(_HELLO + b"\x00\x00\xff\xff" + _DYNAMIC + b"\x00\x00\xff\xff" + _HELLO_STORED),
        "Hello" + _DYNAMIC_MESSAGE + "Hello",
    ),
    _good("binary", "7692 6.2", _sent(_HELLO, _HELLO_AGAIN, opcode=BINARY), b"Hello", b"Hello"),
    FrameVector(
        "from-server", "7692 7.2.3.1", b"\xc1\x07" + _HELLO, ("Hello",), role=Role.CLIENT, deflate=True
    ),
]

_EMPTY: Final = [
    _good("empty-message-as-sent", "7692 7.2.3.6", _sent(b"\x00", _HELLO), "", "Hello"),
    _good("empty-message-without-octets", "7692 7.2.2", _sent(b"", _HELLO), "", "Hello"),
    _good("empty-fragments", "7692 7.2.2", _in_fragments(b"", b"", b"") + _sent(_HELLO), "", "Hello"),
    _good(
        "empty-block-in-fragments",
        "7692 7.2.2",
        _in_fragments(b"", b"\x00", b"") + _sent(_HELLO),
        "",
        "Hello",
    ),
    _good("empty-fragments-around-a-full-one", "7692 7.2.2", _in_fragments(b"", _HELLO, b""), "Hello"),
    _good(
        "context-survives-empty-messages",
        "7692 7.2.2",
        _sent(_HELLO, b"", b"\x00", _HELLO_AGAIN),
        "Hello",
        "",
        "",
        "Hello",
    ),
]

# 7692 7.2.3.4: what is behind a final block is read, in its message and in those that follow.
_FINAL: Final = [
    *(
        _good(
            f"final-block-{name}",
            "7692 7.2.3.4",
            _sent(payload, _HELLO, _HELLO_AGAIN),
            text,
            "Hello",
            "Hello",
        )
        for name, payload, text in [
            ("as-sent", _HELLO_FINAL + b"\x00", "Hello"),
            ("exactly-at-the-end", _HELLO_FINAL, "Hello"),
            ("first", _HELLO_FINAL + _HELLO, "HelloHello"),
            ("last", _HELLO + b"\x00\x00\xff\xff" + _HELLO_FINAL + b"\x00", "HelloHello"),
            ("in-the-middle", _HELLO + b"\x00\x00\xff\xff" + _HELLO_FINAL + _HELLO, "HelloHelloHello"),
            ("three-times", _HELLO_FINAL * 3 + b"\x00", "HelloHelloHello"),
            ("stored", stored(b"Hello", final=True) + b"\x00", "Hello"),
            ("dynamic", bytes([_DYNAMIC[0] | 1]) + _DYNAMIC[1:], _DYNAMIC_MESSAGE),
            ("empty", b"\x03\x00", ""),
            ("empty-and-stored", b"\x01\x00\x00\xff\xff", ""),
            ("completed-by-the-tail", b"\x01", ""),
        ]
    ),
    *(
        _good(f"final-block-{name}", "7692 7.2.3.4", _in_fragments(*payloads) + _sent(_HELLO), text, "Hello")
        for name, payloads, text in [
            ("at-a-fragment's-end", (_HELLO_FINAL, _HELLO), "HelloHello"),
            ("before-empty-fragments", (_HELLO_FINAL, b"", b""), "Hello"),
            ("over-fragments", (_HELLO_FINAL[:3], _HELLO_FINAL[3:] + _HELLO), "HelloHello"),
            ("in-each-fragment", (_HELLO_FINAL, _HELLO_FINAL, _HELLO_FINAL), "HelloHelloHello"),
        ]
    ),
    # 7692 7.2.1: a final block ends its stream, so nothing behind it can refer to what was before.
    _bad(
        "reference-over-final-block",
        "7692 7.2.1",
        frame(FIN | RSV1 | TEXT, _HELLO_FINAL + b"\x00") + begun(RSV1 | TEXT, _HELLO_AGAIN[:3]),
        "deflate-data",
        "Hello",
        code=1007,
    ),
    _bad(
        "reference-over-final-block-in-a-message",
        "7692 7.2.1",
        begun(RSV1 | TEXT, _HELLO_FINAL + _HELLO_AGAIN[:3]),
        "deflate-data",
        code=1007,
    ),
]

_FRAMES: Final = [
    # 7692 6: a message without RSV1 is no matter of the codec's.
    _good(
        "plain-message-between-compressed-ones",
        "7692 6",
        _sent(_HELLO) + frame(FIN | TEXT, b"plain") + frame(FIN | BINARY, b"\xff") + _sent(_HELLO_AGAIN),
        "Hello",
        "plain",
        b"\xff",
        "Hello",
    ),
    _good(
        "plain-fragments-between-compressed-messages",
        "7692 6",
        _sent(_HELLO) + frame(TEXT, b"pl") + frame(FIN | CONT, b"ain") + _sent(_HELLO_AGAIN),
        "Hello",
        "plain",
        "Hello",
    ),
    _good(
        "compressed-octets-without-rsv1",
        "7692 6",
        frame(FIN | BINARY, _HELLO) + _sent(_HELLO),
        _HELLO,
        "Hello",
    ),
    # 6455 5.4: a control frame leaves the message alone into which it comes.
    _good(
        "control-frames-between-fragments",
        "6455 5.4",
        _in_fragments(_HELLO[:3], _HELLO[3:], between=frame(FIN | PING, _HELLO) + frame(FIN | PONG, b"b"))
        + _sent(_HELLO_AGAIN),
        Ping(_HELLO),
        Pong(b"b"),
        "Hello",
        "Hello",
    ),
    _good(
        "close-between-fragments",
        "6455 5.5.1",
        frame(RSV1 | TEXT, _HELLO[:3]) + frame(FIN | CLOSE),
        Close(1005),
    ),
    # 7692 6: RSV1 stands on a message's first frame, and nowhere else.
    *(
        _bad(f"rsv1-on-{name}", "7692 6", bytes([FIN | RSV1 | opcode, 0x85]), "control-rsv1")
        for name, opcode in OPCODES.items()
        if opcode >= CLOSE
    ),
    _bad(
        "rsv1-on-ping-between-fragments",
        "7692 6",
        frame(RSV1 | TEXT, _HELLO[:3]) + bytes([FIN | RSV1 | PING, 0x80]),
        "control-rsv1",
    ),
    _bad(
        "rsv1-on-continuation",
        "7692 6",
        frame(RSV1 | TEXT, _HELLO[:3]) + bytes([FIN | RSV1 | CONT, 0x84]),
        "continuation-rsv1",
    ),
    _bad(
        "rsv1-on-continuation-of-plain-message",
        "7692 6",
        frame(TEXT, b"Hel") + bytes([FIN | RSV1 | CONT, 0x82]),
        "continuation-rsv1",
    ),
    _bad(
        "rsv1-on-continuation-of-nothing",
        "6455 5.4",
        _sent(_HELLO) + bytes([FIN | RSV1 | CONT, 0x82]),
        "continuation",
        "Hello",
    ),
    _bad(
        "rsv1-on-message-inside-message",
        "6455 5.4",
        frame(RSV1 | TEXT, _HELLO[:3]) + bytes([FIN | RSV1 | TEXT, 0x87]),
        "message-interleaved",
    ),
    *(
        _bad(f"reserved-bit-{bits:02x}", "6455 5.2", bytes([FIN | bits | TEXT, 0x87]), "reserved-bit")
        for bits in (RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV3)
    ),
]

# 7692 6.2: what isn't DEFLATE, noticed at the octet that can't be.
_DATA: Final = [
    _bad("data-that-ends-within-a-block", "7692 7.2.2", _sent(_HELLO[:4]), "deflate-data", code=1007),
    *(
        _bad(f"data-{name}", "7692 6.2", begun(RSV1 | BINARY, payload), "deflate-data", code=1007)
        for name, payload in [
            ("of-reserved-block-type", b"\x06"),
            ("of-reserved-block-type-and-final", b"\x07"),
            ("of-stored-block-with-wrong-complement", b"\x00\x05\x00\xfa\xfe"),
            ("of-reference-before-the-first-octet", _HELLO_AGAIN[:3]),
            ("of-too-many-codes", b"\xfc\xff\xff"),
            ("of-bad-block-behind-a-good-one", _HELLO + b"\x00\x00\xff\xff\x06"),
            ("of-bad-block-behind-a-final-one", _HELLO_FINAL + b"\x06"),
        ]
    ),
]

_SIZES: Final = [
    # 10.4: the limit is on what comes out, whatever went in.
    _good(
        "message-at-the-limit",
        "10.4",
        _sent(stored(b"a" * MAX_MESSAGE_SIZE) + b"\x00") * 2,
        *["a" * MAX_MESSAGE_SIZE] * 2,
    ),
    _bad(
        "message-over-the-limit",
        "10.4",
        begun(RSV1 | TEXT, stored(b"a" * (MAX_MESSAGE_SIZE + 1))),
        "inflated-size",
        code=1009,
    ),
    _good(
        "fragments-at-the-limit",
        "10.4",
        _in_fragments(stored(b"a" * 120), stored(b"b" * 80), b"", b"\x00"),
        "a" * 120 + "b" * 80,
    ),
    _bad(
        "fragments-over-the-limit",
        "10.4",
        frame(RSV1 | TEXT, stored(b"a" * 120)) + frame(CONT, stored(b"b" * 80)) + begun(CONT, stored(b"c")),
        "inflated-size",
        code=1009,
    ),
    _bad(
        "streams-over-the-limit",
        "10.4",
        begun(RSV1 | TEXT, stored(b"a" * MAX_MESSAGE_SIZE, final=True) + stored(b"b")),
        "inflated-size",
        code=1009,
    ),
    _bad(
        "payload-too-long-to-be-that-of-any-message",
        "10.4",
        head(FIN | RSV1 | TEXT, 1237)[:-4],
        "message-size",
        code=1009,
    ),
]

_UTF8: Final = [
    # 8.1: the check is on what comes out, octet by octet.
    _good(
        "text-cut-in-a-code-point",
        "7692 6.2",
        _in_fragments(stored(b"caf\xc3"), stored(b"\xa9") + b"\x00"),
        "café",
    ),
    _bad(
        "text-cut-in-its-last-code-point", "8.1", _sent(stored(b"caf\xc3") + b"\x00"), "text-utf8", code=1007
    ),
    _bad(
        "text-impossible-in-first-fragment",
        "8.1",
        begun(RSV1 | TEXT, stored(b"a\xff")),
        "text-utf8",
        code=1007,
    ),
    _bad(
        "text-impossible-over-fragments",
        "8.1",
        frame(RSV1 | TEXT, stored(b"\xed")) + begun(CONT, stored(b"\xa0")),
        "text-utf8",
        code=1007,
    ),
    _bad(
        "text-impossible-behind-final-block",
        "8.1",
        begun(RSV1 | TEXT, stored(b"caf\xc3", final=True) + stored(b"a")),
        "text-utf8",
        code=1007,
    ),
    _good(
        "text-of-any-octets-in-binary",
        "5.6",
        _sent(stored(b"\xff\xc3") + b"\x00", opcode=BINARY),
        b"\xff\xc3",
    ),
]

DEFLATED: Final = [*_BLOCKS, *_EMPTY, *_FINAL, *_FRAMES, *_DATA, *_SIZES, *_UTF8]
