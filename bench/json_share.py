"""What share of a room message's cost is JSON: decoding and checking what comes, encoding what goes out."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final, final

import msgspec

from bench.rounds import Bench
from bench.servers import Server
from bench.workloads import Workload
from server.dialects.rooms_schema import Builtin, Published

_REPETITIONS: Final = 7
_CALLS: Final = 20_000

WORKLOAD: Final = Workload("json", "fan", "room", connections=1, size=128, depth=16)


@final
@dataclass(frozen=True, slots=True)
class JsonShare:
    """Microseconds of the server's CPU."""

    message: float
    decode: float
    encode: float
    # The same text into plain dictionaries, unchecked: by msgspec, by the standard library.
    decode_unchecked: float
    decode_standard: float

    def report(self, workload: Workload) -> str:
        share = (self.decode + self.encode) / self.message
        rows = (
            ("a message in a room of one, all of the server's CPU", self.message),
            ("decoding and checking it (msgspec, with our types)", self.decode),
            ("encoding the publication (msgspec)", self.encode),
            ("decoding unchecked (msgspec, into dict)", self.decode_unchecked),
            ("decoding unchecked (json.loads)", self.decode_standard),
        )
        lines = [
            f"json: us of {workload.size} octets in a room, {workload.depth} in flight; JSON is {share:.0%}"
        ]
        return "\n".join(
            lines + [f"  {what:52} {value:7.2f} {value / self.message:6.0%}" for what, value in rows]
        )


def measure(bench: Bench, workload: Workload, server: Server) -> JsonShare:
    rates = [bench.sample(workload, server)["rate_per_cpu_second"] for _ in range(bench.rounds)]
    assert server.room is not None
    payload = "x" * workload.size
    text = server.room.template.replace("%R", "00000").replace("%P", payload)
    decoder = msgspec.json.Decoder(Builtin)
    encoder = msgspec.json.Encoder()
    published = Published(
        type="message", room="bench00000", user="anonymous", message=msgspec.Raw(b'"%s"' % payload.encode()),
        sender="0123456789abcdef", offset=1_000_000, time=1_700_000_000.123456,
    )  # fmt: skip
    cores = os.sched_getaffinity(0)
    if bench.server_core is not None:
        os.sched_setaffinity(0, {bench.server_core})
    try:
        return JsonShare(
            message=1e6 / median(rates),
            decode=_microseconds(lambda: decoder.decode(text)),
            encode=_microseconds(lambda: encoder.encode(published).decode()),
            decode_unchecked=_microseconds(lambda: msgspec.json.decode(text)),
            decode_standard=_microseconds(lambda: json.loads(text)),
        )
    finally:
        os.sched_setaffinity(0, cores)


def _microseconds(call: Callable[[], object]) -> float:
    """Return the best of some repetitions: whatever else the machine does only adds to it."""
    best = float("inf")
    for _ in range(_REPETITIONS):
        began = time.process_time_ns()
        for _ in range(_CALLS):
            call()
        best = min(best, (time.process_time_ns() - began) / _CALLS / 1000)
    return best
