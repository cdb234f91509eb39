"""Octets into a ClientHandshake: an agreement to what was offered, or a HandshakeError."""

from collections.abc import Iterable, Sequence
from typing import Final

from rfc6455.client_handshake import ClientHandshake
from rfc6455.deflate import DeflateOptions
from rfc6455.errors import HandshakeError
from rfc6455.handshake import Accepted
from tests.fuzz.case import Case, Target, cut_both_ways, in_linear_work, watched
from tests.vectors import ANSWERS, KEY, kept

OPTIONS: Final = (
    DeflateOptions(),
    None,
    DeflateOptions(no_context_takeover=False, max_window_bits=12),
    DeflateOptions(no_context_takeover=False),
)
SUBPROTOCOLS: Final = (("chat", "superchat"), ())
_MAX_HEAD: Final = 16 * 1024
# The status line as text, and the objects that hold all of it.
_OVERHEAD: Final = 4000


def judge(case: Case, pieces: Sequence[bytes]) -> tuple[object, ...]:
    """What is to be told of these pieces: all of it must be the same in any split."""
    options, subprotocols = case.choose(0, OPTIONS), case.choose(2, SUBPROTOCOLS)
    handshake = ClientHandshake(
        "ws://localhost:8765/chat", subprotocols=subprotocols, deflate=options, key=KEY
    )
    before = kept(handshake)
    rest = watched(pieces)
    try:
        for piece, is_watched in rest:
            accepted = handshake.receive_data(piece)
            if accepted is not None:
                trailing = handshake.trailing + b"".join(piece for piece, _ in rest)
                return "accepted", *agreed(accepted, options, subprotocols), trailing
            assert b"" == handshake.trailing
            assert not is_watched or kept(handshake) - before <= _MAX_HEAD * 9 // 8 + _OVERHEAD
    except HandshakeError as error:
        assert_fault(error)
        return "refused", error.status, error.rule, error.section, str(error), error.headers
    return ("unfinished",)


def assert_fault(error: HandshakeError) -> None:
    """The status that the server sent, 0 where it sent no proper HTTP; safe to print."""
    assert 0 <= error.status <= 999
    assert str(error).isascii()
    assert str(error).isprintable()


def agreed(
    accepted: Accepted, options: DeflateOptions | None, subprotocols: Sequence[str]
) -> tuple[object, ...]:
    assert b"" == accepted.response
    assert accepted.subprotocol is None or accepted.subprotocol in subprotocols
    deflate = accepted.deflate
    if deflate is not None:
        assert options is not None
        assert 8 <= deflate.local_max_window_bits <= options.max_window_bits
        assert 8 <= deflate.remote_max_window_bits <= 15
        assert deflate.remote_no_context_takeover or not options.no_context_takeover
    return accepted.subprotocol, deflate, list(accepted.headers)


def check(case: Case) -> None:
    whole = in_linear_work([case.data], lambda pieces: judge(case, pieces))
    assert whole == in_linear_work(case.pieces, lambda pieces: judge(case, pieces))


def seeds() -> Iterable[Case]:
    for number, vector in enumerate(ANSWERS):
        yield from cut_both_ways(0, vector.response)
        yield from cut_both_ways(number % 8, vector.response)


def row(case: Case) -> str:
    return f'AnswerVector("", "", bytes.fromhex("{case.data.hex()}"), "", 0)'


TARGET: Final = Target(check, seeds, row)
