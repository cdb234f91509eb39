"""What belongs to one connection is never heard on another, nor broken by one that gives up."""

import asyncio
from random import Random
from typing import Final, final

import pytest

from rfc6455 import ClientHandshake, Connection, DeflateOptions, Role
from server.client import connect
from server.dialects.stream import Stream
from tests.conftest import NARROW, NO_RATES, Running, Serve

CLIENTS: Final = 6
MESSAGES: Final = 30
TALKERS: Final = 8

each_context = pytest.mark.parametrize("takeover", [False, True], ids=["shared-deflater", "kept-context"])


@final
class Client:
    """A connection whose octets leave as few at a time as a test likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.connection: Connection
        self.unsent = b""
        self.said: list[str | bytes] = []

    async def open(self, *, takeover: bool) -> None:
        options = DeflateOptions(no_context_takeover=not takeover, min_size=0)
        asking = ClientHandshake("ws://localhost/echo", deflate=options)
        self.writer.write(asking.request)
        agreed = asking.receive_data(await self.reader.readuntil(b"\r\n\r\n"))
        assert agreed is not None
        assert agreed.deflate is not None
        self.connection = Connection(Role.CLIENT, agreed.deflate)

    def say(self, message: str | bytes) -> None:
        self.said.append(message)
        if isinstance(message, str):
            self.connection.send_text(message)
        else:
            self.connection.send_binary(message)
        self.unsent += b"".join(self.connection.data_to_send())

    def send(self, size: int) -> None:
        self.writer.write(self.unsent[:size])
        self.unsent = self.unsent[size:]

    async def heard(self) -> list[object]:
        messages: list[object] = []
        while len(messages) < len(self.said):
            self.connection.receive_data(await self.reader.read(65536))
            while (event := self.connection.next_event()) is not None:
                messages.append(event)
        return messages


async def open_clients(running: Running, *, takeover: bool) -> list[Client]:
    clients = [Client(*await asyncio.open_connection(*running.address)) for _ in range(CLIENTS)]
    for client in clients:
        await client.open(takeover=takeover)
    return clients


@each_context
async def test_interleaved_connections_hear_their_own_messages_alone(service: Serve, takeover: bool) -> None:
    # Django Channels' CVE-2020-35681: data of one connection came out of another.
    random = Random(35681)
    settings = {**NO_RATES, "compression_context_takeover": takeover, "compression_threshold": 0}
    async with service(**settings) as running:
        clients = await open_clients(running, takeover=takeover)
        for number, client in enumerate(clients):
            for count in range(MESSAGES):
                message = f"{number}:{count};" * random.randrange(300)
                client.say(message if random.random() < 0.5 else message.encode())
        while unfinished := [client for client in clients if client.unsent]:
            random.choice(unfinished).send(random.choice((1, 2, 7, 100, 5000)))
            if random.random() < 0.1:
                await asyncio.sleep(0)
        for client in clients:
            assert client.said == await client.heard()
            client.writer.transport.abort()


@each_context
async def test_sends_that_are_cancelled_leave_every_message_whole_and_in_order(
    service: Serve, takeover: bool
) -> None:
    # aiohttp 3.13.2: cancelled between compressing and writing, the rest could not be inflated.
    random = Random(3132)
    # What is hardly made smaller, so that senders have to wait.
    text = random.randbytes(4000).hex()

    async def talk(stream: Stream, talker: int) -> None:
        for count in range(MESSAGES):
            await stream.send(f"{talker}:{count}:{text}")

    async def converse(stream: Stream) -> None:
        talkers = [asyncio.create_task(talk(stream, number)) for number in range(TALKERS)]
        # Nobody reads, and nobody gets to the end.
        for talker in talkers[1:]:
            for _ in range(random.randrange(30)):
                await asyncio.sleep(0)
            talker.cancel()
        may_read.set()
        await asyncio.gather(*talkers, return_exceptions=True)

    may_read = asyncio.Event()
    settings = {**NARROW, "compression_context_takeover": takeover}
    async with service({"/app": converse}, **settings) as running:
        host, port = running.address
        heard: dict[str, list[int]] = {}
        async with connect(f"ws://{host}:{port}/app") as connection:
            await may_read.wait()
            async for message in connection:
                assert isinstance(message, str)
                talker, count, said = message.split(":")
                assert hash(text) == hash(said)
                heard.setdefault(talker, []).append(int(count))
        assert list(range(MESSAGES)) == heard["0"]
        assert [] == [counts for counts in heard.values() if counts != list(range(len(counts)))]
        assert min(map(len, heard.values())) < MESSAGES
