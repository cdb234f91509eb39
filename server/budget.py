"""Budget: what all queues and unfinished messages may take together, and who goes when it is too much.

What a connection holds is counted only when it has to be looked at. Nothing is held that wasn't received,
sent, inflated or published since the last look: while that is less than what was left then, the budget
isn't passed. To look is a walk over all connections, so one at least a sixteenth of the budget apart.

Counted are, per connection, unfinished messages and input that isn't handled yet, its own replies that
wait, and what its transport hasn't written; and each publication that waits for anybody once, however
many it waits for, since it is in memory once. What the history keeps is bounded by itself.
"""

import logging
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Final, Protocol, final

from .bulkhead import for_each
from .flow import Drops
from .history import Archive
from .traffic import Traffic

logger = logging.getLogger(__name__)

# Shares of the budget, in sixteenths: where handshakes are refused and where no longer, where queues are
# dropped and closed and how far.
_REFUSE: Final = 12
_ADMIT: Final = 10
_SHED: Final = 14
_SHED_TO: Final = 12
_PARTS: Final = 16
# Seconds between two lines of the log.
_LOG_INTERVAL: Final = 1.0


class Holder(Protocol):
    """A connection as the budget sees it."""

    def octets_held(self) -> int:
        """Count what it holds for itself alone."""

    def octets_waiting(self) -> int:
        """Count the publications that wait for it, which it may share with others."""

    def drop_waiting(self) -> None:
        """Drop of these what may be dropped."""

    def evict(self) -> None:
        """Close for want of memory, and if that is done already, abort."""


@final
class Budget:
    """Looks at what is held when that may be near `limit`, in octets, and sheds in order.

    First handshakes are refused, then what may be dropped is, then the longest queues are closed.
    """

    __slots__ = (
        "_archive",
        "_clock",
        "_drops",
        "_holders",
        "_is_looking",
        "_logged",
        "_logged_at",
        "_published_then",
        "_traffic",
        "closed",
        "dropped",
        "held",
        "is_tight",
        "limit",
        "refused",
    )

    def __init__(
        self,
        limit: int,
        holders: Iterable[Holder],
        traffic: Traffic,
        archive: Archive,
        drops: Drops,
        clock: Callable[[], float],
    ) -> None:
        self.limit = limit
        self._holders = holders
        self._traffic = traffic
        self._archive = archive
        self._drops = drops
        self._clock = clock
        # As it was at the last look; of that, what was published.
        self.held = 0
        self._published_then = 0
        # Whether handshakes are refused.
        self.is_tight = False
        self._is_looking = False
        # How often each was done: handshakes refused, publications dropped, connections closed.
        self.refused = 0
        self.dropped = 0
        self.closed = 0
        self._logged = (0, 0, 0)
        self._logged_at = clock() - _LOG_INTERVAL
        self._set_next_look()

    def admits(self) -> bool:
        """Tell whether there is memory for another connection; one that isn't admitted is counted."""
        self.refused += self.is_tight
        return not self.is_tight

    def look(self) -> None:
        """Count what is held, and shed what is too much."""
        if self._is_looking:
            # What is closed may publish its last.
            return
        self._is_looking = True
        try:
            self._measure()
            if self.held > self._mark(_REFUSE):
                self.is_tight = True
            elif self.held <= self._mark(_ADMIT):
                self.is_tight = False
            if self.held > self._mark(_SHED):
                self._drop()
            if self.held > self._mark(_SHED):
                self._close_longest()
            self._set_next_look()
        finally:
            self._is_looking = False

    def sweep(self) -> None:
        """Find out whether a time of want is over."""
        # What the history forgets may still wait for somebody.
        if self.is_tight or self._published() > self._published_then + self._mark(1):
            self.look()
        self._log()

    def _mark(self, share: int) -> int:
        return self.limit * share // _PARTS

    def _measure(self) -> None:
        self.held = self._published() + sum(holder.octets_held() for holder in self._holders)

    def _published(self) -> int:
        return self._traffic.publication_bytes - self._archive.weight

    def _set_next_look(self) -> None:
        traffic = self._traffic
        self._published_then = self._published()
        mark = self._mark(_SHED if self.is_tight else _REFUSE)
        left = max(mark - self.held, self._mark(1))
        traffic.look_at = traffic.bytes_received + traffic.bytes_sent + left

    def _drop(self) -> None:
        before = self._drops.oldest + self._drops.newest
        for_each("dropping", _drop_waiting, self._holders)
        self.dropped += self._drops.oldest + self._drops.newest - before
        self._measure()

    def _close_longest(self) -> None:
        sizes = {one: one.octets_held() + one.octets_waiting() for one in self._holders}
        longest = sorted(filter(sizes.__getitem__, sizes), key=sizes.__getitem__, reverse=True)
        for_each("closing", self._close, takewhile(lambda _: self.held > self._mark(_SHED_TO), longest))

    def _close(self, holder: Holder) -> None:
        held = holder.octets_held()
        size = held + holder.octets_waiting()
        before = held + self._published()
        holder.evict()
        if holder.octets_held() > size // 2:
            # Its Close lies behind most of that, and so nobody reads it.
            holder.evict()
        self.held -= before - holder.octets_held() - self._published()
        self.closed += 1

    def _log(self) -> None:
        counts = self.refused, self.dropped, self.closed
        now = self._clock()
        if counts == self._logged or now - self._logged_at < _LOG_INTERVAL:
            return
        more = [count - logged for count, logged in zip(counts, self._logged, strict=True)]
        self._logged = counts
        self._logged_at = now
        logger.warning(
            "short of memory, %d of %d octets held: refused %d handshakes, dropped %d publications, "
            "closed %d connections",
            self.held,
            self.limit,
            *more,
        )


def _drop_waiting(holder: Holder) -> None:
    if holder.octets_waiting():
        holder.drop_waiting()
