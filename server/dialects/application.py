"""The rooms dialect of an application: its hooks come before what a client asks, its actions beside it."""

from collections.abc import Awaitable, Callable
from functools import partial, reduce
from operator import or_
from typing import Final, final

import msgspec

from rfc6455 import CloseCode

from ..application import Application, Draft, PublishHook, RoomHook
from ..hooks import Hooks
from ..hub import Hub
from ..publication import Kind, Shared
from ..session import Session
from ..tick import Message
from . import rooms_schema as schema
from .rooms import RoomsDialect

Publishing = schema.SendMessage | schema.Broadcast | schema.Direct

# Octets: 125 of a control frame less the code.
MAX_CLOSE_REASON: Final = 123
_KINDS: Final = {
    schema.SendMessage: Kind.MESSAGE,
    schema.Broadcast: Kind.BROADCAST,
    schema.Direct: Kind.DIRECT,
}


@final
class ApplicationDialect:
    """Decides for each message which coroutine is asked first, and lets the rooms dialect do the rest."""

    # Its messages are the same, so its sessions share theirs.
    name = RoomsDialect.name

    def __init__(self, rooms: RoomsDialect, hub: Hub, application: Application, hooks: Hooks) -> None:
        self._rooms = rooms
        self._hub = hub
        self._application = application
        self._hooks = hooks
        kinds = reduce(or_, application.actions, schema.Builtin)
        self._decoder: msgspec.json.Decoder[schema.Action] = msgspec.json.Decoder(kinds)

    def connected(self, session: Session) -> None:
        """Ask the application, and welcome the session."""
        hook = self._application.connect_hook
        if hook is None:
            self._rooms.connected(session)
            return
        self._hooks.run(
            session,
            partial(hook, session),
            lambda _: self._rooms.connected(session),
            # At once: what it sent meanwhile isn't to be done.
            lambda refusal: session.kick(CloseCode.POLICY_VIOLATION, _fit(str(refusal))),
        )

    def receive(self, session: Session, message: Message) -> None:
        """Ask the application about an action, if it wants to be, and perform it."""
        application = self._application
        action = self._rooms.decode(session, message, self._decoder)
        call: Callable[[], Awaitable[None]]
        match action:
            case None:
                return
            # First, as it may be made of a built-in one.
            case _ if type(action) in application.actions:
                self._handle(session, action, len(message))
                return
            case schema.Join() if application.join_hook is not None:
                call = partial(application.join_hook, session, action.room)
            case schema.Leave() if application.leave_hook is not None:
                self._leave(session, action, application.leave_hook)
                return
            case schema.SendMessage() | schema.Broadcast() | schema.Direct() if application.publish_hook:
                call = partial(self._ask_to_publish, session, action, application.publish_hook)
            case _:
                self._rooms.perform(session, action)
                return
        self._hooks.run(
            session,
            call,
            lambda _: self._rooms.perform(session, action),
            partial(self._rooms.refused, session, action),
            len(message),
        )

    def encode(self, item: Shared) -> Message | None:
        """Write what is shared as the rooms dialect does."""
        return self._rooms.encode(item)

    def refuse(self, session: Session, code: str, reason: str) -> None:
        """Say which limit was passed."""
        self._rooms.refuse(session, code, reason)

    def octets_held(self, session: Session) -> int:
        """Count the message that a hook is asked about."""
        return self._hooks.octets_held(session)

    def disconnected(self, session: Session, code: int) -> None:
        """Leave the hub, and tell the application of each room and of the end."""
        application = self._application
        calls: list[Callable[[], Awaitable[None]]] = []
        if application.leave_hook is not None:
            rooms = self._hub.memberships.of(session)
            calls += [partial(application.leave_hook, session, room) for room in rooms]
        # One that the application didn't let in never was here.
        if application.disconnect_hook is not None and self._hub.registry.get(session.id) is session:
            calls.append(partial(application.disconnect_hook, session, code))
        self._hub.exit(session)
        self._hooks.end(session, calls)

    async def _ask_to_publish(self, session: Session, action: Publishing, hook: PublishHook) -> None:
        room = action.room if isinstance(action, schema.SendMessage) else ""
        draft = Draft(_KINDS[type(action)], room, action.message, action.user)
        await hook(session, draft)
        action.message = draft.payload
        action.user = draft.user

    def _leave(self, session: Session, action: schema.Leave, hook: RoomHook) -> None:
        is_member = action.room in self._hub.memberships.of(session)
        self._rooms.perform(session, action)
        if is_member:
            call = partial(hook, session, action.room)
            # It is done; there is nothing left to say.
            self._hooks.run(session, call, lambda _: None, lambda _: None)

    def _handle(self, session: Session, action: schema.Action, size: int) -> None:
        def answer(result: object) -> None:
            if result is None:
                self._rooms.acknowledge(session, action, schema.Ack())
                return
            tag = str(type(action).__struct_config__.tag)
            self._rooms.answer(session, schema.Result(action=tag, result=result), action.ref)

        call = partial(self._application.actions[type(action)], session, action)
        self._hooks.run(session, call, answer, partial(self._rooms.refused, session, action), size)


def _fit(reason: str) -> str:
    """Cut a sentence to what a Close can carry (RFC 6455 5.5)."""
    return reason.encode(errors="replace")[:MAX_CLOSE_REASON].decode(errors="ignore")
