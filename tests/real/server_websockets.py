"""The server of `websockets` from PyPI; see servers.py."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as listen
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from .servers import LAST_MESSAGE, MAX_SIZE, REFUSAL, Server, Setup, parse_target, pieces


@asynccontextmanager
async def serve(setup: Setup) -> AsyncIterator[Server]:
    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        action, parameters = parse_target(connection.request.path)
        with suppress(ConnectionClosed):
            await _ACTIONS[action](connection, parameters)
        await connection.wait_closed()
        server.has_ended(connection.close_code or 0, connection.close_reason or "")

    extensions = [] if setup.deflate is None else [ServerPerMessageDeflateFactory(**setup.deflate)]
    async with listen(
        handle,
        "127.0.0.1",
        0,
        extensions=extensions,
        # Otherwise it adds an extension of its own choice.
        compression=None,
        subprotocols=[Subprotocol(name) for name in setup.subprotocols] or None,
        process_request=_judge,
        max_size=MAX_SIZE,
        ping_interval=None,
    ) as listening:
        server = Server(next(iter(listening.sockets)).getsockname()[1])
        yield server


def _judge(connection: ServerConnection, request: Request) -> Response | None:
    action, parameters = parse_target(request.path)
    return connection.respond(int(parameters["status"]), REFUSAL) if action == "refuse" else None


async def _echo(connection: ServerConnection, parameters: dict[str, str]) -> None:
    async for message in connection:
        await connection.send(message)


async def _fragment(connection: ServerConnection, parameters: dict[str, str]) -> None:
    async def cut(payload: bytes) -> AsyncIterator[bytes]:
        for piece in pieces(payload, int(parameters["size"])):
            yield piece
            pongs.append(await connection.ping())

    async for message in connection:
        pongs: list[Awaitable[float]] = []
        is_text = isinstance(message, str)
        await connection.send(cut(message.encode() if isinstance(message, str) else message), text=is_text)
        await asyncio.gather(*pongs)


async def _ping(connection: ServerConnection, parameters: dict[str, str]) -> None:
    await (await connection.ping(parameters["payload"]))
    # Its Pong was the one that is waited for: no other payload would do.
    await connection.send(parameters["payload"])


async def _close(connection: ServerConnection, parameters: dict[str, str]) -> None:
    await connection.send(LAST_MESSAGE)
    await connection.close(int(parameters["code"]), parameters.get("reason", ""))


async def _abort(connection: ServerConnection, parameters: dict[str, str]) -> None:
    await connection.recv()
    connection.transport.abort()


_ACTIONS: Any = {"echo": _echo, "fragments": _fragment, "ping": _ping, "close": _close, "abort": _abort}
