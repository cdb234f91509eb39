"""Conversations over an open connection: its reader, hostile streams, and a caller who knows no rules."""

from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

from rfc6455 import (
    Connection,
    DeflateOptions,
    DeflateParameters,
    Deflater,
    FrameParser,
    MessageReader,
    Opcode,
    Readers,
    Role,
    encode_frame,
    encode_message,
)
from tests.fuzz import frames
from tests.streams import MAX_SIZE, hostile_stream
from tests.transcript.record import attempt, mutated, parted, pieces, sometimes, state, told
from tests.vectors import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    MASKING_KEY,
    MAX_FRAGMENTS,
    MAX_MESSAGE_SIZE,
    PING,
    RSV1,
    TEXT,
    UNMASKED,
    deflated,
    frame,
)

SEEDS: Final = list(dict.fromkeys((frames.role_and_agreement(case)[0], case.data) for case in frames.seeds()))

_OPTIONS: Final = DeflateOptions(min_size=3, max_size=70_000)
AGREED: Final = [
    None,
    None,
    DeflateParameters(False, False, 15, 15),
    DeflateParameters(True, True, 15, 15, _OPTIONS),
    DeflateParameters(True, False, 9, 12, _OPTIONS),
    DeflateParameters(False, True, 8, 8, _OPTIONS),
]
LIMITS: Final = [0, 1, 5, 125, 126, 127, 200, 65_535, 65_536, MAX_SIZE, 1 << 20, 1 << 70]
FRAGMENTS: Final = [1, 2, 4, 4096, 1 << 70]
CODES: Final = [
    1000,
    1000,
    1001,
    1004,
    1005,
    1006,
    1014,
    1015,
    2999,
    3000,
    4999,
    5000,
    0,
    -1,
    1 << 16,
    1 << 70,
]

_CONNECTION: Final = (
    "sending",
    "receiving",
    "close_sent",
    "close_received",
    "close_code",
    "is_over",
    "frames_received",
    "octets_held",
    "shared_window_bits",
)
_PARSER: Final = (
    "fin",
    "rsv1",
    "opcode",
    "payload_length",
    "remaining",
    "frame_open",
    "message_open",
    "frames_received",
    "octets_held",
)


class Octets(bytes):
    """An application may have bytes of its own."""


class Text(str):
    """As it may have strings."""

    __slots__ = ()


def text(random: Random) -> str:
    size = random.choice([0, 1, 3, 124, 125, 126, 127, 128, 200, 65_535, 65_536, 70_001])
    made = random.choice(["a", "é", "€", "ab😀"]) * (size if size < 1000 or random.random() < 0.1 else 5)
    return sometimes(random, random.choice([made + "\ud800", Text(made)]), made, 0.1)


def payload(random: Random) -> bytes | bytearray | memoryview:
    octets = random.randbytes(random.choice([0, 1, 3, 124, 125, 126, 127, 128, 200]))
    if random.random() < 0.03:
        octets = bytes(random.choice([65_535, 65_536, 70_001]))
    view = memoryview(octets)
    forms: list[bytes | bytearray | memoryview] = [
        octets,
        octets,
        octets,
        bytearray(octets),
        view,
        view[::2],
        view.cast("b"),
        Octets(octets),
    ]
    return random.choice(forms)


def shared_message(random: Random) -> bytes:
    if random.random() < 0.7:
        return encode_message("Hello" * random.choice([1, 30]))
    return encode_message("Hello" * 9, Deflater(DeflateParameters(True, True, 9, 9)))


# What a caller may try at any time.
CALLS: Final[list[Callable[[Connection, Random], object]]] = [
    lambda end, random: end.send_text(text(random), compress=random.choice([None, None, False, True])),
    lambda end, random: end.send_binary(payload(random), compress=random.choice([None, None, False, True])),
    lambda end, random: end.send_fragment(payload(random), fin=random.random() < 0.6),
    lambda end, random: end.send_fragment(text(random), fin=random.random() < 0.6),
    lambda end, random: end.send_encoded(shared_message(random), random.choice([0, 0, 0, 9, 15])),
    lambda end, random: end.ping(payload(random)),
    lambda end, random: end.pong(payload(random)),
    lambda end, random: end.close(random.choice(CODES), text(random)),
    lambda end, random: end.fail(random.choice(CODES), text(random)),
    lambda end, random: end.answer_close(),
    lambda end, random: end.receive_eof(),
]


class Setting(NamedTuple):
    """One end of a connection, and what the other sends it."""

    role: Role
    agreed: DeflateParameters | None
    limits: dict[str, int]
    octets: bytes


