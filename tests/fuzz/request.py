"""Octets into a RequestReader and a ServerHandshake: accepted, let through, or properly refused."""

from collections.abc import Iterable, Sequence
from typing import Final

from rfc6455.deflate import DeflateOptions
from rfc6455.errors import HandshakeError
from rfc6455.handshake import ServerHandshake, encode_refusal
from rfc6455.request import Request, RequestReader
from rfc6455.response import Response, ResponseReader
from tests.fuzz.case import Case, Target, cut_both_ways, in_linear_work, watched
from tests.vectors import REQUESTS, kept

DATE: Final = "Tue, 15 Nov 1994 08:12:31 GMT"
OPTIONS: Final = (
    None,
    DeflateOptions(),
    DeflateOptions(no_context_takeover=False, max_window_bits=12),
    DeflateOptions(no_context_takeover=False),
)
# max_head, max_fields, max_target.
LIMITS: Final = ((16 * 1024, 100, 8 * 1024), (240, 7, 20))
# The start line as text, in parts and whole, and the objects that hold all of it.
_OVERHEAD: Final = 4000


def judge(case: Case, pieces: Sequence[bytes]) -> tuple[object, ...]:
    """What is to be told of these pieces: all of it must be the same in any split."""
    max_head, max_fields, max_target = case.choose(0, LIMITS)
    reader = RequestReader(max_head=max_head, max_fields=max_fields, max_target=max_target)
    before = kept(reader)
    request: Request | None = None
    rest = watched(pieces)
    try:
        for piece, is_watched in rest:
            request = reader.feed(piece)
            if request is not None:
                break
            assert b"" == reader.trailing
            assert not is_watched or kept(reader) - before <= max_head * 9 // 8 + 5 * max_target + _OVERHEAD
        if request is None:
            return ("unfinished",)
        trailing = reader.trailing + b"".join(piece for piece, _ in rest)
        assert len(list(request.headers)) <= max_fields
        assert len(request.target) <= max_target
        told = request.method, request.target, request.minor_version, request.path, request.query
        if not request.upgrades_to("websocket"):
            return "plain", *told, request.host, list(request.headers), trailing
        return "accepted", *told, *accept(case, request), trailing
    except HandshakeError as error:
        assert_refusal(error)
        return "refused", error.status, error.rule, error.section, str(error), error.headers


def accept(case: Case, request: Request) -> tuple[object, ...]:
    """Accept a request as a server would. Raises HandshakeError."""
    handshake = ServerHandshake(request)
    accepted = handshake.accept(
        subprotocol=next(iter(handshake.subprotocols), None), deflate=case.choose(1, OPTIONS)
    )
    answer, trailing = parse_response(accepted.response)
    if answer.status == 100:
        answer, trailing = parse_response(trailing)
    assert (101, b"") == (answer.status, trailing)
    assert answer.headers.get("Sec-WebSocket-Protocol") == accepted.subprotocol
    assert ("Sec-WebSocket-Extensions" in answer.headers) == (accepted.deflate is not None)
    return handshake.origin, handshake.subprotocols, accepted.response, accepted.deflate


def assert_refusal(error: HandshakeError) -> None:
    """A refusal is a response as it should be, and safe to print."""
    assert str(error).isascii()
    assert str(error).isprintable()
    response, body = parse_response(encode_refusal(error, DATE))
    assert error.status == response.status
    assert [str(len(body))] == response.headers.get_all("Content-Length")
    assert [DATE] == response.headers.get_all("Date")


def parse_response(octets: bytes) -> tuple[Response, bytes]:
    reader = ResponseReader()
    response = reader.feed(octets)
    assert response is not None
    return response, reader.trailing


def check(case: Case) -> None:
    whole = in_linear_work([case.data], lambda pieces: judge(case, pieces))
    assert whole == in_linear_work(case.pieces, lambda pieces: judge(case, pieces))


def seeds() -> Iterable[Case]:
    for number, vector in enumerate(REQUESTS):
        yield from cut_both_ways(number % 8 & 6, vector.request[:1500])
        yield from cut_both_ways(1, vector.request[:1500] + b"\x81\x80abcd")


def row(case: Case) -> str:
    return f'RequestVector("", "", bytes.fromhex("{case.data.hex()}"), 400, "")'


TARGET: Final = Target(check, seeds, row)
