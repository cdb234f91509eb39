"""The PROXY protocol: every header whole, octet by octet and cut in two, and nothing of what follows it."""

import asyncio
import socket
import ssl
import struct
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.proxy_protocol import MAX_V1, MAX_V2, ProxyHeader, ProxyProtocolError, crc32c
from tests.conftest import Serve, eventually
from tests.rawclient import RawClient, get, upgrade
from tests.rawserver import CERTIFICATE, write_certificate

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
BEHIND = b"GET / HTTP/1.1\r\n\r\n\n"
INET = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.9") + b"\x11\x11\x01\xbb"
INET6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") * 2 + b"\x11\x11\x01\xbb"
UNIX = b"/run/x".ljust(108, b"\0") * 2

HERE: dict[str, Any] = {"trusted_proxies": (ip_network("127.0.0.1"),), "proxy_protocol": True}


def v2(body: bytes, *, command: int = 0x21, family: int = 0x11, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return SIGNATURE + struct.pack("!BBH", command, family, size) + body


def addition(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def with_checksum(body: bytes, behind: bytes = b"") -> bytes:
    unsigned = v2(body + addition(3, bytes(4)) + behind)
    checksum = struct.pack("!I", crc32c(unsigned))
    return v2(body + addition(3, checksum) + behind)


LONGEST = b"PROXY TCP6 " + b" ".join([b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] * 2) + b" 65535 65535\r\n"
GOOD = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.9 4711 443\r\n", "192.0.2.1"),
    (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 65535\r\n", "0.0.0.0"),
    (b"PROXY TCP6 2001:DB8::1 ::1 4711 443\r\n", "2001:db8::1"),
    (LONGEST, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN whatever \x00\xff stands here\r\n", None),
    (b"PROXY UNKNOWN ".ljust(MAX_V1 - 2, b"x") + b"\r\n", None),
    (v2(INET), "192.0.2.1"),
    (v2(INET6, family=0x21), "2001:db8::1"),
    (v2(UNIX, family=0x31), None),
    (v2(b"", family=0), None),
    # A datagram's, which names nobody here.
    (v2(INET, family=0x12), None),
    # The proxy's own connection: nothing behind it is read.
    (v2(b"", command=0x20, family=0), None),
    (v2(INET, command=0x20), None),
    (v2(b"junk", command=0x20, family=0xFF), None),
    (v2(INET + addition(4, b"") + addition(0x20, b"\1" * 300)), "192.0.2.1"),
    (v2(INET + addition(4, bytes(MAX_V2 - 16 - 12 - 3))), "192.0.2.1"),
    (with_checksum(INET), "192.0.2.1"),
    (with_checksum(INET + addition(1, b"http/1.1"), addition(2, b"localhost")), "192.0.2.1"),
]
BAD = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"proxy TCP4 192.0.2.1 192.0.2.9 4711 443\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 4711 443\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 4711\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 4711 443 \r\n",
    b"PROXY TCP4  192.0.2.1 192.0.2.9 4711 443\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 04711 443\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 65536 443\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 -1 443\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 \xb2 443\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 1" + b"0" * 60 + b" 443\r\n",
    b"PROXY TCP4 192.0.2.01 192.0.2.9 4711 443\r\n",
    b"PROXY TCP4 2001:db8::1 ::1 4711 443\r\n",
    b"PROXY TCP6 192.0.2.1 192.0.2.9 4711 443\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 4711 443\r\n",
    b"PROXY TCP5 192.0.2.1 192.0.2.9 4711 443\r\n",
    b"PROXY \r\n",
    b"PROXY TCP4\r\n",
    b"PROXY UNKNOWN ".ljust(MAX_V1 - 1, b"x") + b"\r\n",
    b"PROXY UNKNOWN ".ljust(MAX_V1, b"x"),
    SIGNATURE[:-1] + b"\r",
    v2(INET, command=0x11),
    v2(INET, command=0x22),
    v2(INET, family=0x13),
    v2(INET, family=0x41),
    v2(INET[:-1]),
    v2(INET6[:-1], family=0x21),
    v2(UNIX[:-1], family=0x31),
    v2(INET + b"\4"),
    v2(INET + b"\4\0"),
    v2(INET + b"\4\0\1"),
    v2(INET + addition(4, bytes(MAX_V2 - 16 - 12 - 2))),
    v2(b"", length=0xFFFF),
    v2(INET + addition(3, bytes(4))),
    v2(INET + addition(3, b"")),
    with_checksum(INET).replace(b"\x01\xbb", b"\x01\xbc"),
]


def read(*parts: bytes) -> ProxyHeader:
    """Feed parts; each octet that wasn't the header's comes first in the next."""
    header = ProxyHeader()
    waiting = b""
    for part in parts:
        waiting += part
        if waiting and not header.is_complete:
            taken = header.feed(waiting)
            assert taken > 0
            waiting = waiting[taken:]
    if header.is_complete:
        assert waiting == b"" or b"".join(parts).endswith(waiting)
    return header


def cuts(data: bytes) -> list[list[bytes]]:
    octets = [data[place : place + 1] for place in range(len(data))]
    halves = [[data[:place], data[place:]] for place in range(1, min(len(data), 300))]
    return [[data], octets, *halves]


@pytest.mark.parametrize(("data", "source"), GOOD)
def test_header_names_the_source_however_it_is_cut(data: bytes, source: str | None) -> None:
    assert len(data) <= MAX_V2
    for parts in cuts(data):
        header = read(*parts)
        assert (True, source) == (header.is_complete, header.source)
    # Whatever follows it is left alone.
    header = ProxyHeader()
    assert len(data) == header.feed(data + BEHIND)
    assert (True, source) == (header.is_complete, header.source)


@pytest.mark.parametrize(("data", "source"), GOOD)
def test_unfinished_header_is_waited_for(data: bytes, source: str | None) -> None:
    for end in range(1, len(data)):
        assert not read(data[:end]).is_complete


@pytest.mark.parametrize("data", BAD)
def test_anything_else_is_refused_however_it_is_cut(data: bytes) -> None:
    for parts in cuts(data):
        with pytest.raises(ProxyProtocolError):
            read(*parts)


def test_wrong_signature_is_refused_at_the_octet_that_shows_it() -> None:
    for data in (SIGNATURE, b"PROXY "):
        for place in range(len(data)):
            header = ProxyHeader()
            if place:
                header.feed(data[:place])
            with pytest.raises(ProxyProtocolError, match="signature"):
                header.feed(b"?")


def test_checksum_is_that_of_the_standard() -> None:
    assert 0xE3069283 == crc32c(b"123456789")


@given(st.binary(max_size=300), st.binary(max_size=40), st.sampled_from([b"", b"PROXY ", SIGNATURE]))
@example(b"\x21\x11\x00\x0c" + INET, b"", SIGNATURE)
def test_any_octets_are_a_header_or_refused_the_same_in_every_cut(
    data: bytes, behind: bytes, start: bytes
) -> None:
    def outcome(parts: list[bytes]) -> object:
        try:
            header = read(*parts)
        except ProxyProtocolError:
            return "refused"
        return header.is_complete, header.source

    whole = start + data + behind
    expected = outcome([whole])
    octets = [whole[place : place + 1] for place in range(len(whole))]
    assert expected == outcome(octets)
    assert expected == outcome([whole[: len(start)], whole[len(start) :]])


@given(st.ip_addresses(), st.integers(0, 65535), st.integers(0, 65535))
def test_every_address_comes_through_in_both_versions(address: Any, port: int, other: int) -> None:
    if address.version == 6 and address.scope_id is not None:
        return
    line = f"PROXY TCP{address.version} {address} {address} {port} {other}\r\n"
    body = address.packed * 2 + struct.pack("!HH", port, other)
    assert str(address) == read(line.encode()).source
    assert str(address) == read(v2(body, family=0x11 if address.version == 4 else 0x21)).source
    assert ip_address(str(address)) == address


# In the server: before HTTP and TLS, from trusted addresses, and from no other.

LINE = b"PROXY TCP4 192.0.2.1 192.0.2.9 4711 443\r\n"


@pytest.mark.parametrize("header", [LINE, v2(INET), with_checksum(INET)])
async def test_session_has_the_address_of_the_header(header: bytes, service: Serve) -> None:
    async with service(**HERE) as running:
        whole = await running.connect()
        await whole.send(header + upgrade())
        assert 101 == (await whole.answer()).status
        slow = await running.connect()
        for place in range(len(header)):
            await slow.send(header[place : place + 1])
        await slow.open()
        assert ["192.0.2.1"] * 2 == [session.address for session in running.sessions()]
        # It is the client's word from here on, and nobody trusts that.
        third = await running.connect()
        await third.send(header)
        await third.open("/echo", "X-Forwarded-For: 198.51.100.9")
        assert "192.0.2.1" == running.sessions()[-1].address


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2(b"", command=0x20)])
async def test_proxys_own_connection_is_the_proxys(header: bytes, service: Serve) -> None:
    async with service(**HERE) as running:
        client = await running.connect()
        await client.send(header)
        await client.open()
        assert ["127.0.0.1"] == [session.address for session in running.sessions()]
        client = await running.connect()
        await client.send(header)
        await client.open("/echo", "X-Forwarded-For: 192.0.2.1")
        assert "192.0.2.1" == running.sessions()[-1].address


