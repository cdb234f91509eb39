"""The server of `aiohttp` from PyPI; see servers.py. It can't send fragments, nor a Close without a code."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from .servers import LAST_MESSAGE, MAX_SIZE, REFUSAL, Server, Setup, parse_target


@asynccontextmanager
async def serve(setup: Setup) -> AsyncIterator[Server]:
    async def handle(request: web.Request) -> web.StreamResponse:
        action, parameters = parse_target(request.path_qs)
        if action == "refuse":
            return web.Response(status=int(parameters["status"]), text=REFUSAL)
        socket = web.WebSocketResponse(
            # It knows no other choice.
            compress=setup.deflate is not None,
            protocols=setup.subprotocols,
            max_msg_size=MAX_SIZE,
            # It would keep the Pong to itself.
            autoping=action != "ping",
        )
        await socket.prepare(request)
        last = await _ACTIONS[action](request, socket, parameters)
        if last is not None and last.type is WSMsgType.CLOSE:
            server.has_ended(last.data, last.extra)
        else:
            server.has_ended(socket.close_code or 0, "")
        return socket

    application = web.Application()
    application.router.add_get("/{action}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = Server(runner.addresses[0][1])
    try:
        yield server
    finally:
        await runner.cleanup()


async def _echo(request: web.Request, socket: web.WebSocketResponse, parameters: dict[str, str]) -> WSMessage:
    while True:
        message = await socket.receive()
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        else:
            return message


async def _ping(request: web.Request, socket: web.WebSocketResponse, parameters: dict[str, str]) -> WSMessage:
    await socket.ping(parameters["payload"].encode())
    pong = await socket.receive()
    assert WSMsgType.PONG is pong.type
    await socket.send_str(bytes(pong.data).decode())
    return await socket.receive()


async def _close(request: web.Request, socket: web.WebSocketResponse, parameters: dict[str, str]) -> None:
    await socket.send_str(LAST_MESSAGE)
    await socket.close(code=int(parameters["code"]), message=parameters.get("reason", "").encode())


async def _abort(request: web.Request, socket: web.WebSocketResponse, parameters: dict[str, str]) -> None:
    await socket.receive()
    assert request.transport is not None
    request.transport.abort()
    await socket.receive()


_ACTIONS: Any = {"echo": _echo, "ping": _ping, "close": _close, "abort": _abort}
