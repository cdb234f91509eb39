"""The acceptor: who is let in, and what becomes of the others, on both kinds of loops."""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from server.acceptor import MAX_PER_TURN
from server.client import connect
from tests.conftest import Running, Serve, ServerProcess, eventually
from tests.rawclient import RawClient, get, said, text, upgrade
from tests.rawserver import CERTIFICATE, write_certificate

# Descriptors that a process may have, and clients that come for them at once.
FEW: int = 80
MANY: int = 300

Start = Callable[..., ServerProcess]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    return {"tls_certificate": write_certificate(tmp_path), "tls_key": str(tmp_path / "key.pem")}


# The ordinary way.


async def test_small_writes_go_out_at_once(service: Serve) -> None:
    async with service() as running:
        client = await running.open()
        (session,) = running.sessions()
        accepted = session._transport.get_extra_info("socket")
        assert 1 == accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert "127.0.0.1" == session.address
        client.close()


async def test_more_than_a_turn_takes_all_get_in(service: Serve) -> None:
    async with service() as running:
        clients = await asyncio.gather(*[running.connect() for _ in range(3 * MAX_PER_TURN)])
        for client in clients:
            await client.open()
        assert len(clients) == len(running.sessions())


async def test_who_waits_in_the_queue_when_it_ends_is_refused(service: Serve) -> None:
    async with service() as running:
        address = running.address
        await running.service.stop()
        running.service.stop_now()
        with pytest.raises(ConnectionRefusedError):
            await RawClient.connect(address)


async def accept_last(running: Running) -> RawClient:
    """Have somebody wait in the queue who is accepted in the turn that accepts the last."""
    (acceptor,) = running.service._acceptors
    asyncio.get_running_loop().remove_reader(acceptor._listener.socket)
    return await running.connect()


