"""Nanoseconds of `rfc6455` for an echoed message and a handshake, in process: `python -m bench.profile_core`.

No socket, so that two builds of the protocol can be compared to a few percent.
"""

import time
from collections.abc import Callable
from typing import Final

import rfc6455
from rfc6455 import ClientHandshake, Connection, DeflateOptions, RequestReader, Role, ServerHandshake

# Octets of a message, messages in one read.
CASES: Final = ((64, 1), (64, 16), (1024, 1), (1024, 16), (65536, 1))
# As a browser asks.
REQUEST: Final = ClientHandshake(
    "ws://localhost:8765/ws",
    subprotocols=["chat"],
    deflate=DeflateOptions(),
    origin="http://localhost:8765",
    headers=[
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("Accept-Language", "en-US,en;q=0.5"),
        ("Cache-Control", "no-cache"),
    ],
).request
REPETITIONS: Final = 7
REPETITION_SECONDS: Final = 0.2


def _masked_messages(size: int, count: int) -> bytes:
    client = Connection(Role.CLIENT)
    for _ in range(count):
        client.send_text("x" * size)
    return b"".join(client.data_to_send())


def _echo_reads(read: bytes, reads: int) -> int:
    """Return the nanoseconds that so many reads took."""
    server = Connection(Role.SERVER)
    began = time.perf_counter_ns()
    for _ in range(reads):
        server.receive_data(read)
        while (event := server.next_event()) is not None:
            if isinstance(event, str):
                server.send_text(event)
        b"".join(server.data_to_send())
    return time.perf_counter_ns() - began


def _accept_requests(request: bytes, count: int) -> int:
    """Return the nanoseconds that so many handshakes took."""
    deflate = DeflateOptions()
    began = time.perf_counter_ns()
    for _ in range(count):
        read = RequestReader().feed(request)
        assert read is not None
        ServerHandshake(read).accept(deflate=deflate)
    return time.perf_counter_ns() - began


def best(action: Callable[[bytes, int], int], octets: bytes) -> float:
    """Return the nanoseconds of one turn, the best of some repetitions: all that disturbs only adds to it."""
    warm_up = 20
    turns = max(10, int(REPETITION_SECONDS * 1e9 * warm_up / action(octets, warm_up)))
    return min(action(octets, turns) for _ in range(REPETITIONS)) / turns


def main() -> None:
    print(f"rfc6455: {rfc6455.BUILD}")
    for size, count in CASES:
        nanoseconds = best(_echo_reads, _masked_messages(size, count)) / count
        print(f"{size:7,} octets, {count:2} to a read: {nanoseconds:10,.0f} ns a message")
    print(f"a request of {len(REQUEST)} octets, read and accepted: {best(_accept_requests, REQUEST):,.0f} ns")


if __name__ == "__main__":
    main()
