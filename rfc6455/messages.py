"""Messages: what frames carry, put together, inflated and checked as it arrives; and a message as a frame."""

import codecs
from typing import Final, final

from .codes import Role
from .deflate import DeflateParameters, Deflater, Inflater
from .errors import InvalidPayload
from .events import Close, Ping, Pong, parse_close
from .frames import FIN, MASK, RSV1, FrameParser, encode_head

Event = str | bytes | Ping | Pong | Close

_CONTINUATION: Final = 0x0
_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_PING: Final = 0x9

# Readers that are kept for the next connection; between two reads few are needed at a time.
MAX_SPARE: Final = 64


@final
class MessageReader:
    """Reads bytes as messages and control frames: feed, then take `next_event()` until it is None.

    A message is a `str` or `bytes`. `max_message_size` in octets is exact, and holds while a message
    inflates; `max_fragments` counts a message's frames.
    """

    __slots__ = (
        "_compressed",
        "_control",
        "_frames",
        "_inflater",
        "_max_message_size",
        "_message",
        "_utf8",
    )

    def __init__(
        self,
        role: Role,
        deflate: DeflateParameters | None = None,
        *,
        max_message_size: int = 1 << 20,
        max_fragments: int = 4096,
    ) -> None:
        self._frames = FrameParser(
            role,
            deflate=deflate is not None,
            max_message_size=max_message_size,
            max_fragments=max_fragments,
        )
        self._inflater = None if deflate is None else Inflater(deflate)
        self._max_message_size = max_message_size
        self._control = b""
        # The message that is open: its octets so far, and the check that they are text if it is one.
        self._message: bytearray | None = None
        self._compressed = False
        self._utf8: _Utf8Check | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take what the peer sent, in any split."""
        self._frames.feed(data)

    @property
    def frames_received(self) -> int:
        """How many frames have begun, of which one message may take many."""
        return self._frames.frames_received

    @property
    def octets_held(self) -> int:
        """How many octets are kept: input that isn't taken yet, and what is here of an unfinished message."""
        held = self._frames.octets_held + len(self._control)
        return held if self._message is None else held + len(self._message)

    @property
    def is_at_rest(self) -> bool:
        """Tell that it holds nothing, so that it may go on with what another peer sends."""
        return self._frames.is_at_rest and (self._inflater is None or self._inflater.is_at_rest)

    def next_event(self) -> Event | None:
        """Return the next message or control frame, or None until more is fed. Raises ProtocolError."""
        frames = self._frames
        while frames.has_input:
            if not frames.frame_open:
                if not frames.message_open:
                    message = frames.next_whole_message()
                    if message is not None:
                        return message
                if not frames.next_head():
                    return None
                if frames.opcode < _CLOSE and frames.opcode != _CONTINUATION:
                    self._begin_message()
            payload = frames.take_payload()
            # 5.4: a control frame may come between fragments, and leaves their message alone.
            if frames.opcode >= _CLOSE:
                self._control += payload
                if frames.frame_open:
                    return None
                return self._end_control()
            self._receive(payload)
            if frames.frame_open:
                return None
            if frames.fin:
                return self._end_message()
        return None

    def _begin_message(self) -> None:
        self._message = bytearray()
        # 7692 6: RSV1 on its first frame says that a message is compressed.
        self._compressed = self._frames.rsv1
        self._utf8 = _Utf8Check() if self._frames.opcode == _TEXT else None

    def _receive(self, payload: bytes) -> None:
        """Take a part of the open message, as much of it as has arrived."""
        assert self._message is not None
        if self._compressed:
            assert self._inflater is not None
            payload = self._inflater.inflate(payload, self._max_message_size - len(self._message))
        if self._utf8 is not None:
            self._utf8.feed(payload)
        self._message += payload

    def _end_message(self) -> str | bytes:
        if self._compressed:
            assert self._inflater is not None
            self._inflater.finish()
        message = self._message
        assert message is not None
        self._message = None
        if self._utf8 is None:
            return bytes(message)
        self._utf8.finish()
        self._utf8 = None
        return message.decode()

    def _end_control(self) -> Ping | Pong | Close:
        payload = self._control
        self._control = b""
        if self._frames.opcode == _CLOSE:
            return parse_close(payload)
        return Ping(payload) if self._frames.opcode == _PING else Pong(payload)


@final
class Readers:
    """The readers of connections of one kind: between two messages most hold nothing, and need none.

    For the arguments see MessageReader.
    """

    __slots__ = ("_deflate", "_max_fragments", "_spare", "mask_bit", "max_alone", "max_message_size", "role")

    def __init__(
        self,
        role: Role,
        deflate: DeflateParameters | None = None,
        *,
        max_message_size: int = 1 << 20,
        max_fragments: int = 4096,
    ) -> None:
        self.role = role
        self._deflate = deflate
        self.max_message_size = max_message_size
        self._max_fragments = max_fragments
        # For what needs no reader; see whole.py.
        self.mask_bit = MASK if role is Role.SERVER else 0
        # What a read may take up that is one short message and nothing else; see whole.py.
        self.max_alone = min(125, max_message_size) + (6 if role is Role.SERVER else 2)
        self._spare: list[MessageReader] = []

    def take(self) -> MessageReader:
        """Return a reader at rest."""
        if self._spare:
            return self._spare.pop()
        return MessageReader(
            self.role,
            self._deflate,
            max_message_size=self.max_message_size,
            max_fragments=self._max_fragments,
        )

    def give_back(self, reader: MessageReader) -> None:
        """Take back a reader that is at rest."""
        if len(self._spare) < MAX_SPARE:
            self._spare.append(reader)


@final
class _Utf8Check:
    """Fails at the first octet that no UTF-8 text can have there (8.1), in any split."""

    __slots__ = ("_decoder", "_held")

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._held = b""

    def feed(self, payload: bytes) -> None:
        if not self._held and payload.isascii():
            return
        try:
            self._decoder.decode(payload)
        except UnicodeDecodeError:
            raise _not_utf8() from None
        self._held = self._decoder.getstate()[0]
        # Python waits for a third octet to see that these two begin a surrogate.
        if len(self._held) == 2 and self._held[0] == 0xED and self._held[1] >= 0xA0:
            raise _not_utf8()

    def finish(self) -> None:
        if self._held:
            raise _not_utf8()


def _not_utf8() -> InvalidPayload:
    return InvalidPayload("A text message is not UTF-8.", rule="text-utf8", section="8.1")


def encode_message(message: str | bytes, deflater: Deflater | None = None) -> bytes:
    """Make a server's frame of a message, for `Connection.send_encoded()`.

    With a deflater that keeps no context it is compressed, once for all that share it.
    """
    opcode, payload = (_TEXT, message.encode()) if isinstance(message, str) else (_BINARY, message)
    if deflater is None:
        return encode_head(FIN | opcode, len(payload)) + payload
    payload = deflater.compress(payload)
    return encode_head(FIN | RSV1 | opcode, len(payload)) + payload