async def test_who_is_accepted_in_the_turn_of_the_end_is_told(
    service: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service() as running:
        client = await accept_last(running)
        stop_accepting = running.service._stop_accepting

        def accept_and_stop() -> None:
            running.service._acceptors[0]._on_readable()
            stop_accepting()

        monkeypatch.setattr(running.service, "_stop_accepting", accept_and_stop)
        stopping = asyncio.create_task(running.service.stop())
        assert 503 == (await client.answer()).status
        client.close()
        await stopping
        assert 0 == len(running.context.admission)


@pytest.mark.parametrize("is_tls", [False, True])
async def test_who_is_accepted_in_the_turn_of_a_hurried_end_is_cut_off(
    is_tls: bool, service: Serve, files: dict[str, str]
) -> None:
    async with service(**files if is_tls else {}) as running:
        client = await accept_last(running)
        running.service._acceptors[0]._on_readable()
        running.service.stop_now()
        assert b"" == await client.rest()
        await running.service.stop()
        await eventually(0, lambda: len(running.context.admission))


# No room.


async def test_tls_is_begun_with_nobody_over_the_cap(service: Serve, files: dict[str, str]) -> None:
    async with service(max_connections=2, **files) as running:
        # Neither says a word; both hold their place.
        waiting = [await running.connect() for _ in range(2)]
        await eventually(2, lambda: len(running.context.admission))
        third = await running.connect()
        assert b"" == await third.rest()
        assert (1, 2) == (running.context.traffic.turned_away, len(running.context.handshakes))
        for client in waiting:
            client.close()
        await eventually(0, lambda: len(running.context.admission))
        trusting = ssl.create_default_context(cadata=CERTIFICATE)
        async with connect(f"wss://localhost:{running.address[1]}/echo", ssl=trusting) as connection:
            await connection.send("Hello")
            assert "Hello" == await anext(connection)


@pytest.mark.parametrize("said_first", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"])
async def test_tls_that_fails_leaves_nothing_behind(
    said_first: bytes, service: Serve, files: dict[str, str]
) -> None:
    async with service(handshake_timeout=0.2, **files) as running:
        for _ in range(3):
            client = await running.connect()
            await client.send(said_first)
            await client.rest()
        await eventually((0, 0), lambda: (len(running.context.admission), len(running.context.handshakes)))


async def test_time_for_tls_is_part_of_the_time_for_the_handshake(
    service: Serve, files: dict[str, str]
) -> None:
    async with service(**files) as running:
        now = asyncio.get_running_loop().time
        reader, writer = await asyncio.open_connection(
            *running.address, ssl=ssl.create_default_context(cadata=CERTIFICATE), server_hostname="localhost"
        )
        await eventually(1, lambda: len(running.context.connections))
        # As if TLS had taken all of it but for what is needed to see the difference.
        running.context.clock = lambda: now() + 9.9
        (connection,) = running.context.handshakes.expired(running.context.clock() + 0.2)
        connection.expire()
        assert b"" == await reader.read()
        writer.close()


async def test_tls_in_progress_ends_with_the_server(service: Serve, files: dict[str, str]) -> None:
    async with service(drain_timeout=0.5, **files) as running:
        client = await running.connect()
        await eventually(1, lambda: len(running.context.handshakes))
        await running.service.stop()
        assert b"" == await client.rest()


async def test_herd_is_let_in_as_far_as_there_is_time_for_it(
    service: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with service() as running:
        (acceptor,) = running.service._acceptors
        acceptor._herd._completed, acceptor._herd._busy = 10.0, 1.0
        # More than what is always let in, all at once, and none of them says anything.
        connected = [await running.connect() for _ in range(100)]
        await eventually(100, lambda: len(running.context.admission))
        loop = asyncio.get_running_loop()
        loop.remove_reader(acceptor._listener.socket)
        connected += [await running.connect() for _ in range(100)]
        acceptor._resume()
        await eventually(68, lambda: running.context.traffic.requests.get("503", 0))
        # The first turn was not behind.
        assert 100 + MAX_PER_TURN == len(running.context.admission)
        # Now nobody is left waiting: the loop keeps up, and whoever comes is let in.
        await (await running.connect()).open()
        answer = await connected[-1].answer()
        assert 503 == answer.status
        assert 1 <= int(answer.fields["retry-after"]) <= 5
        for client in connected:
            client.close()
    assert "more came at once than there is time for" in caplog.text


# No descriptors.


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("cap", ["1000", "0"])
async def test_server_without_descriptors_serves_whom_it_has_and_says_so_to_the_others(
    cap: str, loop: str, start_server: Start
) -> None:
    limited = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({FEW}, {FEW})); "
        "from server.__main__ import main; sys.exit(main())"
    )
    server = start_server("--loop", loop, "--max-connections", cap, python=["-W", "error", "-c", limited])
    inside = [await server.connect() for _ in range(10)]
    for client in inside:
        await client.open()

    async def echo() -> None:
        for client in inside:
            await client.send(text("Hello"))
            assert said("Hello") == await client.frame()

    loop_time = asyncio.get_running_loop().time
    started = loop_time()
    newcomers = [await server.connect() for _ in range(MANY)]
    await echo()
    statuses: dict[int, int] = {}
    opened = []
    for client in newcomers:
        try:
            await client.send(upgrade())
            answer = await client.answer()
        except (BrokenPipeError, ConnectionResetError):
            raise AssertionError("somebody was told nothing") from None
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        if answer.status == 101:
            opened.append(client)
        else:
            assert 1 <= int(answer.fields["retry-after"]) <= 5
            client.close()
        if len(statuses) % 50 == 0:
            await echo()
    await echo()
    assert MANY == sum(statuses.values())
    assert {101, 503} == set(statuses)
    assert FEW // 2 <= statuses[101] + len(inside) < FEW
    lines = [line for line in server.errors().splitlines() if "turned a connection away" in line]
    assert 1 <= len(lines) <= 1 + (loop_time() - started)

    # Recovery is at once.
    for client in opened:
        client.close()
    newcomer = await server.connect()
    await newcomer.send(get("/healthz"))
    status = (await newcomer.answer()).status
    while status == 503:
        newcomer = await server.connect()
        await newcomer.send(get("/healthz"))
        status = (await newcomer.answer()).status
    assert 200 == status
    assert [] == re.findall("Traceback|ERROR", server.errors())
