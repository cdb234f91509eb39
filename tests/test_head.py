"""The head of a message (RFC 9112): every rule's row, however it is cut; limits; and any octets at all."""

from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfc6455.errors import HandshakeError, StateError
from rfc6455.request import Request, RequestReader
from rfc6455.response import Response, ResponseReader
from tests.vectors import (
    ANSWERS,
    REQUESTS,
    AnswerVector,
    RequestVector,
    answer,
    feeds,
    handshake,
    plain,
    work,
)

# What a request's head alone can't break.
OF_THE_HANDSHAKE = {"upgrade", "connection", "key", "version", "subprotocol", "extension-grammar", "body"}

Result = tuple[object, ...]


def read(pieces: Iterable[bytes], reader: RequestReader | None = None) -> Result:
    """Feed a reader and tell what came of it, in a form that can be compared."""
    reader = reader or RequestReader()
    request = None
    try:
        for piece in pieces:
            if request is None:
                request = reader.feed(piece)
    except HandshakeError as error:
        return (error.status, error.rule, error.section, str(error))
    return seen(request)


def seen(request: Request | None) -> Result:
    if request is None:
        return ()
    fields = list(request.headers)
    return (
        request.method,
        request.target,
        request.minor_version,
        request.path,
        request.query,
        request.host,
        fields,
    )


def read_response(pieces: Iterable[bytes]) -> Result:
    reader = ResponseReader()
    response: Response | None = None
    try:
        for piece in pieces:
            if response is None:
                response = reader.feed(piece)
    except HandshakeError as error:
        return (error.status, error.rule, error.section, str(error))
    if response is None:
        return ()
    return (response.status, response.reason, response.minor_version, list(response.headers))


def request_of(data: bytes) -> Request:
    request = RequestReader().feed(data)
    assert request is not None
    return request


@pytest.mark.parametrize("row", REQUESTS, ids=[row.id for row in REQUESTS])
def test_request(row: RequestVector) -> None:
    whole = read([row.request])
    if row.status in (101, 200, 405, 426) or row.rule in OF_THE_HANDSHAKE:
        assert isinstance(whole[0], str)
    else:
        assert (row.status, row.rule) == whole[:2]
    for pieces in feeds(row.request):
        assert whole == read(pieces)


@pytest.mark.parametrize("row", ANSWERS, ids=[row.id for row in ANSWERS])
def test_response(row: AnswerVector) -> None:
    whole = read_response([row.response])
    if row.status == 0:
        assert (0, row.rule) == whole[:2]
    else:
        assert whole[0] != 0
    for pieces in feeds(row.response):
        assert whole == read_response(pieces)


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        (b"/chat", "/chat", "", "localhost"),
        (b"/chat?a=b?c", "/chat", "a=b?c", "localhost"),
        (b"/%63hat?", "/%63hat", "", "localhost"),
        (b"//chat", "//chat", "", "localhost"),
        (b"http://example.com:81/chat?a", "/chat", "a", "example.com:81"),
        (b"ws://[::1]", "/", "", "[::1]"),
        (b"http://example.com?a/b", "/", "a/b", "example.com"),
    ],
)
def test_target_is_read_into_path_query_and_host(target: bytes, path: str, query: str, host: str) -> None:
    request = request_of(plain(line=b"GET %b HTTP/1.1" % target))
    assert (target.decode(), path, query, host) == (request.target, request.path, request.query, request.host)


def test_http_1_0_may_name_no_host() -> None:
    request = request_of(b"GET / HTTP/1.0\r\n\r\n")
    assert ("", 0, []) == (request.host, request.minor_version, list(request.headers))
    assert "a" == request_of(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").host


def test_octets_that_other_readers_take_for_line_ends_make_no_field() -> None:
    request = request_of(plain(b"A: b\x85Origin: evil"))
    assert [("Host", "localhost"), ("A", "b\x85Origin: evil")] == list(request.headers)


def test_upgrade_is_asked_for_by_a_whole_token() -> None:
    assert request_of(handshake(b"Upgrade: h2c, WebSocket")).upgrades_to("websocket")
    assert not request_of(handshake(b"Upgrade: websocket/13")).upgrades_to("websocket")
    assert not request_of(handshake(line=b"GET / HTTP/1.0")).upgrades_to("websocket")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"A: b", False),
        (b"Content-Length: 0", False),
        (b"Content-Length: 000", False),
        (b"Content-Length: 10", True),
        (b"Transfer-Encoding: chunked", True),
    ],
)
def test_a_body_is_announced_by_its_length_or_coding(field: bytes, expected: bool) -> None:
    assert expected == request_of(plain(field)).has_body()


