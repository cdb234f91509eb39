"""A client goes at each octet of a conversation, by reset or FIN: nothing stays, nothing is half heard."""

import json
import logging
import ssl
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Running, Serve, eventually
from tests.rawclient import CONTINUATION, PING, TEXT, RawClient, close, frame, get, text, upgrade
from tests.rawserver import CERTIFICATE, write_certificate

MESSAGE: Final = "said whole, or not at all. " * 3
DEFLATE: Final = "Sec-WebSocket-Extensions: permessage-deflate"
WITNESSES: Final = 1


def compressed(message: str) -> bytes:
    """Two fragments with a Ping between them."""
    compressor = zlib.compressobj(wbits=-15)
    octets = (compressor.compress(message.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    half = len(octets) // 2
    return (
        frame(TEXT, octets[:half], fin=False, rsv1=True)
        + frame(PING, b"between")
        + frame(CONTINUATION, octets[half:])
    )


def conversation(message: str) -> tuple[bytes, int]:
    """What a client sends, and where its message is complete."""
    before = get("/healthz") + upgrade("/ws", DEFLATE) + text('{"action":"join","room":"a"}')
    action = json.dumps({"action": "message", "room": "a", "message": message})
    said = before + compressed(action)
    return said + close(), len(said)


def go_with_a_reset(client: RawClient) -> None:
    client.reset()


def go_with_a_fin(client: RawClient) -> None:
    client.end_sending()


async def join_as_witness(running: Running) -> RawClient:
    witness = await running.open("/ws")
    await witness.send(text('{"action":"join","room":"a"}'))
    await witness.frames(2)
    return witness


async def hear(witness: RawClient) -> str:
    told = json.loads((await witness.frame()).payload)
    assert "message" == told["type"]
    return str(told["message"])


@pytest.mark.parametrize("go", [go_with_a_reset, go_with_a_fin])
async def test_whoever_goes_at_any_octet_leaves_nothing_behind(
    service: Serve, caplog: pytest.LogCaptureFixture, go: Callable[[RawClient], None]
) -> None:
    caplog.set_level(logging.INFO)
    async with service(history_messages=0) as running:
        witness = await join_as_witness(running)
        size = len(conversation(MESSAGE)[0])
        for offset in range(size + 1):
            octets, complete = conversation(MESSAGE)
            client = await running.connect()
            await client.send(octets[:offset])
            go(client)
            if offset >= complete:
                assert MESSAGE == await hear(witness)
            if go is go_with_a_fin:
                # All that was sent is answered, and then the connection ends.
                await client.rest()
                client.close()
        await eventually(WITNESSES, lambda: len(running.context.connections))
        assert WITNESSES == len(running.context.hub.registry)
        (room,) = running.context.hub.rooms
        assert WITNESSES == len(room.members)
        # Nobody was heard but those who said it all.
        await witness.send(text('{"action":"ping"}'))
        assert "pong" == json.loads((await witness.frame()).payload)["type"]
    assert [] == [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]


async def talk_over_tls(client: RawClient, octets: bytes, limit: int) -> bool:
    """Send the octets over TLS, until so many have left; tell whether that was all."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cadata=CERTIFICATE)
    talk = context.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def end() -> None:
        # It would wait for the other's end, with what still comes before it.
        with suppress(ssl.SSLWantReadError):
            talk.unwrap()

    steps: Iterator[Callable[[], object]] = iter((talk.do_handshake, lambda: talk.write(octets), end))
    step = next(steps)
    while True:
        try:
            step()
        except ssl.SSLWantReadError:
            is_done = False
        else:
            is_done = True
        leaving = outgoing.read()
        await client.send(leaving[:limit])
        limit -= len(leaving)
        if limit < 0:
            return False
        if not is_done:
            incoming.write(await client.receive_some())
            continue
        following = next(steps, None)
        if following is None:
            return True
        step = following


@pytest.mark.parametrize("go", [go_with_a_reset, go_with_a_fin])
async def test_whoever_goes_in_the_middle_of_tls_leaves_nothing_behind(
    service: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, go: Callable[[RawClient], None]
) -> None:
    caplog.set_level(logging.INFO)
    octets, _ = conversation(MESSAGE)
    tls = {"tls_certificate": write_certificate(tmp_path), "tls_key": str(tmp_path / "key.pem")}
    async with service(**tls, history_messages=0) as running:
        # A record's head is five octets long, so that each of these is met.
        for limit in count(0, 3):
            client = await running.connect()
            is_all = await talk_over_tls(client, octets, limit)
            go(client)
            if go is go_with_a_fin:
                await client.rest()
                client.close()
            if is_all:
                break
        await eventually(0, lambda: len(running.context.connections))
        assert [0] == [len(room.members) for room in running.context.hub.rooms]
    assert [] == [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
