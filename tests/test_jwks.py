"""JWKS: keys are fetched when they are needed, kept for a while, and never asked for by whoever likes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.jwks import MAX_AGE, MAX_STALE, MIN_INTERVAL, RemoteKeys
from server.jwt_keys import Key
from server.refusal import Refusal
from tests.conftest import Running, Serve, eventually
from tests.jwt_keys import ED25519, RSA, jwk, key_set, sign
from tests.rawclient import said, text, upgrade
from tests.test_authentication import act, ask, who_am_i

OLD, NEW = key_set(jwk(RSA, "old")), key_set(jwk(RSA, "old"), jwk(ED25519, "new"))


class Publisher:
    """A server of keys: how often it was asked, and what it answers."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = "200 OK"
        self.body: str | bytes = OLD
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.trickles = False
        self.url = ""

    async def _trickle(self, writer: asyncio.StreamWriter) -> None:
        """Begin an answer whose octets never fail to come."""
        writer.write(b"HTTP/1.1 100 Continue\r\nX-Slow: ")
        while not self.may_answer.is_set():
            writer.write(b"a")
            await asyncio.sleep(0.005)
        writer.write(b"\r\n\r\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            if self.trickles:
                await self._trickle(writer)
            await self.may_answer.wait()
            body = self.body if isinstance(self.body, bytes) else self.body.encode()
            head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def publishing() -> AsyncIterator[Publisher]:
    publisher = Publisher()
    server = await asyncio.start_server(publisher.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    publisher.url = f"http://127.0.0.1:{port}/jwks.json?secret=hush"
    try:
        yield publisher
    finally:
        publisher.may_answer.set()
        server.close()
        await server.wait_closed()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def find(keys: RemoteKeys, id: str | None, algorithm: str = "RS256") -> str | None:
    """The id of the key that is found, or the code of the refusal."""
    try:
        key: Key | None = keys.find(algorithm, id)
        return (key or await keys.fetch_and_find(algorithm, id)).id
    except Refusal as refusal:
        return refusal.code


async def test_keys_are_fetched_once_and_then_at_hand() -> None:
    async with publishing() as publisher:
        keys = RemoteKeys(publisher.url, Clock())
        assert ["old"] * 5 == await asyncio.gather(*(find(keys, "old") for _ in range(5)))
        assert 1 == publisher.asked
        found = keys.find("RS256", "old")
        assert found is not None
        assert "old" == found.id


async def test_key_that_is_not_known_is_asked_for_once_in_a_while() -> None:
    async with publishing() as publisher:
        clock = Clock()
        keys = RemoteKeys(publisher.url, clock)
        assert "old" == await find(keys, "old")
        for number in range(100):
            assert "invalid_token" == await find(keys, f"unknown {number}")
        assert 1 == publisher.asked
        clock.now += MIN_INTERVAL
        answers = await asyncio.gather(*(find(keys, f"unknown {number}") for number in range(100)))
        assert (["invalid_token"] * 100, 2) == (answers, publisher.asked)


async def test_new_key_is_found_without_a_restart() -> None:
    async with publishing() as publisher:
        clock = Clock()
        keys = RemoteKeys(publisher.url, clock)
        assert "old" == await find(keys, "old")
        publisher.body = NEW
        clock.now += MIN_INTERVAL
        assert "new" == await find(keys, "new", "EdDSA")
        assert 2 == publisher.asked


async def test_key_that_was_withdrawn_is_good_for_no_longer_than_the_keys_age() -> None:
    async with publishing() as publisher:
        clock = Clock()
        keys = RemoteKeys(publisher.url, clock)
        publisher.body = NEW
        assert "new" == await find(keys, "new", "EdDSA")
        publisher.body = OLD
        clock.now += MAX_AGE - 1
        assert "new" == await find(keys, "new", "EdDSA")
        clock.now += 1
        assert "invalid_token" == await find(keys, "new", "EdDSA")


async def test_old_keys_serve_while_the_source_is_down_but_not_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with publishing() as publisher:
        clock = Clock()
        keys = RemoteKeys(publisher.url, clock)
        assert "old" == await find(keys, "old")
        publisher.status = "500 Internal Server Error"
        clock.now += MAX_AGE
        assert ["old", "old"] == [await find(keys, "old") for _ in range(2)]
        assert 2 == publisher.asked
        assert "invalid_token" == await find(keys, "other")
        clock.now += MAX_STALE - MAX_AGE - 1
        assert "old" == await find(keys, "old")
        clock.now += 1
        assert "unavailable" == await find(keys, "old")
        publisher.status = "200 OK"
        clock.now += MIN_INTERVAL
        assert "old" == await find(keys, "old")
    assert f"can't get the keys of {publisher.url.partition('?')[0]}: " in caplog.text
    assert "hush" not in caplog.text
    assert [logging.WARNING] * 2 == [record.levelno for record in caplog.records]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("200 OK", ""),
        ("200 OK", "<html>"),
        ("200 OK", b"\xff\xfe"),
        ("200 OK", "[]"),
        ("200 OK", "{}"),
        ("200 OK", '{"keys": 7}'),
        ("200 OK", "[" * 100_000),
        ("200 OK", key_set({"kty": "oct", "k": "c2VjcmV0", "kid": "old"})),
        ("404 Not Found", OLD),
        ("nonsense", OLD),
    ],
)
async def test_source_that_answers_nonsense_is_unavailable_and_asked_again_later(
    status: str, body: str | bytes
) -> None:
    async with publishing() as publisher:
        publisher.status, publisher.body = status, body
        clock = Clock()
        keys = RemoteKeys(publisher.url, clock)
        assert ["unavailable"] * 3 == [await find(keys, "old") for _ in range(3)]
        assert 1 == publisher.asked
        publisher.status, publisher.body = "200 OK", OLD
        clock.now += MIN_INTERVAL
        assert "old" == await find(keys, "old")


