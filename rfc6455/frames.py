"""Frames (RFC 6455 section 5): bytes into frames, in any split, and frames into bytes.

      0               1               2               3
     +-+-+-+-+-------+-+-------------+-------------------------------+
     |F|R|R|R| opcode|M| length      | length, 16 bits, if it is 126 |
     |I|S|S|S|  (4)  |A|  (7)        |         64 bits, if it is 127 |
     |N|V|V|V|       |S|             +-------------------------------+
     | |1|2|3|       |K|             | masking key, 32 bits, if MASK |
     +-+-+-+-+-------+-+-------------+-------------------------------+

Every rule that a head can break is judged here, before an octet of the payload is kept: those of the first
two octets when these are in, those of the length when it is, without waiting for the masking key.
"""

from typing import Final, NamedTuple, final

from .codes import Opcode, Role
from .errors import MessageTooBig, PolicyViolation, ProtocolError
from .masking import mask
from .whole import parse_messages

FIN: Final = 0x80
RSV1: Final = 0x40
RSV2: Final = 0x20
RSV3: Final = 0x10
_OPCODE: Final = 0x0F
_CONTROL: Final = 0x08
MASK: Final = 0x80
_LENGTH: Final = 0x7F

_CONTINUATION: Final = 0x0
_KNOWN_OPCODES: Final = frozenset(int(opcode) for opcode in Opcode)


class Frame(NamedTuple):
    """A frame, unmasked and, if `rsv1` says that it is compressed, still compressed."""

    fin: bool
    rsv1: bool
    opcode: Opcode
    payload: bytes


def max_compressed_size(max_message_size: int) -> int:
    """Octets that a message of the largest legal size may take when DEFLATE makes it longer.

    Random data grows by 3.9 % at worst (memLevel 1 in a window of 512 octets).
    """
    return max_message_size + max_message_size * 6 // 100 + 1024


