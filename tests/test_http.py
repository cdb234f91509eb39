"""HTTP on the port: every request gets the answer that its rule asks for, every connection its right end."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest

from server.http import MAX_REQUESTS_PER_TURN
from server.plain import CHUNK_WEIGHT, MAX_UNWANTED_BODY
from tests.conftest import NARROW, Running, Serve, eventually
from tests.rawclient import ACCEPT, TEXT, Answer, Frame, RawClient, closed, get, said, text, upgrade
from tests.rawclient import close as close_frame
from tests.vectors import REQUESTS, RequestVector

MODULES = ("/app.js", "/client.js", "/connection.js", "/outbox.js", "/people.js")
PAGES = ("/", *MODULES, "/client.d.ts", "/style.css", "/healthz")
ROUTES = ("/", "/ws", "/echo")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
# An address at which every host is served.
ANY_HOST = "127.0.0.2"


def path_of(request: bytes) -> tuple[str, str]:
    """The method and the path of a request that is known to be valid."""
    method, target, _ = request.lstrip(b"\r\n").partition(b"\r\n")[0].decode("latin-1").split(" ")
    if "://" in target:
        target = "/" + target.partition("://")[2].partition("?")[0].partition("/")[2]
    return method, target.partition("?")[0]


def expected_status(vector: RequestVector, request: bytes) -> int:
    """What this server says to a request that the protocol refuses, accepts or lets through."""
    if vector.status == 426 and b" HTTP/1.0\r\n" in request:
        # 9110 7.8: whose Upgrade is ignored asks for a page.
        return 200
    if vector.status not in (101, 200):
        return vector.status
    method, path = path_of(request)
    if vector.status == 101:
        return 101 if path in ROUTES else 404
    lines = request.lower().split(b"\r\n")
    if any(line.startswith((b"content-length: ", b"transfer-encoding: ")) for line in lines):
        # Of these only the head comes.
        return 408
    if method not in METHODS:
        return 501
    if path not in ROUTES + PAGES:
        return 404
    return 200 if path in PAGES else 426


@pytest.mark.parametrize("vector", REQUESTS, ids=lambda vector: vector.id)
@pytest.mark.parametrize("loop_name", ["asyncio"], indirect=True)
async def test_request_gets_its_answer(vector: RequestVector, service: Serve) -> None:
    request = vector.request.replace(b" /chat HTTP/", b" /echo HTTP/", 1)
    status = expected_status(vector, request)
    async with service(host=(ANY_HOST,), handshake_timeout=0.1 if status == 408 else 10.0) as running:
        client = await running.connect()
        await client.send(request)
        answer = await client.answer(to_head=request.startswith(b"HEAD"))
        assert status == answer.status
        if status == 101:
            await judge_acceptance(answer, client)
        else:
            judge_plain(answer, is_head=request.startswith(b"HEAD"))
        if status not in (101, 200):
            assert "close" in answer.fields["connection"]
            if vector.header is not None:
                name, value = vector.header
                assert value == answer.fields[name.lower()]
            await client.eof()


async def judge_acceptance(answer: Answer, client: RawClient) -> None:
    # 6455 4.2.2, 9110 8.6.
    assert "websocket" == answer.fields["upgrade"]
    assert "upgrade" == answer.fields["connection"].lower()
    assert ACCEPT == answer.fields["sec-websocket-accept"]
    assert {"content-length", "transfer-encoding", "sec-websocket-protocol"}.isdisjoint(answer.fields)
    await client.send(close_frame())
    while (frame := await client.frame()).opcode == TEXT:
        assert b"welcome" in frame.payload
    assert closed(1000) == frame
    await client.eof()


def judge_plain(answer: Answer, *, is_head: bool) -> None:
    # 9110 6.6.1, 8.6.
    assert answer.fields["date"].endswith(" GMT")
    assert int(answer.fields["content-length"]) > 0
    assert is_head == (answer.body == b"")
    if answer.status == 426:
        # 9110 7.8, 15.5.22.
        assert "websocket" == answer.fields["upgrade"]
        assert "upgrade" in answer.fields["connection"].lower()


# Methods, paths and hosts.


async def ask(running: Running, request: bytes, *, to_head: bool = False) -> Answer:
    client = await running.connect()
    await client.send(request)
    return await client.answer(to_head=to_head)


async def test_page_is_served_under_a_strict_policy(service: Serve) -> None:
    async with service() as running:
        answer = await ask(running, get("/"))
    assert 200 == answer.status
    assert "text/html; charset=utf-8" == answer.fields["content-type"]
    assert "nosniff" == answer.fields["x-content-type-options"]
    assert answer.fields["content-security-policy"].startswith("default-src 'none'")
    assert b"<!doctype html>" in answer.body.lower()


async def test_refusal_behind_a_head_has_its_body(service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        await client.send(get("/healthz", method="HEAD") + b"GET /\r\n\r\n")
        assert 200 == (await client.answer(to_head=True)).status
        refused = await client.answer()
        assert 400 == refused.status
        assert refused.body.startswith(b"Expected a method, a target and a version")


@pytest.mark.parametrize("path", PAGES)
async def test_head_says_what_get_says_without_the_body(path: str, service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        await client.send(get(path, method="HEAD") + get(path))
        of_head = await client.answer(to_head=True)
        of_get = await client.answer()
    assert (200, b"") == (of_head.status, of_head.body)
    assert of_get.fields | {"date": ""} == of_head.fields | {"date": ""}
    assert len(of_get.body) == int(of_head.fields["content-length"])


@pytest.mark.parametrize(
    ("path", "host"), [("/none", "localhost"), ("/echo", "localhost"), ("/", "evil.example")]
)
async def test_refusal_of_a_head_has_no_body(path: str, host: str, service: Serve) -> None:
    # 9110 9.3.2: a server must not send content in the answer to a HEAD.
    async with service() as running:
        client = await running.connect()
        await client.send(get(path, method="HEAD", host=host))
        answer = await client.answer(to_head=True)
        assert answer.status >= 400
        await client.eof()


@pytest.mark.parametrize("method", METHODS[2:])
@pytest.mark.parametrize("path", ["/", "/echo", "/client.js"])
async def test_known_method_is_not_allowed_on_a_known_path(method: str, path: str, service: Serve) -> None:
    async with service() as running:
        answer = await ask(running, get(path, method=method))
    assert (405, "GET, HEAD") == (answer.status, answer.fields["allow"])


@pytest.mark.parametrize("method", ["BREW", "get", "Get"])
async def test_unknown_method_is_not_implemented(method: str, service: Serve) -> None:
    # 9110 9.1: methods are case-sensitive.
    async with service() as running:
        assert 501 == (await ask(running, get("/", method=method))).status


@pytest.mark.parametrize("path", ["/none", "/echo/", "/ECHO", "/%65cho", "//echo", "/client.js/"])
async def test_unknown_path_is_not_found(path: str, service: Serve) -> None:
    async with service() as running:
        assert 404 == (await ask(running, get(path))).status
        assert 404 == (await ask(running, upgrade(path))).status


@pytest.mark.parametrize("path", ["/ws", "/echo", "/ws?a=b"])
async def test_plain_request_of_a_websocket_is_told_to_upgrade(path: str, service: Serve) -> None:
    async with service() as running:
        answer = await ask(running, get(path))
    assert 426 == answer.status
    assert "websocket" == answer.fields["upgrade"]
    assert "13" == answer.fields["sec-websocket-version"]


@pytest.mark.parametrize(
    ("host", "is_served"),
    [
        ("localhost", True),
        ("localhost:8765", True),
        ("LOCALHOST:1", True),
        ("127.0.0.1", True),
        ("[::1]:8765", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("evil-localhost", False),
        ("127.0.0.2", False),
        ("localhost.", False),
    ],
)
async def test_host_on_loopback_is_one_of_its_names(host: str, is_served: bool, service: Serve) -> None:
    # 9110 7.4: else a rebound DNS name would make any page one of our own.
    async with service() as running:
        plain = await ask(running, get("/", host=host))
        handshake = await ask(running, upgrade("/echo", f"Host: {host}"))
        absolute = await ask(running, get(f"http://{host}/"))
    expected = (200, 101, 200) if is_served else (421, 421, 421)
    assert expected == (plain.status, handshake.status, absolute.status)


async def test_allowed_hosts_take_the_place_of_the_loopback_names(service: Serve) -> None:
    async with service(allowed_hosts=("example.com",)) as running:
        assert 101 == (await ask(running, upgrade("/echo", "Host: example.com:8765"))).status
        assert 421 == (await ask(running, upgrade("/echo"))).status


async def test_probes_by_an_address_are_answered_whatever_hosts_are_served(service: Serve) -> None:
    async with service(allowed_hosts=("example.com",)) as running:
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/", 421), ("/client.js", 421)):
            assert status == (await ask(running, get(path, host="10.0.0.7:8765"))).status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        ("http://localhost:8765", 101),
        ("HTTP://LocalHost:8765", 101),
        # Behind a proxy that ends TLS the scheme isn't known.
        ("https://localhost:8765", 101),
        ("null", 403),
        ("http://localhost", 403),
        ("http://localhost:8766", 403),
        ("http://sub.localhost:8765", 403),
        ("http://localhost.evil.example:8765", 403),
        ("http://evillocalhost:8765", 403),
        ("http://localhost:8765.evil.example", 403),
        ("http://localhost:8765/", 403),
        ("http://user@localhost:8765", 403),
        ("ftp://localhost:8765", 403),
        ("localhost:8765", 403),
        ("http://localhost:8765 http://localhost:8765", 403),
        ("", 403),
        ("http://127.0.0.1:8765", 403),
    ],
)
async def test_origin_is_the_same_host_and_port(origin: str | None, status: int, service: Serve) -> None:
    async with service() as running:
        fields = [] if origin is None else [f"Origin: {origin}"]
        assert status == (await ask(running, upgrade("/echo", *fields))).status


@pytest.mark.parametrize(
    ("allowed", "origin", "status"),
    [
        ("null", "null", 101),
        ("https://a.example", "https://a.example", 101),
        ("https://a.example", "https://a.example:443", 101),
        ("https://a.example", "http://a.example", 403),
        ("https://a.example", "https://b.a.example", 403),
        ("https://a.example", "https://a.example.evil", 403),
        ("https://a.example", "null", 403),
        ("https://a.example", "http://localhost:8765", 101),
        ("*", "https://evil.example", 101),
        ("*", "null", 101),
    ],
)
async def test_allowed_origin_may_connect(allowed: str, origin: str, status: int, service: Serve) -> None:
    async with service(allowed_origins=(allowed,)) as running:
        assert status == (await ask(running, upgrade("/echo", f"Origin: {origin}"))).status


async def test_plain_get_asks_for_no_origin(service: Serve) -> None:
    async with service() as running:
        assert 200 == (await ask(running, get("/", "Origin: https://evil.example"))).status


# More than one request on a connection.


async def test_plain_requests_keep_the_connection_which_may_then_upgrade(service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        for path in ("/", "/client.js", "/healthz"):
            await client.send(get(path))
            assert 200 == (await client.answer()).status
        await client.open("/echo")
        await client.send(text("Hello"))
        assert said("Hello") == await client.frame()


async def test_pipelined_requests_are_answered_in_order(service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        script = get("/healthz") + get("/", method="HEAD") + get("/style.css") + upgrade() + text("Hello")
        await client.send(script)
        assert "application/json" == (await client.answer()).fields["content-type"]
        assert "text/html; charset=utf-8" == (await client.answer(to_head=True)).fields["content-type"]
        assert "text/css; charset=utf-8" == (await client.answer()).fields["content-type"]
        assert 101 == (await client.answer()).status
        assert said("Hello") == await client.frame()


@pytest.mark.parametrize(
    "count", [MAX_REQUESTS_PER_TURN - 1, MAX_REQUESTS_PER_TURN, MAX_REQUESTS_PER_TURN + 1, 50]
)
async def test_so_many_pipelined_requests_are_answered_in_a_turn(
    service: Serve, loop_name: str, count: int
) -> None:
    # A read brings thousands; all at once they would keep everybody else waiting for a second.
    async with service() as running:
        client = await running.connect()
        await client.send(get("/healthz") * count)
        answered = [0]
        while answered[-1] < count:
            await asyncio.sleep(0)
            answered.append(running.context.traffic.requests.get("200", 0))
        most = max(after - before for before, after in pairwise(answered))
        if loop_name == "asyncio":
            assert min(count, MAX_REQUESTS_PER_TURN) == most
        # On uvloop a turn may begin with what was left for it, and end with the read.
        assert most <= 2 * MAX_REQUESTS_PER_TURN
        assert [200] * count == [(await client.answer()).status for _ in range(count)]


async def test_pipelined_requests_are_the_same_in_any_split(service: Serve) -> None:
    script = get("/healthz") + get("/echo", "Content-Length: 3", method="HEAD")[:-2] + b"\r\nabc" + upgrade()
    async with service() as running:
        client = await running.connect()
        for octet in script:
            await client.send(bytes([octet]))
        assert 200 == (await client.answer()).status
        assert 426 == (await client.answer(to_head=True)).status
        # 9112 9.6: behind a refusal nothing is read.
        await client.eof()


async def test_one_empty_line_may_come_before_each_request(service: Serve) -> None:
    # 9112 2.2.
    async with service() as running:
        client = await running.connect()
        await client.send((b"\r\n" + get("/healthz")) * 3 + b"\r\n" + upgrade())
        for status in (200, 200, 200, 101):
            assert status == (await client.answer()).status


async def test_nothing_is_read_behind_a_refusal(service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        await client.send(get("/none") + get("/"))
        assert 404 == (await client.answer()).status
        await client.eof()


async def test_connection_close_is_obeyed(service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        await client.send(get("/", "Connection: close") + get("/"))
        answer = await client.answer()
        assert (200, "close") == (answer.status, answer.fields["connection"])
        await client.eof()


async def test_http_1_0_ends_with_the_answer(service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        await client.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert 200 == (await client.answer()).status
        await client.eof()


async def test_pipelined_answers_wait_for_their_reader(service: Serve) -> None:
    async with service(**NARROW) as running:
        client = await running.connect(receive_buffer=4096)
        count = 200
        await client.send(get("/client.js") * count + upgrade())
        await eventually(1, lambda: len(running.context.connections))
        (http,) = running.context.connections
        transport = http._transport  # type: ignore[attr-defined]
        await eventually(False, transport.is_reading)
        answers = [await client.answer() for _ in range(count)]
        size = len(answers[0].body)
        # One answer over the mark, and no more.
        assert transport.get_write_buffer_size() <= 8192 + 2 * size
        assert {(200, answers[0].body)} == {(answer.status, answer.body) for answer in answers}
        assert 101 == (await client.answer()).status
        await client.send(text("Hello"))
        assert said("Hello") == await client.frame()
        assert transport.is_reading()


# Bodies.


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (["Content-Length: 5"], b"Hello"),
        (["Content-Length: 65536"], b"a" * 65536),
        (["Transfer-Encoding: chunked"], b"5\r\nHello\r\n6;a=b\r\n world\r\n0\r\nA: b\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    ],
    ids=["content-length", "as-large-as-may-be", "chunks", "no-chunks"],
)
async def test_body_is_read_before_the_next_request(fields: list[str], body: bytes, service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        await client.send(get("/", *fields) + body + get("/healthz"))
        assert "text/html; charset=utf-8" == (await client.answer()).fields["content-type"]
        assert "application/json" == (await client.answer()).fields["content-type"]


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (["Content-Length: 65537"], b"a" * 65537),
        (["Content-Length: 999999999999"], b"a" * 65537),
        (["Transfer-Encoding: chunked"], b"10001\r\n" + b"a" * 65537),
        (["Transfer-Encoding: chunked"], b"1\r\na\r\n" * 65537),
    ],
    ids=["content-length", "endless", "a-chunk", "chunks"],
)
async def test_body_over_the_limit_is_refused(fields: list[str], body: bytes, service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        await client.send(get("/", *fields) + body)
        assert 413 == (await client.answer()).status
        await client.eof()


async def test_small_chunks_count_for_the_work_that_they_make(service: Serve) -> None:
    most = MAX_UNWANTED_BODY // (1 + CHUNK_WEIGHT)
    async with service() as running:
        for chunks, status in ((most, 200), (most + 1, 413)):
            client = await running.connect()
            await client.send(get("/", "Transfer-Encoding: chunked") + b"1\r\na\r\n" * chunks + b"0\r\n\r\n")
            assert status == (await client.answer()).status


async def test_trailers_are_held_to_a_size(service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        trailers = b"".join(b"x-%d: y\r\n" % number for number in range(10_000))
        await client.send(get("/", "Transfer-Encoding: chunked") + b"0\r\n" + trailers)
        assert 431 == (await client.answer()).status
        await client.eof()


@pytest.mark.parametrize(
    "chunk",
    [b"x\r\n", b"-1\r\n", b"5\r\nHelloo", b"1" * 50 + b"\r\n"],
    ids=["no-number", "negative", "too-long", "too-many-digits"],
)
async def test_broken_chunk_is_refused(chunk: bytes, service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        await client.send(get("/", "Transfer-Encoding: chunked") + chunk)
        assert 400 == (await client.answer()).status
        await client.eof()


async def test_who_waits_for_a_100_gets_the_answer(service: Serve) -> None:
    # 9110 10.1.1: a final status in the place of 100; the body was not sent, so the connection ends.
    async with service() as running:
        client = await running.connect()
        await client.send(get("/", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        assert 405 == (await client.answer()).status
        await client.eof()
        client = await running.connect()
        await client.send(get("/", "Content-Length: 5", "Expect: 100-continue"))
        assert 200 == (await client.answer()).status
        await client.eof()


# Limits.


def heads(limits: dict[str, int]) -> Iterator[tuple[str, int, int, bytes]]:
    """Requests that are one under each limit, at it, and one over: its name, size, status, request."""
    base = len(get("/", "A: "))
    for size, status in zip((-1, 0, 1), (200, 200, 431), strict=True):
        yield "head", size, status, get("/", "A: " + "a" * (limits["max_head"] + size - base))
        fields = limits["max_fields"] + size - 1
        yield "fields", size, status, get("/", *["A: b"] * fields)
    for size, status in zip((-1, 0, 1), (200, 200, 414), strict=True):
        yield "target", size, status, get("/?" + "a" * (limits["max_target"] + size - 2))


LIMITS = {"max_head": 500, "max_fields": 10, "max_target": 100}


@pytest.mark.parametrize(
    ("status", "request_"), [pytest.param(*row[2:], id=f"{row[0]}{row[1]:+}") for row in heads(LIMITS)]
)
async def test_head_is_held_to_the_settings(status: int, request_: bytes, service: Serve) -> None:
    async with service(**LIMITS) as running:
        assert status == (await ask(running, request_)).status


def assert_full(answer: Answer) -> None:
    assert 503 == answer.status
    assert 1 <= int(answer.fields["retry-after"]) <= 5


async def test_connections_over_the_cap_are_told_when_to_come_back(service: Serve) -> None:
    async with service(max_connections=2) as running:
        first = await running.open()
        await running.open()
        third = await running.connect()
        answer = await third.answer()
        assert_full(answer)
        await third.eof()
        first.close()
        await eventually(1, lambda: len(running.context.admission))
        await running.open()


async def test_connections_over_the_cap_of_an_address_leave_the_others_room(service: Serve) -> None:
    async with service(host=("0.0.0.0",), max_connections_per_address=2) as running:
        clients = [await running.connect(source="127.0.0.3") for _ in range(3)]
        answer = await clients[2].answer()
        assert_full(answer)
        await clients[2].eof()
        other = await running.connect(source="127.0.0.4")
        await other.open("/echo", "Host: localhost")
        await clients[0].open("/echo", "Host: localhost")


@pytest.mark.parametrize("path", ["/echo", "/nowhere"])
async def test_handshakes_over_the_rate_are_refused_before_all_else(path: str, service: Serve) -> None:
    async with service(handshake_rate_per_address=1, handshake_rate=2) as running:
        running.context.clock = lambda: 0.0
        for _ in range(2):
            await running.open()
        client = await running.connect()
        await client.send(upgrade(path, "Origin: null", "Host: elsewhere.example"))
        answer = await client.answer()
        assert (429, "5") == (answer.status, answer.fields["retry-after"])
        await client.eof()
        for _ in range(2):
            other = await running.connect(source="127.0.0.2")
            await other.send(upgrade())
            assert 101 == (await other.answer()).status
        last = await running.connect(source="127.0.0.3")
        await last.send(upgrade())
        answer = await last.answer()
        assert_full(answer)
        # A plain request asks for no handshake.
        other = await running.connect()
        await other.send(get("/healthz"))
        assert 200 == (await other.answer()).status


async def test_refused_connection_is_drained_while_it_still_sends(service: Serve) -> None:
    async with service(max_connections=1) as running:
        await running.open()
        client = await running.connect()
        await client.send(get("/") * 2000)
        assert 503 == (await client.answer()).status
        await client.send(get("/") * 2000)
        await client.eof()


# Time.


async def test_unfinished_request_times_out(service: Serve) -> None:
    async with service(handshake_timeout=0.1) as running:
        clients = []
        for begun in (b"G", get("/")[:-1], get("/", "Content-Length: 2") + b"a", upgrade()[:-1]):
            clients.append(await running.connect())
            await clients[-1].send(begun)
        for client in clients:
            assert 408 == (await client.answer()).status
            await client.eof()


async def test_time_for_a_request_is_not_prolonged_by_its_octets(service: Serve) -> None:
    async def drip(client: RawClient) -> None:
        for octet in get("/", "A: " + "a" * 10_000):
            await client.send(bytes([octet]))
            await asyncio.sleep(0.01)

    async with service(handshake_timeout=0.1) as running:
        client = await running.connect()
        dripping = asyncio.ensure_future(drip(client))
        assert 408 == (await client.answer()).status
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


async def test_silent_connection_is_closed(service: Serve) -> None:
    async with service(handshake_timeout=0.1) as running:
        await (await running.connect()).eof()


async def test_idle_connection_between_two_requests_is_closed(service: Serve) -> None:
    async with service(handshake_timeout=0.1) as running:
        client = await running.connect()
        await client.send(get("/"))
        assert 200 == (await client.answer()).status
        await client.eof()


async def test_session_outlives_the_time_for_its_handshake(service: Serve) -> None:
    async with service(handshake_timeout=0.1) as running:
        client = await running.open()
        silent = await running.connect()
        await silent.eof()
        assert 0 == len(running.context.handshakes)
        await client.send(text("Hello"))
        assert said("Hello") == await client.frame()


async def test_answers_that_nobody_reads_are_given_up(service: Serve) -> None:
    settings = {**NARROW, "write_high_water": 64 << 10, "handshake_timeout": 0.1, "close_timeout": 0.1}
    async with service(**settings) as running:
        for behind in (b"", b"GET"):
            for is_half_closed in (False, True):
                client = await running.connect(receive_buffer=4096)
                # Less than what pauses writing, more than the kernel takes.
                await client.send(get("/client.js") * 5 + behind)
                if is_half_closed:
                    client.end_sending()
        await eventually(4, lambda: len(running.context.admission))
        # The clients stay.
        await eventually(0, lambda: len(running.context.admission))


@pytest.mark.parametrize(
    "sent", [b"", b"GET /", get("/", "Content-Length: 5") + b"a"], ids=["nothing", "head", "body"]
)
@pytest.mark.parametrize("way", ["end_sending", "reset", "close"])
async def test_client_that_leaves_before_its_request_ends_is_forgotten(
    sent: bytes, way: str, service: Serve
) -> None:
    async with service() as running:
        client = await running.connect()
        await client.send(sent)
        await eventually(1, lambda: len(running.context.connections))
        getattr(client, way)()
        await eventually(0, lambda: len(running.context.connections))
        if way == "end_sending":
            await client.eof()


async def test_half_closed_client_still_gets_its_answer(service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        await client.send(get("/") + upgrade())
        client.end_sending()
        assert 200 == (await client.answer()).status
        assert 101 == (await client.answer()).status
        await client.eof()


# Stopping.


async def test_stopping_server_refuses_an_upgrade_with_503(service: Serve) -> None:
    async with service(drain_timeout=20) as running:
        client = await running.connect()
        await client.send(upgrade()[:-2])
        await eventually(1, lambda: len(running.context.connections))
        (http,) = running.context.connections
        await eventually(True, lambda: bool(http._received))  # type: ignore[attr-defined]
        stopping = asyncio.ensure_future(running.service.stop())
        await eventually(True, lambda: running.context.is_draining)
        await client.send(b"\r\n")
        answer = await client.answer()
        assert_full(answer)
        await client.eof()
        client.close()
        await stopping


async def test_stopping_server_ends_a_begun_request_and_then_its_connection(service: Serve) -> None:
    async with service(drain_timeout=20) as running:
        client, idle = await running.connect(), await running.connect()
        await client.send(get("/")[:-2])
        await eventually(2, lambda: len(running.context.connections))
        http = next(iter(running.context.connections))
        await eventually(True, lambda: bool(http._received))  # type: ignore[attr-defined]
        stopping = asyncio.ensure_future(running.service.stop())
        await idle.eof()
        await client.send(b"\r\n")
        answer = await client.answer()
        # 9112 9.6: told beforehand, the client sends no other request.
        assert (200, "close") == (answer.status, answer.fields["connection"])
        await client.eof()
        client.close()
        await stopping


async def test_refused_connection_does_not_outlive_the_service(service: Serve) -> None:
    async with service(close_timeout=0.1) as running:
        client = await running.connect()
        await client.send(get("/none"))
        assert 404 == (await client.answer()).status
        await running.service.stop()
        # The client stays: it is the server that has to end the connection.
        await eventually(0, lambda: len(running.context.closings))


async def test_frame_behind_the_head_is_answered(service: Serve) -> None:
    # A client should wait for the answer (6455 4.1); what it sent early is kept.
    async with service() as running:
        client = await running.connect()
        await client.send(upgrade() + text("Hello") + close_frame())
        assert 101 == (await client.answer()).status
        assert [Frame(TEXT, b"Hello"), closed(1000)] == await client.frames(2)
        await client.eof()
