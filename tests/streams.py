"""Streams drawn at random: what good peers say to one another, and what nobody should."""

from random import Random
from typing import Final, NamedTuple

from rfc6455 import Close, Ping, Pong
from tests.vectors import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    MASKING_KEY,
    PING,
    PONG,
    RSV1,
    TEXT,
    UNMASKED,
    deflated,
    head,
    masked,
)

# On a message, for those that have a limit.
MAX_SIZE: Final = 100_000
SIZES: Final = [0, 1, 5, 124, 125, 126, 127, 200] * 5 + [65_535, 65_536]


class Fragment(NamedTuple):
    """A part of a message; a whole one is its own last part."""

    is_text: bool
    octets: bytes
    fin: bool = True


Step = Fragment | Ping | Pong | Close


def random_message(random: Random, inside: bool) -> list[Step]:
    """A message, whole or in parts, with control frames inside it or not."""
    is_text = random.random() < 0.5
    alphabet = random.choice(["a", "abcdefgh ", "aé€😀"])
    size = random.choice(SIZES)
    octets = random.randbytes(size)
    if is_text:
        octets = "".join(random.choices(alphabet, k=size)).encode()[:size].decode(errors="ignore").encode()
    steps: list[Step] = []
    while random.random() < 0.4:
        part = octets[: random.randrange(len(octets) + 1)]
        if is_text:
            # Both ends are told text, which can't be cut within a code point.
            part = part.decode(errors="ignore").encode()
        steps.append(Fragment(is_text, part, fin=False))
        octets = octets[len(part) :]
        if inside and random.random() < 0.3:
            steps.append(random_control(random))
    return [*steps, Fragment(is_text, octets)]


def random_control(random: Random) -> Step:
    payload = random.randbytes(random.choice([0, 1, 4, 124, 125]))
    return Ping(payload) if random.random() < 0.5 else Pong(payload)


def random_conversation(random: Random, inside: bool) -> list[Step]:
    steps: list[Step] = []
    for _ in range(random.randrange(1, 12)):
        steps += random_message(random, inside) if random.random() < 0.8 else [random_control(random)]
    return [*steps, Close(random.choice([1000, 1001, 1011, 3000, 4999]), random.choice(["", "bye", "aé€😀"]))]


def random_octets(random: Random) -> bytes:
    """What a data frame or a control frame may carry, good and bad."""
    return random.choice(
        [
            b"",
            b"Hello",
            "grüße €😀".encode(),
            b"\xc3",
            b"\xa9",
            b"\xff",
            b"\xed\xa0\x80",
            b"\x03",
            b"\x03\xe8",
            b"\x03\xe8bye",
            b"\x03\xe8\xff",
            random.choice([0, 999, 1004, 1005, 1014, 1015, 1016, 2999, 3000, 4999, 5000]).to_bytes(2, "big"),
            random.randbytes(random.choice([1, 125, 126, 127])),
            bytes(random.choice([65_535, 65_536, MAX_SIZE, MAX_SIZE + 1])),
        ]
    )


def random_head(random: Random, first: int, length: int, key: bytes) -> bytes:
    """A frame's head, now and then with a length in another form, or another length, or another mask."""
    if random.random() < 0.94:
        return head(first, length, key)
    if random.random() < 0.3:
        return head(first, random.choice([0, 125, 126, MAX_SIZE, MAX_SIZE + 1, 1 << 40]), key)
    if random.random() < 0.3:
        return head(first, length, MASKING_KEY if key == UNMASKED else UNMASKED)
    mask = 0x80 if key else 0
    if random.random() < 0.5 and length < 1 << 16:
        return bytes([first, mask | 126]) + length.to_bytes(2, "big") + key
    return bytes([first, mask | 127, random.choice([0, 0, 0x80])]) + length.to_bytes(7, "big") + key


def damaged(random: Random, octets: bytes) -> bytes:
    """Flip a bit of it, now and then."""
    bit = 1 << random.randrange(len(octets) * 8) if random.random() < 0.1 else 0
    return (int.from_bytes(octets, "big") ^ bit).to_bytes(len(octets), "big")


def hostile_stream(random: Random, key: bytes, deflate: bool) -> bytes:
    """Frames, most of which are good where they stand."""
    pieces: list[bytes] = []
    in_message = False
    # The rest of a compressed message that was begun.
    rest = b""
    for _ in range(random.randrange(1, 8)):
        octets = random_octets(random)
        if random.random() < 0.3:
            first = FIN | random.choice([PING, PING, PONG, PONG, CLOSE])
            octets = octets[:125]
        elif in_message:
            in_message = random.random() < 0.5
            first = CONT if in_message else FIN | CONT
            octets = rest or octets
            rest = b""
        else:
            in_message = random.random() < 0.5
            first = random.choice([TEXT, BINARY]) | (0 if in_message else FIN)
            if deflate and random.random() < 0.7:
                first |= RSV1
                octets = damaged(random, deflated(octets))
                if in_message:
                    at = random.randrange(len(octets))
                    octets, rest = octets[:at], octets[at:]
        if random.random() < 0.06:
            first = random.choice([first ^ 1 << random.randrange(8), random.randrange(256)])
        pieces += random_head(random, first, len(octets), key), masked(octets, key)
    stream = b"".join(pieces)
    return stream if random.random() < 0.7 else stream[: random.randrange(len(stream))]
