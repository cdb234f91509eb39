"""Authentication at the handshake: on every path and for every kind of client, before the upgrade."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.dialects.stream import Stream
from server.service import Service
from server.settings import Settings, SettingsError
from tests.conftest import NO_RATES, Running, Serve, ServerProcess, eventually
from tests.jwt_keys import SECRET, sign, write
from tests.rawclient import Answer, RawClient, closed, get, said, text, upgrade

ALICE = "alices-token-0001"
BOB = "bobs-token-000002"


@pytest.fixture
def tokens(tmp_path: Path) -> str:
    path = tmp_path / "tokens"
    path.write_text(f"alice {ALICE}\nbob {BOB}\n")
    return str(path)


async def who_am_i(stream: Stream) -> None:
    async for _ in stream:
        await stream.send(str(stream.session.user))


async def ask(running: Running, path: str, *fields: str) -> Answer:
    client = await running.connect()
    await client.send(upgrade(path, *fields))
    return await client.answer()


async def told(client: RawClient) -> Any:
    return json.loads((await client.frame()).payload)


async def act(client: RawClient, **action: Any) -> None:
    await client.send(text(json.dumps(action)))


PATHS = ("/", "/ws", "/echo", "/who")
CHALLENGE = 'Bearer realm="websocket"'


@pytest.mark.parametrize("path", PATHS)
async def test_every_path_wants_a_token(path: str, service: Serve, tokens: str) -> None:
    async with service({"/who": who_am_i}, auth_tokens=tokens, **NO_RATES) as running:
        none = await ask(running, path)
        assert (401, CHALLENGE) == (none.status, none.fields["www-authenticate"])
        assert "close" == none.fields["connection"]
        wrong = await ask(running, path, "Authorization: Bearer nobodys-token-01")
        assert 401 == wrong.status
        expected = f'{CHALLENGE}, error="invalid_token", error_description="The token is not known."'
        assert expected == wrong.fields["www-authenticate"]
        right = await ask(running, path, f"Authorization: Bearer {ALICE}")
        assert 101 == right.status


async def test_routes_are_all_of_those_above(service: Serve, tokens: str) -> None:
    async with service({"/who": who_am_i}, auth_tokens=tokens) as running:
        assert set(PATHS) == set(running.context.routes)


@pytest.mark.parametrize("path", ["/", "/client.js", "/healthz", "/readyz"])
async def test_pages_stay_open(path: str, service: Serve, tokens: str) -> None:
    async with service(auth_tokens=tokens) as running:
        client = await running.connect()
        await client.send(get(path))
        assert 200 == (await client.answer()).status


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/who", [f"Authorization: Bearer {BOB}"]),
        (f"/who?access_token={BOB}", []),
        ("/who", [f"Cookie: session={BOB}"]),
        ("/who", [f"Sec-WebSocket-Protocol: bearer, bearer.{BOB}"]),
    ],
    ids=["header", "query", "cookie", "subprotocol"],
)
async def test_token_may_stand_in_four_places(
    path: str, fields: list[str], service: Serve, tokens: str
) -> None:
    async with service({"/who": who_am_i}, auth_tokens=tokens, auth_cookie="session") as running:
        client = await running.open(path, *fields)
        await client.send(text("?"))
        assert said("bob") == await client.frame()


@pytest.mark.parametrize(
    ("path", "offered", "answered"),
    [
        ("/ws", f"rooms, bearer.{BOB}", "rooms"),
        ("/ws", f"bearer.{BOB}, rooms", "rooms"),
        ("/ws", f"bearer, rooms, bearer.{BOB}", "bearer"),
        ("/echo", f"echo, bearer.{BOB}", "echo"),
        ("/who", f"bearer, bearer.{BOB}", "bearer"),
        ("/ws", f"bearer.{BOB}", None),
        ("/ws", f"other, bearer.{BOB}", None),
    ],
)
async def test_subprotocol_is_answered_and_never_the_token(
    path: str, offered: str, answered: str | None, service: Serve, tokens: str
) -> None:
    async with service({"/who": who_am_i}, auth_tokens=tokens) as running:
        answer = await ask(running, path, f"Sec-WebSocket-Protocol: {offered}")
    assert (101, answered) == (answer.status, answer.fields.get("sec-websocket-protocol"))


async def test_without_authentication_a_token_is_no_subprotocol(service: Serve) -> None:
    async with service() as running:
        answer = await ask(running, "/ws", f"Sec-WebSocket-Protocol: bearer, bearer.{BOB}")
    assert (101, None) == (answer.status, answer.fields.get("sec-websocket-protocol"))


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/ws", ["Authorization: Basic YTpi"], 401),
        ("/ws", ["Authorization: Bearer"], 400),
        ("/ws", [f"Authorization: Bearer {ALICE}", f"Authorization: Bearer {ALICE}"], 400),
        (f"/ws?access_token={ALICE}", [f"Authorization: Bearer {BOB}"], 400),
        ("/ws?access_token=%ff", [], 400),
        ("/ws", [f"Cookie: session={ALICE}"], 401),
        ("/none", [], 404),
        ("/ws", ["Origin: https://evil.example", f"Authorization: Bearer {ALICE}"], 403),
    ],
)
async def test_refusals_before_the_upgrade(
    path: str, fields: list[str], status: int, service: Serve, tokens: str
) -> None:
    async with service(auth_tokens=tokens) as running:
        client = await running.connect()
        await client.send(upgrade(path, *fields))
        answer = await client.answer()
        assert (status, status == 401) == (answer.status, "www-authenticate" in answer.fields)
        await client.eof()


async def test_octets_behind_a_refused_head_are_no_frames(service: Serve, tokens: str) -> None:
    async with service({"/who": who_am_i}, auth_tokens=tokens) as running:
        client = await running.connect()
        await client.send(upgrade("/who") + text("?") + upgrade("/who", f"Authorization: Bearer {ALICE}"))
        assert 401 == (await client.answer()).status
        await client.eof()


async def test_nobody_speaks_in_another_name(service: Serve, tokens: str) -> None:
    async with service(auth_tokens=tokens, **NO_RATES) as running:
        alice = await running.open("/ws", f"Authorization: Bearer {ALICE}")
        bob = await running.open("/ws", f"Authorization: Bearer {BOB}")
        await alice.frame()
        await bob.frame()
        await act(alice, action="join", room="a", user="alice")
        assert "joined" == (await told(alice))["type"]
        for name in ("alice", "carol", "anonymous", "server"):
            for action in ("join", "message", "broadcast", "direct"):
                await act(bob, action=action, room="a", message=1, to={"user": "alice"}, user=name)
                assert "forbidden" == (await told(bob))["code"], (action, name)
        await act(bob, action="message", room="a", message=1)
        await act(bob, action="direct", to={"user": "alice"}, message=2, user="bob")
        heard = [await told(alice) for _ in range(2)]
        assert [("bob", 1), ("bob", 2)] == [(one["user"], one["message"]) for one in heard]
        # What only an application could mean by them is no identity.
        await act(bob, action="join", room="a", identity="alice", sub="alice", claims={"sub": "alice"})
        assert "joined" == (await told(bob))["type"]
        await act(bob, action="presence", room="a")
        assert ["alice", "bob"] == [one["user"] for one in (await told(bob))["members"]]


async def test_handshakes_of_one_user_have_a_rate(service: Serve, tokens: str) -> None:
    async with service(auth_tokens=tokens, handshake_rate_per_user=1) as running:
        found = [(await ask(running, "/echo", f"Authorization: Bearer {ALICE}")).status for _ in range(3)]
        other = await ask(running, "/echo", f"Authorization: Bearer {BOB}")
    assert ([101, 101, 429], 101) == (found, other.status)


@pytest.mark.parametrize("origin", ["*", "null"])
def test_cookie_is_not_taken_from_pages_of_any_origin(origin: str) -> None:
    Settings(allowed_origins=(origin,))
    with pytest.raises(SettingsError, match=r"^auth_cookie: expected allowed_origins without"):
        Settings(auth_cookie="session", allowed_origins=("https://a.example", origin))


@pytest.mark.parametrize("setting", [{"auth_cookie": "a"}, {"jwt_audience": ("a",)}, {"jwt_issuer": "a"}])
async def test_detail_without_anything_to_judge_by_is_a_mistake(setting: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="of use only with auth_tokens, jwt_secret or jwt_keys"):
        Service(Settings(**setting))


async def test_token_of_either_kind_comes_in_and_another_is_told_what_is_wrong(
    service: Serve, tokens: str, tmp_path: Path
) -> None:
    secret = write(tmp_path, "secret", SECRET)
    async with service({"/who": who_am_i}, auth_tokens=tokens, jwt_secret=secret) as running:
        for token, user in ((BOB, "bob"), (sign(sub="carol"), "carol")):
            client = await running.open("/who", f"Authorization: Bearer {token}")
            await client.send(text("?"))
            assert said(user) == await client.frame()
        for token, problem in (
            (sign(exp=1), "The token has expired."),
            ("three.parts.only", "The token can't be read."),
            ("neither-of-the-two", "The token is not known."),
        ):
            answer = await ask(running, "/who", f"Authorization: Bearer {token}")
            challenge = f'{CHALLENGE}, error="invalid_token", error_description="{problem}"'
            assert (401, challenge) == (answer.status, answer.fields["www-authenticate"])
            assert problem.encode() in answer.body


# As an administrator sees it.


def rewrite(path: str, content: str) -> None:
    Path(path).write_text(content)


async def test_hangup_reads_the_tokens_anew_and_sends_away_whose_are_gone(
    start_server: Callable[..., ServerProcess], tokens: str
) -> None:
    server = start_server("--auth-tokens", tokens)
    clients: list[RawClient] = []
    for token in (ALICE, BOB):
        clients.append(await server.connect())
        await clients[-1].open("/ws", f"Authorization: Bearer {token}")
        assert "welcome" == (await told(clients[-1]))["type"]
    alice, bob = clients
    rewrite(tokens, f"alice {ALICE}\nbob nonsense\n")
    server.process.send_signal(signal.SIGHUP)
    problem = (
        f"ERROR auth_tokens: {tokens}, line 2: expected a token of 16 characters or more; the old one stays"
    )
    await eventually(1, lambda: server.errors().count(problem))
    await act(bob, action="ping")
    assert "pong" == (await told(bob))["type"]
    rewrite(tokens, f"alice {ALICE}\n")
    server.process.send_signal(signal.SIGHUP)
    assert closed(3000, "the token was revoked") == await bob.frame()
    await act(alice, action="ping")
    assert "pong" == (await told(alice))["type"]
    await eventually(1, lambda: server.errors().count("INFO the file of tokens was read anew"))
    assert ALICE not in server.errors()
    assert BOB not in server.errors()


async def test_hangup_reads_the_keys_anew(start_server: Callable[..., ServerProcess], tmp_path: Path) -> None:
    newer = "another secret that is just as long as it"
    path = write(tmp_path, "secret", SECRET)
    server = start_server("--jwt-secret", path)
    staying = await server.connect()
    await staying.open("/ws", f"Authorization: Bearer {sign()}")
    rewrite(path, "short")
    server.process.send_signal(signal.SIGHUP)
    await eventually(1, lambda: server.errors().count("got 5; the old one stays"))
    rewrite(path, newer)
    server.process.send_signal(signal.SIGHUP)
    await eventually(1, lambda: server.errors().count("the file of keys was read anew"))
    for secret, status in ((SECRET, 401), (newer, 101)):
        client = await server.connect()
        await client.send(upgrade("/ws", f"Authorization: Bearer {sign(secret)}"))
        assert status == (await client.answer()).status
    await act(staying, action="ping")
    assert ["welcome", "pong"] == [(await told(staying))["type"] for _ in range(2)]


def test_file_that_can_not_be_used_stops_the_start(start_server: Callable[..., ServerProcess]) -> None:
    with pytest.raises(AssertionError, match="auth_tokens: can't read none: No such file or directory"):
        start_server("--auth-tokens", "none")
