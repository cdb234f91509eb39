"""The messages of the rooms dialect: what a client may send, and what it is sent."""

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ..idempotency import MAX_ID

# As long as an id: it comes back in the answer.
Ref = Annotated[str, Meta(max_length=MAX_ID)] | int
# A JSON value that wasn't given.
NOTHING: Final = Raw()
# How long a message is worth anything, in seconds.
MAX_TTL: Final = 86_400
Ttl = Annotated[float, Meta(gt=0, le=MAX_TTL)]
Offset = Annotated[int, Meta(ge=0)]
# Members, or messages, in one answer.
MAX_LISTED: Final = 1000
Limit = Annotated[int, Meta(ge=1, le=MAX_LISTED)]


class Action(Struct, tag_field="action", kw_only=True):
    """What a client asks for; `ref` comes back in the answer."""

    ref: Ref | UnsetType = UNSET


class Since(Struct):
    epoch: str
    offset: Offset


class Join(Action, tag="join"):
    room: str
    since: Since | None = None
    user: str | None = None
    state: Raw = NOTHING
    presence: bool = False


class Leave(Action, tag="leave"):
    room: str


class SendMessage(Action, tag="message"):
    room: str
    message: Raw
    user: str | None = None
    echo: bool = True
    id: str | None = None
    ttl: Ttl | None = None


class Broadcast(Action, tag="broadcast"):
    message: Raw
    user: str | None = None
    echo: bool = False
    id: str | None = None
    ttl: Ttl | None = None


class Receiver(Struct):
    id: str | None = None
    user: str | None = None


class Direct(Action, tag="direct"):
    to: Receiver | str
    message: Raw
    user: str | None = None
    id: str | None = None
    ttl: Ttl | None = None


class State(Action, tag="state"):
    room: str
    state: Raw = NOTHING


class Presence(Action, tag="presence"):
    room: str
    limit: Limit = 100
    by_user: bool = False


class History(Action, tag="history"):
    room: str
    limit: Limit = 100


class Resume(Action, tag="resume"):
    token: str


class Refresh(Action, tag="refresh"):
    token: str


class Ping(Action, tag="ping"):
    pass


Builtin = (
    Join | Leave | SendMessage | Broadcast | Direct | State | Presence | History | Resume | Refresh | Ping
)


class Answer(Struct, tag_field="type", kw_only=True):
    """What a client is told alone."""

    ref: Ref | UnsetType = UNSET


class Welcome(Answer, tag="welcome"):
    """With a `user` whom the handshake proved, and how many seconds that is worth."""

    id: str
    token: str
    user: str | UnsetType = UNSET
    expires_in: float | UnsetType = UNSET


class Joined(Answer, tag="joined", kw_only=True):
    status: str = "joined"
    room: str
    members: int
    users: int
    epoch: str
    offset: int
    recovered: bool


class Left(Answer, tag="left"):
    """With the `code` of an error if nobody asked for it."""

    room: str
    code: str | UnsetType = UNSET


class Ack(Answer, tag="ack", omit_defaults=True):
    room: str = ""
    offset: int | UnsetType = UNSET
    duplicate: bool = False


class Result(Answer, tag="answer", kw_only=True):
    """What an application answers to an action of its own."""

    action: str
    result: Any


class Person(Struct, omit_defaults=True):
    """A member of a room; counted by user it has no `id`, but `sessions`."""

    id: str = ""
    user: str | None = None
    state: Raw | None = None
    sessions: int = 0


class Members(Answer, tag="members"):
    room: str
    count: int
    users: int
    members: list[Person]


class Resumed(Answer, tag="resumed"):
    pass


class Refreshed(Answer, tag="refreshed"):
    expires_in: float | UnsetType = UNSET


class Pong(Answer, tag="pong"):
    pass


class Error(Answer, tag="error"):
    code: str
    message: str


class Published(Struct, kw_only=True, omit_defaults=True, rename={"sender": "from"}):
    """A publication."""

    type: str
    room: str = ""
    user: str
    message: Raw | str
    encoding: str = ""
    sender: str
    offset: int = 0
    time: float


class Messages(Answer, tag="history"):
    room: str
    epoch: str
    offset: int
    messages: list[Published]


class PresenceChanged(Struct, tag_field="type", tag="presence", omit_defaults=True):
    """Who came, went or changed; `truncated` if those were too many to tell."""

    room: str
    count: int
    users: int
    joined: list[Person] = []
    left: list[Person] = []
    changed: list[Person] = []
    truncated: bool = False


class Missing(Struct, tag_field="type", tag="missed"):
    """How many messages of a room don't come."""

    room: str
    count: int


class JustRef(Struct):
    """As much of a message as an error's answer needs."""

    ref: Ref | UnsetType = UNSET
