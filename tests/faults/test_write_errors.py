"""Members that go while they are written to: whoever stays hears it all, and the log warns of nothing."""

import asyncio
import json
import logging
from typing import Any, Final

import pytest
from msgspec import Raw

from tests.conftest import NARROW, Running, Serve, eventually
from tests.logcheck import LogCheck
from tests.rawclient import TEXT, RawClient, said, text

MEMBERS: Final = 12
MESSAGES: Final = 60
# More than a slow reader's buffers take, so that writes are under way when it goes.
PAYLOAD: Final = "p" * 4000
SETTINGS: Final[dict[str, Any]] = {**NARROW, "max_queue_seconds": 60.0, "history_messages": 0}


@pytest.fixture(autouse=True)
def log_without_warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]


async def join(running: Running, **options: int) -> RawClient:
    client = await running.open("/ws", **options)
    await client.send(text('{"action":"join","room":"a"}'))
    return client


def publish(running: Running, number: int) -> None:
    running.service.hub.publish(None, "a", Raw(json.dumps({"number": number, "filling": PAYLOAD}).encode()))


async def hear(client: RawClient, log: LogCheck) -> None:
    while log.heard < MESSAGES:
        received = await client.frame()
        assert TEXT == received.opcode, received
        log.hear(json.loads(received.payload))


@pytest.mark.parametrize("receive_buffer", [0, 4096], ids=["fast", "slow"])
async def test_members_that_reset_during_a_broadcast_cost_the_others_nothing(
    service: Serve, caplog: pytest.LogCaptureFixture, receive_buffer: int
) -> None:
    async with service(**SETTINGS) as running:
        staying = [await join(running) for _ in range(MEMBERS)]
        going = [await join(running, receive_buffer=receive_buffer) for _ in range(MEMBERS)]
        for client in going:
            await client.frames(2)
        logs = [LogCheck() for _ in staying]
        hearing = [asyncio.ensure_future(hear(*each)) for each in zip(staying, logs, strict=True)]
        await eventually([2 * MEMBERS], lambda: [len(room.members) for room in running.context.hub.rooms])
        for number in range(MESSAGES):
            publish(running, number)
            if number % 5 == 4:
                # Once before the turn's writes, and once behind them.
                going[number // 5].reset()
            if number % 10 == 9:
                await asyncio.sleep(0)
        await asyncio.gather(*hearing)
        assert [[]] * MEMBERS == [log.problems for log in logs]
        await eventually(MEMBERS, lambda: len(running.context.connections))
        (room,) = running.context.hub.rooms
        assert MEMBERS == len(room.members) == len(running.context.hub.registry)
    assert [] == warnings(caplog)


async def test_client_that_half_closes_reads_all_that_was_sent_before(
    service: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with service(**SETTINGS) as running:
        client = await running.open("/echo", receive_buffer=4096)
        # More than goes out at once, so that its FIN comes while answers wait.
        await client.send(text(PAYLOAD) * 20)
        client.end_sending()
        assert [said(PAYLOAD)] * 20 == await client.frames(20)
        await client.rest()
        client.close()
    assert [] == warnings(caplog)
