"""What the hub tells several sessions: publications above all, shared by all who are to hear them."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

import msgspec

from .overflow import DISCONNECT, Overflow
from .traffic import Traffic

# A JSON value as its sender wrote it, a text, or bytes.
Payload = msgspec.Raw | str | bytes

# Octets that a publication takes beside its payload.
PUBLICATION_OVERHEAD: Final = 256


class Kind(Enum):
    """To whom a publication goes; the values are the names on the wire."""

    MESSAGE = "message"  # the members of a room
    BROADCAST = "broadcast"  # everyone
    DIRECT = "direct"  # one session, or those of one user


class Shared:
    """What is encoded once for all sessions whose delivery is the same."""

    __slots__ = ()


@final
@dataclass(slots=True, eq=False)
class Publication(Shared):
    """One message on its way to its receivers.

    `id` counts the hub's publications, `offset` those of the room, from 1; outside of a room it is 0.
    `time` is Unix time in seconds, `published_at` and `deadline` the event loop's. `sender` is a session's
    id. `weight` is in octets, and counted in `traffic` for as long as anybody holds the publication. `key`
    names what a newer publication to the room makes worthless, if anything.
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
    weight: int
    deadline: float = math.inf
    overflow: Overflow = DISCONNECT
    key: str | None = None
    traffic: Traffic | None = None

    def __post_init__(self) -> None:
        if self.traffic is not None:
            self.traffic.publication_bytes += self.weight
            self.traffic.look_at -= self.weight

    def __del__(self) -> None:
        if self.traffic is not None:
            self.traffic.publication_bytes -= self.weight


@final
class Missed(Shared):
    """A gap: how many publications to a room a session doesn't get. The count grows while it waits."""

    __slots__ = ("count", "room")

    def __init__(self, room: str, count: int) -> None:
        self.room = room
        self.count = count


@final
class Replay(Shared):
    """A publication out of the history, for those who asked for it."""

    __slots__ = ("publication",)

    def __init__(self, publication: Publication) -> None:
        self.publication = publication


def weight_of(payload: Payload) -> int:
    """Octets that a publication counts for while it waits, or is kept."""
    return PUBLICATION_OVERHEAD + _size_of(payload)


def _size_of(payload: Payload) -> int:
    if isinstance(payload, msgspec.Raw):
        return memoryview(payload).nbytes
    # A character takes up to four; an ASCII text is the common case, and is counted without a copy.
    if isinstance(payload, str) and not payload.isascii():
        return len(payload.encode())
    return len(payload)
