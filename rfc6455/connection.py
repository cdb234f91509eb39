"""A WebSocket connection without its socket: bytes in, events and bytes out.

Closing takes two half-machines (5.5.1, 7.1). They touch in one place: a Close that comes in is
answered, unless ours is out already.

    Sending      OPEN --close(), fail(), the answer to a Close--> CLOSED
    Receiving    OPEN, ABORTED --the peer's Close--> CLOSED
                 OPEN, ABORTED --fail(), a broken rule--> FAILED     input is discarded
                 OPEN --end of input--> ABORTED                      what came before is still to be taken
"""

import os
from collections.abc import Callable
from enum import Enum
from typing import Final, final

from .codes import CloseCode, Role, may_be_sent
from .deflate import DeflateParameters, Deflater
from .errors import ProtocolError, StateError
from .events import MAX_CONTROL_PAYLOAD, Close, Ping, encode_close
from .frames import FIN, MASK, RSV1, encode_head
from .masking import mask
from .messages import Event, MessageReader, Readers
from .whole import FRAMED_LATE, MAX_PARSED, join_frames, parse_message, parse_messages

_CONTINUATION: Final = 0x0
_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA

# The heads of short whole messages from a server, ready made: index by length.
_TEXT_HEADS: Final = [encode_head(FIN | _TEXT, length) for length in range(126)]
_BINARY_HEADS: Final = [encode_head(FIN | _BINARY, length) for length in range(126)]


class Sending(Enum):
    """What this end may still send: after its Close no message, nor another Close (5.5.1)."""

    OPEN = "open"
    CLOSED = "closed"


class Receiving(Enum):
    """What is still to come from the peer."""

    OPEN = "open"
    CLOSED = "closed"
    FAILED = "failed"
    ABORTED = "aborted"


# Found faster than a member of its class, and asked for with every message or every connection.
_SENDING_OPEN: Final = Sending.OPEN
_RECEIVING_OPEN: Final = Receiving.OPEN
_SERVER: Final = Role.SERVER
_FRAMED_LATE: Final = FRAMED_LATE
_join_frames: Final = join_frames
_is_ascii: Final = str.isascii
_MAX_PARSED: Final = MAX_PARSED
_parse_message: Final = parse_message
_parse_messages: Final = parse_messages
_ABNORMAL_CLOSURE: Final = CloseCode.ABNORMAL_CLOSURE


def _masking_key() -> bytes:
    """Draw a key that nobody can predict (10.3)."""
    return os.urandom(4)