def setting(random: Random, number: int) -> Setting:
    """Every second one begins as a seed; the others are drawn, good up to their limits or hostile."""
    round_, turn = divmod(number // 2, len(SEEDS))
    role, octets = SEEDS[turn]
    agreed = random.choice(AGREED)
    limits = {"max_message_size": MAX_MESSAGE_SIZE, "max_fragments": MAX_FRAGMENTS}
    if number % 2:
        role = random.choice([*Role])
        limits = {"max_message_size": random.choice(LIMITS), "max_fragments": random.choice(FRAGMENTS)}
        draw = random.choice([hostile_stream, edge_stream])
        octets = draw(random, MASKING_KEY if role is Role.SERVER else UNMASKED, agreed is not None)
    elif round_:
        octets = mutated(random, octets, [octets for _, octets in SEEDS])
    return Setting(role, agreed, sometimes(random, {}, limits, 0.2), octets)


def edge_stream(random: Random, key: bytes, deflate: bool) -> bytes:
    """A message that is just within a limit or beyond it, in some frames, and a control frame behind it."""
    size = max(0, random.choice(LIMITS[:-2]) + random.choice([-1, 0, 0, 1]))
    octets = (random.choice(["a", "\0", "é"]) * size).encode()[:size]
    first = random.choice([TEXT, BINARY])
    if deflate and random.random() < 0.6:
        octets, first = deflated(octets), first | RSV1
    count = random.choice([1, 1, 2, 3, 4, 5])
    opcodes = [first, *[CONT] * (count - 1)]
    opcodes[-1] |= FIN
    parts = parted(octets, [random.randint(0, len(octets)) for _ in opcodes[1:]])
    message = b"".join(frame(opcode, part, key) for opcode, part in zip(opcodes, parts, strict=True))
    return message + frame(FIN | random.choice([PING, CLOSE]), random.choice([b"", b"\x03\xe8", b"a"]), key)


def in_any_form(random: Random, octets: bytes) -> bytes | bytearray | memoryview:
    forms: list[bytes | bytearray | memoryview] = [octets, octets, bytearray(octets), memoryview(octets)]
    return random.choice(forms)


def conversation(random: Random, number: int) -> list[str]:
    """A connection to which both a peer and an application do whatever they like."""
    role, agreed, limits, octets = setting(random, number)
    can_share = agreed is not None and agreed.local_no_context_takeover and agreed.can_compress
    options: dict[str, Any] = (
        {"readers": Readers(role, agreed, **limits)} if random.random() < 0.5 else limits
    )
    end = Connection(
        role,
        agreed,
        **options,
        auto_reply=random.random() < 0.7,
        deflater=Deflater(agreed) if agreed is not None and can_share and random.random() < 0.5 else None,
        masking_key=lambda: random.randbytes(4),
    )
    lines = [told([role, agreed, *limits.values()])]
    for piece in pieces(random, octets):
        while random.random() < 0.25:
            lines.append(attempt(random.choice(CALLS), end, random))
        heard = [attempt(end.receive_data, in_any_form(random, piece))]
        # Not always to the end, as when a slow consumer pauses.
        while random.random() < 0.9:
            heard.append(attempt(end.next_event))
            if heard[-1] == "None":
                break
        said = b"".join(end.data_to_send())
        lines.append(f"{heard} {told(said)} {state(end, _CONNECTION)}")
    end.receive_eof()
    lines += [attempt(end.next_event) for _ in range(9)]
    return [*lines, told(b"".join(end.data_to_send())), state(end, _CONNECTION)]


def parsing(random: Random, number: int) -> list[str]:
    """A FrameParser whose methods are called as they should be, or in any order."""
    role, agreed, limits, octets = setting(random, number)
    parser = FrameParser(role, deflate=agreed is not None, **limits)
    calls = [parser.next_frame, parser.next_head, parser.take_payload, parser.next_whole_message]
    lines = [told([role, agreed, *limits.values()])]
    in_order = random.random() < 0.5
    for piece in pieces(random, octets):
        lines.append(attempt(parser.feed, in_any_form(random, piece)))
        while random.random() < 0.8:
            came = attempt(parser.next_frame if in_order else random.choice(calls))
            lines.append(f"{came} {state(parser, _PARSER)}")
    return lines


def reading(random: Random, number: int) -> list[str]:
    """A MessageReader that is asked on behind its error, too."""
    role, agreed, limits, octets = setting(random, number)
    reader = MessageReader(role, agreed, **limits)
    lines = [told([role, agreed, *limits.values()])]
    for piece in pieces(random, octets):
        lines.append(attempt(reader.feed, in_any_form(random, piece)))
        for _ in range(9):
            lines.append(attempt(reader.next_event))
            if lines[-1] == "None":
                break
    return [*lines, told([reader.frames_received, reader.octets_held])]


def encoding(random: Random, _: int) -> list[str]:
    """Frames and messages, of what can be encoded and what can't."""
    key = random.choice([None, None, MASKING_KEY, random.randbytes(4), b"", b"123", b"12345"])
    opcode, fin, rsv1 = random.choice([*Opcode]), random.random() < 0.5, random.random() < 0.5
    octets = random.randbytes(random.choice([0, 1, 125, 126, 65_535, 65_536]))
    return [
        attempt(encode_frame, opcode, octets, fin=fin, rsv1=rsv1, masking_key=key),
        attempt(encode_message, octets),
        attempt(encode_message, text(random)),
    ]
