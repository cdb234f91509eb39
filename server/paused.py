"""Paused: the sessions whose transports take no more for now, and samples of how much waits for them."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, Protocol, final

from .histogram import Histogram

# Sessions that a sweep looks at: however many are paused, it stays short, and all have their turn.
MAX_SAMPLES: Final = 100


class Pausing(Protocol):
    """A session as a sample sees it."""

    @property
    def waiting_bytes(self) -> int:
        """How many octets wait for it."""


@final
class Paused:
    """Knows who is paused, in the order in which they were or were last looked at."""

    __slots__ = ("_samples", "_sessions")

    def __init__(self, samples: Histogram) -> None:
        self._samples = samples
        self._sessions: OrderedDict[Pausing, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Pausing]:
        return iter(self._sessions)

    def add(self, session: Pausing) -> None:
        """Note that a session is paused."""
        self._sessions[session] = None

    def discard(self, session: Pausing) -> None:
        """Note that it isn't, or is gone."""
        self._sessions.pop(session, None)

    def sweep(self) -> None:
        """Sample what waits for the first ones."""
        for _ in range(min(MAX_SAMPLES, len(self._sessions))):
            session, _ = self._sessions.popitem(last=False)
            self._sessions[session] = None
            self._samples.observe(session.waiting_bytes)
