"""JWKS: the keys that another server publishes, fetched in a thread and kept for a while (RFC 7517 5)."""

import asyncio
import json
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from threading import Thread
from typing import Any, Final, TypeVar, final
from urllib.error import HTTPError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    getproxies,
)

from .jwt_keys import PUBLIC, Key, choose, parse_key_set
from .refusal import Refusal

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds: after which keys are fetched anew; for which they are good if they can't be; between two attempts,
# however many tokens name a key that isn't known; and that an attempt may take.
MAX_AGE: Final = 300.0
MAX_STALE: Final = 3600.0
MIN_INTERVAL: Final = 10.0
TIMEOUT: Final = 4.0
# Octets of a set; there is no end to what a source may send.
MAX_SET: Final = 1 << 20


@final
class RemoteKeys:
    """The keys behind a URL. `clock` gives seconds."""

    __slots__ = (
        "_answer",
        "_attempted_at",
        "_clock",
        "_fetched_at",
        "_fetching",
        "_keys",
        "_name",
        "_url",
    )

    algorithms: Final = frozenset(PUBLIC.values())

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        # For the log: a query may hold a secret.
        self._name = url.partition("?")[0]
        self._keys: list[Key] = []
        self._fetched_at = -math.inf
        self._attempted_at = -math.inf
        self._fetching: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[Any] | None = None

    def find(self, algorithm: object, id: object) -> Key | None:
        """Return the key that a token means; None if `fetch_and_find` may know more. Raises Refusal."""
        now = self._clock()
        is_fresh = now - self._fetched_at < MAX_AGE
        if is_fresh and (key := choose(self._keys, algorithm, id)) is not None:
            return key
        # An answer that trickles in outlasts its attempt: then there is no other thread to wait for another.
        is_asked = self._answer is not None and not self._answer.done()
        if self._fetching is None and (is_asked or now - self._attempted_at < MIN_INTERVAL):
            return self._choose(algorithm, id)
        return None

    async def fetch_and_find(self, algorithm: object, id: object) -> Key:
        """Return the key that a token means, by the newest keys that can be had. Raises Refusal."""
        await self.fetch()
        return self._choose(algorithm, id)

    async def fetch(self) -> None:
        """Fetch the keys, if that can be; once for all who wait for them."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(), name=f"keys of {self._name}")
        # Who goes away doesn't end it for the others.
        await asyncio.shield(self._fetching)

    def close(self) -> None:
        """Wait for no keys any more."""
        if self._fetching is not None:
            self._fetching.cancel()

    def _choose(self, algorithm: object, id: object) -> Key:
        if self._clock() - self._fetched_at >= MAX_STALE:
            raise Refusal("unavailable", "The keys that tokens are verified with can't be had now.")
        key = choose(self._keys, algorithm, id)
        if key is None:
            raise Refusal("invalid_token", "The token's key is not known.")
        return key

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                self._answer = _in_thread(partial(_download, self._url))
                self._keys = parse_key_set(await asyncio.shield(self._answer))
            self._fetched_at = self._clock()
        except (HTTPException, OSError, ValueError, RecursionError) as error:
            what = "no answer in time" if isinstance(error, TimeoutError) else error
            logger.warning("can't get the keys of %s: %s", self._name, what)
        finally:
            self._attempted_at = self._clock()
            self._fetching = None


def _download(url: str) -> Any:
    """Read a JSON document. Raises HTTPException, OSError, ValueError or RecursionError.

    Nobody on the way may change it: so no redirection is followed, and what comes without TLS, from this
    machine, comes through no proxy.
    """
    opener = OpenerDirector()
    proxies = {scheme: proxy for scheme, proxy in getproxies().items() if scheme == "https"}
    for handler in (
        ProxyHandler(proxies),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPErrorProcessor(),
        HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    try:
        with opener.open(url, timeout=TIMEOUT) as response:
            return json.loads(response.read(MAX_SET))
    except HTTPError as error:
        error.close()
        raise


def _in_thread(call: Callable[[], T]) -> asyncio.Future[T]:
    """Call in a thread that nobody waits for at the end: unlike an executor's, which may hang for as long."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: Any, error: Exception | None) -> None:
        if error is not None:
            future.set_exception(error)
            # Looked at: perhaps nobody waits for it any more.
            future.exception()
        else:
            future.set_result(result)

    def run() -> None:
        result, failure = None, None
        try:
            result = call()
        except Exception as error:
            failure = error
        # The loop may be closed by now.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failure)

    Thread(target=run, name="keys", daemon=True).start()
    return future
