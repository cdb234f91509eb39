"""Echo and room on `websockets`, with its own `broadcast()`."""

import sys
from contextlib import suppress

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

from bench.peers.loop import run

members: set[ServerConnection] = set()


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def room(connection: ServerConnection) -> None:
    try:
        async for message in connection:
            if message == "join":
                members.add(connection)
                await connection.send("joined")
            else:
                broadcast(members, message)
    finally:
        members.discard(connection)


async def handle(connection: ServerConnection) -> None:
    assert connection.request is not None
    # A client that vanishes is no failure; unhandled, each would cost a traceback in the log.
    with suppress(ConnectionClosed):
        await (room if connection.request.path == "/room" else echo)(connection)


async def main(port: int) -> None:
    async with serve(
        handle, "127.0.0.1", port, compression=None, max_size=2**24, ping_interval=None, backlog=1024
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    run(main(int(sys.argv[1])))