@final
class Connection:
    """One end of an open connection.

    Feed it with `receive_data()`, take `next_event()` until it is None, and write what
    `data_to_send()` returns. A Ping and a Close are answered by themselves, and when a rule is broken
    `next_event()` raises the ProtocolError with the fitting Close on its way. With `auto_reply=False` that
    is the caller's to do, in its own time: `pong()`, `answer_close()` and `fail()`.

    A `deflater` that keeps no context may be shared by connections that agreed on the same window;
    without one the connection makes its own when it needs it. `readers` are shared by connections of one
    role that agreed on the same, and bring the limits.
    """

    __slots__ = (
        "_auto_reply",
        "_data",
        "_deflater",
        "_fragment_opcode",
        "_frames_before",
        "_masking_key",
        "_messages",
        "_out",
        "_plain_below",
        "_position",
        "_reader",
        "_readers",
        "close_received",
        "close_sent",
        "deflate",
        "receiving",
        "sending",
    )

    def __init__(
        self,
        role: Role,
        deflate: DeflateParameters | None = None,
        *,
        max_message_size: int = 1 << 20,
        max_fragments: int = 4096,
        auto_reply: bool = True,
        deflater: Deflater | None = None,
        readers: Readers | None = None,
        masking_key: Callable[[], bytes] = _masking_key,
    ) -> None:
        self.deflate = deflate
        self.sending = _SENDING_OPEN
        self.receiving = _RECEIVING_OPEN
        self.close_sent: Close | None = None
        self.close_received: Close | None = None
        self._readers = readers or Readers(
            role, deflate, max_message_size=max_message_size, max_fragments=max_fragments
        )
        # Messages that are to be taken, the next one last.
        self._messages: list[str | bytes] | None = None
        # There is a reader while something is begun that is no message in one frame; what is received without
        # one stands here, up to where it was parsed.
        self._reader: MessageReader | None = None
        self._data = b""
        self._position = 0
        # What the reader counts, less what it counted for others.
        self._frames_before = 0
        self._auto_reply = auto_reply
        self._deflater = deflater
        self._masking_key = None if role is _SERVER else masking_key
        # The type of the message that is being sent in fragments, until its last is out.
        self._fragment_opcode = _CONTINUATION
        # What is to be sent, if there is anything; a str is a message that lacks its head.
        self._out: list[str | bytes] | None = None
        # Octets below which a message has a ready made head: no mask, and nothing gained by compressing.
        self._plain_below = 0
        if role is _SERVER:
            self._plain_below = 126 if deflate is None else min(126, deflate.options.min_size)

    # Receiving.

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take what the peer sent, in any split."""
        # 1.4, 7.1.7: what follows a Close, the peer's or that of a failure, is discarded.
        if self.receiving is not _RECEIVING_OPEN:
            return
        if self._reader is not None:
            self._reader.feed(data)
            return
        # An int is a TypeError, not that many zeros.
        fresh = data if isinstance(data, bytes) else bytes(memoryview(data))
        self._data = self._data[self._position :] + fresh if self._data else fresh
        self._position = 0

    def receive_eof(self) -> None:
        """Note that the peer sends no more. Events that were fed before are still to be taken."""
        if self.receiving is Receiving.OPEN:
            self.receiving = Receiving.ABORTED

    def next_event(self) -> Event | None:
        """Return the next message or control frame, or None until more is received.

        Raises ProtocolError, behind all that came before the fault; the connection has then failed.
        """
        messages = self._messages
        if messages:
            return messages.pop()
        reader = self._reader
        try:
            if reader is None:
                data = self._data
                size = len(data)
                if not size:
                    self._messages = None
                    return None
                # Messages that are here whole and in one frame need no reader.
                readers = self._readers
                if size <= readers.max_alone and not self._position:
                    message = _parse_message(data, readers.mask_bit)
                    if message is not None:
                        self._frames_before += 1
                        self._data = b""
                        return message
                messages, stop = _parse_messages(
                    data, self._position, readers.mask_bit, readers.max_message_size, _MAX_PARSED
                )
                if messages:
                    self._messages = messages
                    self._frames_before += len(messages)
                    if stop < size:
                        self._position = stop
                    else:
                        self._data = b""
                        self._position = 0
                    return messages.pop()
                reader = self._take_reader()
            event = reader.next_event()
        except ProtocolError as error:
            self.receiving = Receiving.FAILED
            self._discard()
            if self._auto_reply:
                self.fail(error.close_code, str(error))
            raise
        if isinstance(event, str):
            return event
        if event is None:
            if reader.is_at_rest:
                self._discard()
                self._readers.give_back(reader)
        elif isinstance(event, Ping):
            # 5.5.2: a Ping is answered even behind our own Close.
            if self._auto_reply:
                self.pong(event.payload)
        elif isinstance(event, Close):
            self.close_received = event
            self.receiving = Receiving.CLOSED
            self._discard()
            if self._auto_reply:
                self.answer_close()
        return event

    @property
    def role(self) -> Role:
        """Which end this is."""
        return self._readers.role

    @property
    def frames_received(self) -> int:
        """How many frames have begun, of which one message may take many."""
        frames = self._frames_before - len(self._messages or ())
        return frames if self._reader is None else frames + self._reader.frames_received

    @property
    def octets_held(self) -> int:
        """How many octets are kept: input that isn't taken yet, and what is here of an unfinished message."""
        held = len(self._data) if self._reader is None else self._reader.octets_held
        for message in self._messages or ():
            held += len(message) if isinstance(message, bytes) else len(message.encode())
        return held

    @property
    def is_over(self) -> bool:
        """Tell that nothing more will be sent or received: a server now ends the TCP connection (7.1.1)."""
        return self.sending is not _SENDING_OPEN and self.receiving is not _RECEIVING_OPEN

    @property
    def close_code(self) -> int:
        """The code by which the connection closed, as the peer gave it; 1006 without its Close (7.1.5)."""
        close = self.close_received
        return _ABNORMAL_CLOSURE if close is None else close.code

    # Sending. What may not be sent raises StateError.

    def data_to_send(self) -> list[bytes]:
        """Take what is to be written, as pieces in order: large payloads needn't be copied."""
        pieces = self._out or []
        self._out = None
        return [piece if isinstance(piece, bytes) else _join_frames([piece]) for piece in pieces]

    def frames_to_send(self) -> bytes | None:
        """Take what is to be written, in one piece; None if there is nothing."""
        pieces = self._out
        if pieces is None:
            return None
        self._out = None
        return _join_frames(pieces)

    def send_text(self, text: str, *, compress: bool | None = None) -> None:
        """Send a text message. Raises UnicodeEncodeError when it has lone surrogates.

        `compress=None` leaves it to the sizes in DeflateOptions; False sends it as it is, as a message
        should be that holds a secret beside an attacker's text (7692 8).
        """
        if self.sending is not _SENDING_OPEN or self._fragment_opcode != _CONTINUATION:
            raise self._refusal()
        frame: str | bytes = text
        if not (_FRAMED_LATE and self._lacks_only_a_head(text, compress)):
            payload = text.encode()
            size = len(payload)
            if size >= self._plain_below or compress:
                self._send_message(_TEXT, payload, compress)
                return
            frame = _TEXT_HEADS[size] + payload
        out = self._out
        if out is None:
            out = self._out = []
        out.append(frame)

    def send_binary(self, payload: bytes | bytearray | memoryview, *, compress: bool | None = None) -> None:
        """Send a binary message."""
        if self.sending is not _SENDING_OPEN or self._fragment_opcode != _CONTINUATION:
            raise self._refusal()
        payload = _as_bytes(payload)
        if len(payload) < self._plain_below and not compress:
            out = self._out
            if out is None:
                out = self._out = []
            out.append(_BINARY_HEADS[len(payload)] + payload)
        else:
            self._send_message(_BINARY, payload, compress)

    def send_fragment(self, fragment: str | bytes | bytearray | memoryview, *, fin: bool) -> None:
        """Send a message in parts, of one type; the last has `fin=True` (5.4)."""
        self._check_open()
        opcode = _TEXT if isinstance(fragment, str) else _BINARY
        if self._fragment_opcode not in (_CONTINUATION, opcode):
            raise StateError("A message's fragments are all text or all binary.")
        payload = fragment.encode() if isinstance(fragment, str) else _as_bytes(fragment)
        first = opcode if self._fragment_opcode == _CONTINUATION else _CONTINUATION
        self._fragment_opcode = _CONTINUATION if fin else opcode
        deflater = self._own_deflater()
        if deflater is not None:
            payload = deflater.compress(payload, fin)
            # 7692 6.1: RSV1 on the first frame only.
            first |= RSV1 if first != _CONTINUATION else 0
        self._append(FIN | first if fin else first, payload)

    def send_encoded(self, frames: bytes, window_bits: int = 0) -> None:
        """Send what `encode_message()` made for many connections; a server only, since a client masks.

        `window_bits` is the window that the message was compressed in, 0 if it wasn't.
        """
        if self._masking_key is not None:
            raise StateError("A client masks every frame, so it can't share them.")
        if self.sending is not _SENDING_OPEN or self._fragment_opcode != _CONTINUATION:
            raise self._refusal()
        if window_bits and window_bits != self.shared_window_bits:
            raise StateError("The message is compressed otherwise than this connection agreed.")
        self._queue(frames)

    @property
    def shared_window_bits(self) -> int:
        """The window in which a message may be compressed for this connection and others; 0: in none."""
        deflate = self.deflate
        if deflate is None or not deflate.local_no_context_takeover or not deflate.can_compress:
            return 0
        return deflate.local_max_window_bits

    def ping(self, payload: bytes | bytearray | memoryview = b"") -> None:
        """Send a Ping with up to 125 octets, which may pass between fragments (5.5.2)."""
        self._check_open()
        self._send_control(_PING, payload)

    def pong(self, payload: bytes | bytearray | memoryview = b"") -> None:
        """Send a Pong with up to 125 octets, asked for or not (5.5.3); behind the peer's Close nothing."""
        is_cut = self.receiving is Receiving.ABORTED and self.sending is Sending.OPEN
        if self.receiving is Receiving.OPEN or is_cut:
            self._send_control(_PONG, payload)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Begin the closing handshake. Messages still arrive until the peer's Close.

        Nothing happens if our Close is out already. `reason` is cut to 123 octets of UTF-8.
        """
        if not may_be_sent(code):
            raise StateError(f"Close code {code} may not be sent (7.4).")
        if self.sending is Sending.OPEN:
            self._send_close(Close(code, reason))

    def answer_close(self) -> None:
        """Answer the peer's Close, unless ours is out already (5.5.1)."""
        if self.close_received is None:
            raise StateError("There is no Close to answer yet.")
        # 5.5.1: with the code that came; a Close without one is answered without one.
        if self.sending is Sending.OPEN:
            self._send_close(Close(self.close_received.code))

    def fail(self, code: int, reason: str = "") -> None:
        """Close, and discard whatever still comes (7.1.7)."""
        self.close(code, reason)
        self._discard()
        if self.receiving is not Receiving.CLOSED:
            self.receiving = Receiving.FAILED

    def _take_reader(self) -> MessageReader:
        """Let a reader go on with what is here."""
        reader = self._reader = self._readers.take()
        self._frames_before -= reader.frames_received
        reader.feed(self._data[self._position :])
        self._data = b""
        self._position = 0
        return reader

    def _discard(self) -> None:
        """Keep nothing of what was received but the count."""
        self._frames_before = self.frames_received
        self._messages = None
        self._reader = None
        self._data = b""
        self._position = 0

    def _check_open(self) -> None:
        if self.sending is not _SENDING_OPEN:
            raise self._refusal()

    def _refusal(self) -> StateError:
        """Say why no message may be sent."""
        if self.sending is not _SENDING_OPEN:
            return StateError("Our Close is sent; nothing may follow it (5.5.1).")
        # 5.4: the fragments of one message are not interleaved with another message.
        return StateError("A message is being sent in fragments; end it first (5.4).")

    def _send_message(self, opcode: int, payload: bytes, compress: bool | None) -> None:
        first = FIN | opcode
        deflate = self.deflate
        if deflate is not None and compress is not False:
            options = deflate.options
            if compress or options.min_size <= len(payload) <= options.max_size:
                deflater = self._own_deflater()
                if deflater is not None:
                    payload = deflater.compress(payload)
                    first |= RSV1
        self._append(first, payload)

    def _lacks_only_a_head(self, text: str, compress: bool | None) -> bool:
        """Tell whether a text is its own payload: ASCII, neither masked nor worth compressing."""
        if len(text) >= self._plain_below and (self.deflate is not None or self._masking_key is not None):
            return False
        return not compress and _is_ascii(text)

    def _own_deflater(self) -> Deflater | None:
        """Return the codec, made when first needed; None when messages go as they are."""
        if self.deflate is None or not self.deflate.can_compress:
            return None
        if self._deflater is None:
            self._deflater = Deflater(self.deflate)
        return self._deflater

    def _send_control(self, opcode: int, payload: bytes | bytearray | memoryview) -> None:
        payload = _as_bytes(payload)
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise StateError(f"A control frame carries at most {MAX_CONTROL_PAYLOAD} octets (5.5).")
        self._append(FIN | opcode, payload)

    def _send_close(self, close: Close) -> None:
        self._append(FIN | _CLOSE, encode_close(close))
        self.close_sent = close
        self.sending = Sending.CLOSED

    def _append(self, first: int, payload: bytes) -> None:
        if self._masking_key is None:
            self._queue(encode_head(first, len(payload)))
            self._queue(payload)
            return
        # 5.3: a fresh key for each frame.
        key = self._masking_key()
        self._queue(encode_head(first, len(payload), MASK) + key)
        self._queue(mask(payload, 0, len(payload), key, 0))

    def _queue(self, piece: bytes) -> None:
        if self._out is None:
            self._out = []
        self._out.append(piece)


def _as_bytes(payload: bytes | bytearray | memoryview) -> bytes:
    """Copy what a caller may change; an int is a TypeError, not that many zeros."""
    return payload if type(payload) is bytes else bytes(memoryview(payload))
