"""Service: listens, sweeps, and stops without leaving anyone in the dark."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from operator import methodcaller
from typing import Final, final

from .acceptor import Acceptor
from .application import Application
from .assembly import make_context
from .authentication import make_authenticator
from .bulkhead import for_each
from .dialects.stream import Handler
from .drain import Drain
from .heartbeat import SWEEP
from .herd import Herd
from .hooks import Hooks
from .hub import Hub
from .identity import UNAUTHORIZED
from .listening import open_listeners
from .management import Guard, management
from .protocol import WebSocketSession
from .settings import Settings, SettingsError
from .tls import ServerTls, TlsError
from .turned_away import TurnedAway

logger = logging.getLogger(__name__)

# Seconds that an application has to stop, however little is left of the time for that.
MIN_FAREWELL: Final = 1.0


@final
class Service:
    """A server on its event loop: `start()`, then `stop()`.

    `handlers` adds WebSocket paths that are served by an application's coroutines. Raises TlsError, and
    SettingsError for files that can't be used.
    """

    def __init__(
        self,
        settings: Settings,
        handlers: Mapping[str, Handler] | None = None,
        application: Application | None = None,
    ) -> None:
        self.settings = settings
        self._application = application
        self._hooks = Hooks(settings.hook_timeout)
        self.tls: ServerTls | None = None
        if settings.tls_certificate or settings.tls_key:
            self.tls = ServerTls(settings.tls_certificate, settings.tls_key)
        self._authenticator = make_authenticator(
            settings, application.authenticate_hook if application else None
        )
        # What SIGHUP reads anew.
        self.files: dict[str, Callable[[], None]] = {}
        if self.tls is not None:
            self.files["certificate"] = self.tls.reload
        if settings.auth_tokens:
            self.files["file of tokens"] = self._reload_tokens
        if self._authenticator is not None and (settings.jwt_secret or settings.jwt_keys):
            self.files["file of keys"] = self._authenticator.reload_keys
        # Where it listens: host and port of each TCP socket; and all of them, for people.
        self.addresses: list[tuple[str, int]] = []
        self.places: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._acceptors: list[Acceptor] = []
        self._turned_away: TurnedAway | None = None
        self._sweep: asyncio.TimerHandle | None = None
        # The application's time to stop, once that has begun.
        self._farewell: asyncio.Timeout | None = None
        self._loop = asyncio.get_running_loop()
        self.context = make_context(
            settings, dict(handlers or {}), application, self._authenticator, self._hooks, self._tasks
        )
        guard = Guard(settings.management_token)
        if settings.management_token:
            self.files["management token"] = guard.reload
        self.context.endpoints.update(management(self.context, guard))
        self._drain = Drain(self.context, settings.drain_delay, settings.drain_timeout)

    @property
    def hub(self) -> Hub:
        """The hub, in which an application may publish."""
        return self.context.hub

    async def start(self) -> None:
        """Listen on every address that the settings mean. Raises ListenError."""
        if self._application is not None and self._application.start_hook is not None:
            await self._application.start_hook()
        try:
            await self._listen()
        except BaseException:
            # What the application has begun it is to end.
            self.stop_now()
            await self.stop()
            raise

    async def _listen(self) -> None:
        if self._authenticator is not None:
            await self._authenticator.start()
        traffic = self.context.traffic
        herd = Herd(lambda: traffic.handshakes.get("101", 0))
        listeners = open_listeners(self.settings)
        self._turned_away = TurnedAway(self.context)
        for listener in listeners:
            if listener.address is not None:
                self.addresses.append(listener.address)
            self.places.append(listener.describe("http" if self.tls is None else "https"))
            self._acceptors.append(Acceptor(listener, self.context, self.tls, herd, self._turned_away))
        for acceptor in self._acceptors:
            acceptor.start()
        self.context.pauses.start()
        self._on_sweep()

    def reload(self) -> None:
        """Read the files anew, for those who come from now on; of one that can't be used the old stays."""
        for what, reload in self.files.items():
            try:
                reload()
            except (SettingsError, TlsError) as error:
                logger.error("%s; the old one stays", error)
            else:
                logger.info("the %s was read anew", what)

    def _reload_tokens(self) -> None:
        """Read the tokens anew, and send away who is here by one that is gone."""
        assert self._authenticator is not None
        revoked = set(self._authenticator.reload_tokens())
        for connection in list(self.context.connections):
            if isinstance(connection, WebSocketSession) and connection.identity in revoked:
                connection.kick(UNAUTHORIZED, "the token was revoked")

    async def stop(self) -> None:
        """Send everybody away and end, in `drain_timeout` seconds at the most."""
        drain = self._drain
        await drain.run(self._stop_accepting)
        self._abort_all()
        # What was aborted is lost within a turn.
        await asyncio.sleep(0)
        self._farewell = asyncio.timeout_at(max(drain.ends_at, self._loop.time() + MIN_FAREWELL))
        try:
            async with self._farewell:
                await self._end_application()
        except TimeoutError:
            logger.warning("the application took too long to stop")
        finally:
            self._farewell = None

    def stop_now(self) -> None:
        """Stop without waiting for anybody."""
        self._drain.hurry()
        self._stop_accepting()
        # Whoever was accepted in this turn can be aborted in the next.
        self._loop.call_soon(self._abort_all)
        if self._farewell is not None and not self._farewell.expired():
            self._farewell.reschedule(self._loop.time() + MIN_FAREWELL)

    def _stop_accepting(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()

    def _abort_all(self) -> None:
        self.context.pauses.stop()
        if self._sweep is not None:
            self._sweep.cancel()
        for acceptor in self._acceptors:
            acceptor.abort()
        if self._turned_away is not None:
            self._turned_away.close()
        for_each("aborting", methodcaller("abort"), list(self.context.connections))

    async def _end_application(self) -> None:
        if self._authenticator is not None:
            self._authenticator.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._hooks.close()
        if self._application is not None and self._application.stop_hook is not None:
            await self._application.stop_hook()

    def _on_sweep(self) -> None:
        """Look at all that time may end, for all connections at once."""
        context = self.context
        now = self._loop.time()
        late = 0.0 if self._sweep is None else now - self._sweep.when()
        context.pauses.late(late, now)
        self._sweep = self._loop.call_later(SWEEP, self._on_sweep)
        for deadlines in (context.handshakes, context.closings):
            if late > SWEEP:
                # As the heartbeat does: what came while we stood still is perhaps not read yet.
                deadlines.postpone(late)
            for_each("a deadline", methodcaller("expire"), deadlines.expired(now))
        sweeps: tuple[Callable[[], None], ...] = (
            partial(context.expiries.sweep, now),
            partial(context.heartbeat.sweep, now),
            partial(context.hub.sweep, now),
            context.budget.sweep,
            context.paused.sweep,
        )
        for_each("a sweep", lambda sweep: sweep(), sweeps)