@pytest.mark.parametrize("head", [plain(), handshake(), b"\r\n" + plain()])
def test_what_follows_the_head_is_kept_and_not_looked_at(head: bytes) -> None:
    data = head + b"\n\0\r\n\r\n\x81\x80"
    for cut in range(len(data)):
        reader = RequestReader()
        request = reader.feed(data[:cut])
        if request is None:
            assert b"" == reader.trailing
            request = reader.feed(data[cut:])
            assert data[len(head) :] == reader.trailing
        else:
            assert data[len(head) : cut] == reader.trailing


def test_what_follows_a_responses_head_is_kept() -> None:
    reader = ResponseReader()
    assert None is reader.feed(answer()[:-1])
    assert b"" == reader.trailing
    assert None is not reader.feed(b"\n\x81\x00")
    assert b"\x81\x00" == reader.trailing


@pytest.mark.parametrize("last", [plain(), b"\0"])
def test_feeding_a_request_reader_behind_its_end_is_the_callers_mistake(last: bytes) -> None:
    reader = RequestReader()
    read([last], reader)
    with pytest.raises(StateError):
        reader.feed(b"")


@pytest.mark.parametrize("last", [answer(), b"\0"])
def test_feeding_a_response_reader_behind_its_end_is_the_callers_mistake(last: bytes) -> None:
    reader = ResponseReader()
    with suppress(HandshakeError):
        reader.feed(last)
    with pytest.raises(StateError):
        reader.feed(b"")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_was_fed_is_a_copy(kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    for reader, head in ((RequestReader(), handshake()), (ResponseReader(), answer())):
        buffer = bytearray(head[:-1])
        assert reader.feed(kind(buffer)) is None
        buffer[:] = bytes(len(buffer))
        read = reader.feed(b"\n")
        assert read is not None
        assert "websocket" == read.headers.get("Upgrade")


@pytest.mark.parametrize("wrong", [5, "Hello", None, [72, 101]])
def test_what_is_no_bytes_is_a_type_error_and_feeds_nothing(wrong: bytes) -> None:
    for reader, head in ((RequestReader(), handshake()), (ResponseReader(), answer())):
        assert reader.feed(head[:-1]) is None
        with pytest.raises(TypeError):
            reader.feed(wrong)
        assert reader.feed(b"\n") is not None


def test_nothing_fed_changes_nothing() -> None:
    assert read([plain()]) == read([b"", plain()[:20], b"", b"", plain()[20:]])


# Limits.


@pytest.mark.parametrize(("size", "fits"), [(99, True), (100, True), (101, False)])
def test_a_head_holds_as_many_octets_as_the_limit(size: int, fits: bool) -> None:
    head = plain(b"A: " + b"b" * (size - len(plain(b"A: "))))
    assert size == len(head)
    for data in (head, head + b"\0" * 1000):
        for pieces in feeds(data[: size + 2]):
            result = read(pieces, RequestReader(max_head=100))
            assert ("GET" if fits else 431) == result[0]
            assert fits or "head-size" == result[1]


def test_an_empty_line_before_the_request_counts_in_the_limit() -> None:
    assert "GET" == read([b"\r\n" + plain()], RequestReader(max_head=len(plain()) + 2))[0]
    assert 431 == read([b"\r\n" + plain()], RequestReader(max_head=len(plain()) + 1))[0]


@pytest.mark.parametrize(("size", "status"), [(7999, "GET"), (8000, "GET"), (8192, "GET"), (8193, 414)])
def test_a_target_holds_as_many_octets_as_the_limit(size: int, status: object) -> None:
    data = plain(line=b"GET /%b HTTP/1.1" % (b"a" * (size - 1)))
    for pieces in ([data], [data[:8100], data[8100:]], [data[at : at + 1] for at in range(len(data))]):
        assert status == read(pieces)[0]


@pytest.mark.parametrize(("count", "fits"), [(99, True), (100, True), (101, False)])
def test_a_head_holds_as_many_fields_as_the_limit(count: int, fits: bool) -> None:
    result = read([plain(*[b"A: b"] * (count - 1))])
    assert ("GET" if fits else 431) == result[0]
    assert fits or "field-count" == result[1]


def test_a_response_has_limits_too() -> None:
    assert (0, "head-size") == read_response([b"HTTP/1.1 101 " + b"a" * 16384])[:2]
    assert (0, "field-count") == read_response([answer(*[b"A: b"] * 101)])[:2]


@pytest.mark.parametrize(
    ("line", "status", "most"),
    [
        (b"GET /" + b"a" * 65536, 414, 8192 + 33),
        (b"A" * 65536, 414, 8192 + 33),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 65536, 431, 16385),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10000, 431, 16385),
    ],
)
def test_limits_hold_on_lines_without_end(line: bytes, status: int, most: int) -> None:
    assert () == read([line[at : at + 1] for at in range(8192)])
    assert status == read([line[at : at + 1] for at in range(most)])[0]


