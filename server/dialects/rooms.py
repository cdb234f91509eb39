"""Rooms: the server's own dialect, JSON over WebSocket.

A client sends objects with an `action`; with a `ref` in it the answer, or else an acknowledgement, bears
the same `ref`. The client is sent objects with a `type`. `docs/rooms.md` has the table.
"""

import base64
from typing import Final, final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ..hub import Hub, Refusal
from ..publication import Publication
from ..session import Session
from ..tick import Message

Ref = str | int


class _Action(Struct, tag_field="action", kw_only=True):
    ref: Ref | UnsetType = UNSET


class Join(_Action, tag="join"):
    room: str


class Leave(_Action, tag="leave"):
    room: str


class SendMessage(_Action, tag="message"):
    room: str
    message: Raw
    user: str | None = None


class Broadcast(_Action, tag="broadcast"):
    message: Raw
    user: str | None = None
    echo: bool = False


class Receiver(Struct):
    id: str | None = None
    user: str | None = None


class Direct(_Action, tag="direct"):
    to: Receiver | str
    message: Raw
    user: str | None = None


class Ping(_Action, tag="ping"):
    pass


class _Answer(Struct, tag_field="type", kw_only=True):
    ref: Ref | UnsetType = UNSET


class Welcome(_Answer, tag="welcome"):
    id: str


class Joined(_Answer, tag="joined", kw_only=True):
    status: str = "joined"
    room: str
    members: int
    epoch: str
    offset: int
    recovered: bool = False


class Left(_Answer, tag="left"):
    room: str


class Ack(_Answer, tag="ack"):
    room: str | UnsetType = UNSET
    offset: int | UnsetType = UNSET


class Pong(_Answer, tag="pong"):
    pass


class Error(_Answer, tag="error"):
    code: str
    message: str


class _Ref(Struct):
    """As much of a message as an error's answer needs."""

    ref: Ref | UnsetType = UNSET


class Published(Struct, kw_only=True, omit_defaults=True, rename={"sender": "from"}):
    """A publication on the wire."""

    type: str
    room: str = ""
    user: str
    message: Raw | str
    encoding: str = ""
    sender: str
    offset: int = 0
    time: float


# Characters of a reason: it may quote what the client sent, which is as long as the client likes.
MAX_REASON: Final = 200

_ACTIONS: Final = Join | Leave | SendMessage | Broadcast | Direct | Ping


@final
class RoomsDialect:
    """Turns actions into calls on the hub, and publications into JSON."""

    name = "rooms"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._decoder: msgspec.json.Decoder[Join | Leave | SendMessage | Broadcast | Direct | Ping] = (
            msgspec.json.Decoder(_ACTIONS)
        )
        self._ref_decoder = msgspec.json.Decoder(_Ref)
        self._encoder = msgspec.json.Encoder()

    def connected(self, session: Session) -> None:
        """Greet the session with its id."""
        self._hub.enter(session)
        self._answer(session, Welcome(id=session.id))

    def receive(self, session: Session, message: Message) -> None:
        """Perform an action, and answer it."""
        if isinstance(message, bytes):
            self._answer(session, Error(code="unsupported_data", message="Send JSON as text."))
            return
        try:
            action = self._decoder.decode(message)
        except msgspec.ValidationError as error:
            reason = shorten(str(error))
            self._answer(session, Error(code="invalid_message", message=reason, ref=self._ref(message)))
            return
        except (msgspec.DecodeError, RecursionError):
            self._answer(session, Error(code="invalid_json", message="Invalid JSON"))
            return
        try:
            answer = self._perform(session, action)
        except Refusal as refusal:
            answer = Error(code=refusal.code, message=str(refusal))
        if answer is not None:
            answer.ref = action.ref
            self._answer(session, answer)

    def encode(self, publication: Publication) -> Message:
        """Write a publication as JSON."""
        payload, encoding = publication.payload, ""
        if not isinstance(payload, Raw | str):
            payload, encoding = base64.b64encode(payload).decode("ascii"), "base64"
        published = Published(
            type=publication.kind.value,
            room=publication.room,
            user=publication.user,
            message=payload,
            encoding=encoding,
            sender=publication.sender,
            offset=publication.offset,
            time=publication.time,
        )
        return self._encoder.encode(published).decode()

    def refuse(self, session: Session, code: str, reason: str) -> None:
        """Say which limit was passed."""
        self._answer(session, Error(code=code, message=reason))

    def disconnected(self, session: Session, code: int) -> None:
        """Leave the hub."""
        self._hub.exit(session)

    def _perform(
        self, session: Session, action: Join | Leave | SendMessage | Broadcast | Direct | Ping
    ) -> _Answer | None:
        match action:
            # The payload is copied: else what waits for a reader would hold all of its sender's message.
            case SendMessage():
                sent = self._hub.publish(session, action.room, action.message.copy(), action.user)
                # Who gave no `ref` waits for no answer.
                return None if action.ref is UNSET else Ack(room=action.room, offset=sent.offset)
            case Join():
                room = self._hub.join(session, action.room)
                return Joined(room=room.name, members=len(room.members), epoch=room.epoch, offset=room.offset)
            case Leave():
                self._hub.leave(session, action.room)
                return Left(room=action.room)
            case Broadcast():
                self._hub.broadcast(session, action.message.copy(), action.user, echo=action.echo)
            case Direct():
                to = Receiver(id=action.to) if isinstance(action.to, str) else action.to
                self._hub.direct(session, action.message.copy(), action.user, to_id=to.id, to_user=to.user)
            case Ping():
                return Pong()
        return None if action.ref is UNSET else Ack()

    def _ref(self, message: str) -> Ref | UnsetType:
        try:
            return self._ref_decoder.decode(message).ref
        except (msgspec.DecodeError, RecursionError):
            return UNSET

    def _answer(self, session: Session, answer: _Answer) -> None:
        session.send(self._encoder.encode(answer).decode())


def shorten(reason: str) -> str:
    """Cut what is too long in the middle: it ends with the field that is wrong."""
    if len(reason) <= MAX_REASON:
        return reason
    return f"{reason[: MAX_REASON // 2]}...{reason[-MAX_REASON // 2 :]}"
