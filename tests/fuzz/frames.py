"""Octets into a MessageReader: events and at most one fault, the same in any split and within the limits."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Final, NamedTuple

from rfc6455.codes import Role
from rfc6455.deflate import DeflateParameters
from rfc6455.errors import ProtocolError
from rfc6455.messages import Event, MessageReader
from tests.fuzz.case import Case, Target, cut_both_ways, in_linear_work, watched
from tests.vectors import FRAMES, MAX_FRAGMENTS, MAX_MESSAGE_SIZE, kept
from tests.vectors_deflate import DEFLATED

ROLES: Final = (Role.SERVER, Role.CLIENT)
AGREED: Final = (
    None,
    DeflateParameters(False, False, 15, 15),
    DeflateParameters(True, True, 15, 15),
    DeflateParameters(False, False, 9, 8),
)
# Faults that are noticed in what a window of compressed octets inflates to: of two of them in the same
# window the split decides which is met first.
_INFLATED: Final = frozenset({"deflate-data", "inflated-size", "final-blocks", "text-utf8"})
# A control frame and the head of another; the objects that hold them and the message.
_OVERHEAD: Final = 125 + 14 + 1500


class Heard(NamedTuple):
    """What came of a case: events, and the close code, rule and section of the fault that ended them."""

    events: list[Event]
    fault: tuple[int, str, str] | None


def role_and_agreement(case: Case) -> tuple[Role, DeflateParameters | None]:
    return case.choose(0, ROLES), case.choose(1, AGREED)


def read(case: Case, pieces: Sequence[bytes]) -> Heard:
    role, agreed = role_and_agreement(case)
    reader = MessageReader(role, agreed, max_message_size=MAX_MESSAGE_SIZE, max_fragments=MAX_FRAGMENTS)
    events: list[Event] = []
    before = kept(reader)
    for piece, is_watched in watched(pieces):
        reader.feed(piece)
        try:
            while (event := reader.next_event()) is not None:
                events.append(event)
        except ProtocolError as error:
            return Heard(events, (int(error.close_code), error.rule, error.section))
        if is_watched:
            assert kept(reader) - before <= MAX_MESSAGE_SIZE * 9 // 8 + _OVERHEAD
    return Heard(events, None)


def assert_same(whole: Heard, split: Heard, agreed: DeflateParameters | None) -> None:
    assert whole.events == split.events
    rules = {heard.fault[1] for heard in (whole, split) if heard.fault is not None}
    if agreed is None or not rules <= _INFLATED:
        assert whole.fault == split.fault
    assert (whole.fault is None) == (split.fault is None)


def check(case: Case) -> None:
    whole = in_linear_work([case.data], lambda pieces: read(case, pieces))
    split = read(case, case.pieces)
    assert_same(whole, split, role_and_agreement(case)[1])
    for event in whole.events:
        size = (
            len(event.encode()) if isinstance(event, str) else len(event) if isinstance(event, bytes) else 0
        )
        assert size <= MAX_MESSAGE_SIZE


def seeds() -> Iterable[Case]:
    for vector in FRAMES:
        yield from cut_both_ways(ROLES.index(vector.role) | vector.deflate << 1, vector.data)
    for vector, agreed in product(DEFLATED, range(1, len(AGREED))):
        yield from cut_both_ways(ROLES.index(vector.role) | agreed << 1, vector.data)


def row(case: Case) -> str:
    role, agreed = role_and_agreement(case)
    deflate = agreed is not None
    return f'FrameVector("", "", bytes.fromhex("{case.data.hex()}"), role={role}, deflate={deflate})'


TARGET: Final = Target(check, seeds, row)
