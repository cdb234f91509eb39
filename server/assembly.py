"""Assembly: the parts of a service, made by its settings."""

import asyncio
from collections.abc import Mapping

from rfc6455 import DeflateOptions

from .application import Application
from .authentication import Authenticator
from .budget import Budget
from .codecs import Codecs
from .context import Closable, Context, Route
from .deadlines import Deadlines
from .delivery import Deliveries
from .dialects.application import ApplicationDialect
from .dialects.echo import EchoDialect
from .dialects.rooms import RoomsDialect
from .dialects.stream import Handler, Stream
from .expiry import Expiries
from .fanout import Fanout
from .forwarded import TrustedProxies
from .heartbeat import Heartbeat
from .history import Archive
from .hooks import Hooks
from .hub import Hub
from .journal import Journal
from .json_bounds import JsonBounds
from .limits import Admission, HandshakeRates, Limiter, Rates, descriptor_limit
from .memory import default_budget
from .overflow import OverflowRules
from .pages import load_pages
from .paused import Paused
from .policy import LOOPBACK_NAMES, Policy
from .refreshing import Refreshing
from .session import Dialect
from .settings import Settings
from .tick import MAX_BATCH
from .traffic import Traffic


def make_context(
    settings: Settings,
    handlers: Mapping[str, Handler],
    application: Application | None,
    authenticator: Authenticator | None,
    hooks: Hooks,
    tasks: set[asyncio.Task[None]],
) -> Context:
    """Make the parts for these settings; `tasks` is where those of the handlers are kept."""
    loop = asyncio.get_running_loop()
    traffic = Traffic()
    # What is written is out of the hub's hands: no newer value takes its place.
    max_batch = min(MAX_BATCH, settings.write_high_water)
    fanout = Fanout(loop.call_soon, loop.time, max_batch, traffic)
    archive = Archive(
        max_publications=settings.history_messages,
        max_seconds=settings.history_seconds,
        max_weight=settings.history_bytes,
        # In a small container the default would be all the memory there is.
        max_total_weight=min(settings.history_total_bytes, default_budget()),
    )
    hub = Hub(
        fanout,
        loop.time,
        max_rooms=settings.max_rooms,
        max_rooms_per_session=settings.max_rooms_per_connection,
        archive=archive,
        overflow=OverflowRules(settings.slow_readers, settings.slow_readers_by_room),
        presence_interval=settings.presence_interval,
        traffic=traffic,
    )
    connections: dict[Closable, None] = {}
    memory = settings.memory_budget or default_budget()
    expiries = Expiries(loop.time)
    codecs = Codecs(settings.max_message_size, settings.max_fragments)
    refreshing = None
    if authenticator is not None:
        leave_hook = None if application is None else application.leave_hook
        refreshing = Refreshing(authenticator, hub.memberships, expiries, hooks, leave_hook)
    rooms = RoomsDialect(hub, JsonBounds(settings.max_json_depth, settings.max_json_keys), refreshing)
    spoken: Dialect = rooms
    if application is not None:
        application.hub = hub
        spoken = ApplicationDialect(rooms, hub, application, hooks)
    echo = EchoDialect()
    of_rooms = Route(lambda: spoken, ("rooms",))
    routes = {"/": of_rooms, "/ws": of_rooms, "/echo": Route(lambda: echo, ("echo",))}
    for path, handler in handlers.items():
        routes[path] = Route(lambda handler=handler: Stream(handler, tasks, fanout.wakeups))  # type: ignore[misc]
    return Context(
        settings=settings,
        clock=loop.time,
        fanout=fanout,
        hub=hub,
        heartbeat=Heartbeat(settings.ping_interval, settings.pong_timeout),
        handshakes=Deadlines(settings.handshake_timeout),
        closings=Deadlines(settings.close_timeout),
        admission=Admission(
            settings.max_connections or descriptor_limit(), settings.max_connections_per_address
        ),
        policy=Policy(_served_hosts(settings), settings.allowed_origins),
        authenticator=authenticator,
        expiries=expiries,
        codecs=codecs,
        deliveries=Deliveries(codecs),
        rates=_limiter(settings),
        handshake_rates=HandshakeRates(
            settings.handshake_rate,
            settings.handshake_rate_per_address,
            settings.handshake_rate_per_user,
        ),
        proxies=TrustedProxies(settings.trusted_proxies),
        deflate=_deflate_options(settings),
        routes=routes,
        endpoints=load_pages(),
        budget=Budget(memory, connections, traffic, archive, hub.drops, loop.time),
        connections=connections,
        traffic=traffic,
        paused=Paused(traffic.waiting_bytes),
        journal=Journal(loop.time),
    )


def _served_hosts(settings: Settings) -> tuple[str, ...]:
    """On loopback only its own names are served, against rebound DNS names; elsewhere any, unless told."""
    is_loopback = not settings.unix and set(settings.host) <= {"localhost", "127.0.0.1", "::1"}
    if settings.allowed_hosts or not is_loopback:
        return settings.allowed_hosts
    return LOOPBACK_NAMES


def _limiter(settings: Settings) -> Limiter | None:
    of_all = (
        Rates(settings.message_rate, settings.frame_rate, settings.byte_rate),
        Rates(
            settings.message_rate_per_address,
            settings.frame_rate_per_address,
            settings.byte_rate_per_address,
        ),
        Rates(settings.message_rate_per_user, settings.frame_rate_per_user, settings.byte_rate_per_user),
    )
    return Limiter(*of_all) if any(rates.are_limits for rates in of_all) else None


def _deflate_options(settings: Settings) -> DeflateOptions | None:
    if not settings.compression:
        return None
    if settings.compression_context_takeover:
        return DeflateOptions(
            no_context_takeover=False,
            max_window_bits=12,
            mem_level=5,
            min_size=settings.compression_threshold,
        )
    return DeflateOptions(min_size=settings.compression_threshold)
