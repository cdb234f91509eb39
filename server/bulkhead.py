"""Bulkhead: what is done to many connections at once fails for one of them alone."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


def for_each(what: str, act: Callable[[T], object], entries: Iterable[T]) -> None:
    """Act on each; where that fails it is logged, and the others have their turn."""
    for entry in entries:
        try:
            act(entry)
        except Exception:
            logger.exception("%s failed for %s", what, getattr(entry, "id", "one"))
