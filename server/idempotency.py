"""Idempotency: what a client publishes twice under one id is heard once.

A client that lost its connection can't know whether its last messages arrived, and so sends them again.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, final

from .refusal import Refusal

MAX_ID: Final = 128
# Ids remembered for one sender, and in all.
MAX_PER_SENDER: Final = 1000
MAX_IN_ALL: Final = 100_000


@final
@dataclass(frozen=True, slots=True)
class Place:
    """Where a publication went, and when by the event loop's time."""

    room: str
    offset: int
    published_at: float


@final
class Memory:
    """Remembers what senders published under an id, for `max_seconds` and within its bounds.

    When there is too much, the senders that published nothing for the longest time are forgotten first.
    """

    __slots__ = ("_count", "_max_seconds", "_senders")

    def __init__(self, max_seconds: float) -> None:
        self._max_seconds = max_seconds
        self._count = 0
        # By sender, and by id; what was published last stands at the end.
        self._senders: OrderedDict[str, OrderedDict[str, Place]] = OrderedDict()

    def __len__(self) -> int:
        return self._count

    def find(self, sender: str, id: str, now: float) -> Place | None:
        """Find where it went; None if it wasn't published, or that is too long ago. Raises Refusal."""
        if not 1 <= len(id) <= MAX_ID:
            raise Refusal("invalid_id", f"An id has 1 to {MAX_ID} characters.")
        place = self._senders.get(sender, _NOTHING).get(id)
        return place if place is not None and now - place.published_at <= self._max_seconds else None

    def remember(self, sender: str, id: str, place: Place) -> None:
        """Remember a publication."""
        places = self._senders.setdefault(sender, OrderedDict())
        self._senders.move_to_end(sender)
        self._count += id not in places
        places[id] = place
        places.move_to_end(id)
        # Of a sender who goes on publishing the sweep forgets nothing.
        while place.published_at - next(iter(places.values())).published_at > self._max_seconds:
            self._forget_oldest(sender)
        if len(places) > MAX_PER_SENDER:
            self._forget_oldest(sender)
        if self._count > MAX_IN_ALL:
            self._forget_oldest(next(iter(self._senders)))

    def sweep(self, now: float) -> None:
        """Forget the senders that published nothing for too long."""
        while self._senders:
            sender, places = next(iter(self._senders.items()))
            if now - next(reversed(places.values())).published_at <= self._max_seconds:
                break
            self._count -= len(places)
            del self._senders[sender]

    def _forget_oldest(self, sender: str) -> None:
        places = self._senders[sender]
        places.popitem(last=False)
        self._count -= 1
        if not places:
            del self._senders[sender]


_NOTHING: Final[OrderedDict[str, Place]] = OrderedDict()
