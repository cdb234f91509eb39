"""Registry: the live sessions, by id and by user."""

from collections.abc import Collection
from typing import final

from .session import Session


@final
class Registry:
    """Finds sessions in constant time."""

    __slots__ = ("_by_id", "_by_user")

    def __init__(self) -> None:
        self._by_id: dict[str, Session] = {}
        self._by_user: dict[str, dict[str, Session]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, session: Session) -> None:
        """Take in a session; its user doesn't change while it is here."""
        self._by_id[session.id] = session
        if session.user is not None:
            self._by_user.setdefault(session.user, {})[session.id] = session

    def remove(self, session: Session) -> None:
        """Forget a session. Once more does nothing."""
        if self._by_id.pop(session.id, None) is None or session.user is None:
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

    def all(self) -> Collection[Session]:
        """View all sessions, in the order they came."""
        return self._by_id.values()