@final
class FrameParser:
    """Cuts what is fed into frames.

    `next_frame()` collects whole frames. A reader of messages takes the finer way: `next_head()`, whose
    result stands in the attributes, then `take_payload()` until `remaining` is 0; and
    `next_whole_message()` first.

    `max_message_size` in octets, as sent; `max_fragments` frames to a message, empty ones included.
    Take all that is there before feeding more: only the head of a frame is meant to be kept.
    """

    __slots__ = (
        "_budget",
        "_data",
        "_fragments",
        "_key",
        "_mask_bit",
        "_max_compressed_size",
        "_max_fragments",
        "_max_message_size",
        "_payload",
        "_position",
        "_reserved_bits",
        "fin",
        "frame_open",
        "frames_received",
        "has_input",
        "message_open",
        "opcode",
        "payload_length",
        "remaining",
        "rsv1",
    )

    def __init__(
        self,
        role: Role,
        *,
        deflate: bool = False,
        max_message_size: int = 1 << 20,
        max_fragments: int = 4096,
    ) -> None:
        self._mask_bit = MASK if role is Role.SERVER else 0
        # 5.2: a reserved bit is 0 unless an extension gives it a meaning.
        self._reserved_bits = RSV2 | RSV3 if deflate else RSV1 | RSV2 | RSV3
        self._max_message_size = max_message_size
        self._max_compressed_size = max_compressed_size(max_message_size)
        self._max_fragments = max_fragments
        self._data = b""
        self._position = 0
        self._key = b""
        self._payload: bytearray | None = None
        self.frames_received = 0
        # False: all that was fed is taken. True says nothing for sure, but when `next_head()` returned False.
        self.has_input = False
        # What is left to the message that is open.
        self.message_open = False
        self._budget = 0
        self._fragments = 0
        # The head of the last frame, which is open until all of its payload is taken.
        self.frame_open = False
        self.fin = False
        self.rsv1 = False
        self.opcode = 0
        self.payload_length = 0
        self.remaining = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take what the peer sent, in any split."""
        # An int is a TypeError, not that many zeros.
        fresh = data if isinstance(data, bytes) else bytes(memoryview(data))
        if self._position == len(self._data):
            self._data = fresh
        else:
            self._data = self._data[self._position :] + fresh
        self._position = 0
        self.has_input = True

    @property
    def octets_held(self) -> int:
        """How many octets are kept of what was fed."""
        return len(self._data) + (0 if self._payload is None else len(self._payload))

    def next_frame(self) -> Frame | None:
        """Return the next frame, or None until all of it is here. Raises ProtocolError."""
        if not self.frame_open:
            if not self.next_head():
                return None
            self._payload = bytearray()
        payload = self._payload
        assert payload is not None
        payload += self.take_payload()
        if self.remaining:
            return None
        self._payload = None
        return Frame(self.fin, self.rsv1, Opcode(self.opcode), bytes(payload))

    def next_whole_message(self) -> str | bytes | None:
        """Return the next message if it is here whole and in one frame, as most are.

        None says nothing: `next_head()` knows why, or the text isn't UTF-8. Call it only when neither a
        frame nor a message is open.
        """
        data = self._data
        messages, stop = parse_messages(data, self._position, self._mask_bit, self._max_message_size, 1)
        if not messages:
            return None
        self.frames_received += 1
        if stop < len(data):
            self._position = stop
        else:
            self._data = b""
            self._position = 0
            self.has_input = False
        return messages[0]

    def next_head(self) -> bool:
        """Read a frame's head into the attributes, if all of it is here. Raises ProtocolError."""
        data = self._data
        position = self._position
        available = len(data) - position
        if available < 2:
            return self._keep_rest()
        first = data[position]
        second = data[position + 1]
        self._judge(first, second)

        length = second & _LENGTH
        start = position + 2
        if length == 126:
            if available < 4:
                return self._keep_rest()
            length = data[position + 2] << 8 | data[position + 3]
            start += 2
            if length < 126:
                raise _not_minimal(length)
        elif length == 127:
            if available < 10:
                return self._keep_rest()
            # 5.2: the most significant bit of the 64 is 0.
            if data[position + 2] & 0x80:
                raise ProtocolError(
                    "A payload length has its top bit set.", rule="length-top-bit", section="5.2"
                )
            length = int.from_bytes(data[position + 2 : position + 10], "big")
            start += 8
            if length < 65536:
                raise _not_minimal(length)

        is_data = not first & _CONTROL
        budget = self._open_budget(first) if is_data else length
        # 10.4: the limit is on the message, and known to be passed from its announced length.
        if length > budget:
            raise MessageTooBig(
                f"A message of more than {self._max_message_size} octets is over the limit.",
                rule="message-size",
                section="10.4",
            )
        if self._mask_bit:
            if len(data) < start + 4:
                return self._keep_rest()
            # 5.3: each frame has a key of its own.
            self._key = data[start : start + 4]
            start += 4

        self._position = start
        self.frames_received += 1
        self.frame_open = True
        self.fin = bool(first & FIN)
        self.rsv1 = bool(first & RSV1)
        self.opcode = first & _OPCODE
        self.payload_length = self.remaining = length
        if is_data:
            self._fragments = self._fragments + 1 if self.message_open else 1
            self._budget = budget - length
            self.message_open = not self.fin
        return True

    def take_payload(self) -> bytes:
        """Take what is here of the open frame's payload, unmasked; it may be nothing."""
        data = self._data
        start = self._position
        stop = min(start + self.remaining, len(data))
        self._position = stop
        phase = self.payload_length - self.remaining
        self.remaining -= stop - start
        self.frame_open = self.remaining > 0
        if self.frame_open:
            self._keep_rest()
        return mask(data, start, stop, self._key, phase) if self._mask_bit else data[start:stop]

    def _keep_rest(self) -> bool:
        """Wait for more; a long read isn't held while the peer is silent."""
        self._data = self._data[self._position :]
        self._position = 0
        self.has_input = len(self._data) > 0
        return False

    @property
    def is_at_rest(self) -> bool:
        """Tell that nothing is begun: what comes next is read as if it were the first."""
        return not (self.has_input or self.frame_open or self.message_open)

    def _judge(self, first: int, second: int) -> None:
        """Hold a frame's first two octets against the rules."""
        opcode = first & _OPCODE
        if first & self._reserved_bits:
            raise ProtocolError("A reserved bit is set.", rule="reserved-bit", section="5.2")
        if opcode not in _KNOWN_OPCODES:
            raise ProtocolError(f"Opcode {opcode:#x} is reserved.", rule="opcode", section="5.2")
        # 5.1: a client masks all its frames, a server none.
        if second & MASK != self._mask_bit:
            what = "A client's frame must be masked." if self._mask_bit else "A server's frame is masked."
            raise ProtocolError(what, rule="mask", section="5.1")
        if opcode & _CONTROL:
            if not first & FIN:
                raise ProtocolError(
                    "A control frame is fragmented.", rule="control-fragmented", section="5.5"
                )
            if second & _LENGTH > 125:
                raise ProtocolError(
                    "A control frame is longer than 125.", rule="control-length", section="5.5"
                )
            # 7692 6: control frames are never compressed.
            if first & RSV1:
                raise ProtocolError("A control frame has RSV1.", rule="control-rsv1", section="7692 6")
        elif opcode == _CONTINUATION:
            if not self.message_open:
                raise ProtocolError("Nothing is open to continue.", rule="continuation", section="5.4")
            # 7692 6: RSV1 stands on a message's first frame only.
            if first & RSV1:
                raise ProtocolError("A continuation has RSV1.", rule="continuation-rsv1", section="7692 6")
        elif self.message_open:
            raise ProtocolError(
                "A message began inside another message.", rule="message-interleaved", section="5.4"
            )

    def _open_budget(self, first: int) -> int:
        """Octets that this data frame may bring. Raises PolicyViolation when it is one frame too many."""
        if not self.message_open:
            return self._max_compressed_size if first & RSV1 else self._max_message_size
        if self._fragments >= self._max_fragments:
            raise PolicyViolation(
                f"A message of more than {self._max_fragments} frames is over the limit.",
                rule="message-fragments",
                section="10.4",
            )
        return self._budget


def _not_minimal(length: int) -> ProtocolError:
    return ProtocolError(
        f"A payload length of {length} isn't in its shortest form.", rule="length-minimal", section="5.2"
    )


def encode_head(first: int, length: int, mask_bit: int = 0) -> bytes:
    """Make a frame's head from its first octet and the length of its payload, without a masking key."""
    # 5.2: the shortest form that holds the length.
    if length < 126:
        return bytes((first, mask_bit | length))
    if length < 65536:
        return bytes((first, mask_bit | 126, length >> 8, length & 0xFF))
    return bytes((first, mask_bit | 127)) + length.to_bytes(8, "big")


def encode_frame(
    opcode: Opcode, payload: bytes, *, fin: bool = True, rsv1: bool = False, masking_key: bytes | None = None
) -> bytes:
    """Make a frame; a client's must have a masking key of 4 octets, a server's none (5.1)."""
    first = (FIN if fin else 0) | (RSV1 if rsv1 else 0) | opcode
    if masking_key is None:
        return encode_head(first, len(payload)) + payload
    masked = mask(payload, 0, len(payload), masking_key, 0)
    return encode_head(first, len(payload), MASK) + masking_key + masked
