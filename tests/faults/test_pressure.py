"""Memory pressure (`tests/faults/pressure.py`), with less memory and fewer who want it."""

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.conftest import ServerProcess, eventually

from .census import first_census, take_lasting_census, take_memory
from .pressure import MIB, little_memory, peak, run

# What the greedy ones want together is more than the server has.
MEMORY: Final = 112 * MIB
CLIENTS: Final = 150

Start = Callable[..., ServerProcess]


@pytest.fixture
def python_and_flags() -> Iterator[tuple[list[str], list[str]]]:
    with little_memory(MEMORY) as (flags, python):
        yield flags, python


async def test_greedy_clients_get_no_more_than_there_is_and_cost_nobody_else(
    python_and_flags: tuple[list[str], list[str]], start_server: Start
) -> None:
    flags, python = python_and_flags
    server = start_server(*flags, python=python)
    before = first_census(server)
    await run(server, CLIENTS // 10, lasting=0)
    await eventually(before, lambda: take_lasting_census(server))
    warm = take_memory(server)["resident"]
    outcome = await run(server, CLIENTS, lasting=0)
    assert [] == outcome.problems, outcome
    assert peak(server) < MEMORY
    await eventually(before, lambda: take_lasting_census(server))
    assert take_memory(server)["resident"] < warm * 1.05
    assert "" == server.errors()
