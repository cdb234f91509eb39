"""Tick: what one turn of the event loop has encoded so far, shared by the sessions it goes to.

A publication is encoded once for all sessions with the same delivery, and sessions to which the same
items go share the joined octets too: a thousand equal members cost one join.
"""

from typing import Final, Protocol, final

from .publication import Shared

Message = str | bytes
# What is to be sent to a session: what it shares with others, or a message for it alone.
Item = Shared | Message

# Octets that one write carries at most, but for a single item that is larger.
MAX_BATCH: Final = 64 * 1024


class Delivery(Protocol):
    """How items become octets; sessions for which that is the same share one object: their delivery key."""

    def encode(self, item: Item) -> bytes:
        """Make the octets that bring an item to the client."""


@final
class Link:
    """Items of this turn, behind those of the link `before`: who is sent the same stands on the same link.

    While it is open more may come, for all who stand there: until somebody goes on from it, or no longer
    belongs to those for whom more comes.
    """

    __slots__ = ("_items", "before", "is_open")

    def __init__(self, item: Item, before: "Link | None") -> None:
        self._items = [item]
        self.before = before
        self.is_open = True
        if before is not None:
            before.is_open = False

    def append(self, item: Item) -> None:
        """Put an item behind the others, for all who stand here."""
        self._items.append(item)

    def items(self) -> list[Item]:
        """List all up to the last of this one."""
        if self.before is None:
            return self._items[:]
        links = [self]
        while (before := links[-1].before) is not None:
            links.append(before)
        return [item for link in reversed(links) for item in link._items]


@final
class Tick:
    """A cache that lives for one fan-out. `now` is the event loop's time in seconds.

    `max_batch` is less than MAX_BATCH where a transport is to hold less.
    """

    __slots__ = (
        "_batches",
        "_count",
        "_delivery",
        "_encoded",
        "_link",
        "_octets",
        "bytes_written",
        "max_batch",
        "messages_written",
        "now",
    )

    def __init__(self, now: float, max_batch: int = MAX_BATCH) -> None:
        self.now = now
        self.max_batch = max_batch
        self._encoded: dict[tuple[Shared, Delivery], bytes] = {}
        # Per delivery the items joined last: members of a room come one after the other.
        self._batches: dict[Delivery, tuple[list[Item], bytes, int]] = {}
        # What was joined last, whole.
        self._link: Link | None = None
        self._delivery: Delivery | None = None
        self._octets = b""
        self._count = 0
        # What went straight to transports, counted together when all is written.
        self.bytes_written = 0
        self.messages_written = 0

    def whole(self, link: Link, delivery: Delivery) -> bytes:
        """Return the octets for all up to a link, counted as written; none if a batch can't hold them.

        Where no item makes a message there are none either, and none is counted.
        """
        if link is not self._link or delivery is not self._delivery:
            link.is_open = False
            items = link.items()
            octets, count = self.batch(items, delivery)
            self._link = link
            self._delivery = delivery
            is_whole = octets and count == len(items)
            self._octets, self._count = (octets, count) if is_whole else (b"", 0)
        self.bytes_written += len(self._octets)
        self.messages_written += self._count
        return self._octets

    def batch(self, items: list[Item], delivery: Delivery) -> tuple[bytes, int]:
        """Return the octets for the first items, and for how many; they must not change after."""
        last = self._batches.get(delivery)
        if last is not None and last[0] == items:
            return last[1], last[2]
        pieces: list[bytes] = []
        size = 0
        for item in items:
            piece = self._encode(item, delivery)
            if pieces and size + len(piece) > self.max_batch:
                break
            pieces.append(piece)
            size += len(piece)
        joined = b"".join(pieces)
        self._batches[delivery] = items, joined, len(pieces)
        return joined, len(pieces)

    def _encode(self, item: Item, delivery: Delivery) -> bytes:
        if not isinstance(item, Shared):
            return delivery.encode(item)
        key = item, delivery
        encoded = self._encoded.get(key)
        if encoded is None:
            encoded = self._encoded[key] = delivery.encode(item)
        return encoded
