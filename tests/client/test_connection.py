"""An open connection: messages and Pings both ways, with a service, a peer of our own, and by hand."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Final, final

import pytest

from rfc6455 import Accepted, Connection, DeflateOptions, FrameParser, Headers, Opcode, Role, encode_frame
from server.client import MAX_WAITING, MAX_WAITING_SIZE, ClientConnection, ConnectionClosed, Message, connect
from server.dialects.stream import Stream
from tests.client.conftest import NEVER, Listen, cancel, end, turns
from tests.conftest import NO_RATES, Serve, eventually, require
from tests.rawclient import Frame
from tests.rawserver import PLENTY, Peer, close_frame, closed, said, text

CHUNK: Final = b"x" * 65536


async def send_until_paused(connection: ClientConnection) -> tuple[Awaitable[None], int]:
    """Send until a sender has to wait; return its wait, and how many chunks were sent."""
    for sent in range(1, PLENTY // len(CHUNK)):
        waiting = asyncio.ensure_future(connection.send(CHUNK))
        await turns()
        if not waiting.done():
            return waiting, sent
    raise AssertionError("writing never paused")


# Talking, with a real service.


@pytest.mark.parametrize("deflate", [DeflateOptions(), DeflateOptions(no_context_takeover=False), None])
async def test_service_echoes_every_kind_of_message(service: Serve, deflate: DeflateOptions | None) -> None:
    messages: list[Message] = [
        "",
        "Hello",
        b"",
        b"\x00\xff",
        "\u00e5\U0001f600" * 500,
        b"ab" * 40_000,
        "x" * 999_999,
    ]
    async with service(**NO_RATES) as running:
        host, port = running.address
        async with connect(f"ws://{host}:{port}/echo", deflate=deflate) as connection:
            for message in messages:
                await connection.send(message)
                assert message == await anext(connection)
            connection.start_closing()
            assert [] == [message async for message in connection]
        assert 1000 == connection.close_code


async def test_flood_both_ways_arrives_whole_and_in_order(service: Serve) -> None:
    async with service(**NO_RATES) as running:
        host, port = running.address
        connection = await connect(f"ws://{host}:{port}/echo")
        messages = [f"{number} {'x' * (number % 700)}" for number in range(20_000)]

        async def send_all() -> None:
            for message in messages:
                await connection.send(message)
            connection.start_closing()

        sending = asyncio.create_task(send_all())
        assert messages == [message async for message in connection]
        await sending
        await connection.close()
        assert 1000 == connection.close_code


async def test_service_that_stops_closes_with_1001(service: Serve) -> None:
    async with service() as running:
        host, port = running.address
        async with connect(f"ws://{host}:{port}/echo") as connection:
            stopping = asyncio.create_task(running.service.stop())
            assert [] == [message async for message in connection]
        await stopping
        code, reason = end(connection)
        assert (1001, "the server is going away") == (code, reason.split("; retry=")[0])


async def test_slow_handler_makes_the_sender_wait(service: Serve) -> None:
    may_go_on = asyncio.Event()
    received: list[int] = []

    async def handler(stream: Stream) -> None:
        await may_go_on.wait()
        async for message in stream:
            received.append(len(message))

    async with service({"/slow": handler}, **NO_RATES) as running:
        host, port = running.address
        async with connect(f"ws://{host}:{port}/slow", deflate=None) as connection:
            waiting, sent = await send_until_paused(connection)
            may_go_on.set()
            await waiting
        assert [len(CHUNK)] * sent == received


# Messages out.


@pytest.mark.parametrize("octets", [b"\x01\x02", bytearray(b"\x01\x02"), memoryview(b"\x01\x02")])
async def test_octets_of_every_type_are_sent(peers: Listen, octets: bytes) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        await connection.send(octets)
        assert Frame(Opcode.BINARY, b"\x01\x02") == await peer.frame()
        connection.abort()


@pytest.mark.parametrize(
    ("message", "error"), [(5, TypeError), (None, TypeError), ("\ud800", UnicodeEncodeError)]
)
async def test_what_is_no_message_is_refused_and_the_connection_goes_on(
    peers: Listen, message: Any, error: type[Exception]
) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        with pytest.raises(error):
            await connection.send(message)
        await connection.send("fine")
        assert said("fine") == await peer.frame()
        connection.abort()


async def test_sender_waits_while_the_server_takes_no_more(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        waiting, sent = await send_until_paused(connection)
        # Reading goes on meanwhile.
        await peer.send(text("still here"))
        assert "still here" == await anext(connection)
        assert not asyncio.ensure_future(waiting).done()
        for _ in range(sent):
            assert Frame(Opcode.BINARY, CHUNK) == await peer.frame()
        await waiting
        connection.abort()


async def test_waiting_sender_learns_that_the_connection_is_lost(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        senders = [asyncio.ensure_future(connection.send(b"x" * PLENTY)) for _ in range(2)]
        await turns()
        assert not any(sender.done() for sender in senders)
        peer.reset()
        for sender in senders:
            with pytest.raises(ConnectionClosed) as caught:
                await sender
            assert 1006 == caught.value.code
        await connection.close()
        assert 1006 == connection.close_code


def timer(port: int, peer_port: int) -> str:
    """Which timer runs for the socket between these ports."""
    table = Path("/proc/net/tcp")
    require(table.exists(), "only Linux tells of a socket's timers")
    rows = [row.split() for row in table.read_text().splitlines()[1:]]
    ports = f"{port:04X}", f"{peer_port:04X}"
    (found,) = [row[5] for row in rows if ports == (row[1][-4:], row[2][-4:])]
    return found[:2]


async def test_network_that_is_gone_is_noticed_by_keepalive(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        # 02: the next question to a silent peer is due.
        assert "02" == timer(peer.client_port, listening.port)
        connection.abort()


# Messages in.


async def test_server_is_read_no_further_than_the_inbox_is_full(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        messages = [f"{number:06}" + "x" * 65530 for number in range(PLENTY // 65536)]
        sending = asyncio.create_task(peer.send(b"".join(map(text, messages))))
        await eventually(False, connection._transport.is_reading)
        # The kernel takes what it can, which isn't all.
        assert not sending.done()
        for message in messages:
            assert message == await anext(connection)
        await sending
        connection.abort()


async def test_reader_of_messages_that_came_at_once_lets_others_have_their_turn() -> None:
    transport = FakeTransport()
    # Compressed, as many would hold a thousand times the octets that were read.
    transport.client.data_received(text("x" * MAX_WAITING_SIZE) * 3)
    others: list[str] = []
    asyncio.get_running_loop().call_soon(others.append, "had their turn")
    await anext(transport.client)
    assert [] == others
    await anext(transport.client)
    assert ["had their turn"] == others
    transport.abort()


async def test_two_readers_share_the_messages(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        readers = [asyncio.create_task(anext(connection)) for _ in range(3)]
        await turns()
        await peer.send(text("a") + text("b") + close_frame(1000))
        done = await asyncio.gather(*readers, return_exceptions=True)
        assert ["a", "b"] == sorted(one for one in done if isinstance(one, str))
        assert [StopAsyncIteration] == [type(one) for one in done if not isinstance(one, str)]
        await peer.end()
        await connection.close()


# Pings.


async def test_pings_are_answered_in_order(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        payloads = [b"", b"a", b"b" * 125]
        await peer.send(b"".join(encode_frame(Opcode.PING, payload) for payload in payloads))
        assert [Frame(Opcode.PONG, payload) for payload in payloads] == [await peer.frame() for _ in payloads]
        connection.abort()


async def test_ping_returns_seconds_when_its_pong_came(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        pinging = asyncio.create_task(connection.ping())
        ping = await peer.frame()
        assert Opcode.PING == ping.opcode
        # A Pong that nobody asked for, or another's.
        await peer.send(
            encode_frame(Opcode.PONG, b"") + encode_frame(Opcode.PONG, b"other") + text("between")
        )
        assert "between" == await anext(connection)
        assert not pinging.done()
        await peer.send(encode_frame(Opcode.PONG, ping.payload))
        assert await pinging > 0
        connection.abort()


async def test_pong_comes_behind_messages_that_were_taken_though_the_inbox_was_full(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        await peer.send(text("x" * MAX_WAITING_SIZE))
        await anext(connection)
        pinging = asyncio.create_task(connection.ping())
        await peer.send(encode_frame(Opcode.PONG, (await peer.frame()).payload))
        assert await pinging > 0
        connection.abort()


async def test_pong_answers_the_pings_before_its_own(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        pinging = [asyncio.create_task(connection.ping()) for _ in range(3)]
        pings = [await peer.frame() for _ in pinging]
        assert 3 == len({ping.payload for ping in pings})
        await peer.send(encode_frame(Opcode.PONG, pings[1].payload) + text("between"))
        assert "between" == await anext(connection)
        await asyncio.gather(*pinging[:2])
        assert not pinging[2].done()
        await peer.send(encode_frame(Opcode.PONG, pings[2].payload))
        assert await pinging[2] > 0
        connection.abort()


@pytest.mark.parametrize("last", [close_frame(1001, "bye"), b"\xff", b""])
async def test_ping_without_a_pong_ends_with_the_connection(peers: Listen, last: bytes) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        pinging = asyncio.create_task(connection.ping())
        await peer.frame()
        await peer.send(last)
        await peer.end()
        with pytest.raises(ConnectionClosed) as caught:
            await pinging
        await connection.close()
        assert end(connection) == (caught.value.code, caught.value.reason)
        with pytest.raises(ConnectionClosed):
            await connection.ping()


async def test_ping_beside_messages_that_nobody_takes_ends_with_the_connection(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        pinging = asyncio.create_task(connection.ping())
        await peer.frame()
        await peer.send(text("x" * MAX_WAITING_SIZE))
        await eventually(False, connection._transport.is_reading)
        connection.abort()
        with pytest.raises(ConnectionClosed):
            await pinging
        assert "x" * MAX_WAITING_SIZE == await anext(connection)
        assert [] == [message async for message in connection]


async def test_ping_behind_the_servers_close_is_refused_before_that_is_answered() -> None:
    transport = FakeTransport()

    async def ping_when_all_is_read() -> None:
        assert [] == [message async for message in transport.client]
        await transport.client.ping()

    pinging = asyncio.create_task(ping_when_all_is_read())
    await turns(1)
    transport.client.data_received(close_frame(1000))
    await turns(3)
    assert [closed(1000)] == transport.frames()
    assert pinging.done()
    with pytest.raises(ConnectionClosed):
        await pinging
    transport.abort()


async def test_pong_that_was_guessed_answers_no_ping() -> None:
    transport = FakeTransport()
    client = transport.client
    pong = encode_frame(Opcode.PONG, (1).to_bytes(8, "big"))
    client.data_received(text("x" * MAX_WAITING_SIZE) + pong)
    await anext(client)
    pinging = asyncio.create_task(client.ping())
    await turns(1)
    assert not pinging.done()
    client.data_received(pong)
    assert await pinging > 0
    transport.abort()


# Cancelling. Each test ends in a census.


async def test_cancelled_reader_loses_no_message(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        reading = asyncio.create_task(anext(connection))
        await turns()
        await cancel(reading)
        await peer.send(text("first"))
        assert "first" == await anext(connection)
        # And where the message came before the cancelling.
        reading = asyncio.create_task(anext(connection))
        await turns()
        connection.data_received(text("second"))
        await cancel(reading)
        assert "second" == await anext(connection)
        connection.abort()


async def test_cancelled_sender_has_sent_its_message_whole(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        big = b"x" * PLENTY

        async def send() -> None:
            await connection.send(big)
            await connection.send("another")

        sending = asyncio.create_task(send())
        await turns()
        await cancel(sending)
        await connection_is_whole(connection, peer, big)


async def connection_is_whole(connection: ClientConnection, peer: Peer, big: bytes) -> None:
    receiving = asyncio.create_task(peer.frame())
    assert Frame(Opcode.BINARY, big) == await receiving
    await connection.send("next")
    assert said("next") == await peer.frame()
    connection.abort()


async def test_cancelled_ping_leaves_the_connection_alone(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        pinging = asyncio.create_task(connection.ping())
        ping = await peer.frame()
        await cancel(pinging)
        await peer.send(encode_frame(Opcode.PONG, ping.payload) + text("fine"))
        assert "fine" == await anext(connection)
        connection.abort()


@pytest.mark.parametrize("last", [encode_frame(Opcode.PONG, (1).to_bytes(8, "big")), close_frame(1000)])
async def test_cancelled_ping_is_left_alone_by_what_comes_in_the_same_turn(last: bytes) -> None:
    transport = FakeTransport()
    pinging = asyncio.create_task(transport.client.ping())
    await turns(1)
    pinging.cancel()
    transport.client.data_received(last)
    with pytest.raises(asyncio.CancelledError):
        await pinging
    transport.abort()


# The transport's side, moved by hand.


@final
class FakeTransport(asyncio.Transport):
    """A transport that keeps each write, and reads and ends when told."""

    def __init__(self, **limits: Any) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.reads = True
        self.end = ""
        connection = Connection(Role.CLIENT, auto_reply=False, masking_key=lambda: b"\0\0\0\0", **limits)
        self.client = ClientConnection(self, connection, Accepted(b"", None, None, Headers()), NEVER)

    def frames(self) -> list[Frame]:
        """Take what was written."""
        parser = FrameParser(Role.SERVER, max_message_size=PLENTY)
        parser.feed(b"".join(self.writes))
        self.writes.clear()
        frames = []
        while (frame := parser.next_frame()) is not None:
            frames.append(Frame(frame.opcode, frame.payload, frame.fin, frame.rsv1))
        return frames

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.end
        self.writes.append(bytes(data))

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return self.end != ""

    def can_write_eof(self) -> bool:
        return False

    def abort(self) -> None:
        self.end = "aborted"
        self.client.connection_lost(None)


async def test_one_read_is_answered_in_one_write() -> None:
    transport = FakeTransport()
    transport.client.data_received(encode_frame(Opcode.PING, b"1") + encode_frame(Opcode.PING, b"2"))
    assert 1 == len(transport.writes)
    assert [Frame(Opcode.PONG, b"1"), Frame(Opcode.PONG, b"2")] == transport.frames()
    transport.abort()


async def test_messages_of_one_turn_leave_in_one_write() -> None:
    transport = FakeTransport()
    for message in "abc":
        await transport.client.send(message)
    assert [] == transport.writes
    await turns(1)
    assert 1 == len(transport.writes)
    assert [said("a"), said("b"), said("c")] == transport.frames()
    transport.abort()


async def test_sender_that_never_waits_is_not_gathered_without_bound() -> None:
    transport = FakeTransport()
    for _ in range(64):
        await transport.client.send("x" * 2048)
    assert [32 * (4 + 4 + 2048)] * 2 == [len(write) for write in transport.writes]
    transport.abort()


async def test_close_goes_behind_what_was_sent_before_it() -> None:
    transport = FakeTransport()
    await transport.client.send("a")
    transport.client.start_closing()
    assert [said("a"), closed(1000)] == transport.frames()
    transport.abort()


@pytest.mark.parametrize(
    ("message", "count"),
    [("", MAX_WAITING), ("x" * 1024, MAX_WAITING_SIZE // 1024), ("x" * MAX_WAITING_SIZE, 1)],
)
async def test_reading_pauses_at_the_inboxs_bounds_and_goes_on_when_it_is_empty(
    message: str, count: int
) -> None:
    transport = FakeTransport()
    client = transport.client
    for _ in range(count - 1):
        client.data_received(text(message))
        assert transport.reads
    client.data_received(text(message))
    assert not transport.reads
    for _ in range(count):
        assert message == await anext(client)
        assert not transport.reads
    reading = asyncio.create_task(anext(client))
    await turns(1)
    assert transport.reads
    client.data_received(text("more"))
    assert "more" == await reading
    transport.abort()


async def test_one_read_that_overfills_the_inbox_waits_in_the_parser() -> None:
    transport = FakeTransport()
    client = transport.client
    messages = [str(number) for number in range(MAX_WAITING * 3)]
    client.data_received(b"".join(map(text, messages)) + encode_frame(Opcode.PING, b""))
    assert not transport.reads
    # The Ping stands behind messages that nobody has taken.
    assert [] == transport.frames()
    assert messages == [await anext(client) for _ in messages]
    assert [] == transport.frames()
    reading = asyncio.create_task(anext(client))
    await turns(1)
    assert [Frame(Opcode.PONG)] == transport.frames()
    await cancel(reading)
    transport.abort()


async def test_messages_that_came_before_the_end_are_still_taken() -> None:
    transport = FakeTransport()
    client = transport.client
    messages = [str(number) for number in range(MAX_WAITING * 3)]
    client.data_received(b"".join(map(text, messages)) + close_frame(1000, "bye"))
    transport.end = "lost"
    client.connection_lost(ConnectionResetError(104, "reset"))
    assert None is client.close_code
    assert messages == [message async for message in client]
    assert (1000, "bye") == end(client)


async def test_newest_ping_is_answered_when_writing_goes_on() -> None:
    transport = FakeTransport()
    client = transport.client
    client.pause_writing()
    for number in range(1000):
        client.data_received(encode_frame(Opcode.PING, str(number).encode()))
    assert [] == transport.writes
    client.resume_writing()
    assert [Frame(Opcode.PONG, b"999")] == transport.frames()
    client.pause_writing()
    client.resume_writing()
    assert [] == transport.frames()
    transport.abort()


async def test_paused_senders_go_on_together() -> None:
    transport = FakeTransport()
    client = transport.client
    client.pause_writing()
    senders = [asyncio.ensure_future(client.send(str(number))) for number in range(3)]
    await turns()
    assert not any(sender.done() for sender in senders)
    client.resume_writing()
    await asyncio.gather(*senders)
    assert [said("0"), said("1"), said("2")] == transport.frames()
    transport.abort()
