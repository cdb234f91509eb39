"""Nanoseconds of `rfc6455` for one echoed message, in process: `python -m bench.profile_core`.

No socket, so that two builds of the protocol can be compared to a few percent.
"""

import time
from typing import Final

import rfc6455
from rfc6455 import Connection, Role

# Octets of a message, messages in one read.
CASES: Final = ((64, 1), (64, 16), (1024, 1), (1024, 16), (65536, 1))
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


def nanoseconds_per_message(size: int, count: int) -> float:
    """Return the best of some repetitions: whatever else the machine does only adds to it."""
    read = _masked_messages(size, count)
    warm_up = 20
    reads = max(10, int(REPETITION_SECONDS * 1e9 * warm_up / _echo_reads(read, warm_up)))
    return min(_echo_reads(read, reads) for _ in range(REPETITIONS)) / (reads * count)


def main() -> None:
    print(f"rfc6455: {rfc6455.BUILD}")
    for size, count in CASES:
        nanoseconds = nanoseconds_per_message(size, count)
        print(f"{size:7,} octets, {count:2} to a read: {nanoseconds:10,.0f} ns a message")


if __name__ == "__main__":
    main()