@pytest.mark.parametrize("begun", [b"", get("/"), b"PROXY TCP4 192.0.2.1\r\n", LINE[:-1]])
async def test_connection_without_its_header_is_closed(begun: bytes, service: Serve) -> None:
    async with service(handshake_timeout=0.2, **HERE) as running:
        client = await running.connect()
        await client.send(begun)
        assert b"" == await client.rest()
        await eventually(1, lambda: running.context.traffic.turned_away)
        assert (0, 0) == (len(running.context.admission), len(running.context.handshakes))
        leaving = await running.connect()
        await leaving.send(begun)
        leaving.end_sending()
        assert b"" == await leaving.rest()
        reset = await running.connect()
        await reset.send(begun[:3])
        reset.reset()


async def test_header_of_a_stranger_is_no_request(service: Serve) -> None:
    async with service(**HERE) as running:
        stranger = await running.connect(source="127.0.0.9")
        await stranger.send(LINE + upgrade())
        assert 400 == (await stranger.answer()).status
        await stranger.eof()
        other = await running.connect(source="127.0.0.9")
        await other.open()
        assert ["127.0.0.9"] == [session.address for session in running.sessions()]


async def test_header_is_no_request_where_it_is_not_asked_for(service: Serve) -> None:
    async with service(trusted_proxies=HERE["trusted_proxies"]) as running:
        client = await running.connect()
        await client.send(LINE + upgrade())
        assert 400 == (await client.answer()).status
        await client.eof()


