"""A tap on TCP: hands on every octet between a client and a server, and counts them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import final


@final
class Tap:
    """What went through, in octets."""

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.to_server = 0
        self.to_client = 0
        self._server_port = server_port
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._hand_on(reader, writer))
        self._tasks.add(task)

    async def ended(self) -> None:
        """Wait until no connection is left."""
        await asyncio.gather(*self._tasks)

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)

        async def upwards() -> None:
            while data := await reader.read(1 << 16):
                self.to_server += len(data)
                to_server.write(data)
            to_server.write_eof()

        async def downwards() -> None:
            while data := await from_server.read(1 << 16):
                self.to_client += len(data)
                writer.write(data)
            writer.write_eof()

        with suppress(ConnectionError):
            await asyncio.gather(upwards(), downwards())
        for one in (writer, to_server):
            one.close()
            with suppress(ConnectionError):
                await one.wait_closed()


@asynccontextmanager
async def tapped(server_port: int) -> AsyncIterator[Tap]:
    """Listen for connections to hand on."""
    tap = Tap(server_port)
    listening = await asyncio.start_server(tap.accept, "127.0.0.1", 0)
    tap.port = listening.sockets[0].getsockname()[1]
    try:
        yield tap
    finally:
        listening.close()
        await tap.ended()
        await listening.wait_closed()
