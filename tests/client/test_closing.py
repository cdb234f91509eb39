"""How a connection ends: by either side, by a broken rule, by a server that is silent, by cancelling."""

import asyncio
import struct

import pytest

from rfc6455 import Opcode, StateError, encode_frame
from server.client import MAX_WAITING, ClientConnection, ConnectionClosed
from tests.client.conftest import AT_ONCE, NEVER, Listen, cancel, end, turns
from tests.rawclient import Frame
from tests.rawserver import PLENTY, close_frame, closed, said, text


async def test_close_waits_for_the_servers_fin(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=NEVER)
        closing = asyncio.create_task(connection.close(3000, "done"))
        assert closed(3000, "done") == await peer.frame()
        await peer.send(close_frame(3000, "done too"))
        assert [] == [message async for message in connection]
        assert (3000, "done too") == end(connection)
        await turns()
        assert not closing.done()
        # Nothing behind the Close, and not the FIN: that is the server's to begin.
        ending = asyncio.create_task(peer.frames())
        await turns()
        assert not ending.done()
        peer.end_sending()
        assert [] == await ending
        await closing


@pytest.mark.parametrize(
    ("sent", "code", "reason", "answered"),
    [
        (close_frame(1000, "bye"), 1000, "bye", closed(1000)),
        (close_frame(4999, "\u00e5"), 4999, "\u00e5", closed(4999)),
        (encode_frame(Opcode.CLOSE, b""), 1005, "", Frame(Opcode.CLOSE)),
    ],
)
async def test_close_of_the_server_is_answered_and_told(
    peers: Listen, sent: bytes, code: int, reason: str, answered: Frame
) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        await peer.send(text("last") + sent)
        assert ["last"] == [message async for message in connection]
        assert (code, reason) == end(connection)
        assert answered == await peer.frame()
        with pytest.raises(ConnectionClosed) as caught:
            await connection.send("too late")
        assert (code, reason) == (caught.value.code, caught.value.reason)
        assert f"The connection is closed ({code} {reason}".rstrip() + ")." == str(caught.value)
        await peer.end()
        await connection.close()
        assert (code, reason) == end(connection)


