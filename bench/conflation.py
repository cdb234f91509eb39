"""How far behind a feed a client is that reads slowly, when its room conflates: `python -m bench.conflation`.

A feed changes 1,000 keys in turn, 50 times a second; the client reads 10,000 octets a second. What is told:

    behind      how long the client has had an old value of a key when it gets a newer one
    all after   how long after the feed's end it has the last value of every key
    pong after  how long its pings wait for their pongs
"""

import argparse
import asyncio
import json
import socket
import time
import zlib
from collections.abc import Callable
from statistics import quantiles
from typing import Final, final

from bench.members import Member, action, connect, masked
from bench.own_server import serve
from bench.servers import rates_off

TICKS: Final = 50
_FLAGS: Final = (
    "--slow-readers",
    "conflate:symbol",
    *rates_off(),
)
# How little lies in buffers between the feed and a slow client is a matter of settings.
_SETTINGS: Final = {
    "defaults": (),
    "small buffers": (
        "--socket-send-buffer",
        "4096",
        "--write-high-water",
        "2048",
        "--write-low-water",
        "512",
    ),
    "small buffers, contexts": (
        *("--socket-send-buffer", "4096", "--write-high-water", "2048", "--write-low-water", "512"),
        *("--compression-context-takeover", "true", "--compression-threshold", "16"),
    ),
}
_REQUEST: Final = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)


@final
class SlowClient:
    """Reads so many octets a second, pings once a second, and keeps the last value of every key."""

    def __init__(self, port: int, octets_per_second: int, due_at: Callable[[int], float], keys: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._octets_per_second = octets_per_second
        # When that change of the feed was due.
        self._due_at = due_at
        self._keys = keys
        self._inflater = zlib.decompressobj(wbits=-15)
        self._received = b""
        self.octets = 0
        self.values: dict[str, int] = {}
        self.behind: list[float] = []
        self.pongs: list[float] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._socket, _REQUEST + action(action="join", room="feed"))
        while b"\r\n\r\n" not in self._received:
            self._received += await loop.sock_recv(self._socket, 200)
        self._received = self._received.partition(b"\r\n\r\n")[2]
        began, pinged_at = time.monotonic(), 0.0
        while True:
            now = time.monotonic()
            if now - pinged_at > 1:
                pinged_at = now
                await loop.sock_sendall(self._socket, masked(0x89, str(now).encode()))
            allowed = int((now - began) * self._octets_per_second) - self.octets
            if allowed < 100:
                await asyncio.sleep(0.01)
                continue
            data = await loop.sock_recv(self._socket, allowed)
            self.octets += len(data)
            self._take(data)
            if self.octets < (time.monotonic() - began) * self._octets_per_second - 1000:
                # Nothing is saved up while there is nothing to read.
                began = time.monotonic() - self.octets / self._octets_per_second

    def _take(self, data: bytes) -> None:
        self._received += data
        while len(self._received) > 3:
            size, start = self._received[1], 2
            if size == 126:
                size, start = int.from_bytes(self._received[2:4], "big"), 4
            if len(self._received) < start + size:
                return
            first, payload = self._received[0], self._received[start : start + size]
            self._received = self._received[start + size :]
            if first == 0x8A:
                self.pongs.append(time.monotonic() - float(payload))
            elif first & 0x0F == 1:
                self._hear(self._inflate(payload) if first & 0x40 else payload)
            else:
                raise SystemExit(f"the server sent {first:#x} {payload!r}")

    def _inflate(self, payload: bytes) -> bytes:
        return self._inflater.decompress(payload + b"\x00\x00\xff\xff")

    def _hear(self, text: bytes) -> None:
        heard = json.loads(text)
        if heard["type"] != "message":
            return
        symbol, number = heard["message"].values()
        if symbol in self.values:
            # The one it had was outdated when the next value of its key was due.
            self.behind.append(time.monotonic() - self._due_at(self.values[symbol] + self._keys))
        self.values[symbol] = number


async def _measure(port: int, keys: int, rate: int, octets_per_second: int, seconds: float) -> str:
    feed = await connect(port, Member(lambda message: None))
    latest: dict[str, int] = {}
    sent, began = 0, time.monotonic()
    slow = SlowClient(port, octets_per_second, lambda number: began + number / rate, keys)
    reading = asyncio.create_task(slow.run())
    while (now := time.monotonic()) < began + seconds:
        due = int((now - began) * rate)
        batch = []
        for number in range(sent, due):
            symbol = f"K{number % keys:04}"
            latest[symbol] = number
            value = {"symbol": symbol, "price": number}
            batch.append(action(action="message", room="feed", message=value))
        feed.transport.write(b"".join(batch))
        sent = due
        await asyncio.sleep(1 / TICKS)
    ended, deadline = time.monotonic(), time.monotonic() + 60
    reported = sent / (time.monotonic() - began)
    while time.monotonic() < deadline and not reading.done():
        if slow.values == latest:
            break
        await asyncio.sleep(0.01)
    after = time.monotonic() - ended
    if reading.done():
        reading.result()
    reading.cancel()
    feed.transport.abort()
    heard = len(slow.behind) + len(slow.values)
    return (
        f"{reported:8,.0f} {heard:8,} {slow.octets / max(heard, 1):8.0f} {_spread(slow.behind)}"
        f" {after:9.2f} s {_spread(slow.pongs)}"
    )


def _spread(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return f"{'':17}"
    return f"{quantiles(seconds, n=100)[49]:6.2f} {max(seconds):6.2f} s "


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m bench.conflation", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--rates", default="50,500,5000", help="messages a second, of all keys together")
    parser.add_argument("--octets", type=int, default=10_000, help="that the client reads a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    print(f"{'':40}    rate    heard   octets    behind p50 max   all after  pong after p50 max")
    for rate in map(int, options.rates.split(",")):
        for name, flags in _SETTINGS.items():
            with serve(*_FLAGS, *flags) as server:
                told = asyncio.run(_measure(server.port, options.keys, rate, options.octets, options.seconds))
            print(f"{f'{rate:,} a second, {name}':40}{told}", flush=True)


if __name__ == "__main__":
    main()
