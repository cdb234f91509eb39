"""Churn and faults for seconds leave nothing behind, and nobody else notices; `bench/soak.py` has minutes."""

from collections.abc import Callable

from tests.conftest import ServerProcess, eventually
from tests.rawclient import text

from .census import WATCHED, first_census, take_census, take_lasting_census
from .churn import FLAGS, churn
from .visits import VISITS

Start = Callable[..., ServerProcess]


async def test_census_counts_what_a_connection_holds(start_server: Start) -> None:
    server = start_server("--log-level", "warning", python=[*WATCHED])
    before = first_census(server)
    client = await server.connect()
    await client.open("/ws")
    await client.send(text('{"action":"join","room":"a"}'))
    await client.frames(2)
    during = take_census(server)
    # A session takes the place of the protocol that read its request.
    each = ("descriptors", "connections", "watched", "admitted", "registered", "rooms", "members", "sessions")
    assert dict.fromkeys(each, 1) == {name: during[name] - before[name] for name in each}
    assert during["transports"] > before["transports"]
    assert "" == server.errors()


async def test_churn_and_faults_leave_nothing_behind(start_server: Start) -> None:
    server = start_server(*FLAGS, python=[*WATCHED])
    before = first_census(server)
    seen, report = await churn(
        server, clients=40, visitors=64, rate=50.0, lifetime=2.0, seconds=6.0, long_absence=2.0
    )
    assert [] == [*report.problems, *seen.problems]
    assert 0 == report.unfinished, report
    assert {visit.__name__ for visit in VISITS} == {*seen.visits}
    await eventually(before, lambda: take_lasting_census(server))
    assert "" == server.errors()