async def test_limit_of_an_address_is_for_the_one_in_the_header(service: Serve) -> None:
    async with service(max_connections_per_address=1, **HERE) as running:
        for address in (b"192.0.2.1", b"192.0.2.2"):
            client = await running.connect()
            await client.send(LINE.replace(b"192.0.2.1", address))
            await client.open()
        over = await running.connect()
        await over.send(LINE)
        assert 503 == (await over.answer()).status
        over.close()
        await eventually(2, lambda: len(running.context.admission))


async def test_header_comes_before_tls(service: Serve, tmp_path: Path) -> None:
    files = {"tls_certificate": write_certificate(tmp_path), "tls_key": str(tmp_path / "key.pem")}
    async with service(**files, **HERE) as running:
        connected = socket.create_connection(running.address)
        connected.setblocking(False)
        connected.send(LINE)
        trusting = ssl.create_default_context(cadata=CERTIFICATE)
        reader, writer = await asyncio.open_connection(
            sock=connected, ssl=trusting, server_hostname="localhost"
        )
        writer.write(upgrade())
        assert b"HTTP/1.1 101 Switching Protocols\r\n" == await reader.readline()
        assert ["192.0.2.1"] == [session.address for session in running.sessions()]
        writer.transport.abort()


async def test_header_is_asked_for_on_a_unix_socket(service: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "server.sock")
    async with service(unix=path, proxy_protocol=True) as running:
        client = await RawClient.connect_unix(path)
        await client.send(LINE)
        await client.open()
        assert ["192.0.2.1"] == [session.address for session in running.sessions()]
        client.close()


async def test_reading_of_headers_ends_with_the_server(service: Serve) -> None:
    async with service(drain_timeout=0.5, **HERE) as running:
        client = await running.connect()
        await client.send(LINE[:5])
        await eventually(1, lambda: len(running.context.admission))
        await running.service.stop()
        assert b"" == await client.rest()
