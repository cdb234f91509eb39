"""Application: what a program of yours adds to the rooms: hooks, and actions of its own.

    app = Application()

    @app.on_publish
    async def no_shouting(session: Session, draft: Draft) -> None:
        if str(draft.value).isupper():
            raise Refusal("shouting", "Please don't shout.")

    class Roll(Action, tag="roll"):
        sides: int = 6

    @app.action(Roll)
    async def roll(session: Session, request: Roll) -> int:
        return random.randint(1, request.sides)

`python -m server --app mypackage.chat` serves the `app` of that module. A hook that raises Refusal refuses
what was asked; the client is told its code and its sentence. Hooks of one session run one after the other,
and those of others meanwhile; each is cancelled when its session ends, or when it takes too long.
"""

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar, final, get_args

import msgspec

from .authentication import AuthenticateHook
from .dialects.rooms_schema import Action, Builtin
from .hub import Hub
from .identity import Identity
from .publication import Kind, Publication
from .refusal import Refusal
from .rights import Rights
from .session import Session

__all__ = [
    "Action",
    "Application",
    "Draft",
    "Identity",
    "Kind",
    "Publication",
    "Refusal",
    "Rights",
    "Session",
]

A = TypeVar("A", bound=Action)


@final
@dataclass(slots=True)
class Draft:
    """What a session wants to publish; a hook may change its `value` and its `user`.

    `room` is empty unless `kind` is MESSAGE; `payload` is the value in JSON, as the client wrote it.
    """

    kind: Kind
    room: str
    payload: msgspec.Raw
    user: str | None

    @property
    def value(self) -> Any:
        """The message as Python has it."""
        return msgspec.json.decode(self.payload)

    @value.setter
    def value(self, value: object) -> None:
        self.payload = _encode(value)


SessionHook = Callable[[Session], Awaitable[None]]
RoomHook = Callable[[Session, str], Awaitable[None]]
PublishHook = Callable[[Session, Draft], Awaitable[None]]
EndHook = Callable[[Session, int], Awaitable[None]]
ServerHook = Callable[[], Awaitable[None]]
ActionHandler = Callable[[Session, A], Awaitable[object]]


@final
class Application:
    """The hooks, each by one decorator, and once it is served the `hub` to publish on its own account."""

    def __init__(self) -> None:
        self.hub: Hub
        self.start_hook: ServerHook | None = None
        self.stop_hook: ServerHook | None = None
        self.authenticate_hook: AuthenticateHook | None = None
        self.connect_hook: SessionHook | None = None
        self.join_hook: RoomHook | None = None
        self.publish_hook: PublishHook | None = None
        self.leave_hook: RoomHook | None = None
        self.disconnect_hook: EndHook | None = None
        self.actions: dict[type[Action], Callable[[Session, Any], Awaitable[object]]] = {}

    def on_start(self, hook: ServerHook) -> ServerHook:
        """Call before the server listens."""
        self.start_hook = hook
        return hook

    def on_stop(self, hook: ServerHook) -> ServerHook:
        """Call when all sessions are over."""
        self.stop_hook = hook
        return hook

    def authenticate(self, hook: AuthenticateHook) -> AuthenticateHook:
        """Call with a token that no setting knows, None if there is none, and the request of the handshake.

        The hook returns whose it is, or None for 401; a refusal is 403. When a session shows a newer token
        there is no request.
        """
        self.authenticate_hook = hook
        return hook

    def on_connect(self, hook: SessionHook) -> SessionHook:
        """Call before a session is welcomed; a refusal closes it with 1008."""
        self.connect_hook = hook
        return hook

    def on_join(self, hook: RoomHook) -> RoomHook:
        """Call before a session joins a room, or a pattern."""
        self.join_hook = hook
        return hook

    def on_publish(self, hook: PublishHook) -> PublishHook:
        """Call before a session's message, broadcast or direct message is published."""
        self.publish_hook = hook
        return hook

    def on_leave(self, hook: RoomHook) -> RoomHook:
        """Call after a session left a room, also by its end. There is nothing to refuse."""
        self.leave_hook = hook
        return hook

    def on_disconnect(self, hook: EndHook) -> EndHook:
        """Call after a session that was welcomed ended, with its close code (RFC 6455 7.1.5)."""
        self.disconnect_hook = hook
        return hook

    def action(self, request: type[A]) -> Callable[[ActionHandler[A]], ActionHandler[A]]:
        """Answer an action of your own; what the handler returns is the `result`, None an acknowledgement.

        The request's fields are checked against its types before the handler is called. Raises ValueError
        for an action that exists.
        """
        tag = request.__struct_config__.tag
        if any(tag == known.__struct_config__.tag for known in (*get_args(Builtin), *self.actions)):
            raise ValueError(f"There is an action {tag!r} already.")

        def declare(handler: ActionHandler[A]) -> ActionHandler[A]:
            self.actions[request] = handler
            return handler

        return declare

    def publish(self, room: str, message: object, user: str | None = None) -> Publication:
        """Publish a JSON value to a room in the server's name, or in another. Raises Refusal."""
        return self.hub.publish(None, room, _encode(message), user)

    def broadcast(self, message: object, user: str | None = None) -> Publication:
        """Publish a JSON value to everyone."""
        return self.hub.broadcast(None, _encode(message), user)

    def direct(self, message: object, *, to_id: str | None = None, to_user: str | None = None) -> Publication:
        """Send a JSON value to the session of that id and to those of that user. Raises Refusal."""
        return self.hub.direct(None, _encode(message), to_id=to_id, to_user=to_user)


class ApplicationError(Exception):
    """There is no application by that name; the message is for the person who gave it."""


def load_application(name: str) -> Application:
    """Import `package.module:name`, where the name is `app` unless given. Raises ApplicationError.

    What goes wrong inside of the module is raised as it is.
    """
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # One that the module itself misses is its own affair.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ApplicationError(f"app: there is no module {module_name!r}") from None
    application = getattr(module, attribute or "app", None)
    if not isinstance(application, Application):
        raise ApplicationError(f"app: {attribute or 'app'!r} in {module_name!r} is no Application")
    return application


def _encode(message: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(message))
