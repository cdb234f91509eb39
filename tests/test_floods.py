"""Floods of each kind, under the default settings: each ends by its rule, and nothing piles up."""

import asyncio
import json
import sys
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest

from server.service import Service
from server.settings import Settings

from .conftest import NO_RATES
from .faketransport import FakeTransport
from .provocations import Clock, told
from .rawclient import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, frame, text

MIB = 1 << 20
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"
READ = 1 << 12


def opened(path: str = "/echo", *fields: str, **settings: int) -> FakeTransport:
    Clock()
    transport = FakeTransport(Service(Settings(**settings)))  # type: ignore[arg-type]  # all are ints
    transport.open(path, *fields)
    return transport


def reads(data: bytes) -> Iterator[bytes]:
    return (data[at : at + READ] for at in range(0, len(data), READ))


def bomb(size: int) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(bytes(size)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


FLOODS = {
    "messages": (text("a"), b"too many messages a second"),
    "empty messages": (text(""), b"too many messages a second"),
    "pings": (frame(PING, b"a"), b"too many frames a second"),
    "empty pongs": (frame(PONG), b"too many frames a second"),
    "empty fragments": (frame(CONTINUATION, fin=False), b"too many frames a second"),
    "fragments of an octet": (frame(CONTINUATION, b"a", fin=False), b"too many frames a second"),
    "octets": (frame(BINARY, bytes(MIB)), b"too many bytes a second"),
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_flood_ends_with_1008(kind: str) -> None:
    unit, reason = FLOODS[kind]
    transport = opened()
    if unit[0] & 0x0F == CONTINUATION:
        transport.receive(frame(TEXT, fin=False))
    for data in reads(unit * (100_000 if len(unit) < 100 else 20)):
        transport.receive(data)
        if transport.eof_written:
            break
    assert Frame(CLOSE, b"\x03\xf0" + reason) == transport.frames()[-1]


@pytest.mark.parametrize("payload", [b"", b"a"])
async def test_fragments_are_too_many_even_where_no_rate_holds(payload: bytes) -> None:
    transport = opened(**NO_RATES)
    transport.receive(frame(BINARY, payload, fin=False) + frame(CONTINUATION, payload, fin=False) * 4095)
    assert [] == transport.frames()
    transport.receive(frame(CONTINUATION, payload, fin=False))
    assert b"\x03\xf0" == transport.frames()[-1].payload[:2]


async def test_a_million_pings_to_who_reads_nothing_keep_one() -> None:
    transport = opened(**NO_RATES)
    transport.pause()
    some = frame(PING, b"0123456789") * 10_000
    transport.receive(some)
    before = sys.getallocatedblocks()
    for _ in range(100):
        transport.receive(some)
    assert sys.getallocatedblocks() - before < 100
    assert b"" == transport.take()
    transport.resume()
    await asyncio.sleep(0)
    assert [Frame(PONG, b"0123456789")] == transport.frames()


@pytest.mark.parametrize("is_fragmented", [False, True])
async def test_what_inflates_to_a_thousand_times_its_size_ends_at_the_limit(is_fragmented: bool) -> None:
    transport = opened("/echo", DEFLATE)
    sent = frame(BINARY, bomb(256 * MIB), rsv1=True, fin=not is_fragmented)
    assert len(sent) < MIB
    tracemalloc.start()
    try:
        for data in reads(sent):
            transport.receive(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert b"\x03\xf1" == transport.frames()[-1].payload[:2]
    assert peak < 4 * MIB


@pytest.mark.parametrize(
    "hostile",
    [
        "[" * 500_000 + "]" * 500_000,
        '{"action":"message","room":"r","message":' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
        '{"action":"ping",' + ",".join(f'"{number:x}":1' for number in range(100_000)) + "}",
        json.dumps({"action": "message", "room": "r", "message": [[]] * 100_000}),
    ],
    ids=["arrays", "objects", "names", "many arrays"],
)
async def test_json_that_is_too_much_is_refused_and_the_session_goes_on(hostile: str) -> None:
    transport = opened("/ws")
    transport.receive(text(hostile))
    transport.receive(text('{"action":"ping"}'))
    error, pong = told(transport.frames())
    assert ("too_complex", "pong") == (error["code"], pong["type"])
