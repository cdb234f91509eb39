"""A server that stands still cuts nobody for that: time in which it didn't read is nobody's silence."""

import asyncio
import json
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ServerProcess, eventually
from tests.faults.herd import over_tls
from tests.faults.visits import do
from tests.rawclient import CLOSE, PING, PONG, RawClient, close, frame, text, upgrade

CLIENTS: Final = 20
# Seconds of each timeout, and of the stall, in which all of them pass.
TIMEOUT: Final = 1.0
STALL: Final = 1.5
FLAGS: Final = (
    "--app=blocking",
    "--ping-interval=0.5",
    f"--pong-timeout={TIMEOUT}",
    f"--handshake-timeout={TIMEOUT}",
    f"--close-timeout={TIMEOUT}",
    # Each blocks in a call of the application.
    "--hook-timeout=60",
)

# Of a kilobyte each.
MESSAGES: Final = 50
NARROW: Final = ("--socket-send-buffer=4096", "--write-high-water=8192", "--write-low-water=1024")

Stall = Callable[[ServerProcess, RawClient], Awaitable[None]]
Start = Callable[..., ServerProcess]


async def stop_the_process(server: ServerProcess, client: RawClient) -> None:
    server.process.send_signal(signal.SIGSTOP)


async def block_the_loop(server: ServerProcess, client: RawClient) -> None:
    await client.send(text(json.dumps({"action": "block", "seconds": STALL})))


async def next_of(client: RawClient, opcode: int) -> bytes:
    while (received := await client.frame()).opcode != opcode:
        assert CLOSE != received.opcode, received
    return received.payload


async def answer_pings(client: RawClient) -> None:
    while True:
        received = await client.frame()
        assert CLOSE != received.opcode, received
        if received.opcode == PING:
            await client.send(frame(PONG, received.payload))
        elif b'"pong"' in received.payload:
            return


def find_application(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server find it in a folder of its own, in which no package of the checkout lies."""
    shutil.copy(Path(__file__).with_name("blocking.py"), folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("stall", [stop_the_process, block_the_loop])
async def test_nobody_is_cut_for_our_own_lag(
    start_server: Start, stall: Stall, loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_application(tmp_path, monkeypatch)
    server = start_server(*FLAGS, f"--loop={loop}")
    silent = [await server.connect() for _ in range(CLIENTS)]
    for client in silent:
        await client.open("/ws")
    asking, leaving, blocking = [await server.connect() for _ in range(3)]
    await blocking.open("/ws")
    await leaving.open("/echo")
    head = upgrade("/echo")
    # Each of them is awaited by the server when it stops, and answers before it goes on.
    pings = await asyncio.gather(*(next_of(client, PING) for client in silent))
    await asking.send(head[:20])
    await stall(server, blocking)
    for client, ping in zip(silent, pings, strict=True):
        await client.send(frame(PONG, ping))
    await asking.send(head[20:])
    await leaving.send(text("last words") + close())
    await asyncio.sleep(STALL)
    server.process.send_signal(signal.SIGCONT)
    assert 101 == (await asking.answer()).status
    assert b"last words" == await next_of(leaving, 1)
    for client in [*silent, blocking]:
        await client.send(text('{"action":"ping"}'))
    await asyncio.gather(*(answer_pings(client) for client in [*silent, blocking]))
    assert b'"error"' not in server.errors().encode()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("stall", [stop_the_process, block_the_loop])
async def test_nobody_is_too_slow_for_what_we_did_not_write(
    start_server: Start, stall: Stall, loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_application(tmp_path, monkeypatch)
    server = start_server(*FLAGS, *NARROW, f"--loop={loop}", f"--max-queue-seconds={TIMEOUT}")
    slow = await RawClient.connect(("127.0.0.1", server.port), receive_buffer=4096)
    await slow.open("/ws")
    await slow.send(do("join", room="a"))
    await slow.frames(2)
    speaker, blocking = await server.connect(), await server.connect()
    for client in (speaker, blocking):
        await client.open("/ws")
        await client.frame()
    # More than it is written before it reads: the rest waits in the server.
    for number in range(MESSAGES):
        await speaker.send(do("message", room="a", message=str(number).ljust(1000), ref=number))
    await speaker.frames(MESSAGES)
    await speaker.send(do("message", room="a", message="in the same turn"))
    await stall(server, blocking)
    await speaker.send(do("message", room="a", message="meanwhile"))
    await asyncio.sleep(STALL)
    server.process.send_signal(signal.SIGCONT)
    heard = [json.loads((await slow.frame()).payload)["message"].strip() for _ in range(MESSAGES + 2)]
    assert [*map(str, range(MESSAGES)), "in the same turn", "meanwhile"] == heard
    slow.close()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_no_handshake_of_tls_is_late_for_what_we_did_not_read(
    start_server: Start, loop: str, tmp_path: Path
) -> None:
    secure, trusting = over_tls(tmp_path)
    server = start_server(*secure, f"--handshake-timeout={TIMEOUT}", f"--loop={loop}")
    base = server.descriptors()
    # Few, for behind the stall they still have to be done in that time.
    connected = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(4)]
    await eventually(base + len(connected), server.descriptors)
    server.process.send_signal(signal.SIGSTOP)
    opening = [
        asyncio.create_task(asyncio.open_connection(sock=one, ssl=trusting, server_hostname="localhost"))
        for one in connected
    ]
    await asyncio.sleep(STALL)
    server.process.send_signal(signal.SIGCONT)
    for reader, writer in await asyncio.gather(*opening):
        writer.write(upgrade())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.transport.abort()
