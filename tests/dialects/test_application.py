"""An application's say in the rooms, on real connections: what it lets in, changes, refuses and answers."""

import asyncio
import json
import socket
from typing import Annotated, Any

import pytest
from msgspec import Meta

from server.application import Action, Application, Draft, Kind, Refusal, Session
from server.dialects.rooms_schema import SendMessage
from server.listening import ListenError
from server.service import Service
from server.settings import Settings
from tests.conftest import Running, Serve, eventually, take_census
from tests.rawclient import CLOSE, Frame, RawClient, closed, text, upgrade

Json = dict[str, Any]


async def do(client: RawClient, *actions: Json) -> None:
    await client.send(b"".join(text(json.dumps(action)) for action in actions))


async def hear(client: RawClient, count: int) -> list[Json]:
    return [json.loads(frame.payload) for frame in await client.frames(count)]


async def enter(running: Running) -> RawClient:
    client = await running.open("/ws")
    assert ["welcome"] == [message["type"] for message in await hear(client, 1)]
    return client


async def until_close(client: RawClient) -> list[Frame]:
    frames = [await client.frame()]
    while frames[-1].opcode != CLOSE:
        frames.append(await client.frame())
    return frames


def error(code: str, message: str, ref: int) -> Json:
    return {"type": "error", "code": code, "message": message, "ref": ref}


async def test_session_is_welcomed_once_the_application_lets_it_in(service: Serve) -> None:
    app = Application()
    may_enter = asyncio.Event()
    seen: list[Session] = []

    @app.on_connect
    async def door(session: Session) -> None:
        seen.append(session)
        await may_enter.wait()

    async with service(None, app) as running:
        client = await running.open("/ws")
        await do(client, {"action": "ping", "ref": 1})
        await eventually(1, lambda: len(seen))
        assert 0 == len(running.context.hub.registry)
        may_enter.set()
        welcome, pong = await hear(client, 2)
        assert (seen[0].id, 1) == (welcome["id"], pong["ref"])


async def test_session_that_is_not_let_in_is_closed_with_the_reason_and_never_was_here(
    service: Serve,
) -> None:
    app = Application()
    told: list[int] = []

    @app.on_connect
    async def door(session: Session) -> None:
        raise Refusal("full", "\u00e5" * 100)

    @app.on_disconnect
    async def goodbye(session: Session, code: int) -> None:
        told.append(code)

    async with service(None, app) as running:
        client = await running.open("/ws")
        assert closed(1008, "\u00e5" * 61) == await client.frame()
    assert [] == told


async def test_nothing_is_done_for_a_session_that_is_not_let_in(service: Serve) -> None:
    app = Application()
    is_open = True

    @app.on_connect
    async def door(session: Session) -> None:
        if not is_open:
            raise Refusal("closed", "Nobody else may come in.")

    async with service(None, app) as running:
        member = await enter(running)
        await do(member, {"action": "join", "room": "a"})
        is_open = False
        stranger = await running.connect()
        unasked = ({"action": action, "room": "a", "message": "spam"} for action in ("join", "message"))
        await stranger.send(upgrade("/ws") + b"".join(text(json.dumps(action)) for action in unasked))
        assert 101 == (await stranger.answer()).status
        assert closed(1008, "Nobody else may come in.") == await stranger.frame()
        await do(member, {"action": "message", "room": "a", "message": "heard"})
        joined, heard = await hear(member, 2)
        assert (1, "heard") == (joined["members"], heard["message"])
        room = running.context.hub.rooms.get("a")
        assert room is not None
        assert 1 == len(room.members)


async def test_join_may_be_refused_and_nothing_is_joined(service: Serve) -> None:
    app = Application()

    @app.on_join
    async def door(session: Session, room: str) -> None:
        if room != "open":
            raise Refusal("private", f"{room} is private.")

    async with service(None, app) as running:
        client = await enter(running)
        await do(client, *({"action": "join", "room": room, "ref": 1} for room in ("shut", "shut.*", "open")))
        refused, pattern, joined = await hear(client, 3)
        assert error("private", "shut is private.", 1) == refused
        assert error("private", "shut.* is private.", 1) == pattern
        assert ("joined", 1) == (joined["type"], joined["members"])
        assert ["open"] == [room.name for room in running.context.hub.rooms]


