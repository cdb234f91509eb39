"""Upgrade: what a handshake must pass before it is asked who sends it, and the answer that accepts it."""

from typing import Final

from rfc6455 import Accepted, Request, ServerHandshake

from .context import Context, Route
from .forwarded import Client, ForwardedError
from .http_refusal import refusal, stopping, too_many, unavailable
from .identity import Identity

# The subprotocol that every path answers to: a browser whose offer holds a token is to get an answer.
BEARER: Final = "bearer"


def read_client(context: Context, request: Request) -> Client:
    """Read who the client is by a trusted proxy's word, and take its host. Raises HandshakeError."""
    try:
        client = context.proxies.client(request.headers)
    except ForwardedError as error:
        raise refusal(400, f"What a proxy forwarded can't be used: {error}.") from None
    if client.host is not None:
        request.host = client.host
    return client


def judge(
    context: Context, request: Request, address: str, *, is_secure: bool
) -> tuple[ServerHandshake, Route]:
    """Hold a request to rates, names, paths and origins. Raises HandshakeError."""
    passed = context.handshake_rates.admit(address, context.clock())
    if passed == "address":
        raise too_many("from your address")
    if passed is not None or not context.budget.admits():
        raise unavailable()
    judge_host(context, request)
    route = context.routes.get(request.path)
    if route is None:
        raise refusal(404, f"There is no WebSocket at {request.path[:64]}.")
    handshake = ServerHandshake(request)
    if not context.policy.admits(handshake.origin, request.host, is_secure=is_secure):
        raise refusal(403, "Pages of this origin may not connect.")
    return handshake, route


def judge_host(context: Context, request: Request) -> None:
    """Raises HandshakeError for a request that is meant for somebody else."""
    # 9110 7.4: a request for a host that isn't ours was misdirected.
    if not context.policy.serves(request.host):
        raise refusal(421, "This host is not served here.")


def accept(context: Context, handshake: ServerHandshake, route: Route, identity: Identity | None) -> Accepted:
    """Let a client in, unless there is no place for its user, or for anybody. Raises HandshakeError."""
    spoken = route.subprotocols
    if identity is not None:
        if not context.handshake_rates.admit_user(identity.user, context.clock()):
            raise too_many("by your user")
        spoken = *spoken, BEARER
    if context.is_draining:
        raise stopping()
    return handshake.accept(
        subprotocol=next((name for name in handshake.subprotocols if name in spoken), None),
        deflate=context.deflate,
    )
