"""Policy: which hosts are served, and pages of which origins may connect."""

from collections.abc import Sequence
from typing import Final, final
from urllib.parse import urlsplit

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SECURE: Final = ("https", "wss")


@final
class Policy:
    """Compares whole names, in lower case: never a part of one.

    `allowed_hosts` without a port; empty serves any. `allowed_origins` as serialised origins, `null` or `*`.
    A name that begins with `*.` stands for all that have one label more, as in a certificate.
    """

    __slots__ = ("_any_origin", "_hosts", "_last_served", "_origins")

    def __init__(self, allowed_hosts: Sequence[str], allowed_origins: Sequence[str]) -> None:
        self._hosts = frozenset(allowed_hosts)
        self._last_served: str | None = None
        self._any_origin = "*" in allowed_origins
        self._origins = frozenset(_split_origin(origin) or ("", origin, 0) for origin in allowed_origins)

    def serves(self, host: str) -> bool:
        """Tell whether a request's Host is one of ours; another may be a rebound DNS name."""
        # Most ask for the same one.
        if not self._hosts or host == self._last_served:
            return True
        name, _ = _split_authority(host)
        if name not in self._hosts and _pattern_of(name) not in self._hosts:
            return False
        self._last_served = host
        return True

    def admits(self, origin: str | None, host: str, *, is_secure: bool = False) -> bool:
        """Tell whether a page of this origin may connect to this Host (RFC 6455 10.2).

        `is_secure` if the request is known to have come through TLS; if not, it may have.
        """
        # Browsers always send an Origin; who sends none isn't a page that someone was lured to.
        if origin is None or self._any_origin:
            return True
        parts = _split_origin(origin)
        if parts is None:
            return ("", origin, 0) in self._origins
        scheme, name, port = parts
        if parts in self._origins or (scheme, _pattern_of(name), port) in self._origins:
            return True
        # Else the scheme is not compared: behind a proxy that ends TLS it isn't known here.
        if is_secure and scheme not in _SECURE:
            return False
        own_name, own_port = _split_authority(host)
        return name == own_name and port == int(own_port or _DEFAULT_PORTS[scheme])


def _pattern_of(name: str) -> str:
    """Put a star in the place of a name's first label; return "" if it has no such label."""
    label, _, rest = name.partition(".")
    return "" if label in ("", "*") else f"*.{rest}"


def _split_origin(origin: str) -> tuple[str, str, int] | None:
    """Split a serialised origin (RFC 6454 6.1) into scheme, host and port; None if it is opaque or none."""
    try:
        parts = urlsplit(origin.lower())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or origin.lower() != f"{parts.scheme}://{parts.netloc}":
        return None
    name = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
    return parts.scheme, name, port or _DEFAULT_PORTS[parts.scheme]


def _split_authority(host: str) -> tuple[str, str]:
    """Split a Host that the request's reader has found well-formed into name and port, each as text."""
    host = host.lower()
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and not port.endswith("]") else (host, "")
