"""A server of another make, as a test of our client sees it: the path says what the server does.

| path | what the server does |
|---|---|
| /echo | sends every message back |
| /fragments?size=N | sends it back in frames of N octets and an empty one, with a Ping behind each |
| /ping?payload=TEXT | pings, and sends back as a message what the Pong held |
| /close?code=N&reason=TEXT | sends a message, then a Close; an empty one without a code |
| /abort | ends the TCP connection at the first message |
| /refuse?status=N | answers the handshake with this status |
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..conftest import eventually, take_census

# Octets of a message that each server takes: more than any test sends.
MAX_SIZE: Final = 32 << 20
LAST_MESSAGE: Final = "the last message"
REFUSAL: Final = "not for you"


@final
@dataclass(frozen=True, slots=True)
class Setup:
    """What a server is set to: permessage-deflate in its library's terms, None without; its subprotocols."""

    deflate: Mapping[str, Any] | None = None
    subprotocols: tuple[str, ...] = ()


class Ending(NamedTuple):
    """What the server's library told about the Close that it received; 1006 without one."""

    code: int
    reason: str


@final
class Server:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._endings: asyncio.Queue[Ending] = asyncio.Queue()

    def uri(self, action: str, **parameters: object) -> str:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return f"ws://127.0.0.1:{self.port}/{action}{query}"

    def has_ended(self, code: int, reason: str) -> None:
        self._endings.put_nowait(Ending(code, reason))

    async def ending(self) -> Ending:
        """Return how the next connection ended."""
        return await self._endings.get()


Serve = Callable[[Setup], AbstractAsyncContextManager[Server]]


@asynccontextmanager
async def running(serve: Serve, setup: Setup) -> AsyncIterator[Server]:
    """Run a server, and end with a census: neither it nor the client leaves anything behind."""
    before = take_census()
    async with serve(setup) as server:
        yield server
    await eventually(before, take_census)


def parse_target(target: str) -> tuple[str, dict[str, str]]:
    """Split a request's target into the action and its parameters."""
    parts = urlsplit(target)
    return parts.path.removeprefix("/"), dict(parse_qsl(parts.query))


def pieces(payload: bytes, size: int) -> list[bytes]:
    """Cut a message, in the middle of characters too, and end with an empty piece."""
    return [*(payload[start : start + size] for start in range(0, len(payload), size)), b""]
