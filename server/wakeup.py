"""Wakeup: what a session's task awaits until there is news; the fan-out runs it right before its flush.

With a future of asyncio's each message would take a handle and a turn of the event loop to wake the task, and
another turn until its reply is flushed.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import final


@final
class Wakeup:
    """Of a future, what a task asks of the one it awaits: see `Task.__step` in the standard library.

    It serves one task after the other, until a wait is cancelled.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_context",
        "_is_due",
        "_loop",
        "_reason",
        "_wakeups",
        "is_awaited",
        "is_cancelled",
    )

    def __init__(self, wakeups: "Wakeups") -> None:
        self._wakeups = wakeups
        self._loop = asyncio.get_running_loop()
        # A task wants it set in what is yielded to it, and clears it.
        self._asyncio_future_blocking = True
        # Of the task that waits.
        self._callback: Callable[[Wakeup], object] | None = None
        self._context: Context | None = None
        self.is_awaited = False
        self._is_due = False
        self.is_cancelled = False
        self._reason: object = None

    def wake(self) -> None:
        """Let the task go on at the end of this turn, if one waits."""
        if self.is_awaited and not self._is_due:
            self._is_due = True
            self._wakeups.add(self)

    def run(self) -> None:
        """Let the task go on, until it waits again."""
        callback, context = self._callback, self._context
        assert callback is not None and context is not None
        self._callback = self._context = None
        self.is_awaited = self._is_due = False
        context.run(callback, self)

    # The task's side.

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that the task must be of."""
        return self._loop

    def add_done_callback(
        self, callback: "Callable[[Wakeup], object]", *, context: Context | None = None
    ) -> None:
        """Wait."""
        self._asyncio_future_blocking = True
        self.is_awaited = True
        self._callback = callback
        self._context = context or copy_context()

    def cancel(self, msg: object = None) -> bool:
        """Wait no longer; False if it was to be woken already: then the task cancels itself as it wakes."""
        if self._is_due or not self.is_awaited:
            return False
        self.is_cancelled = self._is_due = True
        self._reason = msg
        # As a future has it: behind the flush, which sends what the task said before.
        self._loop.call_soon(self.run)
        return True

    def result(self) -> None:
        """Raise CancelledError if the wait was cancelled."""
        if self.is_cancelled:
            raise asyncio.CancelledError() if self._reason is None else asyncio.CancelledError(self._reason)


@final
class Wakeups:
    """Those that are due at the end of this turn; `schedule` is called with the first."""

    __slots__ = ("_schedule", "due")

    def __init__(self, schedule: Callable[[], None]) -> None:
        self._schedule = schedule
        self.due: list[Wakeup] = []

    def add(self, wakeup: Wakeup) -> None:
        """Run it at the end of this turn."""
        self.due.append(wakeup)
        if len(self.due) == 1:
            self._schedule()

    def run(self) -> None:
        """Run those that are due; whom they wake is due at the end of the next turn."""
        due = self.due
        self.due = []
        count = 0
        try:
            for wakeup in due:
                count += 1
                wakeup.run()
        finally:
            # A task that stops the loop, by SystemExit, leaves those behind it for when it runs again.
            if count < len(due):
                self.due = due[count:] + self.due
