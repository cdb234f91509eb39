"""Outbox: what one session is to be sent, in order: what waits already, and what this turn brought.

What a turn brings is shared by all to whom it brings the same, and goes straight to their transports.
"""

from typing import Protocol, final

from .tick import Delivery, Item, Link, Tick


class Transport(Protocol):
    """Where octets go straight to the client."""

    def write(self, data: bytes) -> None:
        """Send them, behind those before."""


class Owner(Protocol):
    """The session whose outbox it is, as the fan-out sees it."""

    id: str

    def deliver(self, tick: Tick) -> None:
        """Send what is in the outbox, as far as the client takes it."""

    def kick(self, code: int, reason: str) -> None:
        """Close at once: what waits and what still comes is dropped."""


@final
class Outbox:
    """What the fan-out, rooms and patterns hold of a session.

    `delivery` is None when what is sent is encoded for this session alone.
    """

    __slots__ = ("delivery", "is_clear", "is_dirty", "last", "owner", "transport", "waiting")

    def __init__(self, owner: Owner, transport: Transport, delivery: Delivery | None) -> None:
        # The last of what this turn brought.
        self.last: Link | None = None
        self.transport = transport
        self.delivery = delivery
        # None when its connection is lost: who is told of that later still finds the same outbox in rooms.
        self.owner: Owner | None = owner
        # What earlier turns brought.
        self.waiting: list[Item] | None = None
        # Whether the fan-out has it on its list.
        self.is_dirty = False
        # Whether the transport can be given what this turn brought, and nothing else is to be done: nothing
        # waits, neither items nor replies nor a Close, and the transport takes more.
        self.is_clear = False

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing in it."""
        return self.last is None and not self.waiting

    def append(self, item: Item) -> None:
        """Put an item at the end, for this session alone; who has it flushed is the caller."""
        self.last = Link(item, self.last)

    def items(self) -> list[Item]:
        """List all that is in it."""
        fresh = [] if self.last is None else self.last.items()
        return [*self.waiting, *fresh] if self.waiting else fresh

    def gather(self) -> None:
        """Let what this turn brought wait behind the rest."""
        if self.last is None:
            return
        self.is_clear = False
        fresh = self.last.items()
        self.part()
        self.last = None
        if self.waiting is None:
            self.waiting = fresh
        else:
            self.waiting += fresh

    def part(self) -> None:
        """Stand no longer with those for whom more may come."""
        if self.last is not None:
            self.last.is_open = False

    def drop(self) -> None:
        """Forget what is in it."""
        self.part()
        self.last = None
        self.waiting = None

    def deliver(self, tick: Tick) -> None:
        """Have its session send what is in it; for one that is gone nothing is kept."""
        if self.owner is None:
            self.drop()
        else:
            self.owner.deliver(tick)

    def write(self, tick: Tick) -> bool:
        """Write what this turn brought, if that is all there is to do, and tell whether it was."""
        last = self.last
        if not self.is_clear or last is None or self.delivery is None:
            return False
        octets = tick.whole(last, self.delivery)
        if not octets:
            return False
        self.last = None
        self.transport.write(octets)
        return True
