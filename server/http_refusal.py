"""What a request is told that isn't granted: a status, and a sentence that quotes nothing of it."""

import math
import random
from typing import Final

from rfc6455 import HandshakeError

from .advice import MAX_RETRY

# The rule of our own refusals, among those of the protocol.
REFUSED: Final = "refused"

# Seconds after which a client that found the server full or stopping may come back.
RETRY_AFTER: Final = ("Retry-After", "5")


def refusal(status: int, message: str, *headers: tuple[str, str]) -> HandshakeError:
    """Make the answer before the upgrade (RFC 6455 4.2.2)."""
    return HandshakeError(message, status=status, rule=REFUSED, section="4.2.2", headers=headers)


def too_many(whose: str) -> HandshakeError:
    """Make the answer to more than its share of handshakes."""
    # 6585 4: it may say when to come back.
    return refusal(429, f"There are too many connections a second {whose}.", RETRY_AFTER)


def unavailable() -> HandshakeError:
    """Make the answer of a server that is full."""
    # Not all at once: they may have come so.
    seconds = random.randint(1, math.floor(MAX_RETRY))
    return refusal(503, "There is no room for another connection now.", ("Retry-After", str(seconds)))


def stopping() -> HandshakeError:
    """Make the answer of a server that is about to stop."""
    return refusal(503, "The server is stopping.", RETRY_AFTER)
