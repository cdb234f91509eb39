"""Overflow: what becomes of a publication when too much waits for a reader that is too slow."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self, final

from .names import matches


class Strategy(Enum):
    """The values are the names in the settings."""

    DISCONNECT = "disconnect"  # the reader goes, and may come back to its last offset
    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"
    CONFLATE = "conflate"  # of those with the same key the newest stays, in the place of the oldest


@final
@dataclass(frozen=True, slots=True)
class Overflow:
    """A strategy; `path` leads to the field whose value is the key when it conflates."""

    strategy: Strategy
    path: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `disconnect`, `drop-oldest`, `drop-newest` or `conflate:PATH`. Raises ValueError."""
        name, _, path = text.partition(":")
        strategy = Strategy(name)
        words = tuple(path.split(".")) if path else ()
        if (strategy is Strategy.CONFLATE) != bool(words) or not all(words):
            raise ValueError(text)
        return cls(strategy, words)

    def __str__(self) -> str:
        return ":".join(filter(None, (self.strategy.value, ".".join(self.path))))


DISCONNECT: Final = Overflow(Strategy.DISCONNECT)


@final
class OverflowRules:
    """Says what holds in a room: the first pattern that stands for it, else the default."""

    __slots__ = ("_by_pattern", "default")

    def __init__(
        self, default: Overflow = DISCONNECT, by_pattern: Sequence[tuple[str, Overflow]] = ()
    ) -> None:
        self.default = default
        self._by_pattern = by_pattern

    def of(self, room: str) -> Overflow:
        """Find the rule of a room."""
        for pattern, overflow in self._by_pattern:
            if matches(pattern, room):
                return overflow
        return self.default
