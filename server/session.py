"""Session: one client as the hub sees it, whatever carries it and whatever it speaks."""

from collections.abc import Awaitable
from typing import Protocol

from .identity import Identity
from .outbox import Outbox
from .publication import Shared
from .tick import Message, Tick


class SessionClosed(Exception):
    """The session is over, which is nobody's mistake; `code` is its close code (RFC 6455 7.1.5)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"The session is closed ({code}).")
        self.code = code


class Dialect(Protocol):
    """What a session speaks: a meaning for its messages, and messages for what the hub has to tell."""

    # Sessions whose dialects have the same name get the same message for a publication.
    name: str

    def connected(self, session: "Session") -> None:
        """Greet a session, which can be sent to from here on."""

    def receive(self, session: "Session", message: Message) -> None:
        """Take the client's next message."""

    def encode(self, item: Shared) -> Message | None:
        """Make the message that tells of a publication, or of what else is shared; None if there is none."""

    def refuse(self, session: "Session", code: str, reason: str) -> None:
        """Tell the client which limit it passed, just before it is closed for that."""

    def octets_held(self, session: "Session") -> int:
        """Count what it keeps of a session's messages while they wait for something."""

    def disconnected(self, session: "Session", code: int) -> None:
        """Learn that the session is over, and how it closed (RFC 6455 7.1.5)."""


class Session(Protocol):
    """One client: who it is, its dialect, and its outbox.

    What arises for it during one turn of the event loop is gathered there and leaves together.
    """

    id: str
    dialect: Dialect
    address: str
    # The name that the handshake proved, which nobody else can claim, and what else is known by it.
    user: str | None
    identity: Identity | None
    # Seconds from the last answered ping to its pong; None until there was one.
    rtt: float | None

    @property
    def outbox(self) -> Outbox:
        """What it is to be sent; who is never published to has none until this asks for it."""

    def deliver(self, tick: Tick) -> None:
        """Send what is in the outbox, as far as the client takes it."""

    def send(self, message: Message) -> None:
        """Send a message, behind all that waits. Raises SessionClosed."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, behind all that waits. Raises StateError for a code that may not be sent."""

    def kick(self, code: int, reason: str) -> None:
        """Close at once: what waits and what still comes is dropped."""

    def drained(self) -> Awaitable[None] | None:
        """Return what to await until all that was sent is with the transport; None if it is.

        Awaiting raises SessionClosed when the session ends before.
        """

    def hold(self) -> None:
        """Hand the dialect no message until `release()`."""

    def release(self) -> None:
        """Go on where `hold()` stopped."""
