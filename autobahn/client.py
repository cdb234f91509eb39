"""Our client under test: echoes in each case that the suite's fuzzing server has for it.

python client.py ws://127.0.0.1:9001
"""

import asyncio
import sys
from contextlib import suppress
from typing import Final

from rfc6455 import DeflateOptions
from server.client import ConnectionClosed, Dropped, HostNotFound, Unreachable, connect

AGENT: Final = "agent=rfc6455"
# What the suite asks of a client beyond the defaults: as of a server, in server.toml.
MAX_MESSAGE_SIZE: Final = 16 * 1024 * 1024
MAX_FRAGMENTS: Final = 65_537
DEFLATE: Final = DeflateOptions(min_size=0)
# How often to ask, once a second, for a fuzzing server that is about to start.
ATTEMPTS: Final = 30


async def main(url: str) -> None:
    """Run all cases that the fuzzing server is configured for, and let it write its reports."""
    for case in range(1, await count_cases(url) + 1):
        await echo(f"{url}/runCase?case={case}&{AGENT}")
    # With its reports written, it ends without another word.
    with suppress(Dropped):
        async with connect(f"{url}/updateReports?{AGENT}&shutdownOnComplete=true") as connection:
            async for _ in connection:
                pass


async def count_cases(url: str) -> int:
    """Ask how many cases there are, as soon as there is somebody to ask."""
    for _ in range(ATTEMPTS):
        try:
            async with connect(f"{url}/getCaseCount") as connection:
                return int(await anext(connection))
        except (HostNotFound, Unreachable):
            await asyncio.sleep(1)
    raise SystemExit(f"no fuzzing server answers at {url}")


async def echo(url: str) -> None:
    """Send every message back until the case is over, in whichever way it ends."""
    async with connect(
        url, deflate=DEFLATE, max_message_size=MAX_MESSAGE_SIZE, max_fragments=MAX_FRAGMENTS
    ) as connection:
        try:
            async for message in connection:
                await connection.send(message)
        except ConnectionClosed:
            # It ended while a message was on its way back.
            return


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
