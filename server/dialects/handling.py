"""Handling: the coroutine of a stream, apart from it because what awaits isn't compiled."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..logs import CONNECTION
from ..session import Session, SessionClosed

S = TypeVar("S")

logger = logging.getLogger(__name__)


async def handle(handler: Callable[[S], Awaitable[None]], stream: S, session: Session) -> None:
    """Run an application's handler, and end its session as it ends."""
    CONNECTION.set(session.id)
    try:
        await handler(stream)
    except SessionClosed:
        # Its own, or that of another one it was sending to.
        session.close()
    except asyncio.CancelledError:
        session.kick(1001, "the server is going away")
        raise
    except Exception:
        logger.exception("the handler of session %s failed", session.id)
        session.kick(1011, "internal error")
    else:
        session.close()
