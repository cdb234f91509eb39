"""Flow: how far a session that doesn't read may fall behind what others publish, and what it then misses."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from .overflow import Strategy
from .presence import PresenceDiff
from .publication import Missed, Publication, Replay, Shared
from .tick import Item

# What is left of a bound once it made the oldest go: else each publication more would cost another walk
# over all that waits.
_LEFT: Final = 0.75
# Notes that may wait: each is of another room, or has something of its room behind it.
MAX_NOTES: Final = 10_000
_FROM_THE_FRONT: Final = (Strategy.DROP_OLDEST, Strategy.CONFLATE)


@final
@dataclass(slots=True)
class Drops:
    """How many publications didn't reach a receiver, by reason."""

    oldest: int = 0
    newest: int = 0
    conflated: int = 0
    expired: int = 0


@final
class Backlog:
    """What waits for one paused session: of the list, what others published is bounded here.

    The session's own replies, and the history it asked for, don't count: pausing its reading bounds them.
    Between two calls of `admit` the list may only grow at its end, or after `resume` lose items at its front.
    """

    __slots__ = (
        "_drops",
        "_is_stale",
        "_latest",
        "_looked_at",
        "_max_seconds",
        "_max_weight",
        "_note_count",
        "_notes",
        "_oldest_counted",
        "_presence",
        "_replies",
        "missed",
        "oldest",
        "weight",
    )

    def __init__(self, max_weight: int, max_seconds: float, drops: Drops) -> None:
        self._max_weight = max_weight
        self._max_seconds = max_seconds
        self._drops = drops
        # Whether the list may have changed at its front, and how far it was looked at if not.
        self._is_stale = False
        self._looked_at = 0
        # Of the publications.
        self.weight = 0
        # Publications that it is not sent any more, since it was paused.
        self.missed = 0
        # When the oldest was published: of all, and of those that may make the session go.
        self.oldest = math.inf
        self._oldest_counted = math.inf
        # Where the newest of each key stands.
        self._latest: dict[tuple[str, str], int] = {}
        # Notes of what is missed that may still grow.
        self._notes: dict[str, Missed] = {}
        self._note_count = 0
        # Where each room's presence stands.
        self._presence: dict[str, int] = {}
        # Octets of the session's own replies.
        self._replies = 0

    def octets_of_replies(self, waiting: list[Item]) -> int:
        """Count what waits of the session's own, up to the last."""
        if self._is_stale:
            self._recount(waiting)
        fresh = waiting[self._looked_at :]
        return self._replies + sum(len(item) for item in fresh if not isinstance(item, Shared))

    def drop(self, waiting: list[Item]) -> None:
        """Drop all that may be dropped."""
        if self._is_stale:
            self._recount(waiting)
        self._make_room(waiting, -1, -1, math.inf)

    def admit(self, waiting: list[Item], now: float) -> bool:
        """Hold what came since the last time to the bounds; False if the session must go for it.

        `now` is earlier than it is by the time in which we didn't write either.
        """
        if self._is_stale:
            self._recount(waiting)
        fresh = waiting[self._looked_at :]
        del waiting[self._looked_at :]
        for item in fresh:
            if isinstance(item, Publication):
                self._add(waiting, item, now)
            elif isinstance(item, PresenceDiff) and item.room in self._presence:
                # However many more there are, it is told by its numbers, in the place of the first.
                told = PresenceDiff(item.room, item.count, item.users, None)
                waiting[self._presence[item.room]] = told
            else:
                self._settle(item, len(waiting))
                waiting.append(item)
        if self._is_over(now):
            oldest_left = now - self._max_seconds * _LEFT
            self._make_room(waiting, self._max_weight, self._max_weight * _LEFT, oldest_left)
        self._looked_at = len(waiting)
        return not self._is_over(now)

    def resume(self, waiting: list[Item], now: float, lost: float = 0.0) -> list[Item]:
        """Return what a session that reads again is still to be sent of it; `lost` are seconds of our own."""
        # What came in this turn too came to one that was behind.
        self.admit(waiting, now - lost)
        self._is_stale = True
        expired = self._drops.expired
        kept = without_expired(waiting, now, self._drops)
        self.missed += self._drops.expired - expired
        return kept

    def _add(self, waiting: list[Item], publication: Publication, now: float) -> None:
        if publication.overflow.strategy is Strategy.DROP_NEWEST and (
            self.weight + publication.weight > self._max_weight or now - self.oldest > self._max_seconds
        ):
            self._drops.newest += 1
            self._miss(waiting, publication.room)
            return
        place = None
        if publication.key is not None:
            place = self._latest.get((publication.room, publication.key))
        if place is None:
            self._settle(publication, len(waiting))
            self._count(publication, len(waiting))
            waiting.append(publication)
            return
        # In the place of the one it replaces: were it to go to the end, a key that changes faster than the
        # client reads would never come to the front.
        replaced = waiting[place]
        assert isinstance(replaced, Publication)
        waiting[place] = publication
        self.weight += publication.weight - replaced.weight
        self._drops.conflated += 1
        self._miss(waiting, publication.room)

    def _settle(self, item: Item, place: int) -> None:
        """Keep in mind which notes, and which presence, may still change once this stands behind them."""
        if isinstance(item, Missed):
            self._notes[item.room] = item
            self._note_count += 1
        elif isinstance(item, Publication):
            self._notes.pop(item.room, None)
        elif isinstance(item, Replay):
            self._notes.pop(item.publication.room, None)
        elif isinstance(item, PresenceDiff):
            self._presence[item.room] = place
        elif not isinstance(item, Shared):
            # It may be the answer to `join`, `leave` or `history`, or acknowledge what has no echo: what is
            # told behind it must not come to stand before it.
            self._replies += len(item)
            self._notes.clear()
            self._presence.clear()
            self._latest.clear()

    def _count(self, publication: Publication, place: int) -> None:
        self.weight += publication.weight
        if publication.key is not None:
            # The newest value is never late, however long its key has waited.
            self._latest[publication.room, publication.key] = place
            return
        self.oldest = min(self.oldest, publication.published_at)
        if publication.overflow.strategy is not Strategy.DROP_NEWEST:
            self._oldest_counted = min(self._oldest_counted, publication.published_at)

    def _is_over(self, now: float) -> bool:
        return (
            self.weight > self._max_weight
            or now - self._oldest_counted > self._max_seconds
            or self._note_count > MAX_NOTES
        )

    def _make_room(
        self, waiting: list[Item], max_weight: float, weight_left: float, oldest_left: float
    ) -> None:
        """Drop what may be dropped, from the front, and if that isn't enough from the end."""
        kept: list[Item] = []
        self._notes = {}
        for item in waiting:
            if isinstance(item, Publication):
                is_late = item.key is None and item.published_at < oldest_left
                is_too_much = is_late or self.weight > weight_left
                if is_too_much and item.overflow.strategy in _FROM_THE_FRONT:
                    self.weight -= item.weight
                    self._drops.oldest += 1
                    self._miss(kept, item.room)
                    continue
            self._settle(item, len(kept))
            kept.append(item)
        for place in reversed(range(len(kept))):
            item = kept[place]
            if self.weight <= max_weight:
                break
            if isinstance(item, Publication) and item.overflow.strategy is Strategy.DROP_NEWEST:
                self.weight -= item.weight
                self._drops.newest += 1
                self.missed += 1
                kept[place] = Missed(item.room, 1)
        waiting[:] = kept
        self._recount(waiting)

    def _recount(self, waiting: list[Item]) -> None:
        """Look at all that waits, where it stands now."""
        self._is_stale = False
        self._looked_at = len(waiting)
        self._replies = 0
        self.weight = 0
        self.oldest = self._oldest_counted = math.inf
        self._latest = {}
        self._notes = {}
        self._note_count = 0
        self._presence = {}
        for place, item in enumerate(waiting):
            self._settle(item, place)
            if isinstance(item, Publication):
                self._count(item, place)

    def _miss(self, waiting: list[Item], room: str) -> None:
        """Note at the end that one more of a room is missed."""
        self.missed += 1
        note = self._notes.get(room)
        if note is None:
            note = Missed(room, 0)
            self._settle(note, len(waiting))
            waiting.append(note)
        note.count += 1


def without_expired(items: Iterable[Item], now: float, drops: Drops) -> list[Item]:
    """Leave out the publications that nobody is to get any more, with a note in their place."""
    kept: list[Item] = []
    note: Missed | None = None
    for item in items:
        publication = item.publication if isinstance(item, Replay) else item
        if not isinstance(publication, Publication) or publication.deadline > now:
            kept.append(item)
            note = None
            continue
        drops.expired += 1
        if note is None or note.room != publication.room:
            note = Missed(publication.room, 0)
            kept.append(note)
        note.count += 1
    return kept
