"""The opening handshake (section 4): every rule's row at both ends, however it is cut, and what is sent."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfc6455.client_handshake import ClientHandshake
from rfc6455.deflate import DeflateOptions
from rfc6455.errors import HandshakeError, StateError
from rfc6455.handshake import Accepted, ServerHandshake, accept_key, encode_refusal
from rfc6455.request import RequestReader
from tests.vectors import (
    ACCEPT,
    ANSWERS,
    KEY,
    REQUESTS,
    AnswerVector,
    RequestVector,
    answer,
    feeds,
    handshake,
)

DATE = "Tue, 15 Nov 1994 08:12:31 GMT"
HEAD_OF_101 = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\n"
)


def served(request: bytes) -> ServerHandshake:
    head = RequestReader().feed(request)
    assert head is not None
    return ServerHandshake(head)


def outcome(pieces: Iterable[bytes]) -> Accepted | HandshakeError:
    reader = RequestReader()
    try:
        requests = [request for piece in pieces if (request := reader.feed(piece)) is not None]
        return ServerHandshake(requests[0]).accept()
    except HandshakeError as error:
        return error


@pytest.mark.parametrize("row", [row for row in REQUESTS if row.status != 200], ids=lambda row: row.id)
def test_request(row: RequestVector) -> None:
    for pieces in feeds(row.request):
        found = outcome(pieces)
        if isinstance(found, Accepted):
            assert row.status == 101
            assert HEAD_OF_101.encode() in found.response
            continue
        assert (row.status, row.rule) == (found.status, found.rule)
        assert row.header is None or row.header in found.headers
        assert encode_refusal(found, DATE).startswith(b"HTTP/1.1 %d " % row.status)
        assert str(found).isascii()


@pytest.mark.parametrize("row", [row for row in REQUESTS if row.status == 200], ids=lambda row: row.id)
def test_plain_request_asks_for_no_websocket(row: RequestVector) -> None:
    request = RequestReader().feed(row.request)
    assert request is not None
    assert not request.upgrades_to("websocket")


def test_the_accepted_key_is_that_of_the_rfc() -> None:
    assert ACCEPT == accept_key(KEY)


# The server accepts.


def test_accepting_answers_101_and_nothing_that_was_not_asked_for() -> None:
    accepted = served(handshake()).accept()
    assert f"{HEAD_OF_101}\r\n".encode() == accepted.response
    assert (None, None) == (accepted.subprotocol, accepted.deflate)
    assert "localhost:8765" == accepted.headers.get("Host")


def test_a_request_tells_origin_and_subprotocols_in_order() -> None:
    fields = (b"Origin: http://a", b"Sec-WebSocket-Protocol: b, a", b"Sec-WebSocket-Protocol: c")
    asked = served(handshake(*fields))
    assert ("http://a", ["b", "a", "c"]) == (asked.origin, asked.subprotocols)
    assert "/chat" == asked.request.path
    asked = served(handshake())
    assert (None, []) == (asked.origin, asked.subprotocols)


def test_accepting_names_the_subprotocol_and_the_callers_fields() -> None:
    asked = served(handshake(b"Sec-WebSocket-Protocol: a, b"))
    accepted = asked.accept(subprotocol="b", headers=[("Set-Cookie", "c=d"), ("Set-Cookie", "e=f")])
    fields = "Sec-WebSocket-Protocol: b\r\nSet-Cookie: c=d\r\nSet-Cookie: e=f\r\n"
    assert f"{HEAD_OF_101}{fields}\r\n".encode() == accepted.response
    assert "b" == accepted.subprotocol


def test_accepting_says_100_first_to_whom_expects_it() -> None:
    accepted = served(handshake(b"Expect: 100-continue")).accept()
    assert f"HTTP/1.1 100 Continue\r\n\r\n{HEAD_OF_101}\r\n".encode() == accepted.response


@pytest.mark.parametrize("subprotocol", ["A", "b", "", "a, b", "a\r\nb: c"])
def test_a_subprotocol_that_was_not_offered_is_the_callers_mistake(subprotocol: str) -> None:
    asked = served(handshake(b"Sec-WebSocket-Protocol: a"))
    with pytest.raises(StateError):
        asked.accept(subprotocol=subprotocol)
    assert "a" == asked.accept(subprotocol="a").subprotocol


OWNED = ["Connection", "Content-Length", "Sec-WebSocket-Accept", "sec-websocket-protocol", "UPGRADE"]


@pytest.mark.parametrize(
    "field",
    [*((name, "a") for name in OWNED), ("a b", "c"), ("a", "b\r\nc: d"), ("a", "b\0"), ("a", "\u2026")],
)
def test_a_field_that_cannot_be_sent_with_101_is_the_callers_mistake(field: tuple[str, str]) -> None:
    asked = served(handshake())
    with pytest.raises(StateError):
        asked.accept(headers=[field])
    assert asked.accept().response


def test_a_second_decision_is_the_callers_mistake() -> None:
    accepted = served(handshake())
    accepted.accept()
    refused = served(handshake())
    refused.refuse(403)
    for asked in (accepted, refused):
        with pytest.raises(StateError):
            asked.accept()
        with pytest.raises(StateError):
            asked.refuse(403)


@pytest.mark.parametrize(
    ("offers", "server_bits"),
    [
        # 7692 5.1: the first that can be accepted.
        (["permessage-deflate"], 15),
        (["permessage-deflate; server_max_window_bits=10"], 10),
        (["permessage-deflate; server_max_window_bits=10, permessage-deflate"], 10),
        (
            ["permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=9"],
            10,
        ),
        (['permessage-deflate; server_max_window_bits="10"'], 10),
        # 7692 7: one that can't be is declined, and the next one looked at.
        (["permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9"], 9),
        (["permessage-deflate; a, permessage-deflate; server_max_window_bits=9"], 9),
        # 9.1: an unknown one is ignored.
        (["x-foo, permessage-deflate"], 15),
        (["x-foo"], None),
        (["permessage-deflate; a, permessage-deflate; b"], None),
        (["PerMessage-Deflate"], None),
        ([], None),
    ],
)
def test_the_first_acceptable_offer_of_deflate_is_answered_alone(
    offers: list[str], server_bits: int | None
) -> None:
    asked = served(handshake(*(b"Sec-WebSocket-Extensions: " + offer.encode() for offer in offers)))
    accepted = asked.accept(deflate=DeflateOptions())
    answered = [line for line in accepted.response.split(b"\r\n") if b"Extensions" in line]
    if server_bits is None:
        assert (None, []) == (accepted.deflate, answered)
        return
    assert accepted.deflate is not None
    assert server_bits == accepted.deflate.local_max_window_bits
    assert 1 == len(answered)
    assert 1 == answered[0].count(b"permessage-deflate")


def test_deflate_is_not_answered_unless_the_server_wants_it() -> None:
    accepted = served(handshake(b"Sec-WebSocket-Extensions: permessage-deflate")).accept()
    assert None is accepted.deflate
    assert b"Extensions" not in accepted.response


# The server refuses.


def test_a_refusal_is_a_whole_response_that_closes() -> None:
    refusal = served(handshake()).refuse(401, "Log in.", headers=[("WWW-Authenticate", "Basic")], date=DATE)
    assert (
        f"HTTP/1.1 401 Unauthorized\r\nDate: {DATE}\r\nConnection: close\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 8\r\n"
        "WWW-Authenticate: Basic\r\n\r\nLog in.\n"
    ).encode() == refusal


def test_a_refusal_counts_its_body_in_octets_and_needs_no_clock() -> None:
    assert (
        "HTTP/1.1 599 \r\nConnection: close\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\n\u2026\n"
    ).encode() == served(handshake()).refuse(599, "\u2026")


def test_a_refusal_that_names_upgrade_names_it_in_connection() -> None:
    with pytest.raises(HandshakeError) as caught:
        served(handshake(b"Sec-WebSocket-Version: 8"))
    refusal = encode_refusal(caught.value, DATE)
    assert refusal.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"\r\nConnection: Upgrade, close\r\n" in refusal
    assert b"\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" in refusal


@pytest.mark.parametrize("status", [0, 101, 200, 299, 600])
def test_a_refusal_with_a_status_that_refuses_nothing_is_the_callers_mistake(status: int) -> None:
    asked = served(handshake())
    with pytest.raises(StateError):
        asked.refuse(status)
    assert asked.refuse(300)
    assert served(handshake()).refuse(599)


@pytest.mark.parametrize(
    "field", [("Content-Length", "0"), ("connection", "keep-alive"), ("Date", "today"), ("a", "b\r\n\r\n")]
)
def test_a_field_that_cannot_be_sent_with_a_refusal_is_the_callers_mistake(field: tuple[str, str]) -> None:
    with pytest.raises(StateError):
        served(handshake()).refuse(403, headers=[field])
    with pytest.raises(StateError):
        served(handshake()).refuse(403, date="today\r\n")


# The client asks.


def test_a_client_asks_for_nothing_but_websocket() -> None:
    asked = ClientHandshake("ws://localhost:8765/chat?a=b", key=KEY)
    assert (
        "GET /chat?a=b HTTP/1.1\r\nHost: localhost:8765\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode() == asked.request


def test_a_client_asks_for_all_that_its_caller_wants() -> None:
    asked = ClientHandshake(
        "ws://localhost",
        subprotocols=["b", "a"],
        headers=[("Cookie", "c=d"), ("Cookie", "e=f")],
        origin="http://localhost",
        deflate=DeflateOptions(),
        key=KEY,
    )
    fields = asked.request.decode().split("\r\n")[6:]
    assert [
        "Origin: http://localhost",
        "Sec-WebSocket-Protocol: b, a",
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
        "client_no_context_takeover; client_max_window_bits",
        "Cookie: c=d",
        "Cookie: e=f",
        "",
        "",
    ] == fields


def test_no_two_clients_ask_with_one_key() -> None:
    asked = {ClientHandshake("ws://localhost").request for _ in range(10)}
    assert 10 == len(asked)
    assert all(served(request) for request in asked)


@pytest.mark.parametrize(
    ("uri", "secure", "host", "port", "host_field", "resource"),
    [
        ("ws://localhost", False, "localhost", 80, "localhost", "/"),
        ("wss://localhost", True, "localhost", 443, "localhost", "/"),
        ("WSS://Localhost/A", True, "Localhost", 443, "Localhost", "/A"),
        ("ws://localhost:80/", False, "localhost", 80, "localhost", "/"),
        ("ws://localhost:/", False, "localhost", 80, "localhost", "/"),
        ("wss://localhost:443/", True, "localhost", 443, "localhost", "/"),
        ("ws://localhost:443/", False, "localhost", 443, "localhost:443", "/"),
        ("ws://localhost:1", False, "localhost", 1, "localhost:1", "/"),
        ("ws://localhost:65535", False, "localhost", 65535, "localhost:65535", "/"),
        ("ws://[::1]/", False, "::1", 80, "[::1]", "/"),
        ("ws://[::1]:8765?a=b/c", False, "::1", 8765, "[::1]:8765", "/?a=b/c"),
        ("ws://a/%41?b=http://c:1/", False, "a", 80, "a", "/%41?b=http://c:1/"),
    ],
)
def test_a_uri_says_where_to_connect_and_what_to_ask(
    uri: str, secure: bool, host: str, port: int, host_field: str, resource: str
) -> None:
    asked = ClientHandshake(uri)
    assert (secure, host, port) == (asked.secure, asked.host, asked.port)
    assert asked.request.startswith(f"GET {resource} HTTP/1.1\r\nHost: {host_field}\r\n".encode())


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "",
            "localhost",
            "http://localhost/",
            "ws:localhost",
            "ws:/localhost",
            "ws://",
            "ws:///chat",
            " ws://a",
        ),
        *("ws://a/#b", "ws://a#b", "ws://user@a/", "ws://user:pass@a/", "ws://:80/"),
        *(
            "ws://a:0/",
            "ws://a:65536/",
            "ws://a:b/",
            "ws://a:-1/",
            "ws://a:80:80/",
            "ws://::1/",
            "ws://[::1/",
        ),
        *(
            "ws://a/b c",
            "ws://a/\xe5",
            "ws://b\xfccher/",
            "ws://a/%4",
            "ws://a/[]",
            "ws://a/\r\nb: c",
            "ws://a\r\n/",
        ),
    ],
)
def test_a_uri_that_names_no_websocket_is_the_callers_mistake(uri: str) -> None:
    with pytest.raises(StateError):
        ClientHandshake(uri)


@pytest.mark.parametrize("subprotocols", [[""], ["a b"], ["a", "a"], ["a\r\nb: c"], ["a,b"], ["\xe5"]])
def test_subprotocols_that_cannot_be_offered_are_the_callers_mistake(subprotocols: list[str]) -> None:
    with pytest.raises(StateError):
        ClientHandshake("ws://localhost", subprotocols=subprotocols)


@pytest.mark.parametrize(
    "name", [*OWNED, "Host", "Origin", "Expect", "Transfer-Encoding", "sec-websocket-KEY"]
)
def test_fields_that_the_handshake_owns_are_the_callers_mistake(name: str) -> None:
    with pytest.raises(StateError):
        ClientHandshake("ws://localhost", headers=[(name, "a")])


def test_text_that_would_make_a_field_of_its_own_is_the_callers_mistake() -> None:
    with pytest.raises(StateError):
        ClientHandshake("ws://localhost", headers=[("a", "b\r\nc: d")])
    with pytest.raises(StateError):
        ClientHandshake("ws://localhost", origin="http://a\r\nc: d")
    with pytest.raises(StateError):
        ClientHandshake("ws://localhost", key="a")


# The client judges the answer.


def judged(pieces: Iterable[bytes]) -> Accepted | HandshakeError:
    asked = ClientHandshake(
        "ws://localhost", subprotocols=["chat", "superchat"], deflate=DeflateOptions(), key=KEY
    )
    accepted = None
    try:
        for piece in pieces:
            if accepted is None:
                accepted = asked.receive_data(piece)
    except HandshakeError as error:
        return error
    assert accepted is not None
    return accepted


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: row.id)
def test_answer(row: AnswerVector) -> None:
    for pieces in feeds(row.response):
        found = judged(pieces)
        if isinstance(found, Accepted):
            assert row.rule == ""
            continue
        assert (row.status, row.rule) == (found.status, found.rule)
        assert str(found).isascii()


def test_an_answer_tells_what_was_agreed() -> None:
    extension = (
        b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_max_window_bits=9"
    )
    found = judged([answer(b"Sec-WebSocket-Protocol: superchat", extension, b"A: b")])
    assert isinstance(found, Accepted)
    assert found.deflate is not None
    assert (b"", "superchat", 9) == (found.response, found.subprotocol, found.deflate.local_max_window_bits)
    assert "b" == found.headers.get("a")


def test_an_answer_that_agrees_to_nothing() -> None:
    found = judged([answer()])
    assert isinstance(found, Accepted)
    assert (None, None) == (found.subprotocol, found.deflate)


def test_what_was_not_offered_at_all_is_refused() -> None:
    for field, rule in [
        (b"Sec-WebSocket-Protocol: chat", "subprotocol"),
        (b"Sec-WebSocket-Extensions: permessage-deflate", "extension"),
    ]:
        with pytest.raises(HandshakeError) as caught:
            ClientHandshake("ws://localhost", key=KEY).receive_data(answer(field))
        assert (101, rule) == (caught.value.status, caught.value.rule)


def test_a_refusal_is_told_with_its_status_reason_and_fields() -> None:
    asked = ClientHandshake("ws://localhost")
    with pytest.raises(HandshakeError) as caught:
        asked.receive_data(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\r\nLater.")
    assert (503, (("Retry-After", "5"),)) == (caught.value.status, caught.value.headers)
    assert "Expected status 101, received '503 Service Unavailable'." == str(caught.value)
    assert b"Later." == asked.trailing


def test_frames_behind_the_answer_are_kept() -> None:
    for head in (answer(), b"HTTP/1.1 103 Hints\r\n\r\n" + answer()):
        asked = ClientHandshake("ws://localhost", key=KEY)
        assert None is asked.receive_data(head[:-1])
        assert b"" == asked.trailing
        assert asked.receive_data(b"\n\x81\x00") is not None
        assert b"\x81\x00" == asked.trailing


# Both ends, and any octets at all.


@given(
    st.lists(st.sampled_from(["a", "b", "c"]), unique=True),
    st.none() | st.builds(DeflateOptions, st.booleans(), st.integers(9, 15)),
    st.none() | st.builds(DeflateOptions, st.booleans(), st.integers(9, 15)),
    st.data(),
)
def test_both_ends_agree(
    offered: list[str], client: DeflateOptions | None, server: DeflateOptions | None, data: st.DataObject
) -> None:
    chosen = data.draw(st.sampled_from([None, *offered]))
    asked = ClientHandshake("ws://localhost/", subprotocols=offered, deflate=client)
    accepted = served(asked.request).accept(subprotocol=chosen, deflate=server)
    found = asked.receive_data(accepted.response)
    assert found is not None
    assert chosen == accepted.subprotocol == found.subprotocol
    assert (client is not None and server is not None) == (accepted.deflate is not None)
    assert (accepted.deflate is None) == (found.deflate is None)
    if accepted.deflate is not None and found.deflate is not None:
        assert accepted.deflate.local_max_window_bits <= found.deflate.remote_max_window_bits
        assert found.deflate.local_max_window_bits <= accepted.deflate.remote_max_window_bits


NAMES = [
    b"Upgrade",
    b"Connection",
    b"Sec-WebSocket-Key",
    b"Sec-WebSocket-Protocol",
    b"Sec-WebSocket-Extensions",
]
values = st.text('websocket, chat;="\\x\t').map(str.encode) | st.binary(max_size=8)


@given(st.lists(st.tuples(st.sampled_from(NAMES), values).map(b": ".join)))
def test_any_fields_are_accepted_or_give_a_handshake_error(fields: list[bytes]) -> None:
    found = outcome([handshake(*fields)])
    assert isinstance(found, Accepted) or found.status in (400, 426)


@given(st.lists(st.tuples(st.sampled_from(NAMES), values).map(b": ".join)), st.binary(max_size=8))
def test_any_answer_is_accepted_or_gives_a_handshake_error(fields: list[bytes], octets: bytes) -> None:
    found = judged([answer(*fields), octets])
    assert isinstance(found, Accepted) or found.status in (0, 101)
