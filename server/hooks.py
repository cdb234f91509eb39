"""Hooks: runs an application's coroutines, for each session one at a time and within a time limit.

While one runs its session is held, so that the client's next message waits for it; others go on. What it
raises is its session's affair alone.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar, final

from .logs import CONNECTION
from .refusal import Refusal
from .session import Session, SessionClosed

logger = logging.getLogger(__name__)

T = TypeVar("T")


@final
class Hooks:
    """`timeout` in seconds holds for each call."""

    __slots__ = ("_farewells", "_running", "_sizes", "_timeout")

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._running: dict[Session, asyncio.Task[None]] = {}
        # Octets of the messages that they are about.
        self._sizes: dict[Session, int] = {}
        self._farewells: set[asyncio.Task[None]] = set()

    def run(
        self,
        session: Session,
        call: Callable[[], Awaitable[T]],
        then: Callable[[T], None],
        refused: Callable[[Refusal], None],
        size: int = 0,
    ) -> None:
        """Await a call, and do one of the two, unless the session ends before.

        `size` is how many octets are kept meanwhile.
        """
        session.hold()
        task = asyncio.create_task(self._run(session, call, then, refused), name=f"hook of {session.id}")
        self._running[session] = task
        self._sizes[session] = size

    def octets_held(self, session: Session) -> int:
        """Count what is kept for the call that runs for a session, if one does."""
        return self._sizes.get(session, 0)

    def end(self, session: Session, calls: list[Callable[[], Awaitable[None]]]) -> None:
        """Cancel what runs for a session that ended, and then await these calls one after the other."""
        running = self._running.pop(session, None)
        self._sizes.pop(session, None)
        if running is not None:
            running.cancel()
        if running is not None or calls:
            task = asyncio.create_task(self._end(session, running, calls), name=f"end of {session.id}")
            self._farewells.add(task)
            task.add_done_callback(self._farewells.discard)

    async def close(self) -> None:
        """Wait for what still runs, though not for ever; all sessions have ended."""
        if not self._farewells:
            return
        try:
            await asyncio.wait(self._farewells, timeout=self._timeout)
        finally:
            for task in self._farewells:
                task.cancel()
        await asyncio.gather(*self._farewells, return_exceptions=True)

    async def _run(
        self,
        session: Session,
        call: Callable[[], Awaitable[T]],
        then: Callable[[T], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        CONNECTION.set(session.id)
        try:
            try:
                result = await self._call(call)
            except Refusal as refusal:
                refused(refusal)
            else:
                # A hook that ended its own session learns of it at its next await, and may have none.
                if self._running.get(session) is asyncio.current_task():
                    then(result)
        except SessionClosed:
            # Nobody is left to be answered.
            pass
        except asyncio.CancelledError:
            # Unless it was by `end`, the application has cancelled what its client waits for.
            if self._running.get(session) is asyncio.current_task():
                session.kick(1011, "internal error")
            raise
        except Exception:
            logger.exception("session %s failed", session.id)
            session.kick(1011, "internal error")
        if self._running.get(session) is asyncio.current_task():
            del self._running[session]
            del self._sizes[session]
            session.release()

    async def _end(
        self, session: Session, running: asyncio.Task[None] | None, calls: list[Callable[[], Awaitable[None]]]
    ) -> None:
        CONNECTION.set(session.id)
        if running is not None:
            # One that won't be cancelled has had its time.
            await asyncio.wait([running], timeout=self._timeout)
        for call in calls:
            try:
                await self._call(call)
            except Refusal as refusal:
                logger.warning("nothing is left to be refused: %s", refusal)

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                return await call()
        except Refusal:
            raise
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            # Cancelled was what the hook awaited, which is a failure of its own.
            if limit.expired():
                logger.warning("a hook took longer than %s s", self._timeout)
                raise Refusal("timeout", "The application took too long.") from None
            logger.exception("a hook failed")
            raise Refusal("internal_error", "The application failed.") from None
