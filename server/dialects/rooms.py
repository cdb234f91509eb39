"""Rooms: the server's own dialect, JSON over WebSocket.

A client sends objects with an `action`; with a `ref` in it the answer, or else an acknowledgement, bears
the same `ref`. The client is sent objects with a `type`. `docs/rooms.md` has the table.
"""

import base64
import math
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar, final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from rfc6455 import CloseCode

from ..advice import come_back
from ..hub import GOING_AWAY, AlreadyPublished, Hub
from ..identity import Identity
from ..json_bounds import JsonBounds
from ..memberships import Position
from ..presence import Change, Member, PresenceDiff
from ..publication import Missed, Publication, Replay, Shared
from ..refreshing import Refreshing
from ..refusal import Refusal
from ..session import Session
from ..tick import Message
from . import rooms_schema as schema

A = TypeVar("A", bound=schema.Action)

# Characters of a reason: it may quote what the client sent, which is as long as the client likes.
MAX_REASON: Final = 200


@final
class RoomsDialect:
    """Turns actions into calls on the hub, and publications into JSON."""

    name = "rooms"

    def __init__(
        self, hub: Hub, bounds: JsonBounds | None = None, refreshing: Refreshing | None = None
    ) -> None:
        self._hub = hub
        self._refreshing = refreshing
        self._check = (bounds or JsonBounds()).check
        self._memberships = hub.memberships
        self._decoder: msgspec.json.Decoder[schema.Builtin] = msgspec.json.Decoder(schema.Builtin)
        self._ref_decoder = msgspec.json.Decoder(schema.JustRef)
        self._encoder = msgspec.json.Encoder()

    def connected(self, session: Session) -> None:
        """Greet the session with its id."""
        self._hub.enter(session)
        welcome = schema.Welcome(id=session.id, token=self._hub.registry.token_of(session))
        if session.identity is not None:
            welcome.user = session.identity.user
            welcome.expires_in = _expires_in(session.identity)
        self.answer(session, welcome)

    def receive(self, session: Session, message: Message) -> None:
        """Perform an action, and answer it."""
        action = self.decode(session, message, self._decoder)
        if action is not None:
            self.perform(session, action)

    def decode(self, session: Session, message: Message, decoder: msgspec.json.Decoder[A]) -> A | None:
        """Read an action, or say why it is none."""
        if isinstance(message, bytes):
            self.answer(session, schema.Error(code="unsupported_data", message="Send JSON as text."))
            return None
        try:
            self._check(message)
            return decoder.decode(message)
        except Refusal as refusal:
            # Without its `ref`: to find that would cost as much as to decode it all.
            self.answer(session, schema.Error(code=refusal.code, message=str(refusal)))
        except msgspec.ValidationError as error:
            reason = shorten(str(error))
            self.answer(session, schema.Error(code="invalid_message", message=reason), self._ref(message))
        except (msgspec.DecodeError, RecursionError):
            self.answer(session, schema.Error(code="invalid_json", message="Invalid JSON"))
        return None

    def perform(self, session: Session, action: schema.Action) -> None:
        """Do what is asked for, and answer it."""
        try:
            _PERFORMED[type(action)](self, session, action)
        except AlreadyPublished as again:
            place = again.place
            offset = place.offset if place.room else UNSET
            self.acknowledge(session, action, schema.Ack(room=place.room, offset=offset, duplicate=True))
        except Refusal as refusal:
            self.refused(session, action, refusal)

    def refused(self, session: Session, action: schema.Action, refusal: Refusal) -> None:
        """Say why an action isn't performed, or that it is to be asked for elsewhere."""
        if refusal.code == GOING_AWAY:
            session.close(CloseCode.GOING_AWAY, come_back("the server is going away"))
            return
        self.answer(session, schema.Error(code=refusal.code, message=str(refusal)), action.ref)

    def encode(self, item: Shared) -> Message | None:
        """Write what is shared as JSON."""
        told: schema.Published | schema.PresenceChanged | schema.Missing
        match item:
            case Publication():
                told = _published(item)
            case Replay():
                told = _published(item.publication)
            case PresenceDiff():
                told = _changed(item)
            case Missed():
                told = schema.Missing(room=item.room, count=item.count)
            case _:
                return None
        return self._encoder.encode(told).decode()

    def refuse(self, session: Session, code: str, reason: str) -> None:
        """Say which limit was passed."""
        self.answer(session, schema.Error(code=code, message=reason))

    def octets_held(self, session: Session) -> int:
        """Nothing is kept."""
        return 0

    def disconnected(self, session: Session, code: int) -> None:
        """Leave the hub."""
        self._hub.exit(session)
        if self._refreshing is not None:
            self._refreshing.end(session)

    def _publish(self, session: Session, action: schema.SendMessage) -> None:
        sent = self._hub.publish(
            session,
            action.room,
            # A copy: else what waits for a reader would hold all of its sender's message.
            action.message.copy(),
            action.user,
            echo=action.echo,
            id=action.id,
            ttl=action.ttl,
        )
        self.acknowledge(session, action, schema.Ack(room=sent.room, offset=sent.offset))

    def _broadcast(self, session: Session, action: schema.Broadcast) -> None:
        self._hub.broadcast(
            session, action.message.copy(), action.user, echo=action.echo, id=action.id, ttl=action.ttl
        )
        self.acknowledge(session, action, schema.Ack())

    def _direct(self, session: Session, action: schema.Direct) -> None:
        to = schema.Receiver(id=action.to) if isinstance(action.to, str) else action.to
        self._hub.direct(
            session,
            action.message.copy(),
            action.user,
            to_id=to.id,
            to_user=to.user,
            id=action.id,
            ttl=action.ttl,
        )
        self.acknowledge(session, action, schema.Ack())

    def _join(self, session: Session, action: schema.Join) -> None:
        since = action.since
        joined = self._memberships.join(
            session,
            action.room,
            since=Position(since.epoch, since.offset) if since else None,
            user=action.user,
            state=_state(action.state),
            hears_presence=action.presence,
        )
        answer = schema.Joined(
            room=action.room,
            members=joined.members,
            users=joined.users,
            epoch=joined.epoch,
            offset=joined.offset,
            recovered=joined.recovered,
        )
        self.answer(session, answer, action.ref)
        self._hub.replay(session, joined.missed)

    def _leave(self, session: Session, action: schema.Leave) -> None:
        self._memberships.leave(session, action.room)
        self.answer(session, schema.Left(room=action.room), action.ref)

    def _set_state(self, session: Session, action: schema.State) -> None:
        self._memberships.set_state(session, action.room, _state(action.state))
        self.acknowledge(session, action, schema.Ack(room=action.room))

    def _tell_members(self, session: Session, action: schema.Presence) -> None:
        room = self._memberships.room_of(session, action.room)
        if action.by_user:
            people = [
                schema.Person(user=user, sessions=count) for user, count in room.users_here(action.limit)
            ]
        else:
            people = [_person(member) for member in islice(room.members.values(), action.limit)]
        answer = schema.Members(room=room.name, count=len(room.members), users=room.users, members=people)
        self.answer(session, answer, action.ref)

    def _tell_history(self, session: Session, action: schema.History) -> None:
        room = self._memberships.room_of(session, action.room)
        replays = self._memberships.history(room, action.limit)
        messages = [_published(replay.publication) for replay in replays]
        answer = schema.Messages(room=room.name, epoch=room.epoch, offset=room.offset, messages=messages)
        self.answer(session, answer, action.ref)

    def _resume(self, session: Session, action: schema.Resume) -> None:
        self._hub.registry.resume(session, action.token)
        self.answer(session, schema.Resumed(), action.ref)

    def _answer_ping(self, session: Session, action: schema.Ping) -> None:
        self.answer(session, schema.Pong(), action.ref)

    def _refresh(self, session: Session, action: schema.Refresh) -> None:
        def answer(left: list[str]) -> None:
            for room in left:
                self.answer(session, schema.Left(room=room, code="forbidden"))
            assert session.identity is not None
            self.answer(session, schema.Refreshed(expires_in=_expires_in(session.identity)), action.ref)

        if self._refreshing is None:
            raise Refusal("not_authenticated", "Nobody was asked for a token here.")
        self._refreshing.refresh(session, action.token, answer, partial(self.refused, session, action))

    def _ref(self, message: str) -> schema.Ref | UnsetType:
        try:
            return self._ref_decoder.decode(message).ref
        except (msgspec.DecodeError, RecursionError):
            return UNSET

    def acknowledge(self, session: Session, action: schema.Action, ack: schema.Answer) -> None:
        """Say that it is done; who gave no `ref` waits for no answer."""
        if action.ref is not UNSET:
            self.answer(session, ack, action.ref)

    def answer(self, session: Session, answer: schema.Answer, ref: schema.Ref | UnsetType = UNSET) -> None:
        """Tell a client what concerns it alone."""
        answer.ref = ref
        session.send(self._encoder.encode(answer).decode())


