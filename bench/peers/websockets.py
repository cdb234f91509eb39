"""Echo and room on `websockets`, with its own `broadcast()`."""

import sys
from contextlib import suppress

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from bench.peers import tls
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
            elif message == "leave":
                members.discard(connection)
                await connection.send("left")
            else:
                broadcast(members, message)
    finally:
        members.discard(connection)


async def handle(connection: ServerConnection) -> None:
    assert connection.request is not None
    # A client that vanishes is no failure; unhandled, each would cost a traceback in the log.
    with suppress(ConnectionClosed):
        await (room if connection.request.path == "/room" else echo)(connection)


async def main(port: int, deflate: bool) -> None:
    extensions = [
        ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
    ]
    async with serve(
        handle, "127.0.0.1", port, backlog=1024, compression=None, extensions=extensions if deflate else None,
        max_size=2**25, ping_interval=None, ssl=tls.context(),
    ) as server:  # fmt: skip
        await server.serve_forever()


if __name__ == "__main__":
    run(main(int(sys.argv[1]), "on" in sys.argv))
