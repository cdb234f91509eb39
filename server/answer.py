"""Answer: the page that a plain request gets by its host, method and path, or why it gets none."""

from typing import Final

from rfc6455 import Request

from .context import Context, Page
from .http_refusal import refusal, stopping
from .upgrade import judge_host

# 9110 15.6.2: a method that isn't known is not implemented; one that doesn't fit is not allowed (15.5.6).
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})

# Probes name an address instead of a host, and what they hear is no secret.
_PROBED: Final = frozenset({"/healthz", "/readyz"})


def find_page(context: Context, request: Request, address: str) -> Page:
    """Return what a request from that address is answered with. Raises HandshakeError."""
    path = request.path
    if path not in _PROBED:
        judge_host(context, request)
    if request.method not in _METHODS:
        raise refusal(501, "This method is not known here.")
    endpoint = context.endpoints.get(path) or context.endpoints.get(f"{path.rpartition('/')[0]}/*")
    if endpoint is None and path not in context.routes:
        raise refusal(404, "There is nothing here.")
    if path == "/readyz" and context.is_draining:
        raise stopping()
    if request.method not in ("GET", "HEAD"):
        raise refusal(405, "Only GET and HEAD are allowed here.", ("Allow", "GET, HEAD"))
    if endpoint is None:
        raise refusal(426, "This is a WebSocket.", ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))
    return endpoint(request, address)
