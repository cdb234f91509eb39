"""Clients that send an octet now and then, or none: each phase has its deadline, which no octet extends.

Nor does it grow: what a client sends while something else is awaited is held to a bound.
"""

import asyncio
import ssl
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, final

import pytest

from rfc6455 import Request
from server.application import Application, Identity
from server.judgement import MAX_BEHIND
from tests.conftest import NARROW, Serve, eventually
from tests.rawclient import CLOSE, TEXT, RawClient, close, frame, get, upgrade
from tests.rawserver import CERTIFICATE, write_certificate
from tests.test_proxy_protocol import HERE, SIGNATURE

CLIENTS: Final = 50
# Of each phase of a server that sees all of them at once.
EACH: Final = 10
# Long enough for all of them to get to where they stop.
DEADLINES: Final = {"handshake_timeout": 0.5, "close_timeout": 0.5}
# Octets that a connection may hold: what is kept, and a read's worth before that and behind it.
MAX_HELD: Final = MAX_BEHIND + 2 * (256 << 10)
# The record of a ClientHello, which is to have 512 octets.
HELLO: Final = bytes.fromhex("1603010200 010001fc 0303") + bytes(400)
BINARY_LINE: Final = SIGNATURE + b"\x21\x11\x0f\xff"
LINE: Final = b"PROXY TCP4 192.0.2.1 192.0.2.9 4711 443\r\n"


def whole_hello() -> bytes:
    """Make a ClientHello that is answered."""
    outgoing = ssl.MemoryBIO()
    begun = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        begun.do_handshake()
    return outgoing.read()


class Phase(NamedTuple):
    """A client sends `before` at once and `then` octet by octet; what it is told begins so."""

    before: bytes
    then: bytes
    told: bytes
    # Whether the octets are sent within TLS.
    is_secret: bool = False


def answer(status: int) -> bytes:
    return b"HTTP/1.1 %d " % status


PLAIN: Final = {
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
    "nothing while it is judged": Phase(upgrade("/ws"), b"", answer(503)),
    "more while it is judged": Phase(upgrade("/ws"), frame(TEXT, b"a"), answer(503)),
    "plenty while it is judged": Phase(upgrade("/ws") + bytes(1 << 20), frame(TEXT, b"a"), answer(503)),
}
PROXIED: Final = {
    "nothing": Phase(b"", b"", b""),
    "a PROXY header": Phase(b"", b"PROXY UNKNOWN " + b"a" * 999, b""),
    "one in binary": Phase(b"", BINARY_LINE + bytes(999), b""),
    "the end of one in binary": Phase(BINARY_LINE + bytes(4000), bytes(999), b""),
    "a handshake behind it": Phase(LINE, upgrade("/ws"), answer(408)),
}
SECURE: Final = {
    "nothing": Phase(b"", b"", b""),
    "a ClientHello": Phase(b"", HELLO, b""),
    "half of one": Phase(HELLO[:100], HELLO[100:], b""),
    # The ServerHello is a handshake's record, and so is what then never gets to its 512 octets.
    "more behind one": Phase(whole_hello(), b"\x16\x03\x03\x02\0" + bytes(99), b"\x16\x03"),
    "a handshake": Phase(b"", upgrade("/ws", "X: " + "a" * 999), answer(408), is_secret=True),
    "more while it is judged": Phase(upgrade("/ws"), b"a", answer(503), is_secret=True),
    "more after its Close": Phase(upgrade("/echo") + close(), b"a" * 999, answer(101), is_secret=True),
}
SECURE_AND_PROXIED: Final = {
    "half a ClientHello": Phase(LINE + HELLO[:100], HELLO[100:], b""),
    "half a PROXY header": Phase(LINE[:9], b"a", b""),
}


@final
class SecureClient:
    """One connection over TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, address: tuple[str, int]) -> Self:
        trusting = ssl.create_default_context(cadata=CERTIFICATE)
        return cls(*await asyncio.open_connection(*address, ssl=trusting, server_hostname="localhost"))

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def rest(self) -> bytes:
        """Receive what still comes until the server ends the connection, one way or the other."""
        received = b""
        with suppress(OSError):
            while more := await self._reader.read(1 << 16):
                received += more
        return received

    def close(self) -> None:
        self._writer.transport.abort()


async def trickle(client: RawClient | SecureClient, phase: Phase) -> bytes:
    """Send until the server wants no more, and return what it said."""

    async def send() -> None:
        await client.send(phase.before)
        for octet in cycle(phase.then):
            await client.send(bytes([octet]))
            await asyncio.sleep(0.03)

    sending = asyncio.ensure_future(send())
    said = await client.rest()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    client.close()
    return said


app = Application()


@app.authenticate
async def judge(token: str | None, request: Request | None) -> Identity:
    if request is not None and request.path == "/ws":
        await asyncio.Event().wait()
    return Identity("anybody")


@pytest.mark.parametrize(
    ("phases", "is_secure", "is_proxied"),
    [(PLAIN, False, False), (PROXIED, False, True), (SECURE, True, False), (SECURE_AND_PROXIED, True, True)],
    ids=["plain", "proxied", "secure", "secure and proxied"],
)
async def test_every_phase_ends_at_its_deadline_and_holds_no_more_than_its_bound(
    service: Serve, tmp_path: Path, phases: dict[str, Phase], is_secure: bool, is_proxied: bool
) -> None:
    settings: dict[str, Any] = {**DEADLINES, "hook_timeout": 3600}
    if is_secure:
        # What is before the deadline, too, is the work of one busy process: all of these handshakes of TLS.
        settings |= {name: 4 * seconds for name, seconds in DEADLINES.items()}
        settings |= {"tls_certificate": write_certificate(tmp_path), "tls_key": str(tmp_path / "key.pem")}
    if is_proxied:
        settings |= HERE
    async with service(None, app, **settings) as running:

        async def enter(phase: Phase) -> bytes:
            connecting = SecureClient.connect(running.address) if phase.is_secret else running.connect()
            return await trickle(await connecting, phase)

        entering = {asyncio.create_task(enter(phases[name]), name=name) for name in [*phases] * EACH}
        pending = entering
        while pending:
            _, pending = await asyncio.wait(pending, timeout=0.01)
            assert all(one.octets_held() <= MAX_HELD for one in running.context.connections)
        for entered in entering:
            told, said = phases[entered.get_name()].told, entered.result()
            assert (told, bool(told)) == (said[: len(told)], bool(said)), entered.get_name()
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
