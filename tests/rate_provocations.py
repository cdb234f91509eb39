"""Provocations of the rates: see provocations."""

from collections.abc import Callable
from tempfile import NamedTemporaryFile
from typing import Final

from .faketransport import FakeTransport
from .provocations import Clock, opened, provokes, seen, serve, session_of
from .rawclient import PONG, frame, text, upgrade

# Of a burst, which is twice the rate: a message, a frame or an octet.
_SENT: Final[dict[str, Callable[[int], bytes]]] = {
    "message": lambda count: text('{"action":"ping"}') * count,
    "frame": lambda count: frame(PONG) * count,
    "byte": lambda count: frame(PONG) * (count // 6 - 1) + frame(PONG, bytes(count % 6)),
}


async def _spend(kind: str, scope: str, limit: int, size: int) -> str:
    """Spend so much on one connection; if it is shared, half of that on another before."""
    service = serve(**{f"{kind}_rate{scope}": limit})
    transports = [opened(service) for _ in range(2)]
    for transport in transports:
        session_of(transport).user = "alice"
    burst = 2 * limit + (size - limit)
    if scope:
        transports[0].receive(_SENT[kind](limit))
        assert seen(transports[0]) == ""
        burst -= limit
    transports[1].receive(_SENT[kind](burst))
    return seen(transports[1])


def _provoke_rate(kind: str, scope: str, limit: int) -> None:
    @provokes(f"{kind}_rate{scope}", limit)
    async def run(clock: Clock, limit: int, size: int) -> str:
        return await _spend(kind, scope, limit, size)


for _scope in ("", "_per_address", "_per_user"):
    for _kind, _limit in (("message", 10), ("frame", 10), ("byte", 60)):
        _provoke_rate(_kind, _scope, _limit)


@provokes("burst of every rate, in seconds", 2)
async def send_a_burst(clock: Clock, limit: int, size: int) -> str:
    return await _spend("message", "", 1, size - 1)


async def _shake_hands(limit: int, size: int, option: str) -> str:
    service = serve(**{option: limit})
    transports = [FakeTransport(service) for _ in range(limit + size)]
    for transport in transports:
        transport.receive(upgrade())
    return seen(transports[-1])


@provokes("handshake_rate", 5)
async def shake_hands(clock: Clock, limit: int, size: int) -> str:
    return await _shake_hands(limit, size, "handshake_rate")


@provokes("handshake_rate_per_address", 5)
async def shake_hands_from_one_address(clock: Clock, limit: int, size: int) -> str:
    return await _shake_hands(limit, size, "handshake_rate_per_address")


@provokes("handshake_rate_per_user", 5)
async def shake_hands_as_one_user(clock: Clock, limit: int, size: int) -> str:
    with NamedTemporaryFile("w") as tokens:
        tokens.write("alice alices-token-0001\n")
        tokens.flush()
        service = serve(handshake_rate_per_user=limit, auth_tokens=tokens.name)
    transports = [FakeTransport(service) for _ in range(limit + size)]
    for transport in transports:
        transport.receive(upgrade("/ws", "Authorization: Bearer alices-token-0001"))
    return seen(transports[-1])