async def test_source_on_this_machine_is_asked_by_no_way_around(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without TLS a proxy, or whoever is on the way to it, could change a key.
    async with publishing() as publisher, publishing() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert "old" == await find(RemoteKeys(publisher.url, Clock()), "old")
        assert (1, 0) == (publisher.asked, proxy.asked)


async def test_redirection_of_a_source_is_not_followed() -> None:
    # It could lead from https to where anybody on the way may change a key.
    async with publishing() as publisher, publishing() as other:
        publisher.status = f"302 Found\r\nLocation: {other.url}"
        assert "unavailable" == await find(RemoteKeys(publisher.url, Clock()), "old")
        assert (1, 0) == (publisher.asked, other.asked)


async def test_source_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with publishing() as publisher:
        publisher.may_answer.clear()
        keys = RemoteKeys(publisher.url, Clock())
        monkeypatch.setattr("server.jwks.TIMEOUT", 0.05)
        assert ["unavailable"] * 3 == await asyncio.gather(*(find(keys, "old") for _ in range(3)))
        # On a busy machine the question may arrive when nobody waits for its answer any more.
        await eventually(1, lambda: publisher.asked)


async def test_source_that_goes_on_hanging_is_not_asked_by_more_and_more_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with publishing() as publisher:
        publisher.trickles = True
        publisher.may_answer.clear()
        clock = Clock()
        keys = RemoteKeys(publisher.url, clock)
        monkeypatch.setattr("server.jwks.TIMEOUT", 1.0)
        for _ in range(3):
            assert "unavailable" == await find(keys, "old")
            clock.now += MIN_INTERVAL
        await eventually(1, lambda: publisher.asked)
        publisher.may_answer.set()
        assert keys._answer is not None
        await eventually(True, keys._answer.done)
        monkeypatch.undo()
        assert "old" == await find(keys, "old")
        assert 2 == publisher.asked


async def test_nobody_there_is_told_at_once() -> None:
    async with publishing() as publisher:
        url = publisher.url
    assert "unavailable" == await find(RemoteKeys(url, Clock()), "old")


async def test_who_stops_waiting_does_not_take_the_keys_from_the_others() -> None:
    async with publishing() as publisher:
        publisher.may_answer.clear()
        keys = RemoteKeys(publisher.url, Clock())
        first, second = (asyncio.create_task(find(keys, "old")) for _ in range(2))
        await eventually(1, lambda: publisher.asked)
        first.cancel()
        publisher.may_answer.set()
        assert "old" == await second
        assert first.cancelled()


# Behind the server.


async def test_tokens_are_judged_by_fetched_keys(service: Serve) -> None:
    async with publishing() as publisher, service({"/who": who_am_i}, jwt_keys=publisher.url) as running:
        for token in (sign(RSA, "RS256", "old"), sign(RSA, "RS256")):
            client = await running.open("/who", f"Authorization: Bearer {token}")
            await client.send(text("?"))
            assert said("alice") == await client.frame()
        for token in (sign(ED25519, "EdDSA", "new"), sign(), sign(RSA, "RS256", "old", exp=1)):
            assert 401 == (await ask(running, "/who", f"Authorization: Bearer {token}")).status
        assert 1 == publisher.asked


async def test_source_that_is_down_at_the_start_does_not_stop_it(service: Serve) -> None:
    async with publishing() as publisher:
        publisher.status = "503 Service Unavailable"
        async with service({"/who": who_am_i}, jwt_keys=publisher.url) as running:
            assert 1 == publisher.asked
            answer = await ask(running, "/who", f"Authorization: Bearer {sign(RSA, 'RS256', 'old')}")
            assert (503, "5") == (answer.status, answer.fields["retry-after"])
            # Who could never come in needn't wait for the keys.
            assert 401 == (await ask(running, "/who", f"Authorization: Bearer {sign()}")).status
            assert 401 == (await ask(running, "/who")).status


async def test_handshake_does_not_wait_for_a_hanging_source_longer_than_its_deadline(service: Serve) -> None:
    async with publishing() as publisher:
        publisher.status = "503 Service Unavailable"
        async with service({"/who": who_am_i}, jwt_keys=publisher.url, handshake_timeout=0.3) as running:
            keys = remote_of(running)
            keys._attempted_at -= MIN_INTERVAL
            publisher.may_answer.clear()
            answer = await ask(running, "/who", f"Authorization: Bearer {sign(RSA, 'RS256', 'old')}")
            assert (503, "5") == (answer.status, answer.fields["retry-after"])
            publisher.may_answer.set()
            await eventually(None, lambda: keys._fetching)


async def test_stopping_does_not_wait_for_a_hanging_source(service: Serve) -> None:
    async with publishing() as publisher:
        publisher.status = "503 Service Unavailable"
        async with service({"/who": who_am_i}, jwt_keys=publisher.url) as running:
            remote_of(running)._attempted_at -= MIN_INTERVAL
            publisher.may_answer.clear()
            client = await running.connect()
            await client.send(upgrade("/who", f"Authorization: Bearer {sign(RSA, 'RS256', 'old')}"))
            await eventually(2, lambda: publisher.asked)
            running.service.stop_now()
            await running.service.stop()
            publisher.may_answer.set()


async def test_session_that_ends_while_keys_are_fetched_is_not_refreshed_any_more(service: Serve) -> None:
    async with publishing() as publisher, service(jwt_keys=publisher.url) as running:
        client = await running.open("/ws", f"Authorization: Bearer {sign(RSA, 'RS256', 'old')}")
        await client.frame()
        remote_of(running)._attempted_at -= MIN_INTERVAL
        publisher.body = NEW
        publisher.may_answer.clear()
        await act(client, action="refresh", token=sign(ED25519, "EdDSA", "new"))
        await eventually(2, lambda: publisher.asked)
        (session,) = running.sessions()
        before = session.identity
        session.kick(1001, "away")
        publisher.may_answer.set()
        await eventually([], lambda: [task for task in asyncio.all_tasks() if session.id in task.get_name()])
        await eventually(None, lambda: remote_of(running)._fetching)
        assert (before, 0) == (session.identity, len(running.context.expiries))


def remote_of(running: Running) -> RemoteKeys:
    authenticator = running.context.authenticator
    assert authenticator is not None
    assert authenticator._jwt is not None
    assert authenticator._jwt.remote is not None
    return authenticator._jwt.remote
