"""Telling what happens: as lines for people and pipes, or as JSON for programs."""

import base64
import json
import sys
from typing import Final, Protocol, final

from ..client import ClientConnection, Message, Refused
from ..printable import printable

# Codes that complain of nothing: 1000, 1001, and 1005 for a Close without a code.
NORMAL_CODES: Final = frozenset({1000, 1001, 1005})


class Report(Protocol):
    """Where events are told."""

    def opened(self, uri: str, connection: ClientConnection) -> None:
        """Tell that the handshake succeeded."""

    def received(self, message: Message) -> None:
        """Tell a message."""

    def closed(self, connection: ClientConnection) -> None:
        """Tell how a connection ended."""

    def failed(self, error: Exception) -> None:
        """Tell what can't be done."""

    def waits(self, seconds: float) -> None:
        """Tell that another attempt follows."""


@final
class PlainReport:
    """Messages on standard output, and the rest on standard error: all of it where a person types."""

    def __init__(self, *, is_interactive: bool) -> None:
        self._is_interactive = is_interactive

    def opened(self, uri: str, connection: ClientConnection) -> None:
        """Say so to a person."""
        if self._is_interactive:
            subprotocol = f", speaking {connection.subprotocol}" if connection.subprotocol else ""
            self._remark(f"connected to {uri}{subprotocol}")

    def received(self, message: Message) -> None:
        """Print it as one line."""
        if isinstance(message, bytes):
            message = message.decode("utf-8", "backslashreplace")
        print(printable(message), flush=True)

    def closed(self, connection: ClientConnection) -> None:
        """Say why, unless all went well and nobody is there to read it."""
        if self._is_interactive or connection.close_code not in NORMAL_CODES:
            self._remark(f"closed: {connection.close_code} {connection.close_reason}".rstrip())

    def failed(self, error: Exception) -> None:
        """Say why."""
        self._remark(f"error: {error}")

    def waits(self, seconds: float) -> None:
        """Say for how long."""
        self._remark(f"trying again in {seconds:.1f} s")

    def _remark(self, text: str) -> None:
        print(printable(text), file=sys.stderr, flush=True)


@final
class JsonReport:
    """Every event as an object on standard output."""

    def opened(self, uri: str, connection: ClientConnection) -> None:
        """Tell what was agreed."""
        headers = list(connection.headers)
        self._event("open", uri=uri, subprotocol=connection.subprotocol, headers=headers)

    def received(self, message: Message) -> None:
        """Tell a text as it is, and octets in base64."""
        if isinstance(message, str):
            self._event("message", text=message)
        else:
            self._event("message", base64=base64.b64encode(message).decode("ascii"))

    def closed(self, connection: ClientConnection) -> None:
        """Tell code and reason."""
        self._event("close", code=connection.close_code, reason=connection.close_reason)

    def failed(self, error: Exception) -> None:
        """Tell which error it was."""
        status = {"status": error.status} if isinstance(error, Refused) else {}
        self._event("error", error=type(error).__name__, message=str(error), **status)

    def waits(self, seconds: float) -> None:
        """Tell for how long."""
        self._event("wait", seconds=round(seconds, 3))

    def _event(self, event: str, **fields: object) -> None:
        # JSON leaves DEL as it is, the one control character that is ASCII and needs no escape there.
        print(json.dumps({"event": event, **fields}).replace("\x7f", "\\u007f"), flush=True)