# How each action is performed, by what it was decoded to.
_PERFORMED: Final[dict[type[schema.Action], Callable[[RoomsDialect, Session, Any], None]]] = {
    schema.SendMessage: RoomsDialect._publish,
    schema.Broadcast: RoomsDialect._broadcast,
    schema.Direct: RoomsDialect._direct,
    schema.Join: RoomsDialect._join,
    schema.Leave: RoomsDialect._leave,
    schema.State: RoomsDialect._set_state,
    schema.Presence: RoomsDialect._tell_members,
    schema.History: RoomsDialect._tell_history,
    schema.Resume: RoomsDialect._resume,
    schema.Refresh: RoomsDialect._refresh,
    schema.Ping: RoomsDialect._answer_ping,
}


def _expires_in(identity: Identity) -> float | UnsetType:
    """Say for how long an identity is good; who has a clock that is wrong can count seconds all the same."""
    return UNSET if identity.expires_at == math.inf else round(identity.expires_at - time.time(), 3)


def _published(publication: Publication) -> schema.Published:
    payload, encoding = publication.payload, ""
    if not isinstance(payload, Raw | str):
        payload, encoding = base64.b64encode(payload).decode("ascii"), "base64"
    return schema.Published(
        type=publication.kind.value,
        room=publication.room,
        user=publication.user,
        message=payload,
        encoding=encoding,
        sender=publication.sender,
        offset=publication.offset,
        time=publication.time,
    )


def _changed(diff: PresenceDiff) -> schema.PresenceChanged:
    if diff.changes is None:
        return schema.PresenceChanged(room=diff.room, count=diff.count, users=diff.users, truncated=True)
    return schema.PresenceChanged(
        room=diff.room,
        count=diff.count,
        users=diff.users,
        joined=[_person(member) for member in diff.changes[Change.JOINED]],
        left=[_person(member) for member in diff.changes[Change.LEFT]],
        changed=[_person(member) for member in diff.changes[Change.CHANGED]],
    )


def _person(member: Member) -> schema.Person:
    return schema.Person(id=member.id, user=member.user, state=member.state)


def _state(given: Raw) -> Raw | None:
    return None if bytes(given) in (b"", b"null") else given.copy()


def shorten(reason: str) -> str:
    """Cut what is too long in the middle: it ends with the field that is wrong."""
    if len(reason) <= MAX_REASON:
        return reason
    return f"{reason[: MAX_REASON // 2]}...{reason[-MAX_REASON // 2 :]}"
