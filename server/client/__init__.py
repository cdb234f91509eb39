"""Client: opens WebSocket connections, and keeps opening them, for coroutines.

    async with connect("ws://localhost:8765/echo") as connection:
        await connection.send("hello")
        async for message in connection:
            print(message)

Reading one way and writing the other pause each for itself. What comes waits in a bounded inbox, and the
server is read no further while that is full; `await send()` waits while the server takes no more.
"""

from .connection import MAX_WAITING, MAX_WAITING_SIZE, ClientConnection, Message
from .errors import (
    BadAnswer,
    ConnectError,
    ConnectionClosed,
    Dropped,
    HostNotFound,
    OpenTimeout,
    Refused,
    TlsFailed,
    Unreachable,
)
from .opening import Connecting, Options, connect
from .reconnection import FIRST_DELAY, MAX_DELAY, Reconnecting, reconnecting

__all__ = [
    "FIRST_DELAY",
    "MAX_DELAY",
    "MAX_WAITING",
    "MAX_WAITING_SIZE",
    "BadAnswer",
    "ClientConnection",
    "ConnectError",
    "Connecting",
    "ConnectionClosed",
    "Dropped",
    "HostNotFound",
    "Message",
    "OpenTimeout",
    "Options",
    "Reconnecting",
    "Refused",
    "TlsFailed",
    "Unreachable",
    "connect",
    "reconnecting",
]
