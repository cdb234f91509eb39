"""A scrape of a running server, read by the library that made it and held to what happened."""

from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import rfc6455
from server.limits import descriptor_limit
from server.metrics import Metrics
from server.publication import weight_of

from .conftest import NARROW, Running, Serve, eventually
from .rawclient import RawClient, close, get, text

OPENMETRICS = "Accept: application/openmetrics-text; version=1.0.0"


async def scrape(client: RawClient, *fields: str) -> tuple[str, str]:
    await client.send(get("/metrics", *fields))
    answer = await client.answer()
    assert 200 == answer.status
    return answer.fields["content-type"], answer.body.decode()


async def samples(client: RawClient) -> dict[str, float]:
    """Each sample by its name and labels, as they are written."""
    _, page = await scrape(client)
    return {
        sample.name + "".join(f"[{label}={value}]" for label, value in sample.labels.items()): sample.value
        for family in parse_text(page)
        for sample in family.samples
    }


async def test_what_happened_is_in_the_next_scrape(service: Serve) -> None:
    async with service(max_connections=5) as running:
        scraper = await running.connect()
        member = await running.open("/ws")
        await member.frame()
        await member.send(text('{"action": "join", "room": "a"}'))
        await member.frame()
        await member.send(text('{"action": "message", "room": "a", "message": "hello"}'))
        await member.frame()
        leaver = await running.open()
        await leaver.send(close(1000))
        await leaver.rest()
        leaver.close()
        await eventually(1, lambda: len(running.sessions()))
        told = await samples(scraper)
        expected = {
            f"rfc6455_build_info[build={rfc6455.BUILD}]": 1,
            "rfc6455_connections": 2,
            "rfc6455_max_connections": 5,
            "rfc6455_sessions": 1,
            "rfc6455_rooms": 1,
            "rfc6455_history_bytes": weight_of("hello") + 2,
            "rfc6455_handshakes_total[status=101]": 2,
            "rfc6455_received_messages_total": 2,
            "rfc6455_sent_messages_total": 3,
            "rfc6455_received_closes_total[code=1000]": 1,
            "rfc6455_sent_closes_total[code=1000]": 1,
            "rfc6455_fanout_sessions_bucket[le=0.0]": 0,
            "rfc6455_fanout_sessions_bucket[le=1.0]": 1,
            "rfc6455_fanout_sessions_bucket[le=+Inf]": 1,
            "rfc6455_fanout_sessions_count": 1,
            "rfc6455_fanout_sessions_sum": 1,
        }
        assert expected == {name: told[name] for name in expected}
        # The last scrape was answered too.
        assert 1 == (await samples(scraper))["rfc6455_http_requests_total[status=200]"]


async def test_connections_that_are_let_in_are_as_many_as_descriptors_unless_told(service: Serve) -> None:
    async with service() as running:
        told = await samples(await running.connect())
        assert descriptor_limit() == told["rfc6455_max_connections"]


async def test_slow_reader_is_seen_in_the_queue_and_the_drops(service: Serve) -> None:
    settings: dict[str, Any] = {**NARROW, "compression": False, "max_queue_bytes": 10_000}
    async with service(**settings) as running:
        scraper = await running.connect()
        slow = await running.open("/ws", receive_buffer=4096)
        await slow.send(text('{"action": "join", "room": "a"}'))
        await eventually(True, lambda: running.context.hub.rooms.get("a") is not None)
        for _ in range(100):
            running.service.hub.publish(None, "a", "x" * 1000)
            await eventually(True, lambda: not running.context.fanout._dirty)
            if not running.sessions() or not running.context.traffic.sessions:
                break
        told = await samples(scraper)
        assert (1, 0) == (told["rfc6455_too_slow_sessions_total"], told["rfc6455_paused_sessions"])
        assert 1 == told["rfc6455_sent_closes_total[code=1013]"]


async def test_paused_session_is_counted_and_its_queue_sampled(service: Serve) -> None:
    async with service(**NARROW, compression=False, max_queue_seconds=3600) as running:
        scraper = await running.connect()
        await stall(running)
        for _ in range(20):
            running.service.hub.publish(None, "a", "x" * 1000)
        await eventually(True, lambda: sum(running.context.traffic.waiting_bytes.counts) > 0)
        told = await samples(scraper)
        assert 1 == told["rfc6455_paused_sessions"]
        assert told["rfc6455_paused_queue_bytes_sum"] > 20_000
        for session in running.sessions():
            session.abort()


async def stall(running: Running) -> None:
    """Let a member of a room read nothing until its session is paused."""
    slow = await running.open("/ws", receive_buffer=4096)
    await slow.send(text('{"action": "join", "room": "a"}'))
    await eventually(True, lambda: running.context.hub.rooms.get("a") is not None)
    (session,) = running.sessions()
    while not session.is_paused:
        running.service.hub.publish(None, "a", "x" * 1000)
        await eventually(False, lambda: session.outbox.is_dirty)


async def test_answer_is_in_the_format_that_was_asked_for(service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        kind, page = await scrape(client)
        assert kind.startswith("text/plain; version=0.0.4")
        names = {family.name for family in parse_text(page)}
        kind, page = await scrape(client, OPENMETRICS)
        assert kind.startswith("application/openmetrics-text; version=1.0.0")
        assert page.endswith("# EOF\n")
        families = parse_openmetrics(page)  # type: ignore[no-untyped-call]  # it has no types
        assert names == {family.name for family in families}


@pytest.mark.parametrize("version", ["abc", '"1.0.0"', "2.\u00e9", "1.0.x", "1..0", "1" * 5000, "\u00b2"])
async def test_version_that_is_none_is_answered_as_if_none_were_named(version: str, service: Serve) -> None:
    async with service() as running:
        client = await running.connect()
        for kind in ("application/openmetrics-text", "text/plain"):
            accept = f"Accept: {kind}; version={version}".encode("latin-1")
            await client.send(get("/metrics").replace(b"\r\n\r\n", b"\r\n%b\r\n\r\n" % accept))
            answer = await client.answer()
            assert "text/plain; version=0.0.4; charset=utf-8" == answer.fields["content-type"]


async def test_names_have_one_prefix_and_the_unit_at_the_end(service: Serve) -> None:
    async with service() as running:
        for family in Metrics(running.context).collect():
            assert family.name.startswith("rfc6455_")
            assert family.documentation.endswith(".")
            measured = [unit for unit in ("seconds", "bytes") if unit in family.name]
            assert not measured or family.name.endswith(measured[0])


async def test_no_label_has_a_value_that_a_client_chose(service: Serve) -> None:
    async with service() as running:
        client = await running.open("/ws")
        await client.send(text('{"action": "join", "room": "a-name-of-mine"}') + close(4999))
        await client.rest()
        await eventually(0, lambda: running.context.traffic.sessions)
        _, page = await scrape(await running.connect())
        assert '{code="4xxx"}' in page
        assert "a-name-of-mine" not in page
        assert '"4999"' not in page
        assert "127.0.0.1" not in page


async def test_scrape_visits_no_connection(service: Serve) -> None:
    async with service() as running:
        metrics = Metrics(running.context)
        visited: list[str] = []

        class Watched(dict[Any, None]):
            def __iter__(self) -> Any:
                visited.append("connections")
                return super().__iter__()

        running.context.connections = Watched(running.context.connections)
        list(metrics.collect())
        assert [] == visited