@pytest.mark.parametrize("hook", ["connect", "join"])
async def test_session_that_its_own_hook_ended_is_nowhere(hook: str, service: Serve) -> None:
    app = Application()
    kicked = asyncio.Event()

    async def end(session: Session, room: str = "") -> None:
        session.kick(1008, "out")
        kicked.set()

    if hook == "connect":
        app.on_connect(end)
    else:
        app.on_join(end)
    async with service(None, app) as running:
        client = await running.open("/ws")
        await do(client, {"action": "join", "room": "a"})
        await kicked.wait()
        assert (CLOSE, b"\x03\xf0out") == [(one.opcode, one.payload) for one in await until_close(client)][-1]
        await client.eof()
        await eventually([], lambda: [task for task in asyncio.all_tasks() if "hook" in task.get_name()])
        hub = running.context.hub
        assert (0, []) == (len(hub.registry), [room for room in hub.rooms if room.members])


async def test_publication_may_be_changed_or_refused_whatever_its_kind(service: Serve) -> None:
    app = Application()
    seen: list[tuple[Kind, str, object, str | None]] = []

    @app.on_publish
    async def editor(session: Session, draft: Draft) -> None:
        seen.append((draft.kind, draft.room, draft.value, draft.user))
        await asyncio.sleep(0)
        if draft.value == "spam":
            raise Refusal("spam", "No advertising.")
        draft.value = [draft.value]
        draft.user = "edited"

    async with service(None, app) as running:
        client = await enter(running)
        (session,) = running.sessions()
        await do(
            client,
            {"action": "join", "room": "general"},
            {"action": "message", "room": "general", "message": "spam", "ref": 1},
            {"action": "message", "room": "general", "message": 1, "user": "alice"},
            {"action": "broadcast", "message": 2, "echo": True},
            {"action": "direct", "to": session.id, "message": 3},
        )
        _, refused, *heard = await hear(client, 5)
        assert error("spam", "No advertising.", 1) == refused
        kinds = ["message", "broadcast", "direct"]
        assert kinds == [message["type"] for message in heard]
        assert [([1], "edited"), ([2], "edited"), ([3], "edited")] == [
            (message["message"], message["user"]) for message in heard
        ]
        assert [
            (Kind.MESSAGE, "general", "spam", None),
            (Kind.MESSAGE, "general", 1, "alice"),
            (Kind.BROADCAST, "", 2, None),
            (Kind.DIRECT, "", 3, None),
        ] == seen


async def test_slow_hook_keeps_its_own_sessions_order_and_nobody_else_waiting(service: Serve) -> None:
    app = Application()
    may_go_on = asyncio.Event()

    @app.on_publish
    async def editor(session: Session, draft: Draft) -> None:
        if draft.value == "slow":
            await may_go_on.wait()

    async with service(None, app) as running:
        slow, quick = await enter(running), await enter(running)
        await do(quick, {"action": "join", "room": "a"})
        await do(slow, *({"action": "message", "room": "a", "message": word} for word in ("slow", "after")))
        await do(quick, {"action": "message", "room": "a", "message": "quick"})
        _, first = await hear(quick, 2)
        assert "quick" == first["message"]
        may_go_on.set()
        assert ["slow", "after"] == [message["message"] for message in await hear(quick, 2)]


async def test_leave_and_disconnect_are_told_once_each_in_order(service: Serve) -> None:
    app = Application()
    story: list[object] = []

    @app.on_leave
    async def left(session: Session, room: str) -> None:
        await asyncio.sleep(0)
        story.append(room)

    @app.on_disconnect
    async def gone(session: Session, code: int) -> None:
        story.append(code)

    async with service(None, app) as running:
        client = await enter(running)
        await do(client, *({"action": "join", "room": room} for room in ("a", "b", "c")))
        await do(client, {"action": "leave", "room": "b"}, {"action": "leave", "room": "nowhere"})
        assert ["joined", "joined", "joined", "left", "error"] == [
            message["type"] for message in await hear(client, 5)
        ]
        client.reset()
        await eventually(["b", "a", "c", 1006], lambda: story)


async def test_own_actions_are_checked_against_their_schema_and_answered(service: Serve) -> None:
    app = Application()

    class Roll(Action, tag="roll"):
        sides: Annotated[int, Meta(ge=2, le=6)] = 6

    @app.action(Roll)
    async def roll(session: Session, request: Roll) -> object:
        if request.sides == 3:
            raise Refusal("no_such_die", "There is no such die.")
        return {"sides": request.sides} if request.sides > 2 else None

    async with service(None, app) as running:
        client = await enter(running)
        await do(client, *({"action": "roll", "sides": sides, "ref": sides} for sides in range(1, 8)))
        await do(client, {"action": "roll"}, {"action": "roll", "sides": 2}, {"action": "ping"})
        answers = await hear(client, 9)
        assert [
            error("invalid_message", "Expected `int` >= 2 - at `$.sides`", 1),
            {"type": "ack", "ref": 2},
            error("no_such_die", "There is no such die.", 3),
            *({"type": "answer", "action": "roll", "result": {"sides": n}, "ref": n} for n in (4, 5, 6)),
            error("invalid_message", "Expected `int` <= 6 - at `$.sides`", 7),
            {"type": "answer", "action": "roll", "result": {"sides": 6}},
            {"type": "pong"},
        ] == answers


