"""History: what was last published in each room, within bounds of number, age and size.

Offsets in a history follow on each other without a gap, so whether it still holds all that came after some
offset is a matter of counting.
"""

from collections import OrderedDict, deque
from itertools import islice
from typing import final

from .publication import Publication, Replay


@final
class History:
    """One room's last publications, oldest first."""

    __slots__ = ("replays", "weight")

    def __init__(self) -> None:
        self.replays: deque[Replay] = deque()
        self.weight = 0

    def newest(self, count: int) -> list[Replay]:
        """Return the last ones, up to `count`, in their order."""
        newest = list(islice(reversed(self.replays), count))
        newest.reverse()
        return newest


@final
class Archive:
    """Keeps all histories within their bounds: `max_seconds` by the event loop's time, weights in octets.

    When the histories together grow too large, the rooms in which nothing was published for the longest
    time lose theirs first.
    """

    __slots__ = ("_max_publications", "_max_total_weight", "_max_weight", "_written", "max_seconds", "weight")

    def __init__(
        self,
        *,
        max_publications: int = 100,
        max_seconds: float = 300.0,
        max_weight: int = 1 << 20,
        max_total_weight: int = 256 << 20,
    ) -> None:
        self._max_publications = max_publications
        self.max_seconds = max_seconds
        self._max_weight = max_weight
        self._max_total_weight = max_total_weight
        self.weight = 0
        # Those that hold anything, the one written to last at the end.
        self._written: OrderedDict[History, None] = OrderedDict()

    def append(self, history: History, publication: Publication) -> None:
        """Keep a publication, and drop what is too much for that."""
        history.replays.append(Replay(publication))
        history.weight += publication.weight
        self.weight += publication.weight
        self._written[history] = None
        self._written.move_to_end(history)
        while len(history.replays) > self._max_publications or history.weight > self._max_weight:
            self._drop_oldest(history)
        while self.weight > self._max_total_weight:
            self._drop_oldest(next(iter(self._written)))

    def since(self, history: History, count: int, now: float) -> list[Replay] | None:
        """Return the last `count` publications; None if not all of them are kept."""
        self.trim(history, now)
        return history.newest(count) if count <= len(history.replays) else None

    def trim(self, history: History, now: float) -> None:
        """Drop what is too old."""
        replays = history.replays
        while replays and now - replays[0].publication.published_at > self.max_seconds:
            self._drop_oldest(history)

    def sweep(self, now: float) -> None:
        """Drop the histories in which all is too old."""
        while self._written:
            history = next(iter(self._written))
            if now - history.replays[-1].publication.published_at <= self.max_seconds:
                break
            self.forget(history)

    def forget(self, history: History) -> None:
        """Drop all of a history."""
        self.weight -= history.weight
        history.weight = 0
        history.replays.clear()
        self._written.pop(history, None)

    def _drop_oldest(self, history: History) -> None:
        weight = history.replays.popleft().publication.weight
        history.weight -= weight
        self.weight -= weight
        if not history.replays:
            del self._written[history]
