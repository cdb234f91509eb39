"""Flow: how far a session that doesn't read may fall behind what others publish."""

from collections.abc import Sequence
from typing import Final, final

from .publication import Publication
from .tick import Item

# Octets that a publication takes beside its payload.
PUBLICATION_OVERHEAD: Final = 256


@final
class Backlog:
    """Counts the publications that wait for a paused session, each once, however often it is asked.

    The session's own replies don't count: they are bounded by pausing its reading.
    """

    __slots__ = ("_counted", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._counted = 0

    def is_over(self, waiting: Sequence[Item], now: float, max_bytes: int, max_seconds: float) -> bool:
        """Tell whether more waits than may. Since the last time `waiting` has only grown at its end."""
        for item in waiting[self._counted :]:
            if isinstance(item, Publication):
                self._size += item.size + PUBLICATION_OVERHEAD
        self._counted = len(waiting)
        oldest = next((item for item in waiting if isinstance(item, Publication)), None)
        return oldest is not None and (self._size > max_bytes or now - oldest.published_at > max_seconds)
