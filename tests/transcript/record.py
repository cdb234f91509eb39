"""What came of a call, told in the same words wherever the same came of it."""

from collections.abc import Callable, Iterable
from enum import Enum, IntEnum
from hashlib import sha256
from itertools import pairwise
from random import Random
from typing import Any, Final, TypeVar

from rfc6455 import Accepted, Close, Headers, Ping, Pong, Request, Response

_MAX_EXCERPT: Final = 64
_FIELDS: Final = {
    Ping: ["payload"],
    Pong: ["payload"],
    Close: ["code", "reason"],
    Request: ["method", "target", "minor_version", "headers", "path", "query", "host"],
    Response: ["status", "reason", "minor_version", "headers"],
    Accepted: ["response", "subprotocol", "deflate", "headers"],
}

T = TypeVar("T")


def told(thing: object) -> str:
    if isinstance(thing, bytes | str) and len(thing) > _MAX_EXCERPT:
        octets = thing if isinstance(thing, bytes) else thing.encode("utf-8", "surrogatepass")
        return f"{type(thing).__name__} {len(thing)} {sha256(octets).hexdigest()[:16]}"
    if isinstance(thing, Headers | list | tuple):
        return f"{type(thing).__name__}({', '.join(map(told, thing))})"
    if type(thing) in _FIELDS:
        return f"{type(thing).__name__} {state(thing, _FIELDS[type(thing)])}"
    # Where an int is declared the compiled build makes one of an IntEnum.
    if isinstance(thing, IntEnum):
        return str(int(thing))
    return thing.name if isinstance(thing, Enum) else ascii(thing)


def attempt(action: Callable[..., object], *arguments: Any, **named: Any) -> str:
    """Do it; tell what it returned or how it failed."""
    try:
        return told(action(*arguments, **named))
    except Exception as error:
        details = [getattr(error, "close_code", 0), *sorted(vars(error).items())]
        return f"{type(error).__name__}: {str(error)!a} {told(details)}"


def state(thing: object, names: Iterable[str]) -> str:
    return told([getattr(thing, name) for name in names])


def sometimes(random: Random, odd: T, usual: T, share: float) -> T:
    return odd if random.random() < share else usual


def mutated(random: Random, octets: bytes, others: list[bytes]) -> bytes:
    """Change it in a few places, or in none."""
    for _ in range(random.choice([0, 1, 1, 1, 2, 4])):
        start = random.randrange(len(octets) + 1)
        stop = random.choice([start, start + 1, random.randint(start, len(octets))])
        other = random.choice(others)
        middle = random.choice(
            [
                b"",
                octets[start:stop] * 2,
                bytes(octet ^ 1 << random.randrange(8) for octet in octets[start:stop]),
                bytes([random.choice([0x00, 0x0A, 0x0D, 0x20, 0x7E, 0x7F, 0x80, 0xFE, 0xFF])]),
                random.randbytes(random.randrange(4)),
                other[random.randrange(len(other) + 1) :],
            ]
        )
        octets = octets[:start] + middle + octets[stop:]
    return octets


def pieces(random: Random, octets: bytes) -> list[bytes]:
    """Cut it: not at all, behind every octet, or at a few places."""
    if random.random() < 0.2 or not octets:
        return [octets]
    if random.random() < 0.2 and len(octets) < 600:
        return [octets[at : at + 1] for at in range(len(octets))]
    # Most of what is interesting is at the beginning.
    reach = random.choice([16, len(octets)])
    return parted(octets, [min(random.randrange(reach), len(octets)) for _ in range(random.randrange(1, 6))])


def parted(octets: bytes, places: list[int]) -> list[bytes]:
    return [octets[begin:end] for begin, end in pairwise([0, *sorted(places), len(octets)])]
