"""Metrics: the numbers of a running service, as Prometheus reads them.

They are plain numbers until somebody asks: a scrape visits no connection.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

import rfc6455
from rfc6455 import Request

from .context import Context, Page
from .histogram import Histogram
from .limits import descriptor_limit
from .logs import LOSSES
from .process import Process

PREFIX: Final = "rfc6455_"
# A version of a format that isn't made of numbers, which the library fails on, or writes into its answer.
_NO_VERSION: Final = re.compile(r"version=(?![0-9]{1,9}(?:\.[0-9]{1,9})*[ \t]*(?:[;,]|$))")

Number = Callable[[Context], float]
# By the values of the one label that there is; these are never of a client's choice.
Numbers = Callable[[Context], Mapping[str, float]]
Histograms = Callable[[Context], Mapping[str, Histogram]]

GAUGES: Final[dict[str, tuple[str, Number]]] = {
    "connections": (
        "TCP connections: WebSockets, plain HTTP, and those that are about to end.",
        lambda context: len(context.connections),
    ),
    "max_connections": (
        "Connections that are let in at a time.",
        lambda context: context.settings.max_connections or descriptor_limit(),
    ),
    "sessions": ("Open WebSockets.", lambda context: context.traffic.sessions),
    "paused_sessions": (
        "Sessions that are written to faster than their clients read, at this moment.",
        lambda context: len(context.paused),
    ),
    "rooms": (
        "Rooms: those with members, and those whose history is still kept.",
        lambda context: len(context.hub.rooms),
    ),
    "history_bytes": (
        "What the messages that rooms keep take: their payloads, and what is around them.",
        lambda context: context.hub.history_weight,
    ),
    "memory_budget_bytes": (
        "What all queues and unfinished messages may take.",
        lambda context: context.budget.limit,
    ),
    "memory_held_bytes": (
        "What they took when it was last counted, which is when it may be near the budget.",
        lambda context: context.budget.held,
    ),
    "draining": ("1 once the server is going away, else 0.", lambda context: context.is_draining),
    "loop_lag_max_seconds": (
        "How late the event loop called back at worst, in the last one to two minutes.",
        lambda context: context.pauses.longest_lag,
    ),
}
COUNTERS: Final[dict[str, tuple[str, Number]]] = {
    "turned_away_connections": (
        "Connections closed without a word: full where TLS is expected, or no PROXY header where one is due.",
        lambda context: context.traffic.turned_away,
    ),
    "received_messages": (
        "Messages that clients sent.",
        lambda context: context.traffic.messages_received,
    ),
    "sent_messages": (
        "Messages that were given to clients' transports.",
        lambda context: context.traffic.messages_sent,
    ),
    "received_bytes": (
        "Octets of frames that came in, as they were compressed, without those of TLS.",
        lambda context: context.traffic.bytes_received,
    ),
    "sent_bytes": (
        "Octets of frames that went out, and of the answers to their handshakes; without those of TLS.",
        lambda context: context.traffic.bytes_sent,
    ),
    "memory_refused_handshakes": (
        "Handshakes that were refused for want of memory.",
        lambda context: context.budget.refused,
    ),
    "memory_closed_connections": (
        "Connections that were closed for want of memory.",
        lambda context: context.budget.closed,
    ),
    "sent_pings": ("Pings to silent clients.", lambda context: context.traffic.pings_sent),
    "unanswered_pings": (
        "Sessions that were given up because no Pong came in time.",
        lambda context: context.traffic.unanswered,
    ),
    "too_slow_sessions": (
        "Sessions that were closed because too much waited for them, or for too long.",
        lambda context: context.traffic.too_slow,
    ),
    "lost_log_records": (
        "Records of the log that nobody read in time, or that could not be written.",
        lambda context: LOSSES.records,
    ),
}
LABELLED_COUNTERS: Final[dict[str, tuple[str, str, Numbers]]] = {
    "handshakes": (
        "Requests for a WebSocket, by the status of the answer: 101 is success.",
        "status",
        lambda context: context.traffic.handshakes,
    ),
    "http_requests": (
        "All other requests, also those that were never complete, by the status of the answer.",
        "status",
        lambda context: context.traffic.requests,
    ),
    "received_closes": (
        "Ended sessions by the client's close code; 1006 is for no Close, 3xxx and 4xxx for ranges.",
        "code",
        lambda context: context.traffic.closes_received,
    ),
    "sent_closes": (
        "Ended sessions by our close code; 1006 is for no Close, 3xxx and 4xxx for ranges.",
        "code",
        lambda context: context.traffic.closes_sent,
    ),
    "dropped_publications": (
        "Publications that one receiver was not sent: policy for slow readers, or past their time to live.",
        "reason",
        lambda context: {
            "oldest": context.hub.drops.oldest,
            "newest": context.hub.drops.newest,
            "conflated": context.hub.drops.conflated,
            "expired": context.hub.drops.expired,
        },
    ),
}
HISTOGRAMS: Final[dict[str, tuple[str, str, Histograms]]] = {
    "ping_rtt_seconds": (
        "From a Ping to its Pong. Only clients that are silent for a while are pinged.",
        "",
        lambda context: {"": context.traffic.round_trips},
    ),
    "paused_queue_bytes": (
        "What waits for a paused session, sampled four times a second, of 100 sessions at the most.",
        "",
        lambda context: {"": context.traffic.waiting_bytes},
    ),
    "fanout_sessions": (
        "How many sessions a publication was for.",
        "",
        lambda context: {"": context.hub.reached},
    ),
    "fanout_flush_seconds": (
        "How long it took to write what one turn of the event loop had for more than one session.",
        "",
        lambda context: {"": context.fanout.flushes},
    ),
    "loop_lag_seconds": (
        "How late the event loop called back, asked four times a second.",
        "",
        lambda context: {"": context.pauses.lag},
    ),
    "gc_pause_seconds": (
        "How long the garbage collector stopped everything.",
        "generation",
        lambda context: {str(number): one for number, one in enumerate(context.pauses.collections)},
    ),
}


@final
class Metrics(Collector):
    """The metrics of one service."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._registry.register(Process())

    def page(self, request: Request) -> Page:
        """Answer a scrape, in the format that it accepts best."""
        accepted = request.headers.joined("Accept")
        encode, content_type = choose_encoder("" if _NO_VERSION.search(accepted) else accepted)
        return Page(content_type, encode(self._registry))

    def collect(self) -> Iterator[Metric]:
        """Make the samples."""
        context = self._context
        build = GaugeMetricFamily(
            PREFIX + "build_info", "Always 1; how the server was built.", None, ["build"]
        )
        build.add_metric([rfc6455.BUILD], 1)
        yield build
        for name, (means, number) in GAUGES.items():
            yield GaugeMetricFamily(PREFIX + name, means, number(context))
        for name, (means, number) in COUNTERS.items():
            yield CounterMetricFamily(PREFIX + name, means, number(context))
        for name, (means, label, numbers) in LABELLED_COUNTERS.items():
            counter = CounterMetricFamily(PREFIX + name, means, labels=[label])
            for value, count in sorted(numbers(context).items()):
                counter.add_metric([value], count)
            yield counter
        for name, (means, label, histograms) in HISTOGRAMS.items():
            histogram = HistogramMetricFamily(PREFIX + name, means, labels=[label] if label else [])
            for value, one in histograms(context).items():
                histogram.add_metric([value] if label else [], _buckets(one), one.sum)
            yield histogram


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Each bound with the number of values up to it."""
    buckets: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip([*map(str, histogram.bounds), "+Inf"], histogram.counts, strict=True):
        below += count
        buckets.append((bound, below))
    return buckets
