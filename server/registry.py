"""Registry: the live sessions, by id and by user, and by which name each may speak."""

from typing import Final, final

from .names import check_name
from .outbox import Outbox
from .refusal import Refusal
from .session import Session
from .tokens import Tokens

ANONYMOUS: Final = "anonymous"
# Who publishes what no session did.
SERVER: Final = "server"


@final
class Registry:
    """Finds sessions in constant time."""

    __slots__ = ("_by_id", "_by_user", "_origins", "_tokens", "outboxes")

    def __init__(self) -> None:
        self._by_id: dict[str, Session] = {}
        self._by_user: dict[str, dict[str, Session]] = {}
        # Of all sessions, in the order they came.
        self.outboxes: dict[Outbox, None] = {}
        self._tokens = Tokens()
        # Which session each was before, of those that showed it.
        self._origins: dict[Session, str] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, session: Session) -> None:
        """Take in a session; its user doesn't change while it is here."""
        self._by_id[session.id] = session
        self.outboxes[session.outbox] = None
        if session.user is not None:
            self._by_user.setdefault(session.user, {})[session.id] = session

    def remove(self, session: Session) -> None:
        """Forget a session. Once more does nothing."""
        self._origins.pop(session, None)
        if self._by_id.pop(session.id, None) is None:
            return
        del self.outboxes[session.outbox]
        session.outbox.part()
        if session.user is None:
            return
        others = self._by_user[session.user]
        del others[session.id]
        if not others:
            del self._by_user[session.user]

    def get(self, id: str) -> Session | None:
        """Find the session of that id."""
        return self._by_id.get(id)

    def of_user(self, user: str) -> list[Session]:
        """List the sessions of a user who signed in."""
        return list(self._by_user.get(user, {}).values())

    def token_of(self, session: Session) -> str:
        """Make the token by which the session's client can resume on another connection."""
        return self._tokens.issue(session.id)

    def resume(self, session: Session, token: str) -> None:
        """Take a session for the one to which that token was issued. Raises Refusal."""
        self._origins[session] = self._tokens.verify(token)

    def sender_of(self, session: Session) -> str:
        """Say whose ids of messages are one's own: a user's, or those of a session and what it was before."""
        if session.user is not None:
            return f"user {session.user}"
        return f"session {self._origins.get(session, session.id)}"

    def name_of(self, session: Session, claimed: str | None) -> str:
        """Say who speaks: the proven name, else the claimed one if nobody has proved it. Raises Refusal."""
        if session.user is not None:
            if claimed and claimed != session.user:
                raise Refusal("forbidden", "A message bears the name that you signed in with.")
            return session.user
        if not claimed:
            return ANONYMOUS
        check_name("user", claimed)
        if claimed == SERVER:
            raise Refusal("forbidden", "The server alone bears that name.")
        if claimed in self._by_user:
            raise Refusal("forbidden", f"{claimed!r} is somebody who signed in.")
        return claimed
