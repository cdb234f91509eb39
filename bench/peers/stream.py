"""Our server's `async for`: the echo of an application's coroutine, at `/echo`."""

import asyncio
import sys

from bench.peers.loop import run
from server.configuration import load
from server.dialects.stream import Stream
from server.service import Service


async def echo(stream: Stream) -> None:
    async for message in stream:
        await stream.send(message)


async def main(port: int, flags: list[str]) -> None:
    service = Service(load(["--port", str(port), *flags], {}), {"/echo": echo})
    await service.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(main(int(sys.argv[1]), sys.argv[2:]))
