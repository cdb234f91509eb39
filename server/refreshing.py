"""Refreshing: a session shows a newer token of the same user, and goes on by that."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import final

from .authentication import Authenticator
from .expiry import Expiries
from .hooks import Hooks
from .identity import Identity
from .memberships import Memberships
from .refusal import Refusal
from .session import Session


@final
class Refreshing:
    """Puts a new identity in the place of the old one, which stays if the new one is refused."""

    __slots__ = ("_authenticator", "_expiries", "_hooks", "_leave_hook", "_memberships")

    def __init__(
        self,
        authenticator: Authenticator,
        memberships: Memberships,
        expiries: Expiries,
        hooks: Hooks,
        leave_hook: Callable[[Session, str], Awaitable[None]] | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._memberships = memberships
        self._expiries = expiries
        self._hooks = hooks
        self._leave_hook = leave_hook

    def refresh(
        self,
        session: Session,
        token: str,
        then: Callable[[list[str]], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        """Judge a token, and do one of the two: `then` learns which rooms had to be left."""
        try:
            judged = self._authenticator.refresh(token)
            if isinstance(judged, Identity):
                then(self._replace(session, _checked(session, judged)))
                return
        except Refusal as refusal:
            refused(refusal)
            return
        call = partial(_checked_later, session, judged)
        self._hooks.run(session, call, lambda identity: then(self._replace(session, identity)), refused)

    def end(self, session: Session) -> None:
        """Judge no token any more of a session that ended."""
        self._hooks.end(session, [])

    def _replace(self, session: Session, identity: Identity) -> list[str]:
        session.identity = identity
        self._expiries.watch(session)
        left = self._memberships.leave_forbidden(session)
        if left and self._leave_hook is not None:
            self._hooks.run(session, partial(self._tell, self._leave_hook, session, left), _nothing, _nothing)
        return left

    async def _tell(
        self, hook: Callable[[Session, str], Awaitable[None]], session: Session, left: list[str]
    ) -> None:
        for room in left:
            await hook(session, room)


def _checked(session: Session, identity: Identity) -> Identity:
    if identity.user != session.user:
        raise Refusal("forbidden", "The token is another user's.")
    return identity


async def _checked_later(session: Session, judge: Callable[[], Awaitable[Identity]]) -> Identity:
    return _checked(session, await judge())


def _nothing(_: object) -> None:
    """It is done; there is nothing left to say."""