async def test_own_action_made_of_a_built_in_one_is_its_handlers_alone(service: Serve) -> None:
    app = Application()
    asked: list[Draft] = []

    class Shout(SendMessage, tag="shout"):
        pass

    @app.on_publish
    async def censor(session: Session, draft: Draft) -> None:
        asked.append(draft)

    @app.action(Shout)
    async def shout(session: Session, request: Shout) -> object:
        return {"room": request.room}

    async with service(None, app) as running:
        client = await enter(running)
        await do(client, {"action": "shout", "room": "a", "message": "hi", "ref": 1})
        answer = {"type": "answer", "action": "shout", "result": {"room": "a"}, "ref": 1}
        assert [answer] == await hear(client, 1)
        assert [] == asked


async def test_hook_that_fails_or_hangs_costs_one_answer_and_no_session(service: Serve) -> None:
    app = Application()

    @app.on_join
    async def door(session: Session, room: str) -> None:
        if room == "broken":
            raise RuntimeError("broken")
        await asyncio.Event().wait()

    async with service(None, app, hook_timeout=0.01) as running:
        client = await enter(running)
        await do(client, *({"action": "join", "room": room, "ref": 1} for room in ("broken", "endless")))
        await do(client, {"action": "ping"})
        failed, late, pong = await hear(client, 3)
        assert error("internal_error", "The application failed.", 1) == failed
        assert error("timeout", "The application took too long.", 1) == late
        assert {"type": "pong"} == pong
        assert 1 == len(running.errors)
        running.errors.clear()


async def test_hook_is_cancelled_when_its_client_is_gone(service: Serve) -> None:
    app = Application()
    story: list[str] = []

    @app.on_join
    async def door(session: Session, room: str) -> None:
        story.append("asked")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            story.append("cancelled")
            raise

    async with service(None, app) as running:
        client = await enter(running)
        await do(client, {"action": "join", "room": "a"})
        await eventually(["asked"], lambda: story)
        running.sessions()[0].kick(1008, "enough")
        await eventually(["asked", "cancelled"], lambda: story)
        assert 0 == len(running.context.hub.rooms)


async def test_application_publishes_on_its_own_account(service: Serve) -> None:
    app = Application()

    async with service(None, app) as running:
        client = await enter(running)
        (session,) = running.sessions()
        await do(client, {"action": "join", "room": "news"})
        await hear(client, 1)
        app.publish("news", {"n": 1}, user="ticker")
        app.broadcast("all")
        app.direct(None, to_id=session.id)
        heard = await hear(client, 3)
        assert [
            ("message", "ticker", {"n": 1}, "server"),
            ("broadcast", "server", "all", "server"),
            ("direct", "server", None, "server"),
        ] == [(one["type"], one["user"], one["message"], one["from"]) for one in heard]
        with pytest.raises(Refusal):
            app.direct("nobody", to_user="nobody")


async def test_server_starts_and_stops_with_its_application(service: Serve) -> None:
    app = Application()
    story: list[str] = []

    @app.on_start
    async def start() -> None:
        story.append("start")

    @app.on_disconnect
    async def gone(session: Session, code: int) -> None:
        await asyncio.sleep(0)
        story.append("gone")

    @app.on_stop
    async def stop() -> None:
        story.append("stop")

    async with service(None, app) as running:
        assert ["start"] == story
        client = await enter(running)
        stopping = asyncio.create_task(running.service.stop())
        assert 1001 == int.from_bytes((await client.frame()).payload[:2])
        client.close()
        await stopping
        assert ["start", "gone", "stop"] == story
        story.clear()


async def test_application_stops_if_its_server_cannot_start(loop_name: str) -> None:
    app = Application()
    story: list[str] = []

    @app.on_start
    async def start() -> None:
        story.append("start")

    @app.on_stop
    async def stop() -> None:
        await asyncio.sleep(0)
        story.append("stop")

    before = take_census()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(host=("127.0.0.1",), port=taken.getsockname()[1], drain_delay=20.0)
        with pytest.raises(ListenError):
            await Service(settings, application=app).start()
    assert ["start", "stop"] == story
    await eventually(before, take_census)


async def test_application_that_cannot_start_is_not_stopped(loop_name: str) -> None:
    app = Application()

    @app.on_start
    async def start() -> None:
        raise LookupError("no database")

    @app.on_stop
    async def stop() -> None:
        pytest.fail("it never began")

    with pytest.raises(LookupError):
        await Service(Settings(host=("127.0.0.1",), port=0), application=app).start()
