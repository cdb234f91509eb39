"""Clients that send an octet now and then, or none: each phase has its deadline, which no octet extends."""

import asyncio
from itertools import cycle
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.conftest import NARROW, Serve, eventually
from tests.rawclient import CLOSE, TEXT, RawClient, close, frame, get, upgrade
from tests.rawserver import write_certificate

CLIENTS: Final = 50
# Long enough for all of them to get to where they stop.
DEADLINES: Final = {"handshake_timeout": 0.5, "close_timeout": 0.5}
# The record of a ClientHello, which is to have 512 octets.
HELLO: Final = bytes.fromhex("1603010200 010001fc 0303") + bytes(400)


class Phase(NamedTuple):
    """A client sends `before` at once and `then` octet by octet; what it is told begins so."""

    before: bytes
    then: bytes
    told: bytes
    over_tls: bool = False


def answer(status: int) -> bytes:
    return b"HTTP/1.1 %d " % status


PHASES: Final = {
    "nothing": Phase(b"", b"", b""),
    "a plain head": Phase(b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 999, answer(408)),
    "a handshake": Phase(b"", upgrade("/ws", "X: " + "a" * 999), answer(408)),
    "a field that never ends": Phase(upgrade()[:-2] + b"X: ", b"a" * 999, answer(408)),
    "a body": Phase(get("/", "Content-Length: 999", method="POST"), b"a" * 999, answer(408)),
    "a chunked body": Phase(
        get("/", "Transfer-Encoding: chunked", method="POST"), b"1\r\na\r\n", answer(408)
    ),
    "nothing after an answer": Phase(get("/healthz"), b"", answer(200)),
    "more after a refusal": Phase(upgrade("/none"), b"a" * 999, answer(404)),
    "more after its Close": Phase(upgrade("/echo") + close(), b"a" * 999, answer(101)),
    "more after a broken rule": Phase(upgrade("/echo") + frame(3), b"a" * 999, answer(101)),
    "no TLS at all": Phase(b"", b"", b"", over_tls=True),
    "half a ClientHello": Phase(HELLO[:100], HELLO[100:], b"", over_tls=True),
}


async def trickle(client: RawClient, phase: Phase) -> bytes:
    """Send until the server wants no more, and return what it said."""

    async def send() -> None:
        await client.send(phase.before)
        for octet in cycle(phase.then):
            await client.send(bytes([octet]))
            await asyncio.sleep(0.01)

    sending = asyncio.ensure_future(send())
    said = await client.rest()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    client.close()
    return said


@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)
async def test_every_phase_ends_at_its_deadline(service: Serve, tmp_path: Path, phase: Phase) -> None:
    settings: dict[str, Any] = dict(DEADLINES)
    if phase.over_tls:
        settings |= {"tls_certificate": write_certificate(tmp_path), "tls_key": str(tmp_path / "key.pem")}
    async with service(**settings) as running:
        clients = [await running.connect() for _ in range(CLIENTS)]
        for said in await asyncio.gather(*(trickle(client, phase) for client in clients)):
            assert said.startswith(phase.told)
            assert bool(said) == bool(phase.told)
        await eventually(0, lambda: len(running.context.connections) + len(running.context.closings))


async def test_whoever_answers_no_close_is_cut_off_though_it_sends_on(service: Serve) -> None:
    async with service(**DEADLINES) as running:
        clients = [await running.open() for _ in range(CLIENTS)]
        for session in running.sessions():
            session.close(4000)
        for client in clients:
            assert CLOSE == (await client.frame()).opcode
        # Messages behind our Close are read, and no octet of them is a reason to wait on.
        letter = Phase(b"", frame(TEXT, b"a"), b"")
        assert [b""] * CLIENTS == await asyncio.gather(*(trickle(client, letter) for client in clients))


@pytest.mark.parametrize("size", [3, 500], ids=["head", "payload"])
async def test_whoever_stops_within_a_frame_is_given_up(service: Serve, size: int) -> None:
    async with service(**DEADLINES, ping_interval=0.5, pong_timeout=0.25) as running:
        clients = [await running.open() for _ in range(CLIENTS)]
        for client in clients:
            await client.send(frame(TEXT, bytes(1000))[:size])
        for client in clients:
            # Behind the Ping that it didn't answer.
            assert b"no pong in time" in await client.rest()
            client.close()


async def test_whoever_reads_no_answer_is_cut_off(service: Serve) -> None:
    async with service(**NARROW, **DEADLINES) as running:
        clients = [await running.connect(receive_buffer=4096) for _ in range(CLIENTS)]
        for client in clients:
            await client.send(get("/client.js"))
        await eventually(CLIENTS, lambda: running.context.traffic.requests.get("200", 0))
        await eventually(0, lambda: len(running.context.connections) + len(running.context.closings))


async def test_whoever_reads_no_echo_is_given_up(service: Serve) -> None:
    async with service(**NARROW, **DEADLINES, ping_interval=0.5, pong_timeout=0.25) as running:
        clients = [await running.open(receive_buffer=4096) for _ in range(CLIENTS)]
        for client in clients:
            await client.send(frame(TEXT, b"a" * 50_000))
        await eventually(CLIENTS, lambda: running.context.traffic.unanswered)
        await eventually(0, lambda: len(running.context.connections) + len(running.context.closings))
