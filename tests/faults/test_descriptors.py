"""More come than there are descriptors: who is there is served on, and others as soon as there is room."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import pytest

from tests.conftest import ServerProcess, eventually

from .census import WATCHED, first_census, take_lasting_census
from .herd import FLAGS, Outcome, come_back, keep_echoing
from .swarm import SOURCES, Member, connect_all

DESCRIPTORS: Final = 100
MEMBERS: Final = 40
NEWCOMERS: Final = 200
# Seconds that each newcomer stays.
STAY: Final = 0.2

Start = Callable[..., ServerProcess]


async def _visit(number: int, port: int, outcome: Outcome) -> None:
    """Come in at some time, stay a while, and go."""
    source, chance = SOURCES[number % len(SOURCES)], random.Random(number)
    member = await come_back(f"newcomer-{number}", source, port, chance, 0.2, outcome)
    await asyncio.sleep(STAY)
    outcome.problems += member.log.problems
    member.transport.abort()


async def _talk(members: list[Member]) -> None:
    """Let one after the other speak, until told otherwise."""
    while True:
        for member in members:
            member.say()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_who_is_there_is_served_while_descriptors_run_out(loop: str, start_server: Start) -> None:
    few = f"import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))\n"
    flags = (*FLAGS, "--log-level=warning", "--max-connections=10000", "--loop", loop)
    server = start_server(*flags, python=[*WATCHED[:-1], few + WATCHED[-1]])
    before = first_census(server)
    outcome = Outcome()
    members = [Member(f"member-{number}", "a") for number in range(MEMBERS)]
    await connect_all(members, server.port)
    speaking = asyncio.create_task(_talk(members))
    echoing = asyncio.create_task(keep_echoing(server.port, outcome.echo_seconds, 0.05))
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(_visit(number, server.port, outcome) for number in range(NEWCOMERS)))
    seconds = asyncio.get_running_loop().time() - began
    speaking.cancel()
    published = sum(member.said for member in members)
    await eventually({published}, lambda: {member.log.heard for member in members})
    echoing.cancel()
    with suppress(asyncio.CancelledError):
        await echoing
    assert [] == [*outcome.problems, *(problem for one in members for problem in one.log.problems)]
    assert not any(member.is_over for member in members)
    assert NEWCOMERS == outcome.attempts["let in"]
    # It was a trial: not all of them found room at once.
    assert sum(outcome.attempts.values()) > NEWCOMERS or max(outcome.opened_in) > STAY, outcome
    for member in members:
        member.transport.abort()
    await eventually(before, lambda: take_lasting_census(server))
    # It is told, but not each time that it happens.
    lines = server.errors().splitlines()
    assert len(lines) <= seconds + 2, lines[:10]
