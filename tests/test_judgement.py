"""Judgement: what must be awaited keeps the handshake's one deadline, and ends with the client."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from rfc6455 import Request
from server.application import Application, Identity, Refusal, Rights
from server.dialects.stream import Stream
from server.judgement import MAX_BEHIND
from tests.conftest import NO_RATES, Running, Serve, eventually
from tests.rawclient import RawClient, get, said, text, upgrade
from tests.test_authentication import act, ask, told, who_am_i

Hook = Callable[[str | None, Request | None], Awaitable[Any]]


def asking(hook: Hook) -> Application:
    app = Application()
    app.authenticate(hook)
    return app


class Gate:
    """A hook that waits until it may go on, and tells what became of it."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.story: list[str] = []

    async def __call__(self, token: str | None, request: Request | None) -> Identity:
        self.story.append(f"asked for {token}")
        try:
            await self.is_open.wait()
        except asyncio.CancelledError:
            self.story.append("cancelled")
            raise
        return Identity(str(token))


BEARER = "Authorization: Bearer alice"


async def knock(running: Running, gate: Gate, behind: bytes = b"") -> RawClient:
    client = await running.connect()
    await client.send(upgrade("/who", BEARER) + behind)
    await eventually(["asked for alice"], lambda: gate.story)
    return client


async def test_application_says_who_comes_in_by_token_and_request(service: Serve) -> None:
    async def hook(token: str | None, request: Request | None) -> Identity | None:
        await asyncio.sleep(0)
        assert request is not None
        key = request.headers.get("X-Api-Key")
        return Identity(key) if key else None

    async with service({"/who": who_am_i}, asking(hook)) as running:
        client = await running.open("/who", "X-Api-Key: carol")
        await client.send(text("?"))
        assert said("carol") == await client.frame()
        none, unknown = await ask(running, "/who"), await ask(running, "/who", BEARER)
        assert [401, 401] == [none.status, unknown.status]
        assert 'Bearer realm="websocket"' == none.fields["www-authenticate"]
        assert "invalid_token" in unknown.fields["www-authenticate"]


async def test_client_waits_and_what_it_has_sent_is_not_lost(service: Serve) -> None:
    gate = Gate()
    async with service({"/who": who_am_i}, asking(gate)) as running:
        client = await knock(running, gate, behind=text("1") + text("2")[:3])
        await client.send(text("2")[3:])
        await client.send(text("3"))
        gate.is_open.set()
        assert 101 == (await client.answer()).status
        assert [said("alice")] * 3 == await client.frames(3)


async def test_what_a_client_sends_too_early_is_bounded(service: Serve) -> None:
    gate, size = Gate(), 8 * MAX_BEHIND

    async def count(stream: Stream) -> None:
        async for message in stream:
            await stream.send(str(len(message)))

    async with service({"/who": count}, asking(gate), max_message_size=1 << 25, **NO_RATES) as running:
        client = await knock(running, gate)
        sending = asyncio.create_task(client.send(text("a" * 40 * size)))
        (judged,) = running.context.connections
        judgement = judged._judgement  # type: ignore[attr-defined]
        await eventually(True, lambda: judgement.octets_held() >= MAX_BEHIND)
        kept = len(judgement._behind)
        for _ in range(10):
            await asyncio.sleep(0)
        # One read's worth more, at the most.
        assert kept == judgement.octets_held() <= MAX_BEHIND + (256 << 10)
        gate.is_open.set()
        assert 101 == (await client.answer()).status
        await sending
        assert said(str(40 * size)) == await client.frame()


async def end_sending(client: RawClient) -> None:
    client.end_sending()
    await client.eof()


async def reset(client: RawClient) -> None:
    client.reset()


async def close(client: RawClient) -> None:
    client.close()


@pytest.mark.parametrize("leave", [end_sending, reset, close])
async def test_client_that_goes_ends_the_wait(
    leave: Callable[[RawClient], Awaitable[None]], service: Serve
) -> None:
    gate = Gate()
    async with service(
        {"/who": who_am_i}, asking(gate), hook_timeout=3600, handshake_timeout=3600
    ) as running:
        client = await knock(running, gate)
        await leave(client)
        await eventually(["asked for alice", "cancelled"], lambda: gate.story)
        await eventually(0, lambda: len(running.context.connections))


@pytest.mark.parametrize("identity", [Identity("alice"), None])
async def test_hook_that_will_not_be_cancelled_lets_nobody_in_who_has_gone(
    identity: Identity | None, service: Serve
) -> None:
    story: list[str] = []

    async def stubborn(token: str | None, request: Request | None) -> Identity | None:
        story.append("asked")
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        story.append("answered")
        return identity

    async with service({"/who": who_am_i}, asking(stubborn)) as running:
        client = await running.connect()
        await client.send(upgrade("/who", BEARER))
        await eventually(["asked"], lambda: story)
        client.close()
        await eventually(["asked", "answered"], lambda: story)
        await eventually(0, lambda: len(running.context.connections))
        # Neither opened nor refused.
        assert {} == running.context.traffic.handshakes


async def test_deadline_holds_whatever_the_client_sends(service: Serve) -> None:
    gate = Gate()
    times = {"handshake_timeout": 0.5, "hook_timeout": 3600, "close_timeout": 3600}
    async with service({"/who": who_am_i}, asking(gate), **times) as running:
        client = await knock(running, gate)

        async def trickle() -> None:
            while True:
                await client.send(text(""))
                await asyncio.sleep(0.01)

        sending = asyncio.create_task(trickle())
        answer = await client.answer()
        # Though the client stays.
        await eventually(["asked for alice", "cancelled"], lambda: gate.story)
        sending.cancel()
        client.close()
        assert (503, "5") == (answer.status, answer.fields["retry-after"])
        assert b"It could not be found out in time who you are." in answer.body


