"""A wall clock that jumps by an hour: the time in messages jumps with it, and nothing else does."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import ServerProcess, require
from tests.rawclient import PING, TEXT, RawClient, text, upgrade

pytestmark = pytest.mark.real

HOUR: Final = 3600
# An hour on, back, as far behind, and back: the clock's distance from ours.
JUMPS: Final = (HOUR, 0, -HOUR, 0)
# Each is over within the hour, and none of them while the test runs.
FLAGS: Final = (
    "--ping-interval=1200",
    "--handshake-timeout=1200",
    "--history-seconds=1200",
    "--presence-interval=0.25",
    "--log-level=warning",
)
# What a machine that is busy with other things may take.
SLACK: Final = 60


@pytest.fixture
def set_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the clock of the processes that are started from here on."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    require(library, "libfaketime is not installed")
    file = tmp_path / "clock"
    for name, value in {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }.items():
        monkeypatch.setenv(name, value)

    def set_to(distance: int) -> None:
        # It is read at any time, and so never half written.
        new = file.with_suffix(".new")
        new.write_text(f"{distance:+d}")
        new.rename(file)

    set_to(0)
    return set_to


async def told(client: RawClient, kind: str) -> dict[str, Any]:
    """The next message of that type; none before it is a Ping, for which it is too early."""
    while True:
        received = await client.frame()
        assert PING != received.opcode
        assert TEXT == received.opcode, received
        message: dict[str, Any] = json.loads(received.payload)
        if message["type"] == kind:
            return message


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_a_clock_that_jumps_is_seen_in_messages_alone(
    set_clock: Callable[[int], None], start_server: Callable[..., ServerProcess], loop: str
) -> None:
    server = start_server(*FLAGS, f"--loop={loop}")
    member = await server.connect()
    await member.open("/ws")
    await member.send(text('{"action":"join","room":"a","presence":true}'))
    joined = await told(member, "joined")
    requests = [await server.connect() for _ in JUMPS]
    head = upgrade("/ws")
    for number, (distance, half) in enumerate(zip(JUMPS, requests, strict=True), 1):
        await half.send(head[:20])
        set_clock(distance)
        await member.send(text(json.dumps({"action": "message", "room": "a", "message": number})))
        assert abs((await told(member, "message"))["time"] - time.time() - distance) < SLACK
        # Somebody comes, and that is told by a sweep: so timers go on, and what is due was done.
        other = await server.connect()
        await other.open("/ws")
        since = {"epoch": joined["epoch"], "offset": 0}
        await other.send(text(json.dumps({"action": "join", "room": "a", "since": since})))
        assert (await told(other, "joined"))["recovered"]
        assert [*range(1, number + 1)] == [(await told(other, "message"))["message"] for _ in range(number)]
        diff = await told(member, "presence")
        while diff["count"] != 1 + number:
            diff = await told(member, "presence")
        await half.send(head[20:])
        assert 101 == (await half.answer()).status
    assert "" == server.errors()
