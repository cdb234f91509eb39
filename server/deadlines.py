"""Deadlines: who must be done by when, where everybody has the same time."""

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar, final


class Expiring(Protocol):
    """Something whose time can be up."""

    def expire(self) -> None:
        """Act on it."""


T = TypeVar("T")


@final
class Deadlines(Generic[T]):
    """A queue ordered by itself, since each entry gets the same `delay` in seconds: no timer per entry."""

    __slots__ = ("_due", "delay")

    def __init__(self, delay: float) -> None:
        self.delay = delay
        # Its first entry is found at once, however many before it have gone.
        self._due: OrderedDict[T, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, entry: T) -> bool:
        return entry in self._due

    def add(self, entry: T, now: float) -> None:
        """Start an entry's time, or start it anew."""
        self._due.pop(entry, None)
        self._due[entry] = now + self.delay

    def discard(self, entry: T) -> None:
        """Let an entry go: it is done, or was never here."""
        self._due.pop(entry, None)

    def oldest(self) -> T:
        """Return the entry whose time is up first. Raises StopIteration if there is none."""
        return next(iter(self._due))

    def postpone(self, seconds: float) -> None:
        """Give every entry that much more time."""
        for entry in self._due:
            self._due[entry] += seconds

    def expired(self, now: float) -> list[T]:
        """Take out the entries whose time is up."""
        expired: list[T] = []
        for entry, due in self._due.items():
            if due > now:
                break
            expired.append(entry)
        for entry in expired:
            del self._due[entry]
        return expired
