"""What a connection tells besides messages: a message is a plain `str` or `bytes`, these are the rest."""

from dataclasses import dataclass
from typing import Final

from .codes import CloseCode, may_be_sent
from .errors import InvalidPayload, ProtocolError

# 5.5: a control frame carries at most 125 octets; in a Close two of them are the code (5.5.1).
MAX_CONTROL_PAYLOAD: Final = 125
MAX_CLOSE_REASON: Final = 123


@dataclass(frozen=True, slots=True)
class Ping:
    """The peer asks for a Pong with the same payload (5.5.2)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a Ping, or a sign of life that nobody asked for (5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """A Close frame (5.5.1). One without a code reads as 1005, which is never sent (7.1.5)."""

    code: int
    reason: str = ""


def parse_close(payload: bytes) -> Close:
    """Read the payload of a Close frame. Raises ProtocolError or InvalidPayload."""
    if not payload:
        return Close(CloseCode.NO_STATUS_RECEIVED)
    # 5.5.1: if there is a body, its first two octets are the code.
    if len(payload) == 1:
        raise ProtocolError("A Close of 1 octet has half a code.", rule="close-code-cut", section="5.5.1")
    code = int.from_bytes(payload[:2], "big")
    if not may_be_sent(code):
        raise ProtocolError(f"Close code {code} may not be sent.", rule="close-code", section="7.4")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise InvalidPayload("The Close reason is not UTF-8.", rule="close-reason", section="5.5.1") from None


def encode_close(close: Close) -> bytes:
    """Make the payload of a Close frame; a reason over 123 octets is cut between two code points."""
    if close.code == CloseCode.NO_STATUS_RECEIVED:
        return b""
    reason = close.reason.encode()
    if len(reason) > MAX_CLOSE_REASON:
        reason = reason[:MAX_CLOSE_REASON].decode(errors="ignore").encode()
    return close.code.to_bytes(2, "big") + reason
