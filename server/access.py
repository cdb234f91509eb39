"""Access: every request is counted by the status of its answer, and those that are refused are logged.

Those that succeed are logged for who wants to see them (`--log-level debug`): a line costs as much as all
the rest of a handshake.
"""

import logging
from typing import Final

from rfc6455 import HandshakeError

from .http_refusal import REFUSED
from .identity import Identity
from .traffic import Traffic, count

logger = logging.getLogger(__name__)

# Characters of a path that are logged. Queries never are: they may hold credentials.
_MAX_PATH: Final = 200


def note_opened(traffic: Traffic, id: str, address: str, path: str, identity: Identity | None) -> None:
    """Count and log a handshake that succeeded."""
    count(traffic.handshakes, "101")
    if not logger.isEnabledFor(logging.DEBUG):
        return
    extra = {
        "connection": id,
        "address": address,
        "user": None if identity is None else identity.user,
        "status": 101,
        "path": path,
    }
    logger.debug("session %s opened from %s: 101 %s", id, address, path, extra=extra)


def note_answered(traffic: Traffic) -> None:
    """Count a plain request that was answered with what it asked for."""
    count(traffic.requests, "200")


def note_refused(
    traffic: Traffic, address: str, path: str | None, error: HandshakeError, *, is_handshake: bool
) -> None:
    """Count and log a request that was refused; one that was never complete has no path."""
    count(traffic.handshakes if is_handshake else traffic.requests, str(error.status))
    # What a broken rule's text quotes may be a credential; our own refusals quote none.
    why = error if error.rule == REFUSED else f"{error.rule} ({error.section})"
    shown = None if path is None else path[:_MAX_PATH]
    extra = {"address": address, "status": error.status, "path": shown}
    logger.info("refused %s from %s: %d %s", shown or "a request", address, error.status, why, extra=extra)
