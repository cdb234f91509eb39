"""The numbers of RFC 6455: opcodes (11.8), close codes (7.4) and the two roles."""

from enum import Enum, IntEnum
from typing import Final


class Role(Enum):
    """Which end of the connection this is; the client masks (5.1)."""

    CLIENT = "client"
    SERVER = "server"


class Opcode(IntEnum):
    """What a frame carries (5.2); those from CLOSE on are control frames (5.5)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """Why a connection closed (7.4.1 and the IANA registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RECEIVED = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


# 7.4: 1004 is reserved; 1005, 1006 and 1015 describe what was never sent; 1016-2999 are unassigned.
_REGISTERED: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


def may_be_sent(code: int) -> bool:
    """Tell whether a Close frame may carry this code (7.4.1, 7.4.2)."""
    return code in _REGISTERED or 3000 <= code <= 4999
