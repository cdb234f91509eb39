"""Why there is no connection, or none any more."""

import os
from http import HTTPStatus
from typing import Final

from rfc6455 import HandshakeError, Headers

from ..printable import printable

# Characters of a refusal's body that the error quotes.
_MAX_EXCERPT: Final = 200
# 9110 15: statuses that another attempt may not meet again, besides those of a server in trouble.
_TEMPORARY: Final = frozenset({408, 425, 429, *range(500, 600)})

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


class ConnectError(Exception):
    """No connection came about; the message says why. `is_temporary`: it may do so later."""

    is_temporary = True


class HostNotFound(ConnectError):
    """The host's name stands for no address."""


class Unreachable(ConnectError):
    """There is no TCP connection to be had."""


class TlsFailed(ConnectError):
    """The server can't be trusted, or doesn't speak TLS."""

    is_temporary = False


class OpenTimeout(ConnectError):
    """It took longer than `open_timeout`."""


class Dropped(ConnectError):
    """The server ended the connection before its answer was complete."""


class Refused(ConnectError):
    """The server answered in HTTP: with `status`, `headers`, and the beginning of a `body`."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        parts = [f"The server answered {status} {_PHRASES.get(status, '')}".rstrip() + " instead of 101"]
        location = headers.get("Location")
        if location is not None:
            parts.append(f"it points to {_excerpt(location.encode())}")
        if body.strip():
            parts.append(_excerpt(body))
        super().__init__("; ".join(parts))
        self.status = status
        self.headers = headers
        self.body = body
        self.is_temporary = status in _TEMPORARY


class BadAnswer(ConnectError):
    """The server's answer isn't one that RFC 6455 4.1 accepts; `rule` and `section` say which it breaks."""

    is_temporary = False

    def __init__(self, error: HandshakeError) -> None:
        super().__init__(f"The server's answer breaks the handshake ({error.section}): {error}")
        self.rule = error.rule
        self.section = error.section


class ConnectionClosed(Exception):
    """The connection is over, or about to be; `code` and `reason` as in `close_code`, `close_reason`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"The connection is closed ({f'{code} {printable(reason)}'.rstrip()}).")
        self.code = code
        self.reason = reason


def why(error: Exception) -> str:
    """Say what happened in the system's words where it has some, not in those of the event loop."""
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _excerpt(octets: bytes) -> str:
    """Quote the beginning of what the server sent, on one line and without what a terminal would obey."""
    text = " ".join(octets.decode("utf-8", "replace").split())
    text = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return text if len(text) <= _MAX_EXCERPT else f"{text[:_MAX_EXCERPT]}..."
