"""Inspection: how one connection stands, and in a sentence why it is slow."""

import heapq
import math
import socket
from collections.abc import Mapping
from typing import Any, Final, cast, final

from .context import Context
from .protocol import Standing, WebSocketSession
from .tcp_info import send_queue, tcp_info

# Seconds from a ping to its pong, and microseconds of the kernel's round trip, that are long.
_LONG_PONG: Final = 1.0
_LONG_TRIP: Final = 300_000
# The share of the time with something to send from which waiting for the client's window is the cause.
_MOSTLY: Final = 0.5


@final
class Inspector:
    """Looks into the sessions of one service."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def slowest(self, limit: int) -> dict[str, Any]:
        """List the paused sessions for which most waits."""
        paused = cast(list[WebSocketSession], list(self._context.paused))
        slowest = heapq.nlargest(limit, paused, key=lambda session: session.waiting_bytes)
        connections = []
        for session in slowest:
            standing = session.standing()
            connections.append(self._summary(session, standing, _kernel(standing)))
        return {"paused": len(paused), "connections": connections}

    def one(self, id: str) -> dict[str, Any] | None:
        """Tell all of one connection, and of one that is gone what is still known; None if nothing is."""
        now = self._context.clock()
        events = [
            {"seconds_ago": round(now - event.time, 3), "event": event.text}
            for event in self._context.journal.of(id)
        ]
        session = self._find(id)
        if session is None:
            if not events:
                return None
            return {"id": id, "why": f"It is gone; the last event: {events[-1]['event']}.", "events": events}
        standing = session.standing()
        kernel = _kernel(standing)
        return {
            **self._summary(session, standing, kernel),
            **self._details(session, standing),
            "kernel": kernel or None,
            "events": events,
        }

    def _find(self, id: str) -> WebSocketSession | None:
        for connection in self._context.connections:
            if isinstance(connection, WebSocketSession) and connection.id == id:
                return connection
        return None

    def _summary(
        self, session: WebSocketSession, standing: Standing, kernel: Mapping[str, int]
    ) -> dict[str, Any]:
        context = self._context
        oldest = math.inf if standing.backlog is None else standing.backlog.oldest
        return {
            "id": session.id,
            "address": session.address,
            "user": session.user,
            "dialect": session.dialect.name,
            "age_seconds": round(context.clock() - session.opened_at, 3),
            "ping_rtt_seconds": session.rtt,
            "why": why(session, standing, kernel),
            "queue": {
                "items": len(session.waiting()),
                "publication_bytes": session.octets_waiting(),
                "oldest_seconds": None if oldest == math.inf else round(context.clock() - oldest, 3),
                "missed": 0 if standing.backlog is None else standing.backlog.missed,
                "transport_bytes": standing.transport.get_write_buffer_size(),
            },
        }

    def _details(self, session: WebSocketSession, standing: Standing) -> dict[str, Any]:
        settings = self._context.settings
        hub = self._context.hub
        rooms = map(hub.rooms.get, hub.memberships.of(session))
        return {
            "is_writing_paused": session.is_paused,
            "is_reading_held_by_application": standing.is_held,
            "is_reading_stopped_for_replies": standing.reply_waits,
            "is_closing": standing.is_closing,
            "slow_readers": {
                "default": settings.show("slow_readers"),
                "rooms": {room.name: str(room.overflow) for room in rooms if room is not None},
                "max_queue_bytes": settings.max_queue_bytes,
                "max_queue_seconds": settings.max_queue_seconds,
                "write_high_water": settings.write_high_water,
            },
        }


def why(session: WebSocketSession, standing: Standing, kernel: Mapping[str, int]) -> str:
    """Name the cause, the most telling first."""
    if standing.is_closing:
        return "It is closing."
    if session.is_paused or session.waiting() or kernel.get("notsent_bytes"):
        return why_unsent(kernel)
    if standing.is_held:
        return "Our application holds it: it isn't done with what the client sent."
    if session.rtt is not None and session.rtt > _LONG_PONG and kernel.get("rtt_us", 0) < _LONG_TRIP:
        return f"The client is busy: its last pong took {session.rtt:.1f} s, and not for the network."
    return "Nothing is wrong: nothing waits for it."


def why_unsent(kernel: Mapping[str, int]) -> str:
    """Tell what keeps the kernel from sending."""
    # Of what is asked for here it is the latest that Linux came to tell, with 4.10.
    if "rwnd_limited_us" not in kernel:
        return "The client takes less than it is sent; this system doesn't say why."
    if kernel["retransmits"] or kernel["lost"]:
        return "The network loses what is sent: the kernel repeats it, and no acknowledgement comes."
    unsent_only = kernel["notsent_bytes"] > 0 and kernel["unacked"] == 0
    if kernel.get("snd_wnd") == 0 or unsent_only:
        return "The client doesn't read: its receive window is full."
    if kernel["rwnd_limited_us"] > _MOSTLY * kernel["busy_time_us"]:
        return "The client reads slowly: most of the time its receive window was what all waited for."
    trip = kernel["rtt_us"] / 1000
    rate = kernel["delivery_rate"]
    return f"The network is slower than what is sent: {rate} bytes/s, with a round trip of {trip:.0f} ms."


def _kernel(standing: Standing) -> dict[str, int]:
    """Ask the kernel, where it answers; with the octets that aren't acknowledged."""
    connected = cast(socket.socket | None, standing.transport.get_extra_info("socket"))
    if connected is None:
        return {}
    known = tcp_info(connected)
    queued = send_queue(connected)
    return known if queued is None or not known else {**known, "send_queue_bytes": queued}
