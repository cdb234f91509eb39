"""Advice: what a Close tells a client that is to come back, and when, so that not all come at once."""

import random
from typing import Final

# Seconds: RFC 6455 7.2.3 has clients wait up to 5 before their first attempt.
MIN_RETRY: Final = 0.5
MAX_RETRY: Final = 5.0


def come_back(reason: str) -> str:
    """Add to a reason after how many seconds to try again, another number each time."""
    return f"{reason}; retry={random.uniform(MIN_RETRY, MAX_RETRY):.1f}"
