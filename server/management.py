"""Management: what only those may ask who look after the server, and how they prove it."""

import hmac
import ipaddress
import re
from pathlib import Path
from typing import Any, Final, final
from urllib.parse import parse_qs

import msgspec

from rfc6455 import Request

from .context import Context, Endpoint, Page
from .http_refusal import refusal
from .inspection import Inspector
from .metrics import Metrics
from .pages import JSON
from .secret_file import warn_if_public
from .settings import SettingsError

MIN_TOKEN: Final = 16
# 6750 2.1: what may stand behind Bearer.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# What proxies add.
_FORWARDING: Final = (
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
)
# How many connections a list has unless told, and at the most.
_LISTED: Final = 20
MAX_LISTED: Final = 1000


@final
class Guard:
    """Knows the token, if there is one. Raises SettingsError."""

    def __init__(self, token_file: str) -> None:
        self._token_file = token_file
        self._token: bytes | None = None
        self.reload()

    def reload(self) -> None:
        """Read the token, or read it anew. Raises SettingsError."""
        if self._token_file:
            self._token = _read(self._token_file)
            warn_if_public("management_token", self._token_file)

    def admit(self, request: Request) -> None:
        """Let pass who shows the token. Raises HandshakeError."""
        if self._token is None:
            # Nothing could open it, so it isn't there.
            raise refusal(404, "There is nothing here.")
        scheme, _, shown = (request.headers.get("Authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), self._token):
            # 9110 15.5.2: a 401 says how to sign in.
            raise refusal(401, "This needs the management token.", ("WWW-Authenticate", "Bearer"))


def management(context: Context, guard: Guard) -> dict[str, Endpoint]:
    """Make the endpoints for those who look after the server."""
    settings = context.settings
    metrics = Metrics(context)
    inspector = Inspector(context)

    def scrape(request: Request, address: str) -> Page:
        if not _is_open_to(request, address, settings.metrics_without_token):
            guard.admit(request)
        return metrics.page(request)

    def list_connections(request: Request, address: str) -> Page:
        guard.admit(request)
        return _as_json(inspector.slowest(_limit(request)))

    def explain_connection(request: Request, address: str) -> Page:
        guard.admit(request)
        known = inspector.one(request.path.rpartition("/")[2])
        if known is None:
            raise refusal(404, "There is no connection of that id.")
        return _as_json(known)

    return {
        "/metrics": scrape,
        "/debug/connections": list_connections,
        "/debug/connections/*": explain_connection,
    }


def _is_open_to(request: Request, address: str, whom: str) -> bool:
    if whom != "loopback":
        return whom == "anyone"
    # A proxy on this machine may ask for somebody from anywhere.
    if any(field in request.headers for field in _FORWARDING):
        return False
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _limit(request: Request) -> int:
    given = parse_qs(request.query).get("limit", [str(_LISTED)])[-1]
    if not re.fullmatch("[0-9]{1,4}", given) or not 1 <= int(given) <= MAX_LISTED:
        raise refusal(400, f"Expected a limit from 1 to {MAX_LISTED}.")
    return int(given)


def _as_json(content: Any) -> Page:
    return Page(JSON, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def _read(path: str) -> bytes:
    try:
        token = Path(path).read_bytes().strip().decode("ascii")
    except OSError as error:
        raise SettingsError(f"can't read the management token in {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        token = ""
    if len(token) < MIN_TOKEN or not _TOKEN.fullmatch(token):
        raise SettingsError(
            f"expected a management token of {MIN_TOKEN} or more letters, digits and -._~+/ in {path}"
        )
    return token.encode()