async def test_reason_is_told_as_it_came_and_quoted_without_what_a_terminal_obeys(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        reason = "\x1b]0;owned\x07\u202e"
        await peer.send(close_frame(1000, reason))
        await peer.end()
        await connection.close()
        with pytest.raises(ConnectionClosed) as caught:
            await connection.send("too late")
        assert reason == caught.value.reason
        assert "The connection is closed (1000 \\x1b]0;owned\\x07\\u202e)." == str(caught.value)


async def test_end_without_a_close_is_1006(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        await peer.send(text("last") + text("cut")[:3])
        await peer.end()
        assert ["last"] == [message async for message in connection]
        why = "The server ended the connection without a Close."
        assert (1006, why) == end(connection)
        with pytest.raises(ConnectionClosed):
            await connection.send("too late")
        await connection.close()
        assert (1006, why) == end(connection)


async def test_reset_is_1006(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        await connection.send("unread")
        peer.reset()
        assert [] == [message async for message in connection]
        assert (1006, "Connection reset by peer.") == end(connection)
        await connection.close()


async def test_abort_is_1006(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        connection.abort()
        assert [] == [message async for message in connection]
        assert (1006, "It was aborted here.") == end(connection)
        assert [] == await peer.frames()


async def test_server_that_does_not_answer_a_close_is_left(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=AT_ONCE)
        await connection.close()
        assert (1006, "The server did not close within 0.01 s.") == (
            connection.close_code,
            connection.close_reason,
        )
        assert [closed(1000)] == await peer.frames()


async def test_server_that_closes_without_a_fin_is_left(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=AT_ONCE)
        await peer.send(close_frame(1000, "bye"))
        async with connection:
            assert [] == [message async for message in connection]
        assert (1000, "bye") == end(connection)
        assert [closed(1000)] == await peer.frames()


async def test_server_that_half_closes_and_reads_nothing_is_left(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=AT_ONCE)
        sending = asyncio.ensure_future(connection.send(b"x" * PLENTY))
        await turns()
        peer.end_sending()
        assert [] == [message async for message in connection]
        await connection.close()
        await asyncio.wait([sending])
        sending.exception()
        assert 1006 == connection.close_code


async def test_close_beside_messages_that_nobody_takes(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=NEVER)
        flooding = asyncio.create_task(peer.send(text("x" * 1000) * 40_000))
        assert "x" * 1000 == await anext(connection)
        closing = asyncio.create_task(connection.close())
        await flooding
        assert closed(1000) == await peer.answer_close()
        await closing
        assert 1000 == connection.close_code


async def test_messages_arrive_behind_our_close_until_the_servers(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=AT_ONCE)
        messages = [str(number) for number in range(MAX_WAITING * 10)]
        connection.start_closing(1000, "that was all")
        assert closed(1000, "that was all") == await peer.frame()
        with pytest.raises(ConnectionClosed):
            await connection.send("too late")
        await peer.send(b"".join(map(text, messages)) + close_frame(1000))
        await peer.end()
        received = []
        async for message in connection:
            received.append(message)
            # Slower than `close_timeout`: the server isn't to blame.
            if len(received) == MAX_WAITING:
                await asyncio.sleep(AT_ONCE * 3)
        assert messages == received
        assert 1000 == connection.close_code


async def test_server_that_falls_silent_behind_our_close_is_left(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=AT_ONCE)
        connection.start_closing()
        await peer.send(text("one more"))
        assert ["one more"] == [message async for message in connection]
        assert 1006 == connection.close_code


async def test_close_again_changes_nothing(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        closing = [asyncio.create_task(connection.close(code)) for code in (1000, 3000)]
        assert closed(1000) == await peer.answer_close()
        await asyncio.gather(*closing)
        await connection.close()
        connection.start_closing()
        assert 1000 == connection.close_code


async def test_code_that_may_not_be_sent_is_refused(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        with pytest.raises(StateError):
            await connection.close(1005)
        await connection.send("fine")
        assert said("fine") == await peer.frame()
        connection.abort()


# Broken rules.

FAULTS = {
    "masked": (encode_frame(Opcode.TEXT, b"x", masking_key=b"abcd"), 1002, "A server's frame is masked."),
    "opcode": (b"\x83\x00", 1002, "Opcode 0x3 is reserved."),
    "reserved bit": (b"\xa1\x00", 1002, "A reserved bit is set."),
    "not utf-8": (encode_frame(Opcode.TEXT, b"\xff"), 1007, "A text message is not UTF-8."),
    "too big": (
        b"\x81\x7e" + struct.pack("!H", 1001),
        1009,
        "A message of more than 1000 octets is over the limit.",
    ),
    "fragments": (
        encode_frame(Opcode.TEXT, b"", fin=False) + encode_frame(Opcode.CONTINUATION, b"", fin=False) * 4,
        1008,
        "A message of more than 4 frames is over the limit.",
    ),
    "close code": (close_frame(1005), 1002, "Close code 1005 may not be sent."),
}


@pytest.mark.parametrize(("sent", "code", "message"), FAULTS.values(), ids=FAULTS)
async def test_broken_rule_fails_the_connection_behind_what_came_before(
    peers: Listen, sent: bytes, code: int, message: str
) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(max_message_size=1000, max_fragments=4, close_timeout=NEVER)
        echoing = asyncio.create_task(echo(connection))
        await turns()
        await peer.send(text("good") + sent + text("ignored"))
        # The answer to the good message goes first; behind the Close comes a half-close.
        assert [said("good"), closed(code, message)] == await peer.frames()
        await peer.end()
        await echoing
        await connection.close()
        assert (1006, message) == end(connection)


async def echo(connection: ClientConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def test_close_of_the_server_is_answered_behind_the_answers_to_what_came_before(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()
        echoing = asyncio.create_task(echo(connection))
        await turns()
        await peer.send(text("a") + text("b") + close_frame(1000))
        assert [said("a"), said("b"), closed(1000)] == [await peer.frame() for _ in range(3)]
        await peer.end()
        await echoing
        await connection.close()


async def test_leaving_the_context_at_a_fault_says_what_the_fault_was(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open()

        async def talk() -> None:
            async with connection:
                await echo(connection)

        talking = asyncio.create_task(talk())
        await turns()
        await peer.send(text("good") + b"\x83\x00")
        assert [said("good"), closed(1002, "Opcode 0x3 is reserved.")] == await peer.frames()
        await peer.end()
        await talking


# Cancelling. Each test ends in a census.


async def test_cancelled_close_aborts(peers: Listen) -> None:
    async with peers() as listening:
        connection, peer = await listening.open(close_timeout=NEVER)
        closing = asyncio.create_task(connection.close())
        assert closed(1000) == await peer.frame()
        await cancel(closing)
        assert [] == await peer.frames()
        assert 1006 == connection.close_code


async def test_cancelled_inside_the_context_closes_and_cancelled_again_aborts(peers: Listen) -> None:
    async with peers() as listening:
        for is_patient in (True, False):
            connection, peer = await listening.open(close_timeout=NEVER)

            async def read(connection: ClientConnection = connection) -> None:
                async with connection:
                    await anext(connection)

            reading = asyncio.create_task(read())
            await turns()
            reading.cancel()
            if is_patient:
                assert closed(1001) == await peer.answer_close()
                with pytest.raises(asyncio.CancelledError):
                    await reading
            else:
                assert closed(1001) == await peer.frame()
                await cancel(reading)
                assert [] == await peer.frames()
