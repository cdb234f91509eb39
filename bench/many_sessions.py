"""The collector's pauses with more sessions than descriptors: `python -m bench.many_sessions 100000`.

Sessions, rooms and the event loop are the server's own, in process. Only the transports have no socket; to
the collector each is what one of uvloop's is: an object with a context and a weak reference. In CPU time.
"""

import asyncio
import contextvars
import gc
import sys
import time
import weakref
from typing import Final, cast, final

from rfc6455 import Connection, Role
from server.__main__ import GC_THRESHOLDS, choose_loop
from server.http import HttpProtocol
from server.service import Service
from server.settings import Settings

from .members import REQUEST

_ADDRESS: Final = "127.0.0.1"
MEMBERS_OF_A_ROOM: Final = 10
ROUNDS: Final = 5
# One of so many is gone and back in a round.
CHURN: Final = 10


@final
class Socketless(asyncio.Transport):
    """Takes what is written nowhere."""

    __slots__ = ("__weakref__", "_context", "_data_received", "_protocol")

    def __init__(self) -> None:
        self._context = contextvars.copy_context()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what comes to another protocol from here on."""
        self._protocol = protocol
        self._data_received = cast(asyncio.Protocol, protocol).data_received

    def receive(self, data: bytes) -> None:
        """Bring what a peer would have sent."""
        self._data_received(data)

    def lose(self) -> None:
        """End as if the peer had gone."""
        self._protocol.connection_lost(None)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send nothing."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Know nothing."""
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Need none."""

    def get_write_buffer_size(self) -> int:
        """Keep nothing."""
        return 0


@final
class Pauses:
    """Milliseconds that each collection took, by its generation."""

    def __init__(self) -> None:
        self._began = 0
        self.found: list[tuple[int, float]] = []
        gc.callbacks.append(self._on_collection)

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time_ns()
        else:
            self.found.append((info["generation"], (time.thread_time_ns() - self._began) / 1e6))

    def tell(self, meanwhile: str) -> None:
        """Print what was found since the last time."""
        print(meanwhile)
        for generation in range(3):
            pauses = [pause for each, pause in self.found if each == generation]
            if pauses:
                longest = f"the longest {max(pauses):6.2f} ms, in all {sum(pauses):6.1f}"
                print(f"  generation {generation}: {len(pauses):4} pauses, {longest}")
        self.found.clear()


def _join(room: int) -> bytes:
    client = Connection(Role.CLIENT)
    client.send_text(f'{{"action": "join", "room": "{room}"}}')
    return b"".join(client.data_to_send())


async def _measure(sessions: int) -> None:
    service = Service(
        Settings(
            max_connections=sessions + 1,
            max_connections_per_address=sessions + 1,
            handshake_rate_per_address=0,
            message_rate_per_address=0,
            max_rooms=sessions,
        )
    )
    context = service.context
    transports: dict[int, Socketless] = {}
    # As uvloop has all of its own.
    known: weakref.WeakValueDictionary[int, Socketless] = weakref.WeakValueDictionary()

    def open_one(number: int) -> None:
        transport = transports[number] = known[number] = Socketless()
        assert context.admission.admit(_ADDRESS)
        protocol = HttpProtocol(context, _ADDRESS)
        transport.set_protocol(cast(asyncio.Protocol, protocol))
        protocol.connection_made(transport)
        transport.receive(REQUEST)
        transport.receive(_join(number // MEMBERS_OF_A_ROOM))

    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    pauses = Pauses()
    for number in range(sessions):
        open_one(number)
    await asyncio.sleep(0)
    assert sessions == len(context.hub.registry)
    pauses.tell(f"while {sessions:,} sessions come, {MEMBERS_OF_A_ROOM} to a room")
    for _ in range(ROUNDS):
        for number in range(0, sessions, CHURN):
            transports.pop(number).lose()
        await asyncio.sleep(0)
        for number in range(0, sessions, CHURN):
            open_one(number)
        await asyncio.sleep(0)
    pauses.tell(f"while one of {CHURN} goes and comes back, {ROUNDS} times")
    gc.collect()
    pauses.tell(f"in a full collection of {len(gc.get_objects()):,} objects, which was asked for")


if __name__ == "__main__":
    loop_factory, _ = choose_loop("auto")
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_measure(int(sys.argv[1])))
