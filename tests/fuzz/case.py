"""A fuzzer's input: a choice for the target, the places to cut at, and the octets to be fed.

    | choice | cuts | place, 16 bits, for each cut | octets |

128 cuts or more cut behind every octet; else the number counts modulo 8, a place modulo what there is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, TypeVar

from tests.vectors import work

_MAX_CUTS: Final = 8
_EVERYWHERE: Final = 0x80
# To measure what is kept takes longer than to read an octet.
_SELDOM: Final = 32
# Calls, and branches where they are traced, of which a linear reader needs no more.
_CALLS: Final = 3000
_CALLS_AN_OCTET: Final = 60
_CALLS_A_PIECE: Final = 300

T = TypeVar("T")
Choice = TypeVar("Choice")


class Case(NamedTuple):
    """What is to be fed, in these pieces; `choice` is an octet for the target to choose by."""

    choice: int
    pieces: Sequence[bytes]

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    def choose(self, shift: int, among: Sequence[Choice]) -> Choice:
        """Choose by the bits from `shift` on."""
        return among[(self.choice >> shift) % len(among)]


class Target(NamedTuple):
    """What to fuzz: the check of one case, the cases to start from, and a case as a row of the vectors."""

    check: Callable[[Case], None]
    seeds: Callable[[], Iterable[Case]]
    row: Callable[[Case], str]


def decode(octets: bytes) -> Case:
    """Read any octets as a case."""
    choice, cuts, *_ = octets[:2].ljust(2, b"\0")
    if cuts >= _EVERYWHERE:
        data = octets[2:]
        return Case(choice, octet_by_octet(data))
    start = 2 + 2 * (cuts % _MAX_CUTS)
    data = octets[start:]
    places = [int.from_bytes(octets[at : at + 2], "big") % (len(data) + 1) for at in range(2, start, 2)]
    return Case(choice, [data[begin:end] for begin, end in pairwise(sorted([0, *places, len(data)]))])


def encode(case: Case) -> bytes:
    """Write a case that is cut in at most seven places, or behind every octet."""
    data = case.data
    if len(case.pieces) > _MAX_CUTS:
        return bytes([case.choice, _EVERYWHERE]) + data
    ends = [sum(map(len, case.pieces[:count])) for count in range(1, len(case.pieces))]
    return bytes([case.choice, len(ends)]) + b"".join(end.to_bytes(2, "big") for end in ends) + data


def octet_by_octet(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))] or [data]


def cut_both_ways(choice: int, data: bytes) -> Iterable[Case]:
    """A row's octets as two seeds: cut in the middle, and behind every octet."""
    middle = len(data) // 2
    yield Case(choice, [data[:middle], data[middle:]])
    yield Case(choice, octet_by_octet(data))


def watched(pieces: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each piece, and whether to look at what is kept behind it: of many pieces only behind a few."""
    for number, piece in enumerate(pieces):
        yield piece, len(pieces) <= _MAX_CUTS or number % _SELDOM == 0


def in_linear_work(pieces: Sequence[bytes], action: Callable[[Sequence[bytes]], T]) -> T:
    """Do it with these pieces, and hold the calls that it makes to what their number and size explain."""
    results: list[T] = []
    calls = work(lambda: results.append(action(pieces)))
    octets = sum(map(len, pieces))
    assert calls <= _CALLS + _CALLS_A_PIECE * len(pieces) + _CALLS_AN_OCTET * octets, (
        f"{calls} calls for {octets} octets in {len(pieces)} pieces"
    )
    return results[0]
