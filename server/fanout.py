"""Fanout: gathers the sessions that have something to send, and flushes them once a turn.

One flush is scheduled per turn of the event loop, behind all the reads of that turn: however many
publications they bring, a member gets them in one write.
"""

import logging
from collections.abc import Callable, Collection
from time import perf_counter
from typing import final

from .histogram import BRIEF, Histogram
from .outbox import Outbox
from .tick import MAX_BATCH, Item, Link, Tick
from .traffic import Traffic
from .wakeup import Wakeups

logger = logging.getLogger(__name__)


@final
class Fanout:
    """The list of dirty outboxes. `schedule` calls back later in this turn, `clock` gives seconds.

    `max_batch` is how many octets a session writes before it asks whether the transport takes more.
    """

    __slots__ = (
        "_clock",
        "_count",
        "_dirty",
        "_is_scheduled",
        "_link",
        "_max_batch",
        "_receivers",
        "_schedule",
        "_traffic",
        "flushes",
        "wakeups",
    )

    def __init__(
        self,
        schedule: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
        max_batch: int = MAX_BATCH,
        traffic: Traffic | None = None,
    ) -> None:
        self._schedule = schedule
        self._clock = clock
        self._max_batch = max_batch
        self._traffic = traffic or Traffic()
        self._dirty: list[Outbox] = []
        self._is_scheduled = False
        # Who was sent something last, how many they were, and on which link: if it is one for all.
        self._receivers: Collection[Outbox] | None = None
        self._count = 0
        self._link: Link | None = None
        # They are run before the flush: what the tasks send leaves with the rest.
        self.wakeups = Wakeups(self._schedule_once)
        # Seconds that each flush to more than one session took.
        self.flushes = Histogram(BRIEF)

    def add(self, outbox: Outbox) -> None:
        """Have its session deliver at the end of the turn, which may be more than what was published."""
        outbox.is_clear = False
        if not outbox.is_dirty:
            outbox.is_dirty = True
            self._dirty.append(outbox)
            self._schedule_once()

    def send(self, item: Item, outboxes: Collection[Outbox]) -> None:
        """Put an item at the end of each outbox; those that held the same hold the same again."""
        last = self._link
        # Whoever leaves closes the link: as many as before are those of before.
        if last is not None and last.is_open and outboxes is self._receivers and len(outboxes) == self._count:
            last.append(item)
            return
        if not outboxes:
            return
        dirty = self._dirty
        before: Link | None = None
        link = Link(item, None)
        links: dict[Link | None, Link] = {None: link}
        for outbox in outboxes:
            if outbox.last is not before:
                before = outbox.last
                known = links.get(before)
                link = links[before] = known or Link(item, before)
            outbox.last = link
            if not outbox.is_dirty:
                outbox.is_dirty = True
                dirty.append(outbox)
        self._receivers = outboxes if len(links) == 1 else None
        self._count = len(outboxes)
        self._link = link
        self._schedule_once()

    def end_turn(self) -> None:
        """Wake who waits, and flush."""
        try:
            self.wakeups.run()
        finally:
            self.flush()
            self._schedule_once()

    def flush(self) -> None:
        """Deliver what is in every dirty outbox. What comes meanwhile for one that was served waits."""
        self._is_scheduled = False
        dirty = self._dirty
        self._dirty = []
        # One session isn't worth two looks at the clock.
        begun = perf_counter() if len(dirty) > 1 else None
        tick = Tick(self._clock(), self._max_batch)
        for outbox in dirty:
            outbox.is_dirty = False
            try:
                if not outbox.write(tick):
                    outbox.deliver(tick)
            except Exception:
                # One session's fault is not its neighbours'.
                owner = outbox.owner
                assert owner is not None
                logger.exception("session %s failed", owner.id, extra={"connection": owner.id})
                owner.kick(1011, "internal error")
        self._traffic.bytes_sent += tick.bytes_written
        self._traffic.messages_sent += tick.messages_written
        self._receivers = self._link = None
        if begun is not None:
            self.flushes.observe(perf_counter() - begun)

    def _schedule_once(self) -> None:
        if (self._dirty or self.wakeups.due) and not self._is_scheduled:
            self._is_scheduled = True
            self._schedule(self.end_turn)
