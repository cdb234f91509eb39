"""Several servers behind nginx or HAProxy: which of them a client comes to, and what none can ask them."""

import asyncio
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple, final

import pytest

from ..conftest import eventually
from ..rawclient import get, text, upgrade
from .haproxy import behind_haproxy
from .nginx import behind_nginx
from .site import Site

pytestmark = pytest.mark.real

CLIENTS: Final = 12
SERVERS: Final = 3
PROXIES: Final = {"nginx": behind_nginx, "haproxy": behind_haproxy}
each_proxy = pytest.mark.parametrize("proxy", PROXIES)
MARKS: Final = count()


class Ask(NamedTuple):
    """A request, and the address that it comes from."""

    path: str
    field: str = "Accept: */*"
    source: str = "127.0.0.1"


def by_parameter(number: int) -> Ask:
    return Ask(f"/echo?token=secret-{number}&affinity=room-{number}", f"Cookie: affinity={number % 2}")


def by_cookie(number: int) -> Ask:
    return Ask("/echo", f"Cookie: theme=dark; affinity=user-{number}")


def by_sockjs_session(number: int) -> Ask:
    # From any address, as a telephone's changes.
    return Ask(f"/sockjs/{number:03}/session-{number}/xhr_send", source=f"127.0.0.{number % 7 + 1}")


def by_address(number: int) -> Ask:
    return Ask("/socket.io/?EIO=4&transport=polling", source=f"127.0.1.{number + 1}")


KEYS: Final = (by_parameter, by_cookie, by_sockjs_session, by_address)


@final
class Client:
    """One client's requests, marked so that the proxy's log tells which server answered."""

    def __init__(self, site: Site, ask: Ask) -> None:
        self._site = site
        self._ask = ask

    async def home(self) -> int:
        """Make a request, and return the number of the server that answered it."""
        mark = f"request-{next(MARKS)}"
        await self.ask(mark)
        found: list[str] = []

        def is_logged() -> bool:
            found[:] = re.findall(
                rf'127\.0\.0\.1:(\d+) "{re.escape(mark)}"$', self._site.access_log.read_text(), re.MULTILINE
            )
            return len(found) == 1

        await eventually(True, is_logged)
        return [server.port for server in self._site.servers].index(int(found[0]))

    async def ask(self, mark: str) -> bytes:
        """Make a request, and return the answer."""
        reader, writer = await self._connect()
        writer.write(get(self._ask.path, self._ask.field, f"User-Agent: {mark}", "Connection: close"))
        answer = await reader.read()
        writer.transport.abort()
        return answer

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a WebSocket, in which what is sent comes back."""
        reader, writer = await self._connect()
        writer.write(upgrade(self._ask.path, self._ask.field))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        return reader, writer

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1",
            self._site.port,
            ssl=self._site.ssl,
            server_hostname="localhost",
            local_addr=(self._ask.source, 0),
        )


@pytest.fixture(scope="module", params=PROXIES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    token = folder / "token"
    token.write_text("0123456789abcdef")
    flags = ("--management-token", str(token))
    with PROXIES[request.param](folder, *flags, servers=SERVERS) as running:
        yield running


async def test_each_kind_of_client_comes_to_the_same_server_each_time(site: Site) -> None:
    clients = [Client(site, key(number)) for key in KEYS for number in range(CLIENTS)]
    first = await asyncio.gather(*(client.home() for client in clients))
    second = await asyncio.gather(*(client.home() for client in clients))
    assert first == second
    assert set(range(SERVERS)) == set(first)


@pytest.mark.parametrize("key", KEYS)
async def test_clients_of_one_kind_spread_over_the_servers(site: Site, key: Callable[[int], Ask]) -> None:
    homes = await asyncio.gather(*(Client(site, key(number)).home() for number in range(4 * CLIENTS)))
    assert set(range(SERVERS)) == set(homes)


async def test_those_who_name_the_same_affinity_meet_whatever_else_they_are(site: Site) -> None:
    asks = [
        Ask("/echo?affinity=kitchen"),
        Ask("/echo?token=x&affinity=kitchen", "Cookie: affinity=garden", "127.0.0.9"),
        Ask("/sockjs/001/abc/xhr?affinity=kitchen"),
        Ask("/?affinity=kitchen", source="127.0.0.3"),
    ]
    homes = await asyncio.gather(*(Client(site, ask).home() for ask in asks))
    assert 1 == len(set(homes))


LIES: Final = (
    "X-Forwarded-For: 203.0.113.9",
    "Forwarded: for=203.0.113.9;proto=http",
    "X-Forwarded-Host: stranger.example",
)


@pytest.mark.parametrize("lie", LIES)
async def test_servers_know_a_client_by_its_address_and_not_by_its_word(site: Site, lie: str) -> None:
    # A refusal's line in the log names the address.
    client = Client(site, Ask(f"/nowhere?affinity={next(MARKS)}", lie, source="127.0.0.77"))
    home = await client.home()

    def is_logged() -> bool:
        return "127.0.0.77: 404" in site.servers[home].errors()

    await eventually(True, is_logged)
    assert "203.0.113.9" not in site.servers[home].errors()


# Paths, and what the servers themselves answer.
MANAGEMENT: Final = {
    "/metrics": 200,
    "/metrics?a=b": 200,
    "/%6detrics": 404,
    "/debug/connections": 401,
    "/debug/connections/a?b=c": 401,
}


@pytest.mark.parametrize(("path", "status"), MANAGEMENT.items())
async def test_what_is_for_the_machine_itself_is_not_there_for_those_outside(
    site: Site, path: str, status: int
) -> None:
    assert b"HTTP/1.1 404 " == (await Client(site, Ask(path)).ask("outside"))[:13]
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    writer.write(get(path, "Connection: close"))
    assert f"HTTP/1.1 {status} " == (await reader.read())[:13].decode()
    writer.close()


async def test_no_query_stands_in_the_access_log(site: Site) -> None:
    await Client(site, by_parameter(1)).home()
    log = site.access_log.read_text()
    assert '"GET /echo HTTP/1.1" 426 ' in log
    assert [] == re.findall(r"\?|secret|room-", log)


@each_proxy
async def test_death_of_a_server_moves_its_own_clients_and_nobody_else(tmp_path: Path, proxy: str) -> None:
    with PROXIES[proxy](tmp_path, servers=SERVERS) as site:
        clients = [Client(site, by_parameter(number)) for number in range(2 * CLIENTS)]
        before = await asyncio.gather(*(client.home() for client in clients))
        opened = await asyncio.gather(*(client.open() for client in clients))
        dead = before[0]
        site.servers[dead].process.send_signal(signal.SIGKILL)
        assert -signal.SIGKILL == site.servers[dead].wait()

        for home, (reader, writer) in zip(before, opened, strict=True):
            writer.write(text("Hello"))
            expected = b"" if home == dead else b"\x81\x05Hello"
            with suppress(ConnectionResetError):
                assert expected == await reader.read(7)
            writer.transport.abort()

        after = await asyncio.gather(*(client.home() for client in clients))
        assert dead not in after
        moved = [home for home, now in zip(before, after, strict=True) if home != now]
        assert [dead] * before.count(dead) == moved
