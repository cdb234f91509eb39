"""What can go wrong, and whose fault it is.

A ProtocolError or a HandshakeError is the peer's, a StateError is our caller's.
"""

from collections.abc import Sequence
from typing import ClassVar

from .codes import CloseCode


class WebSocketError(Exception):
    """The family's name, for those who catch them all."""


class ProtocolError(WebSocketError):
    """The peer broke a rule on an open connection, which is therefore failed (7.1.7).

    `close_code` is what the Close frame will say, `rule` a stable name to test and count by,
    `section` where the rule stands ("5.2", "7692 6.1").
    """

    close_code: ClassVar[CloseCode] = CloseCode.PROTOCOL_ERROR

    def __init__(self, message: str, *, rule: str, section: str) -> None:
        super().__init__(message)
        self.rule = rule
        self.section = section


class InvalidPayload(ProtocolError):
    """The data doesn't fit its message's type: text that isn't UTF-8, DEFLATE that doesn't inflate."""

    close_code: ClassVar[CloseCode] = CloseCode.INVALID_PAYLOAD


class PolicyViolation(ProtocolError):
    """The message is legal, and more than this end agreed to bear."""

    close_code: ClassVar[CloseCode] = CloseCode.POLICY_VIOLATION


class MessageTooBig(ProtocolError):
    """The message is, or announces to be, longer than the limit."""

    close_code: ClassVar[CloseCode] = CloseCode.MESSAGE_TOO_BIG


class HandshakeError(WebSocketError):
    """The opening handshake failed.

    At a server `status` and `headers` are what the refusal says; at a client `status` is what the
    server answered, or 0 where its answer was no proper HTTP.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        rule: str,
        section: str,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.rule = rule
        self.section = section
        self.headers = tuple(headers)


class StateError(WebSocketError):
    """Our own caller asked for what the connection's state or the protocol doesn't allow."""
