"""Patterns: the sessions that listen to all rooms whose names match, such as `sensors.*` or `sensors.>`."""

from collections.abc import Collection
from itertools import chain
from typing import Final, final

from .names import ANY_REST, ANY_WORD
from .outbox import Outbox
from .refusal import Refusal

MAX_PATTERNS: Final = 1000


@final
class Pattern:
    """One pattern and who listens by it."""

    __slots__ = ("members", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[Outbox, None] = {}


@final
class _Node:
    """What stands behind some words: the pattern that ends here, and the next words of longer ones."""

    __slots__ = ("next", "pattern")

    def __init__(self) -> None:
        self.pattern: Pattern | None = None
        self.next: dict[str, _Node] = {}


@final
class Patterns:
    """A tree of all patterns by their words, in which a room's name follows every way that it matches."""

    __slots__ = ("_by_name", "_root")

    def __init__(self) -> None:
        self._by_name: dict[str, Pattern] = {}
        self._root = _Node()

    def __len__(self) -> int:
        return len(self._by_name)

    def join(self, name: str, outbox: Outbox) -> Pattern:
        """Let a session hear by a pattern. Raises Refusal."""
        pattern = self._by_name.get(name) or self._add(name)
        pattern.members[outbox] = None
        return pattern

    def leave(self, pattern: Pattern, outbox: Outbox) -> None:
        """Let it hear by that pattern no longer."""
        del pattern.members[outbox]
        if not pattern.members:
            self._drop(pattern)

    def hearers(self, room: str, members: Collection[Outbox]) -> Collection[Outbox]:
        """Add to a room's members, each once, those who hear it by patterns."""
        matching = self._matching(room)
        if not matching:
            return members
        return dict.fromkeys(chain(members, *(pattern.members for pattern in matching)))

    def _add(self, name: str) -> Pattern:
        if len(self._by_name) >= MAX_PATTERNS:
            raise Refusal("too_many_rooms", "The server has no place for another pattern.")
        node = self._root
        for word in name.split("."):
            node = node.next.setdefault(word, _Node())
        pattern = node.pattern = self._by_name[name] = Pattern(name)
        return pattern

    def _drop(self, pattern: Pattern) -> None:
        del self._by_name[pattern.name]
        node = self._root
        way: list[tuple[_Node, str]] = []
        for word in pattern.name.split("."):
            way.append((node, word))
            node = node.next[word]
        node.pattern = None
        # The words that led to it alone go too.
        for before, word in reversed(way):
            if before.next[word].pattern is not None or before.next[word].next:
                return
            del before.next[word]

    def _matching(self, room: str) -> list[Pattern]:
        found: list[Pattern] = []
        nodes = [self._root]
        for word in room.split("."):
            reached: list[_Node] = []
            for node in nodes:
                rest = node.next.get(ANY_REST)
                if rest is not None and rest.pattern is not None:
                    found.append(rest.pattern)
                reached += [node.next[step] for step in (word, ANY_WORD) if step in node.next]
            nodes = reached
            if not nodes:
                return found
        return found + [node.pattern for node in nodes if node.pattern is not None]
