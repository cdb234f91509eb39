"""The server behind nginx, which ends TLS as docs/nginx.conf tells it to."""

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from random import Random
from shutil import which
from typing import Any, Final

import pytest

from server.client import Refused, TlsFailed, connect
from server.command.running import Exit

from ..conftest import clean_environment, require
from ..rawclient import upgrade
from .nginx import behind_nginx
from .site import Site
from .tls_clients import Open, open_ours, open_websockets, open_ws

pytestmark = pytest.mark.real

CLIENTS: Final[dict[str, Open]] = {"ours": open_ours, "websockets": open_websockets, "ws": open_ws}
each_client = pytest.mark.parametrize("open_client", CLIENTS.values(), ids=CLIENTS)

LIMIT: Final = 16 << 20
FOREIGN: Final = "Gr\u00fc\u00dfe, \u4e16\u754c \U0001f600"
AWAY: Final = (1001, "the server is going away")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests that end nothing."""
    flags = ("--max-message-size", "16MiB", "--byte-rate", "0", "--allowed-origins", "https://friend.example")
    with behind_nginx(tmp_path_factory.mktemp("nginx"), *flags) as running:
        yield running


@each_client
async def test_every_kind_of_message_comes_back_compressed(site: Site, open_client: Open) -> None:
    async with open_client(site, "/echo") as client:
        assert (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover" == client.extensions
        )
        for message in ("", b"", FOREIGN, bytes(range(256)), FOREIGN * 10_000, b"\x00\xff" * 100_000):
            await client.send(message)
            assert message == await client.receive()


@each_client
async def test_16_mib_come_back_and_an_octet_more_is_closed_with_1009(site: Site, open_client: Open) -> None:
    async with open_client(site, "/echo") as client:
        # Nothing is gained by compressing it, and it is not to be printed where it differs.
        message = Random(16).randbytes(LIMIT)
        await client.send(message)
        assert hash(message) == hash(await client.receive())
        await client.send(message + b"x")
        code, _ = await client.closed()
        assert 1009 == code


@each_client
async def test_close_of_the_client_comes_to_the_server_and_its_answer_back(
    site: Site, open_client: Open
) -> None:
    for code, reason in ((1000, ""), (1001, "bye"), (3000, FOREIGN), (4999, "x" * 123)):
        async with open_client(site, "/echo") as client:
            await client.close(code, reason)
            assert (code, "") == await client.closed()


async def test_pings_come_back(site: Site) -> None:
    async with connect(site.uri("/echo"), ssl=site.ssl) as connection:
        await asyncio.gather(connection.ping(), connection.ping())


async def test_one_room_holds_clients_behind_nginx_and_others(site: Site) -> None:
    direct = connect(f"ws://localhost:{site.server.port}/ws")
    async with connect(site.uri("/ws"), ssl=site.ssl) as behind, direct as before:
        clients = (behind, before)
        for members, client in enumerate(clients, 1):
            assert "welcome" == json.loads(await anext(client))["type"]
            await client.send(json.dumps({"action": "join", "room": "kitchen"}))
            joined = json.loads(await anext(client))
            assert ("joined", members) == (joined["type"], joined["members"])
        for offset, client in enumerate(clients, 1):
            await client.send(json.dumps({"action": "message", "room": "kitchen", "message": FOREIGN}))
            heard: list[Any] = [json.loads(await anext(each)) for each in clients]
            assert heard[0] == heard[1]
            assert (FOREIGN, offset) == (heard[0]["message"], heard[0]["offset"])


@pytest.mark.parametrize("path", ["/", "/client.js", "/healthz"])
async def test_plain_requests_are_answered(site: Site, path: str) -> None:
    def get(url: str) -> tuple[int, str, bytes]:
        with urllib.request.urlopen(url, context=site.ssl if url.startswith("https") else None) as response:
            return response.status, response.headers["Content-Type"], response.read()

    direct = get(f"http://localhost:{site.server.port}{path}")
    assert 200 == direct[0]
    assert direct == get(f"https://localhost:{site.port}{path}")


ORIGINS: Final = (
    # Host, Origin, status; {port} is that of nginx.
    ("localhost:{port}", "https://localhost:{port}", 101),
    ("LOCALHOST:{port}", "https://localhost:{port}", 101),
    # A browser doesn't write the scheme's own port.
    ("localhost", "https://localhost", 101),
    ("localhost:{port}", "https://friend.example", 101),
    # Whatever the request says of itself, it came by TLS, and a page without TLS is of another origin.
    ("localhost:{port}", "http://localhost:{port}", 403),
    ("localhost:{port}", "https://localhost", 403),
    ("localhost:{port}", "https://localhost:1{port}", 403),
    ("localhost:{port}", "https://stranger.example", 403),
    ("localhost:{port}", "https://localhost.stranger.example:{port}", 403),
    ("localhost:{port}", "null", 403),
    ("stranger.example", "https://stranger.example", 421),
)


@pytest.mark.parametrize(("host", "origin", "status"), ORIGINS)
async def test_pages_of_the_same_host_and_port_may_connect_and_no_others(
    site: Site, host: str, origin: str, status: int
) -> None:
    fields = (f"Host: {host}", f"Origin: {origin}", "X-Forwarded-Proto: http")
    reader, writer = await asyncio.open_connection("localhost", site.port, ssl=site.ssl)
    writer.write(upgrade("/echo", *(field.format(port=site.port) for field in fields)))
    line = await reader.readline()
    writer.transport.abort()
    assert f"HTTP/1.1 {status} " == line[:13].decode()


@pytest.mark.parametrize(("version", "is_spoken"), [("1", 0), ("1_1", 0), ("1_2", 1), ("1_3", 1)])
def test_only_versions_of_tls_that_hold_are_spoken(site: Site, version: str, is_spoken: int) -> None:
    # Python's own client has given up the old ones.
    openssl = which("openssl")
    require(openssl, "needs openssl")
    address = f"localhost:{site.port}"
    done = subprocess.run(
        [str(openssl), "s_client", "-connect", address, f"-tls{version}", "-cipher", "ALL@SECLEVEL=0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert is_spoken == done.stdout.count(b"BEGIN CERTIFICATE")


async def test_command_connects_where_it_is_told_whom_to_trust(site: Site) -> None:
    async def run(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "server", "connect"),
            *arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
        )
        output, _ = await process.communicate(FOREIGN.encode())
        return process.returncode, output.decode()

    assert (Exit.CLOSED, f"{FOREIGN}\n") == await run("--cafile", site.certificate, site.uri("/echo"))
    assert (Exit.NOT_CONNECTED, "") == await run(site.uri("/echo"))
    with pytest.raises(TlsFailed):
        await connect(site.uri("/echo"))


async def test_clients_hear_1001_when_the_server_stops_and_then_502(tmp_path: Path) -> None:
    with behind_nginx(tmp_path) as site:
        async with (
            open_ours(site, "/echo") as ours,
            open_websockets(site, "/echo") as theirs,
            open_ws(site, "/echo") as nodes,
        ):
            site.server.process.send_signal(signal.SIGTERM)
            endings = [await client.closed() for client in (ours, theirs, nodes)]
            # Behind the reason each is told when to come back.
            assert [AWAY] * 3 == [(code, reason.split(";")[0]) for code, reason in endings]
        assert 0 == site.server.wait()
        with pytest.raises(Refused) as caught:
            await connect(site.uri("/echo"), ssl=site.ssl)
        assert (502, True) == (caught.value.status, caught.value.is_temporary)
