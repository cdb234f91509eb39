"""Forwarded: who the client is by a trusted proxy's word, and that nobody else's is taken."""

from contextlib import suppress
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rfc6455 import Headers
from server.forwarded import Client, ForwardedError, TrustedProxies, parse_forwarded, parse_node
from tests.conftest import Serve, eventually
from tests.rawclient import Answer, RawClient, get, upgrade

PROXIES = TrustedProxies((ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))
HERE: dict[str, Any] = {"trusted_proxies": (ip_network("127.0.0.0/30"),)}


def client(*fields: tuple[str, str]) -> Client:
    return PROXIES.client(Headers(fields))


@pytest.mark.parametrize(
    ("address", "is_trusted"),
    [
        ("10.0.0.0", True),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("9.255.255.255", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("::1", False),
        ("", False),
        ("_hidden", False),
        ("fe80::1%eth0", False),
    ],
)
def test_trusted_is_who_is_in_a_network(address: str, is_trusted: bool) -> None:
    assert is_trusted == (address in PROXIES)
    assert address not in TrustedProxies(())


# X-Forwarded-For.


@pytest.mark.parametrize(
    ("values", "address"),
    [
        (["192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1:4711"], "192.0.2.1"),
        (["::1"], "::1"),
        (["[::1]"], "::1"),
        (["[::1]:4711"], "::1"),
        (["2001:DB9:0::1"], "2001:db9::1"),
        (["::ffff:192.0.2.1"], "192.0.2.1"),
        # The right-most that isn't trusted, whatever stands left of it.
        (["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
        (["198.51.100.9,192.0.2.1,10.0.0.7"], "192.0.2.1"),
        (["198.51.100.9, 192.0.2.1 ,\t10.0.0.7 , 2001:db8::7"], "192.0.2.1"),
        (["<script>, 192.0.2.1"], "192.0.2.1"),
        # Several fields are one list, in their order (9110 5.3).
        (["198.51.100.9", "192.0.2.1", "10.0.0.7"], "192.0.2.1"),
        # All are proxies: the one that nobody stood before.
        (["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        # 9110 5.6.1.2: empty members.
        ([", ,192.0.2.1,,10.0.0.7,"], "192.0.2.1"),
        ([""], None),
        ([], None),
        (["unknown"], ""),
        (["198.51.100.9, unknown, 10.0.0.7"], ""),
        (["_hidden, 10.0.0.7"], "_hidden"),
    ],
)
def test_client_is_the_right_most_hop_that_is_not_trusted(values: list[str], address: str | None) -> None:
    assert Client(address) == client(*[("X-Forwarded-For", value) for value in values])
    assert Client(address) == client(*[("x-forwarded-for", value) for value in values])


@pytest.mark.parametrize(
    "value",
    [
        "192.0.2",
        "192.0.2.256",
        "192.0.2.01",
        "192.0.2.1:",
        "192.0.2.1:123456",
        "192.0.2.1:x",
        "[192.0.2.1]",
        "[::1",
        "::1]",
        "[::g]",
        ":::",
        "fe80::1%eth0",
        "localhost",
        "192.0.2.1 10.0.0.1",
        '"192.0.2.1"',
        "_",
        "_a b",
        "192.0.2.1\u0665",
        "for=192.0.2.1",
    ],
)
def test_hop_that_is_read_must_be_an_address(value: str) -> None:
    with pytest.raises(ForwardedError):
        client(("X-Forwarded-For", f"{value}, 10.0.0.7"))


def test_scheme_and_host_are_taken() -> None:
    fields = ("X-Forwarded-Proto", "HTTPS"), ("X-Forwarded-Host", "Chat.example.com:8443")
    assert Client(None, "https", "Chat.example.com:8443") == client(*fields)


@pytest.mark.parametrize(
    "fields",
    [
        [("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "https")],
        [("X-Forwarded-Host", "a.example"), ("X-Forwarded-Host", "b.example")],
        [("X-Forwarded-Proto", "https, http")],
        [("X-Forwarded-Proto", "gopher")],
        [("X-Forwarded-Proto", "")],
        [("X-Forwarded-Host", "a.example, b.example")],
        [("X-Forwarded-Host", "a/b")],
        [("X-Forwarded-Host", "")],
        [("X-Forwarded-Host", "a:b")],
        [("X-Forwarded-Host", "a:123456")],
    ],
)
def test_scheme_and_host_are_one_and_well_formed(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(ForwardedError):
        client(*fields)


# Forwarded.


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["for=192.0.2.1"], Client("192.0.2.1")),
        (["For=192.0.2.1;Proto=HTTPS;Host=a.example"], Client("192.0.2.1", "https", "a.example")),
        (['for="[2001:db9::1]:4711"'], Client("2001:db9::1")),
        (['for="192.0.2.1:4711"; host="a.example:8443"'], Client("192.0.2.1", None, "a.example:8443")),
        (['for="_a"'], Client("_a")),
        (['for="unknown:_port"'], Client("")),
        (['for="192.0.\\2.1"'], Client("192.0.2.1")),
        # What the proxy says that the client itself came to: not what others say left and right of it.
        (
            ["for=198.51.100.9;proto=ftp, for=192.0.2.1;proto=https ,for=10.0.0.7;proto=http"],
            Client("192.0.2.1", "https"),
        ),
        (["for=198.51.100.9", "for=192.0.2.1", "for=10.0.0.7"], Client("192.0.2.1")),
        (["for=10.0.0.1,for=10.0.0.2"], Client("10.0.0.1")),
        (["by=10.0.0.1;proto=https"], Client(None, "https")),
        (["for=10.0.0.7;by=10.0.0.1, by=_b"], Client(None)),
        (['x="a,b;c=d";for=192.0.2.1'], Client("192.0.2.1")),
        ([""], Client()),
        ([" ,;, "], Client()),
        ([";for=192.0.2.1;;"], Client("192.0.2.1")),
    ],
)
def test_forwarded_is_read_by_rfc_7239(values: list[str], expected: Client) -> None:
    assert expected == client(*[("Forwarded", value) for value in values])


@pytest.mark.parametrize(
    "value",
    [
        "192.0.2.1",
        "for",
        "for=",
        "=192.0.2.1",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "for=192.0.2.1:80",
        "for=[::1]",
        'for="192.0.2.1',
        'for="192.0.2.1"x',
        'for="192.0.2.1\\"',
        "for=192.0.2.1 proto=https",
        "for=192.0.2.1;for=192.0.2.2",
        "for=192.0.2.1;proto=gopher",
        'for=192.0.2.1;host="a b"',
        'for="2001:db9::1"x',
    ],
)
def test_malformed_forwarded_is_refused(value: str) -> None:
    with pytest.raises(ForwardedError):
        client(("Forwarded", value))


def test_both_must_say_the_same() -> None:
    same = ("Forwarded", "for=192.0.2.1;proto=https"), ("X-Forwarded-For", "192.0.2.1, 10.0.0.7")
    assert Client("192.0.2.1", "https", "a") == client(*same, ("X-Forwarded-Host", "a"))
    for other in (("X-Forwarded-For", "192.0.2.2"), ("X-Forwarded-Proto", "http")):
        with pytest.raises(ForwardedError, match="differ"):
            client(same[0], other)


# Whatever a proxy may write.

VALUES = st.text(st.sampled_from('for=;, "\\[]:.019af_unkow\tx'), max_size=60) | st.text(max_size=40)


@given(VALUES)
@example('for="' + "\\" * 57)
def test_any_field_is_understood_or_refused(value: str) -> None:
    for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"):
        try:
            found = client((name, value))
        except ForwardedError:
            continue
        assert found == Client(*found)


QUOTED = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20)
NAMES = st.text(st.sampled_from("abcXYZ-_!1"), min_size=1, max_size=5)


@given(st.lists(st.dictionaries(NAMES.map(str.lower), QUOTED, min_size=1, max_size=4), max_size=4))
def test_what_is_quoted_comes_back(elements: list[dict[str, str]]) -> None:
    def quote(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    pairs = [";".join(f"{name}={quote(value)}" for name, value in element.items()) for element in elements]
    assert elements == parse_forwarded(", ".join(pairs))


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6), st.none() | st.integers(0, 65535))
def test_every_address_is_read_with_and_without_a_port(address: Any, port: int | None) -> None:
    node = str(address) if address.version == 4 else f"[{address}]"
    expected = address.ipv4_mapped or address if address.version == 6 else address
    if address.version == 6 and address.scope_id is not None:
        return
    assert str(expected) == parse_node(node if port is None else f"{node}:{port}")


def test_time_is_linear_in_the_length() -> None:
    # Of the length that a head may have; a quadratic parser would take minutes.
    for value in ("for=a," * 3000, " " * 16_000, "a" * 16_000, 'for="' + "\\" * 16_000, "a=b;" * 4000):
        for name in ("Forwarded", "X-Forwarded-For"):
            with suppress(ForwardedError):
                client((name, value))


# In the server.


async def ask(connected: RawClient, request: bytes) -> Answer:
    await connected.send(request)
    return await connected.answer()


async def test_session_has_the_clients_address_from_a_trusted_proxy(service: Serve) -> None:
    async with service(**HERE) as running:
        proxy = await running.connect()
        await proxy.open("/echo", "X-Forwarded-For: 198.51.100.9, 192.0.2.1, 127.0.0.2")
        assert ["192.0.2.1"] == [session.address for session in running.sessions()]


async def test_proxy_that_says_nothing_is_the_client_itself(service: Serve) -> None:
    async with service(max_connections_per_address=1, **HERE) as running:
        # However many there are, until they ask for something.
        silent = [await running.connect() for _ in range(3)]
        await silent[0].open()
        assert ["127.0.0.1"] == [session.address for session in running.sessions()]
        assert 503 == (await ask(silent[1], upgrade())).status


async def test_word_of_any_other_is_not_taken(service: Serve) -> None:
    async with service(**HERE) as running:
        stranger = await running.connect(source="127.0.0.9")
        await stranger.open("/echo", "X-Forwarded-For: 192.0.2.1", "Forwarded: nonsense")
        assert ["127.0.0.9"] == [session.address for session in running.sessions()]


async def test_limit_of_an_address_is_for_the_client_behind_the_proxy(service: Serve) -> None:
    async with service(max_connections_per_address=2, **HERE) as running:
        for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
            await (await running.connect()).open("/echo", f"X-Forwarded-For: {address}")
        over = await running.connect()
        assert 503 == (await ask(over, upgrade("/echo", "X-Forwarded-For: 192.0.2.1"))).status
        await over.eof()
        over.close()
        await eventually(3, lambda: len(running.context.admission))


async def test_each_request_of_a_proxys_connection_has_its_own_client(service: Serve) -> None:
    async with service(max_connections_per_address=1, **HERE) as running:
        proxy = await running.connect()
        for address in ("192.0.2.1", "192.0.2.2"):
            assert 200 == (await ask(proxy, get("/healthz", f"X-Forwarded-For: {address}"))).status
        await (await running.connect()).open("/echo", "X-Forwarded-For: 192.0.2.1")
        assert 200 == (await ask(proxy, get("/healthz"))).status
        await proxy.open("/echo", "Forwarded: for=192.0.2.3")
        assert {"192.0.2.1", "192.0.2.3"} == {session.address for session in running.sessions()}


@pytest.mark.parametrize(
    "field",
    ["X-Forwarded-For: nonsense", "Forwarded: for", "X-Forwarded-Proto: gopher", "X-Forwarded-Host: a b"],
)
@pytest.mark.parametrize("make", [upgrade, get])
async def test_what_a_proxy_wrote_wrong_is_answered_with_400(field: str, make: Any, service: Serve) -> None:
    async with service(**HERE) as running:
        proxy = await running.connect()
        assert 400 == (await ask(proxy, make("/healthz", field))).status
        await proxy.eof()


@pytest.mark.parametrize(
    ("proto", "origin", "status"),
    [
        ("https", "https://localhost:8765", 101),
        ("https", "http://localhost:8765", 403),
        ("wss", "http://localhost:8765", 403),
        ("http", "http://localhost:8765", 101),
        # It is not known to be wrong: there may be a proxy more.
        ("http", "https://localhost:8765", 101),
    ],
)
async def test_page_that_came_without_tls_is_of_another_origin_behind_a_proxy_too(
    proto: str, origin: str, status: int, service: Serve
) -> None:
    async with service(**HERE) as running:
        proxy = await running.connect()
        request = upgrade("/echo", f"X-Forwarded-Proto: {proto}", f"Origin: {origin}")
        assert status == (await ask(proxy, request)).status


async def test_each_request_of_a_proxys_connection_has_its_own_scheme(service: Serve) -> None:
    # As of a proxy that writes the field only for those who came through TLS.
    async with service(**HERE) as running:
        proxy = await running.connect()
        assert 200 == (await ask(proxy, get("/healthz", "X-Forwarded-Proto: https"))).status
        assert 101 == (await ask(proxy, upgrade("/echo", "Origin: http://localhost:8765"))).status


async def test_forwarded_host_is_the_host(service: Serve) -> None:
    async with service(allowed_hosts=("chat.example",), **HERE) as running:
        fields = ("Host: upstream", "Origin: https://chat.example", "X-Forwarded-Proto: https")
        proxy = await running.connect()
        assert 421 == (await ask(proxy, upgrade("/echo", *fields))).status
        proxy = await running.connect()
        request = upgrade("/echo", *fields, "X-Forwarded-Host: chat.example")
        assert 101 == (await ask(proxy, request)).status
