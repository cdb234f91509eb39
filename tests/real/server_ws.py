"""The server of `ws` from npm, in a process of its own; see servers.py."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from .node import node_with_ws
from .servers import LAST_MESSAGE, MAX_SIZE, REFUSAL, Server, Setup

_SCRIPT: Final = str(Path(__file__).with_name("server_ws.mjs"))


@asynccontextmanager
async def serve(setup: Setup) -> AsyncIterator[Server]:
    told = {
        "deflate": None if setup.deflate is None else dict(setup.deflate),
        "subprotocols": setup.subprotocols,
        "maxSize": MAX_SIZE,
        "lastMessage": LAST_MESSAGE,
        "refusal": REFUSAL,
    }
    process = await asyncio.create_subprocess_exec(
        node_with_ws(), _SCRIPT, json.dumps(told), stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    server = Server(json.loads(await process.stdout.readline())["port"])
    listening = asyncio.create_task(_listen(process.stdout, server))
    try:
        yield server
    finally:
        # The end of its input ends it.
        process.stdin.close()
        await listening
        assert 0 == await process.wait()


async def _listen(output: asyncio.StreamReader, server: Server) -> None:
    async for line in output:
        server.has_ended(**json.loads(line))
