"""Publication: what someone published, as the hub orders it and its receivers share it."""

from dataclasses import dataclass
from enum import Enum

import msgspec

# A JSON value as its sender wrote it, a text, or bytes.
Payload = msgspec.Raw | str | bytes


class Kind(Enum):
    """To whom a publication goes; the values are the names on the wire."""

    MESSAGE = "message"  # the members of a room
    BROADCAST = "broadcast"  # everyone
    DIRECT = "direct"  # one session, or those of one user


@dataclass(slots=True, eq=False)
class Publication:
    """One message on its way to its receivers.

    `id` counts the hub's publications, `offset` those of the room, from 1; outside of a room it is 0.
    `time` is Unix time in seconds, `published_at` the event loop's. `sender` is a session's id.
    """

    kind: Kind
    room: str
    id: int
    offset: int
    time: float
    published_at: float
    sender: str
    user: str
    payload: Payload
    size: int


def size_of(payload: Payload) -> int:
    """Octets that a payload counts for while it waits."""
    if isinstance(payload, msgspec.Raw):
        return memoryview(payload).nbytes
    # A character takes up to four; an ASCII text is the common case, and is counted without a copy.
    if isinstance(payload, str) and not payload.isascii():
        return len(payload.encode())
    return len(payload)
