"""zlib-ng beside zlib, used as `rfc6455.deflate` does, in process: `python -m bench.deflate_backends`.

Needs the package zlib-ng. Peers compress with zlib, so both libraries inflate what zlib made.
"""

import time
import zlib
from statistics import median
from typing import Any, Final, NamedTuple

from zlib_ng import zlib_ng

from bench.generator import make_json

SIZES: Final = (200, 4096)
ROUNDS: Final = 15
# Different ones, together more than the kept window; repeated up to so many octets in a round.
MESSAGES: Final = 32
OCTETS: Final = 500_000
MAX_LENGTH: Final = 2**20
# 7692 7.2.1: every message ends in an empty stored block whose last four octets are not sent.
TAIL: Final = b"\x00\x00\xff\xff"


class Setting(NamedTuple):
    name: str
    bits: int
    mem_level: int
    keeps_context: bool


# Our default, the least window that a peer may ask for, and `--compression-context-takeover`.
SETTINGS: Final = (
    Setting("no context, 15 bits", 15, 8, False),
    Setting("no context,  9 bits", 9, 8, False),
    Setting("context,    12 bits", 12, 5, True),
)


def _compress(library: Any, setting: Setting, level: int, messages: list[bytes]) -> list[bytes]:
    flush_mode = library.Z_SYNC_FLUSH if setting.keeps_context else library.Z_FULL_FLUSH
    compressor = library.compressobj(level, library.DEFLATED, -setting.bits, setting.mem_level)
    return [(compressor.compress(each) + compressor.flush(flush_mode))[:-4] for each in messages]


def _inflate(library: Any, setting: Setting, messages: list[bytes]) -> list[bytes]:
    inflated = []
    decompressor = library.decompressobj(-setting.bits)
    for each in messages:
        message = decompressor.decompress(each, MAX_LENGTH)
        inflated.append(message + decompressor.decompress(TAIL, MAX_LENGTH))
        if not setting.keeps_context:
            decompressor = library.decompressobj(-setting.bits)
    return inflated


class Cost(NamedTuple):
    """Of one message: nanoseconds of CPU, and octets when compressed."""

    compress: float
    inflate: float
    octets: float


def _measure(library: Any, setting: Setting, level: int, messages: list[bytes]) -> Cost:
    received = _compress(zlib, setting, 1, messages)
    began = time.thread_time_ns()
    sent = _compress(library, setting, level, messages)
    between = time.thread_time_ns()
    inflated = _inflate(library, setting, received)
    ended = time.thread_time_ns()
    assert inflated == messages == _inflate(zlib, setting, sent)
    count = len(messages)
    return Cost((between - began) / count, (ended - between) / count, sum(map(len, sent)) / count)


# The fastest level of each, and the one at which zlib-ng compresses as well as zlib does at 1.
CANDIDATES: Final = (("zlib 1", zlib, 1), ("zlib-ng 1", zlib_ng, 1), ("zlib-ng 2", zlib_ng, 2))


def _compare(setting: Setting, messages: list[bytes]) -> None:
    rounds = [
        [_measure(library, setting, level, messages) for _, library, level in CANDIDATES]
        for _ in range(ROUNDS)
    ]
    for (name, *_), costs in zip(CANDIDATES, zip(*rounds, strict=True), strict=True):
        compress, inflate, octets = (median(values) for values in zip(*costs, strict=True))
        gain = median(
            (first.compress + first.inflate) / (cost.compress + cost.inflate)
            for (first, *_), cost in zip(rounds, costs, strict=True)
        )
        print(
            f"  {name:10} {compress:9,.0f} + {inflate:6,.0f} ns {octets:7,.0f} octets {gain:6.2f}x",
            flush=True,
        )


def main() -> None:
    print(f"zlib {zlib.ZLIB_RUNTIME_VERSION}, zlib-ng {zlib_ng.ZLIBNG_VERSION}: compress + inflate, gain")
    for setting in SETTINGS:
        for size in SIZES:
            print(f"{setting.name}, {size:,} octets of JSON")
            text = make_json(MESSAGES * size)
            messages = [text[at : at + size] for at in range(0, len(text), size)]
            _compare(setting, messages * (OCTETS // len(text)))


if __name__ == "__main__":
    main()
