"""Journal: what happened last to connections, all of them in one ring, so that idle ones cost nothing."""

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, final

# Events that are kept, of all connections together.
MAX_EVENTS: Final = 10_000


class Event(NamedTuple):
    """What happened, to which connection, and when by the event loop's time."""

    time: float
    id: str
    text: str


@final
class Journal:
    """The newest events. `clock` gives the event loop's seconds."""

    __slots__ = ("_clock", "_events")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)

    def note(self, id: str, text: str) -> None:
        """Keep an event."""
        self._events.append(Event(self._clock(), id, text))

    def of(self, id: str) -> list[Event]:
        """List what is kept of one connection, the oldest first."""
        return [event for event in self._events if event.id == id]
