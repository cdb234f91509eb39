"""Context: what all connections of one service share."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, final

from rfc6455 import DeflateOptions, Request

from .authentication import Authenticator
from .budget import Budget
from .codecs import Codecs
from .deadlines import Deadlines, Expiring
from .delivery import Deliveries
from .expiry import Expiries
from .fanout import Fanout
from .forwarded import TrustedProxies
from .heartbeat import Heartbeat
from .hub import Hub
from .journal import Journal
from .limits import Admission, HandshakeRates, Limiter
from .paused import Paused
from .pauses import Pauses
from .policy import Policy
from .session import Dialect
from .settings import Settings
from .traffic import Traffic


class Closable(Protocol):
    """A connection as the service sees it when it stops."""

    def shut_down(self) -> None:
        """Begin to close; this end is going away."""

    def abort(self) -> None:
        """Close at once."""

    def octets_held(self) -> int:
        """Count what it holds for itself alone."""

    def octets_waiting(self) -> int:
        """Count the publications that wait for it, which it may share with others."""

    def drop_waiting(self) -> None:
        """Drop of these what may be dropped."""

    def evict(self) -> None:
        """Close for want of memory, and if that is done already, abort."""


@final
@dataclass(frozen=True, slots=True)
class Route:
    """What a WebSocket path leads to: the dialect of a new session, and the subprotocols it can speak."""

    dialect: Callable[[], Dialect]
    subprotocols: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Page:
    """What a plain GET of a path returns."""

    content_type: str
    body: bytes


# Answers a request that came from an address. Raises HandshakeError to refuse it.
Endpoint = Callable[[Request, str], Page]


@final
@dataclass(slots=True)
class Context:
    """The parts of a running service. `clock` gives the event loop's time in seconds.

    That may stand still for a turn, and is in milliseconds on uvloop: what is shorter is measured by
    `stopwatch`.
    """

    settings: Settings
    clock: Callable[[], float]
    fanout: Fanout
    hub: Hub
    heartbeat: Heartbeat
    handshakes: Deadlines[Expiring]
    closings: Deadlines[Expiring]
    admission: Admission
    policy: Policy
    authenticator: Authenticator | None
    expiries: Expiries
    codecs: Codecs
    deliveries: Deliveries
    rates: Limiter | None
    handshake_rates: HandshakeRates
    budget: Budget
    proxies: TrustedProxies
    deflate: DeflateOptions | None
    routes: Mapping[str, Route]
    # By path; one that ends in /* is for all paths with one more segment.
    endpoints: dict[str, Endpoint]
    connections: dict[Closable, None]
    traffic: Traffic
    paused: Paused
    journal: Journal
    pauses: Pauses = field(default_factory=Pauses)
    stopwatch: Callable[[], float] = time.monotonic
    # Whether new connections are let in, and whether all are about to go.
    is_accepting: bool = True
    is_draining: bool = False
