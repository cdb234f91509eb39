"""Clients of three makes behind one interface, all over TLS: ours, and those of `websockets` and `ws`."""

import asyncio
import base64
import json
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol, final

import websockets
from websockets.asyncio.client import ClientConnection as TheirConnection

from server.client import ClientConnection, Message, connect

from .node import node_with_ws
from .site import Site

_SCRIPT: Final = str(Path(__file__).with_name("tls_client.mjs"))
# More than the longest message takes as a line.
_MAX_LINE: Final = 64 << 20


class Client(Protocol):
    """One open connection; `extensions` is what the server answered."""

    extensions: str | None

    async def send(self, message: Message) -> None:
        """Send a message."""

    async def receive(self) -> Message:
        """Receive a message."""

    async def close(self, code: int, reason: str) -> None:
        """Begin to close."""

    async def closed(self) -> tuple[int, str]:
        """Wait for the end; return what the server's Close said."""


Open = Callable[[Site, str], AbstractAsyncContextManager[Client]]


@final
class _Ours:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.extensions = connection.headers.get("Sec-WebSocket-Extensions")

    async def send(self, message: Message) -> None:
        await self._connection.send(message)

    async def receive(self) -> Message:
        return await anext(self._connection)

    async def close(self, code: int, reason: str) -> None:
        self._connection.start_closing(code, reason)

    async def closed(self) -> tuple[int, str]:
        assert [] == [message async for message in self._connection]
        assert self._connection.close_code is not None
        return self._connection.close_code, self._connection.close_reason


@asynccontextmanager
async def open_ours(site: Site, path: str) -> AsyncIterator[Client]:
    async with connect(site.uri(path), ssl=site.ssl, max_message_size=16 << 20) as connection:
        yield _Ours(connection)


@final
class _Websockets:
    def __init__(self, connection: TheirConnection) -> None:
        assert connection.response is not None
        self._connection = connection
        self.extensions = connection.response.headers.get("Sec-WebSocket-Extensions")

    async def send(self, message: Message) -> None:
        await self._connection.send(message)

    async def receive(self) -> Message:
        return await self._connection.recv()

    async def close(self, code: int, reason: str) -> None:
        await self._connection.close(code, reason)

    async def closed(self) -> tuple[int, str]:
        await self._connection.wait_closed()
        assert self._connection.close_code is not None
        return self._connection.close_code, self._connection.close_reason or ""


@asynccontextmanager
async def open_websockets(site: Site, path: str) -> AsyncIterator[Client]:
    async with websockets.connect(site.uri(path), ssl=site.ssl, max_size=16 << 20) as connection:
        yield _Websockets(connection)


@final
class _Ws:
    """A process that is told what to do and tells what happens, in lines of JSON."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.extensions: str | None = None

    async def send(self, message: Message) -> None:
        if isinstance(message, str):
            await self._tell(text=message)
        else:
            await self._tell(octets=base64.b64encode(message).decode())

    async def receive(self) -> Message:
        heard = await self.hear()
        return heard["text"] if "text" in heard else base64.b64decode(heard["octets"])

    async def close(self, code: int, reason: str) -> None:
        await self._tell(code=code, reason=reason)

    async def closed(self) -> tuple[int, str]:
        heard = await self.hear()
        return heard["code"], heard["reason"]

    async def _tell(self, **what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        await self._process.stdin.drain()

    async def hear(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(await self._process.stdout.readline())


@asynccontextmanager
async def open_ws(site: Site, path: str) -> AsyncIterator[Client]:
    process = await asyncio.create_subprocess_exec(
        *(node_with_ws(), _SCRIPT, site.uri(path)),
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": site.certificate},
        limit=_MAX_LINE,
    )
    client = _Ws(process)
    try:
        client.extensions = (await client.hear())["extensions"]
        yield client
    finally:
        # The end of its input closes it.
        await process.communicate(b"")
