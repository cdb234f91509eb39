"""One connection that fails where all are looked at takes no other with it."""

import asyncio
import logging
from functools import partial
from typing import Final, final

import pytest

from server.budget import Budget
from server.bulkhead import for_each
from server.flow import Drops
from server.heartbeat import SWEEP, Heartbeat
from server.history import Archive
from server.traffic import Traffic
from tests.conftest import Serve, eventually

FAULT: Final = "of the test's own"


@final
class Connection:
    """What every sweep asks of a connection; it notes that, and one that is faulty fails at it."""

    def __init__(self, *, is_faulty: bool) -> None:
        self._is_faulty = is_faulty
        self.id = "faulty" if is_faulty else "good"
        self.noted: list[str] = []
        self.seat = -1
        self.is_alive = False

    def _note(self, what: str) -> None:
        if self._is_faulty:
            raise ValueError(FAULT)
        self.noted.append(what)

    def send_ping(self) -> None:
        self._note("ping")

    def give_up(self) -> None:
        self._note("give up")

    def expire(self) -> None:
        self._note("expire")

    def drop_waiting(self) -> None:
        self._note("drop")

    def evict(self) -> None:
        self._note("evict")

    def shut_down(self) -> None:
        self._note("shut down")

    def abort(self) -> None:
        self._note("abort")

    def octets_held(self) -> int:
        return 0 if "evict" in self.noted else 1000

    def octets_waiting(self) -> int:
        return 1

    @property
    def waiting_bytes(self) -> int:
        self._note("sample")
        return 0


def both() -> tuple[Connection, Connection]:
    return Connection(is_faulty=True), Connection(is_faulty=False)


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_failure_is_logged_with_whose_it_is(caplog: pytest.LogCaptureFixture) -> None:
    for_each("a test", Connection.expire, both())
    assert ["a test failed for faulty"] == complaints(caplog)
    assert FAULT in caplog.text


def test_end_of_the_program_is_no_failure_of_one() -> None:
    def end(entry: int) -> None:
        raise SystemExit(entry)

    with pytest.raises(SystemExit):
        for_each("a test", end, [3])


def test_heartbeat_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    faulty, good = both()
    heartbeat = Heartbeat(2 * SWEEP, 2 * SWEEP)
    for connection in (faulty, good):
        heartbeat.add(connection)
    for number in range(1, 4):
        heartbeat.sweep(number * SWEEP)
    # It didn't go, and so is asked again.
    assert ["ping", "give up", "ping"] == good.noted
    told = [f"{what} failed for faulty" for what in ("a ping", "giving up", "a ping")]
    assert told == complaints(caplog)


def test_budget_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    faulty, good = both()
    budget = Budget(100, [faulty, good], Traffic(), Archive(), Drops(), lambda: 0.0)
    budget.look()
    assert ["drop", "evict"] == good.noted
    assert ["dropping failed for faulty", "closing failed for faulty"] == complaints(caplog)


async def test_sweep_goes_on(service: Serve) -> None:
    async with service(ping_interval=2 * SWEEP, pong_timeout=SWEEP) as running:
        context = running.context
        for deadlines in (context.handshakes, context.closings):
            faulty, good = both()
            for connection in (faulty, good):
                deadlines.add(connection, context.clock() - deadlines.delay)
            await eventually(["expire"], partial(getattr, good, "noted"))
        # What fails as a whole leaves the rest of the sweep alone.
        faulty, good = both()
        del faulty.is_alive
        context.heartbeat.add(faulty)
        context.paused.add(good)
        await eventually(True, lambda: "sample" in good.noted)
        context.heartbeat.discard(faulty)
        context.paused.discard(good)
        assert "a sweep failed for one" in running.errors[-1]
        running.errors.clear()


async def test_drain_goes_on(service: Serve) -> None:
    async with service() as running:
        faulty, good = both()
        for connection in (faulty, good):
            running.context.connections[connection] = None
        stopping = asyncio.create_task(running.service.stop())
        await eventually(["shut down"], lambda: good.noted)
        running.service.stop_now()
        await stopping
        assert "abort" in good.noted
        for connection in (faulty, good):
            running.context.connections.pop(connection)
        running.errors.clear()
