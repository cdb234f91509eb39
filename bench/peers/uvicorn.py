"""Echo and room on `uvicorn`, as an ASGI application; the room is a bare loop over its members."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from bench.peers import tls
from bench.peers.loop import run

Send = Callable[[dict[str, Any]], Awaitable[None]]
members: set[Send] = set()


async def echo(message: dict[str, Any], send: Send) -> None:
    await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


async def room(message: dict[str, Any], send: Send) -> None:
    text = message["text"]
    if text == "join":
        members.add(send)
        await send({"type": "websocket.send", "text": "joined"})
    elif text == "leave":
        members.discard(send)
        await send({"type": "websocket.send", "text": "left"})
    else:
        for member in list(members):
            await member({"type": "websocket.send", "text": text})


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    answer = room if scope["path"] == "/room" else echo
    try:
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            else:
                await answer(message, send)
    finally:
        members.discard(send)


async def main(port: int) -> None:
    config = uvicorn.Config(
        app, port=port, backlog=1024, lifespan="off", log_level="error", access_log=False,
        ws_max_size=2**25, ws_ping_interval=None, ws_per_message_deflate=False,
        ssl_certfile=tls.certificate(),
    )  # fmt: skip
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    run(main(int(sys.argv[1])))