@pytest.mark.parametrize(
    ("start", "last"),
    [
        (b"GET / HTTP/1.1\r\nA: b", b"\n"),
        (b"GET / HTTP/1.1\r\nA: b\r", b"c"),
        (b"GET / HTTP/1.1\r\nA: b", b"\0"),
        (b"", b"\x16"),
        (b"GET / HTTP/1.1", b"\n"),
        (b"GET / HTTP/2.0\r", b"\n"),
        (b"SSH-2.0-x\r", b"\n"),
    ],
)
def test_what_can_be_refused_is_refused_at_once(start: bytes, last: bytes) -> None:
    reader = RequestReader()
    assert None is reader.feed(start)
    with pytest.raises(HandshakeError):
        reader.feed(last)


def test_64_kib_octet_by_octet_cost_eight_times_8_kib() -> None:
    def run(size: int) -> None:
        reader = RequestReader(max_head=1 << 17, max_fields=1 << 17)
        data = plain(b"A: " + b"b" * (size // 2), *[b"C: d"] * (size // 12))
        for at in range(len(data) - 1):
            assert None is reader.feed(data[at : at + 1])
        assert None is not reader.feed(data[-1:])

    assert work(lambda: run(64 * 1024)) <= 8 * work(lambda: run(8 * 1024)) + 100


def test_eight_thousand_equal_lines_cost_eight_times_a_thousand() -> None:
    def run(count: int) -> None:
        assert None is not RequestReader(max_head=1 << 20, max_fields=9000).feed(plain(*[b"A: b"] * count))

    assert work(lambda: run(8000)) <= 8 * work(lambda: run(1000))


# Any octets at all.

PIECES = [
    *(b"GET / HTTP/1.1\r\n", b"POST /a?b HTTP/1.0\r\n", b"GET http://a/b HTTP/1.1\r\n", b"Host: a\r\n"),
    *(b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Upgrade: websocket\r\n", b"A: b\r\n"),
    *(b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b",", b"\0", b"\x85", b"\xff"),
]
octets = st.one_of(
    st.binary(),
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=2)).map(b"".join),
    st.builds(
        lambda data, at, until, put: data[:at] + put + data[until:],
        st.sampled_from([row.request for row in REQUESTS if len(row.request) < 1000]),
        st.integers(0, 300),
        st.integers(0, 300),
        st.binary(max_size=3) | st.sampled_from(PIECES),
    ),
)


@given(octets, st.lists(st.integers(0, 400)))
def test_any_octets_give_a_request_or_a_handshake_error_wherever_they_are_cut(
    data: bytes, cuts: list[int]
) -> None:
    places = sorted({0, *cuts, len(data)})
    pieces = [data[start:stop] for start, stop in pairwise(places)]
    assert read([data]) == read(pieces)
    limited = read([data], RequestReader(max_head=200, max_fields=5, max_target=20))
    assert limited == read(pieces, RequestReader(max_head=200, max_fields=5, max_target=20))
    octet_by_octet = [data[at : at + 1] for at in range(len(data))]
    assert limited == read(octet_by_octet, RequestReader(max_head=200, max_fields=5, max_target=20))


@given(octets)
def test_any_octets_give_a_response_or_a_handshake_error_wherever_they_are_cut(data: bytes) -> None:
    for head in (data, b"HTTP/1.1 101 OK\r\n" + data):
        assert read_response([head]) == read_response([head[at : at + 1] for at in range(len(head))])


@given(octets)
def test_what_is_a_request_here_is_the_same_request_to_h11(data: bytes) -> None:
    request = parsed(data)
    if request is None:
        return
    peer = h11.Connection(h11.SERVER)
    # h11 takes no empty line before the request line.
    peer.receive_data(data.removeprefix(b"\r\n"))
    event = peer.next_event()
    assert isinstance(event, h11.Request)
    assert (request.method.encode(), request.target.encode()) == (event.method, event.target)
    # h11 writes a transfer coding in lower case.
    lowered = {"transfer-encoding": str.lower}
    fields = [(name.lower(), lowered.get(name.lower(), str)(value)) for name, value in request.headers]
    assert [(name.encode(), value.encode("latin-1")) for name, value in fields] == list(event.headers)


def parsed(data: bytes) -> Request | None:
    try:
        return RequestReader().feed(data)
    except HandshakeError:
        return None


@pytest.mark.parametrize("row", [row for row in REQUESTS if row.status in (101, 200)], ids=lambda row: row.id)
def test_a_request_that_is_let_through_is_a_request_to_h11(row: RequestVector) -> None:
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(row.request.removeprefix(b"\r\n"))
    assert isinstance(peer.next_event(), h11.Request)
