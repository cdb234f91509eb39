"""The counters of a service, as its clients move them."""

import asyncio

import pytest

from server.traffic import Traffic, code_name

from .conftest import NO_RATES, Running, Serve, eventually
from .rawclient import BINARY, PING, PONG, TEXT, close, frame, get, text, upgrade


@pytest.mark.parametrize(
    ("code", "name"),
    [(1000, "1000"), (1006, "1006"), (2999, "2999"), (3000, "3xxx"), (3999, "3xxx"), (4000, "4xxx")],
)
def test_close_codes_that_anybody_may_choose_are_counted_by_their_range(code: int, name: str) -> None:
    assert name == code_name(code)


def ended(running: Running) -> tuple[int, dict[str, int], dict[str, int]]:
    traffic = running.context.traffic
    return traffic.sessions, traffic.closes_received, traffic.closes_sent


async def test_every_answer_is_counted_by_its_status_and_by_what_was_asked_for(service: Serve) -> None:
    async with service(allowed_hosts=("localhost",)) as running:
        plain = await running.connect()
        for path in ("/healthz", "/nowhere"):
            await plain.send(get(path))
            await plain.answer()
        refused = await running.connect()
        await refused.send(upgrade("/nowhere"))
        await refused.answer()
        await running.open()
        garbage = await running.connect()
        await garbage.send(b"\0\r\n\r\n")
        await garbage.answer()
        traffic = running.context.traffic
        assert {"101": 1, "404": 1} == traffic.handshakes
        assert {"200": 1, "400": 1, "404": 1} == traffic.requests


async def test_plain_request_behind_a_plain_one_and_a_handshake_are_told_apart(service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        await client.send(get("/healthz") + upgrade())
        assert [200, 101] == [(await client.answer()).status for _ in range(2)]
        assert {"200": 1} == running.context.traffic.requests
        assert {"101": 1} == running.context.traffic.handshakes


async def test_messages_and_octets_are_counted_both_ways(service: Serve) -> None:
    async with service(compression=False, **NO_RATES) as running:
        client = await running.open()
        greeting = running.context.traffic.bytes_sent
        sent = text("hello") + frame(BINARY, b"12345678") + frame(PING, b"?")
        await client.send(sent)
        assert [TEXT, BINARY, PONG] == [(await client.frame()).opcode for _ in range(3)]
        traffic = running.context.traffic
        assert (2, 2) == (traffic.messages_received, traffic.messages_sent)
        assert len(sent) == traffic.bytes_received
        # Heads without a masking key.
        assert len(sent) - 3 * 4 == traffic.bytes_sent - greeting


@pytest.mark.parametrize("compression", [False, True])
async def test_publication_counts_as_one_message_to_each_member(service: Serve, compression: bool) -> None:
    async with service(compression=compression, compression_context_takeover=True) as running:
        offers = ["Sec-WebSocket-Extensions: permessage-deflate"] if compression else []
        members = [await running.open("/ws", *offers) for _ in range(3)]
        for member in members:
            await member.send(text('{"action": "join", "room": "a"}'))
            assert [TEXT, TEXT] == [(await member.frame()).opcode for _ in range(2)]
        before = running.context.traffic.messages_sent
        await members[0].send(text('{"action": "message", "room": "a", "message": 1}'))
        for member in members:
            await member.frame()
        assert 3 == running.context.traffic.messages_sent - before
        reached, flushes = running.context.hub.reached, running.context.fanout.flushes
        assert (1, 3.0) == (sum(reached.counts), reached.sum)
        assert 0 < sum(flushes.counts)
        assert 0 < flushes.sum


async def test_closes_are_counted_both_ways(service: Serve) -> None:
    async with service() as running:
        client = await running.open()
        await client.send(close(4321))
        await client.rest()
        await eventually((0, {"4xxx": 1}, {"4xxx": 1}), lambda: ended(running))


async def test_connection_lost_without_a_close_counts_as_1006_both_ways(service: Serve) -> None:
    async with service() as running:
        client = await running.open()
        assert 1 == running.context.traffic.sessions
        client.reset()
        await eventually((0, {"1006": 1}, {"1006": 1}), lambda: ended(running))


async def test_failed_session_counts_the_code_that_it_was_failed_with(service: Serve) -> None:
    async with service() as running:
        client = await running.open()
        await client.send(frame(0x3))
        await client.rest()
        await eventually((0, {"1006": 1}, {"1002": 1}), lambda: ended(running))


async def test_round_trip_is_observed_at_the_pong(service: Serve) -> None:
    async with service() as running:
        client = await running.open()
        (session,) = running.sessions()
        session.send_ping()
        ping = await client.frame()
        await client.send(frame(PONG, ping.payload))
        traffic = running.context.traffic
        await eventually(1, lambda: sum(traffic.round_trips.counts))
        assert session.rtt == traffic.round_trips.sum
        assert 1 == traffic.pings_sent


async def test_peer_that_answers_no_ping_is_counted(service: Serve) -> None:
    async with service(ping_interval=0.5, pong_timeout=0.001) as running:
        client = await running.open()
        await client.rest()
        await eventually(1, lambda: running.context.traffic.unanswered)
        await eventually((0, {"1006": 1}, {"1011": 1}), lambda: ended(running))


async def test_connections_beyond_the_limit_are_counted_among_the_requests(service: Serve) -> None:
    async with service(max_connections=1) as running:
        await running.open()
        refused = [await running.connect() for _ in range(3)]
        await asyncio.gather(*(client.rest() for client in refused))
        traffic: Traffic = running.context.traffic
        assert (0, {"503": 3}) == (traffic.turned_away, traffic.requests)
