"""Refreshing: a session goes on by a newer token of the same user, and by no other."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from server.application import Application
from server.session import Session
from tests.conftest import NO_RATES, Running, Serve, eventually
from tests.jwt_keys import SECRET, sign, write
from tests.rawclient import TEXT, RawClient, closed, text
from tests.test_authentication import act, told, who_am_i


class Place:
    """A service whose users have tokens signed with a secret."""

    def __init__(self, running: Running) -> None:
        self.running = running

    async def enter(self, **claims: Any) -> RawClient:
        client = await self.running.open("/ws", f"Authorization: Bearer {sign(**claims)}")
        self.welcome = await told(client)
        return client

    def after(self, seconds: float) -> None:
        """Let the sweep of that time come."""
        self.running.context.expiries.sweep(self.running.context.clock() + seconds)


@pytest.fixture
def secret(tmp_path: Path) -> dict[str, Any]:
    return {"jwt_secret": write(tmp_path, "secret", SECRET), "jwt_leeway": 0.0, **NO_RATES}


async def test_welcome_tells_who_one_is_and_for_how_long(service: Serve, secret: dict[str, Any]) -> None:
    async with service(**secret, jwt_required_claims=()) as running:
        place = Place(running)
        await place.enter()
        assert "alice" == place.welcome["user"]
        assert 3590 < place.welcome["expires_in"] <= 3600
        await place.enter(exp=None)
        assert ("alice", False) == (place.welcome["user"], "expires_in" in place.welcome)


async def test_connection_ends_when_its_token_expires(service: Serve, secret: dict[str, Any]) -> None:
    async with service(**secret) as running:
        exp = int(time.time()) + 2
        client = await Place(running).enter(exp=exp)
        assert closed(3000, "the token has expired") == await client.frame()
        assert time.time() >= exp - 0.01


@pytest.mark.parametrize("path", ["/", "/echo", "/who"])
async def test_connection_ends_on_every_path(path: str, service: Serve, secret: dict[str, Any]) -> None:
    async with service({"/who": who_am_i}, **secret) as running:
        client = await running.open(path, f"Authorization: Bearer {sign()}")
        Place(running).after(3601)
        while (frame := await client.frame()).opcode == TEXT:
            assert "/" == path
        assert closed(3000, "the token has expired") == frame


async def test_nothing_is_delivered_behind_the_end(service: Serve, secret: dict[str, Any]) -> None:
    async with service(**secret) as running:
        place = Place(running)
        client, other = await place.enter(), await place.enter(exp=int(time.time()) + 7200)
        for one in (client, other):
            await act(one, action="join", room="a")
            await one.frame()
        place.after(3601)
        # What comes crosses the Close; what is published then is for the others.
        await act(client, action="message", room="a", message="too late")
        await act(other, action="message", room="a", message="in time")
        assert "in time" == (await told(other))["message"]
        assert closed(3000, "the token has expired") == await client.frame()
        assert b"" == await client.rest()
        assert 1 == running.service.hub.rooms.open("a").offset


async def test_refresh_extends_the_session(service: Serve, secret: dict[str, Any]) -> None:
    async with service(**secret) as running:
        place = Place(running)
        client = await place.enter()
        await act(client, action="refresh", token=sign(exp=int(time.time()) + 7200), ref=7)
        answer = await told(client)
        assert ("refreshed", 7) == (answer["type"], answer["ref"])
        assert 7190 < answer["expires_in"] <= 7200
        place.after(3700)
        await act(client, action="ping")
        assert "pong" == (await told(client))["type"]
        place.after(7300)
        assert closed(3000, "the token has expired") == await client.frame()


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (sign(sub="bob"), "forbidden"),
        (sign(exp=1), "invalid_token"),
        (sign("another secret that is just as long as it"), "invalid_token"),
        ("unknown-token-0001", "invalid_token"),
        ("", "invalid_request"),
        ("a b", "invalid_request"),
        ("a" * 8193, "invalid_request"),
        ("\x1b[2J\ud83d\ude00", "invalid_request"),
        (None, "invalid_message"),
        (["a"], "invalid_message"),
    ],
)
async def test_refused_refresh_leaves_all_as_it_was(
    token: Any, code: str, service: Serve, secret: dict[str, Any]
) -> None:
    async with service(**secret) as running:
        place = Place(running)
        client = await place.enter(exp=int(time.time()) + 100)
        before = running.sessions()[0].identity
        await act(client, action="refresh", token=token, ref=1)
        answer = await told(client)
        assert ("error", code, 1) == (answer["type"], answer["code"], answer["ref"])
        assert before is running.sessions()[0].identity
        place.after(50)
        await act(client, action="ping")
        assert "pong" == (await told(client))["type"]
        place.after(101)
        assert closed(3000, "the token has expired") == await client.frame()


async def test_rooms_that_the_new_token_does_not_allow_are_left(
    service: Serve, secret: dict[str, Any]
) -> None:
    async with service(**secret) as running:
        place = Place(running)
        client = await place.enter(rooms={"join": [">"], "publish": ["a", "b"]})
        for room in ("a", "b", "team.>"):
            await act(client, action="join", room=room)
            await client.frame()
        await act(client, action="refresh", token=sign(rooms={"join": ["b", "team.x"], "publish": ["b"]}))
        answers = [await told(client) for _ in range(3)]
        left = [
            {"type": "left", "room": "a", "code": "forbidden"},
            {"type": "left", "room": "team.>", "code": "forbidden"},
        ]
        assert left == answers[:2]
        assert "refreshed" == answers[2]["type"]
        running.service.hub.publish(None, "a", "unheard")
        running.service.hub.publish(None, "team.y", "unheard")
        running.service.hub.publish(None, "b", "heard")
        assert "heard" == (await told(client))["message"]
        for action in ("join", "message", "history", "presence"):
            await act(client, action=action, room="a", message=1)
            assert (await told(client))["code"] in ("forbidden", "not_a_member")
        await act(client, action="message", room="b", message="mine")
        assert "mine" == (await told(client))["message"]


async def test_application_is_told_of_rooms_that_had_to_be_left(
    service: Serve, secret: dict[str, Any]
) -> None:
    app, left = Application(), list[str]()

    @app.on_leave
    async def leave(session: Session, room: str) -> None:
        await asyncio.sleep(0)
        left.append(room)

    async with service(None, app, **secret) as running:
        client = await Place(running).enter()
        for room in ("a", "b", "c"):
            await act(client, action="join", room=room)
            await client.frame()
        await act(client, action="refresh", token=sign(rooms={"join": ["b"]}))
        await eventually(["a", "c"], lambda: left)
        await act(client, action="leave", room="b")
        await eventually(["a", "c", "b"], lambda: left)


async def test_without_authentication_there_is_nothing_to_refresh(service: Serve) -> None:
    async with service() as running:
        client = await running.open("/ws")
        await client.frame()
        await act(client, action="refresh", token=sign())
        assert "not_authenticated" == (await told(client))["code"]


async def test_token_is_in_no_answer_and_in_no_line_of_the_log(
    service: Serve, secret: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with service(**secret) as running:
        client = await Place(running).enter()
        tokens = [sign(), sign(exp=1), sign(sub="bob"), "hush.hush.hush"]
        for token in tokens:
            await act(client, action="refresh", token=token)
            assert token not in str(await told(client))
        await client.send(text('{"action":"refresh","token":{"hush":1}}'))
        assert "hush" not in str(await told(client))
    assert not any(token in caplog.text for token in tokens)
