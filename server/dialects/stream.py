"""Stream: a session for an application's coroutine: `async for` over messages, `await send()`."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final, Self, cast, final

from msgspec import Raw

from ..publication import Publication, Replay, Shared
from ..session import Session
from ..tick import Message
from ..wakeup import Wakeups
from .arrivals import Arrivals
from .handling import handle

# It is at its end: to await that costs neither a future nor a turn of the loop.
_NO_STEPS: Final = cast(Generator[Any, Any, None], iter(()))


@final
class _Done:
    """What has happened already."""

    def __await__(self) -> Generator[Any, Any, None]:
        return _NO_STEPS


_DONE: Final = _Done()


@final
class Stream:
    """One session as its handler sees it.

        async def echo(stream: Stream) -> None:
            async for message in stream:
                await stream.send(message)

    The loop ends when the client closes; the session closes when the handler returns.
    """

    name = "stream"

    __slots__ = ("_arrivals", "_handler", "_is_done", "_tasks", "_wakeups", "session")

    def __init__(
        self,
        handler: "Handler",
        tasks: set[asyncio.Task[None]],
        wakeups: Wakeups,
    ) -> None:
        self.session: Session
        self._arrivals: Arrivals
        self._handler = handler
        self._tasks = tasks
        self._wakeups = wakeups
        self._is_done = False

    # The handler's side.

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[Message]:
        """Return what one task at a time awaits for the next message; the iteration ends with the session."""
        return self._arrivals

    def send(self, message: Message) -> Awaitable[None]:
        """Send; awaiting the result waits while the client is behind. Raises SessionClosed."""
        self.session.send(message)
        return self.session.drained() or _DONE

    def close(self, code: int = 1000, reason: str = "") -> Awaitable[None]:
        """Close behind what was sent; messages still arrive until the client's Close. Raises StateError."""
        self.session.close(code, reason)
        return _DONE

    # The session's side: see Dialect.

    def connected(self, session: Session) -> None:
        """Start the handler."""
        self.session = session
        self._arrivals = Arrivals(session, self._wakeups)
        coroutine = handle(self._handler, self, session)
        task = asyncio.get_running_loop().create_task(coroutine, name=f"session {session.id}")
        self._tasks.add(task)
        task.add_done_callback(self._handled)

    def receive(self, session: Session, message: Message) -> None:
        """Let a message wait for the handler, which is woken once for all that a turn brings."""
        if not self._is_done:
            self._arrivals.put(message)

    @staticmethod
    def encode(item: Shared) -> Message | None:
        """Hand on what was published, as it is; the same for all streams, so it knows none."""
        publication = item.publication if isinstance(item, Replay) else item
        if not isinstance(publication, Publication):
            return None
        payload = publication.payload
        return bytes(payload).decode() if isinstance(payload, Raw) else payload

    def refuse(self, session: Session, code: str, reason: str) -> None:
        """Leave it to the Close, which says the same."""

    def octets_held(self, session: Session) -> int:
        """Count what waits for the handler."""
        return self._arrivals.size

    def disconnected(self, session: Session, code: int) -> None:
        """End the iteration, behind what still waits."""
        self._arrivals.end()

    def _handled(self, task: asyncio.Task[None]) -> None:
        """Let nobody take what still comes: but behind it comes the client's Close."""
        self._tasks.discard(task)
        self._is_done = True
        self._arrivals.clear()


Handler = Callable[[Stream], Awaitable[None]]
