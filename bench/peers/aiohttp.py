"""Echo and room on `aiohttp`; the room is a bare loop over its members."""

import asyncio
import sys

from aiohttp import WSMsgType, web

from bench.peers import tls
from bench.peers.loop import run

members: set[web.WebSocketResponse] = set()
deflates = "on" in sys.argv


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=deflates, max_msg_size=2**25)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)
    return socket


async def room(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=deflates)
    await socket.prepare(request)
    try:
        async for message in socket:
            if message.data == "join":
                members.add(socket)
                await socket.send_str("joined")
            elif message.data == "leave":
                members.discard(socket)
                await socket.send_str("left")
            else:
                for member in list(members):
                    await member.send_str(message.data)
    finally:
        members.discard(socket)
    return socket


async def main(port: int) -> None:
    app = web.Application()
    app.add_routes([web.get("/echo", echo), web.get("/room", room)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024, ssl_context=tls.context())
    await site.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(main(int(sys.argv[1])))