async def test_hook_has_its_time(service: Serve, caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    async with service({"/who": who_am_i}, asking(gate), hook_timeout=0.01) as running:
        answer = await ask(running, "/who", BEARER)
        assert (503, "5") == (answer.status, answer.fields["retry-after"])
        assert ["asked for alice", "cancelled"] == gate.story
    assert "the authenticate hook took longer than 0.01 s" in caplog.text


async def refuse(token: str | None, request: Request | None) -> None:
    raise Refusal("banned", "You are not welcome here.")


async def ask_again(token: str | None, request: Request | None) -> None:
    raise Refusal("unauthorized", "Sign in again.")


async def quote(token: str | None, request: Request | None) -> None:
    raise Refusal("invalid_token", 'Not "you",\r\nX-Evil: \u202e again \\.')


async def look_up(token: str | None, request: Request | None) -> Identity:
    return {"somebody": Identity("somebody")}[str(token)]


async def give_a_name(token: str | None, request: Request | None) -> str:
    return "alice"


async def give_true(token: str | None, request: Request | None) -> bool:
    return True


async def give_a_bad_name(token: str | None, request: Request | None) -> Identity:
    return Identity("a\nb")


async def time_out(token: str | None, request: Request | None) -> Identity:
    raise TimeoutError("the database")


def fail_at_once(token: str | None, request: Request | None) -> Any:
    raise ValueError(token)


def give_no_coroutine(token: str | None, request: Request | None) -> Any:
    return Identity("alice")


@pytest.mark.parametrize(
    ("hook", "status", "says", "logged"),
    [
        (refuse, 403, b"You are not welcome here.", ""),
        (ask_again, 401, b"Sign in again.", ""),
        (quote, 401, b"again", ""),
        (look_up, 500, b"The application failed.", "the authenticate hook failed: KeyError"),
        (give_a_name, 500, b"The application failed.", "the authenticate hook returned no Identity: str"),
        (give_true, 500, b"The application failed.", "the authenticate hook returned no Identity: bool"),
        (give_a_bad_name, 403, b"A user's name has no control or invisible characters.", ""),
        (time_out, 500, b"The application failed.", "the authenticate hook failed: TimeoutError"),
        (fail_at_once, 500, b"The application failed.", "the authenticate hook failed: ValueError"),
        (give_no_coroutine, 500, b"The application failed.", "the authenticate hook failed: TypeError"),
    ],
)
async def test_hook_that_refuses_or_fails(
    hook: Hook, status: int, says: bytes, logged: str, service: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with service({"/who": who_am_i}, asking(hook)) as running:
        answer = await ask(running, "/who", "Authorization: Bearer hush-hush")
        assert (status, True) == (answer.status, says in answer.body)
        assert "x-evil" not in answer.fields
        assert len(running.errors) == bool(logged)
        assert all(logged in error for error in running.errors)
        # What a KeyError says is the token.
        assert "hush-hush" not in "".join(running.errors) + caplog.text
        running.errors.clear()


async def test_pages_ask_nobody(service: Serve) -> None:
    async with service({"/who": who_am_i}, asking(fail_at_once)) as running:
        client = await running.connect()
        await client.send(get("/healthz"))
        assert 200 == (await client.answer()).status


async def test_what_is_pending_when_the_server_stops_is_turned_away(service: Serve) -> None:
    gate = Gate()
    async with service({"/who": who_am_i}, asking(gate)) as running:
        client = await knock(running, gate)
        stopping = asyncio.create_task(running.service.stop())
        await eventually(True, lambda: running.context.is_draining)
        gate.is_open.set()
        answer = await client.answer()
        assert (503, True) == (answer.status, b"stopping" in answer.body)
        client.close()
        await stopping


async def test_what_is_pending_when_time_is_up_is_cancelled(service: Serve) -> None:
    gate = Gate()
    async with service({"/who": who_am_i}, asking(gate), hook_timeout=3600) as running:
        await knock(running, gate)
        running.service.stop_now()
        await eventually(["asked for alice", "cancelled"], lambda: gate.story)
        await running.service.stop()


async def test_refresh_may_be_awaited_while_others_go_on(service: Serve) -> None:
    may_go_on = asyncio.Event()
    users = {"first": "alice", "second": "alice", "third": "bob"}

    async def hook(token: str | None, request: Request | None) -> Identity | None:
        if request is None:
            await may_go_on.wait()
        user = users.get(str(token))
        return Identity(user, rights=Rights(join=(str(token),))) if user else None

    async with service(None, asking(hook), **NO_RATES) as running:
        client = await running.open("/ws", "Authorization: Bearer first")
        other = await running.open("/ws", "Authorization: Bearer third")
        await client.frame()
        await other.frame()
        for token in ("second", "third", "none"):
            await act(client, action="refresh", token=token)
        await act(client, action="join", room="second")
        await act(other, action="ping")
        assert "pong" == (await told(other))["type"]
        may_go_on.set()
        answers = [await told(client) for _ in range(4)]
        assert ["refreshed", "error", "error", "joined"] == [answer["type"] for answer in answers]
        assert ["forbidden", "invalid_token"] == [answers[1]["code"], answers[2]["code"]]


async def test_session_that_ends_cancels_its_refresh(service: Serve) -> None:
    gate = Gate()
    gate.is_open.set()
    async with service(None, asking(gate), hook_timeout=3600) as running:
        client = await running.open("/ws", BEARER)
        await client.frame()
        gate.is_open.clear()
        await act(client, action="refresh", token="alice")
        await eventually(2, lambda: len(gate.story))
        client.reset()
        # Held, it isn't read; it shows in a write.
        running.sessions()[0].kick(1001, "away")
        await eventually("cancelled", lambda: gate.story[-1])
