"""Arrivals: the messages that wait for a stream's handler, and the handler that waits for them."""

from collections.abc import Generator
from typing import Final, final

from ..session import Session
from ..tick import Message
from ..wakeup import Wakeup, Wakeups

# What may wait before the client is read no further: messages, and octets of them.
MAX_WAITING: Final = 64
MAX_WAITING_SIZE: Final = 64 * 1024


@final
class Arrivals:
    """Awaited for the next message, again and again.

    A message is taken in the step that hands it over: a wait that is cancelled loses none.
    """

    __slots__ = ("_is_held", "_is_over", "_session", "_waiting", "_wakeup", "_wakeups", "size")

    def __init__(self, session: Session, wakeups: Wakeups) -> None:
        self._session = session
        self._wakeups = wakeups
        # Few enough to be taken from the front of a list.
        self._waiting: list[Message] | None = None
        # Octets of what waits.
        self.size = 0
        self._wakeup: Wakeup | None = None
        # The session: is told to bring no more for now; is over.
        self._is_held = False
        self._is_over = False

    # The session's side.

    def put(self, message: Message) -> None:
        """Add a message; its taker is woken once for all that a turn brings."""
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(message)
        self.size += len(message)
        if len(self._waiting) >= MAX_WAITING or self.size >= MAX_WAITING_SIZE:
            self._is_held = True
            self._session.hold()
        if self._wakeup is not None:
            self._wakeup.wake()

    def end(self) -> None:
        """Let the iteration end behind what still waits."""
        self._is_over = True
        if self._wakeup is not None:
            self._wakeup.wake()

    def clear(self) -> None:
        """Drop what waits."""
        self._waiting = None
        self.size = 0
        if self._is_held:
            self._release()

    # The handler's side.

    def __await__(self) -> Generator[Wakeup, None, Message]:
        """Wait for a message, and take it; the iteration ends with the session."""
        while not self._waiting:
            if self._is_over:
                raise StopAsyncIteration
            if self._is_held:
                self._release()
                continue
            if self._wakeup is None or self._wakeup.is_cancelled:
                self._wakeup = Wakeup(self._wakeups)
            if self._wakeup.is_awaited:
                raise RuntimeError("Another task is waiting for the next message already.")
            yield self._wakeup
        message = self._waiting.pop(0)
        self.size -= len(message)
        return message

    def _release(self) -> None:
        self._is_held = False
        self._session.release()
