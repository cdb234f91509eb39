"""Delivery: how publications become WebSocket frames, the same for every session that shares it."""

from typing import final

from rfc6455 import DeflateParameters, Deflater, encode_message

from .codecs import Codecs
from .publication import Shared
from .session import Dialect
from .tick import Item, Message


@final
class FrameDelivery:
    """Frames in one dialect, compressed or not. `window_bits` is 0 when nothing is compressed."""

    __slots__ = ("_deflater", "_encode", "_parameters", "window_bits")

    def __init__(
        self, dialect: Dialect, parameters: DeflateParameters | None, deflater: Deflater | None
    ) -> None:
        self._encode = dialect.encode
        self._parameters = parameters
        self._deflater = deflater
        self.window_bits = 0 if parameters is None else parameters.local_max_window_bits

    def encode(self, item: Item) -> bytes:
        """Make the frame that brings an item to the client, if there is one."""
        message = self._encode(item) if isinstance(item, Shared) else item
        if message is None:
            return b""
        return encode_message(message, self._deflater if self._is_worth_it(message) else None)

    def _is_worth_it(self, message: Message) -> bool:
        if self._parameters is None:
            return False
        options = self._parameters.options
        # Sizes are octets; an ASCII text is the common case, and is counted without a copy.
        size = len(message)
        if isinstance(message, str) and not message.isascii():
            size = len(message.encode())
        return options.min_size <= size <= options.max_size


@final
class Deliveries:
    """Makes each delivery once.

    Sessions that keep a compression context get none: what they are sent is compressed for them alone.
    """

    def __init__(self, codecs: Codecs) -> None:
        self._made: dict[tuple[str, int], FrameDelivery] = {}
        self._codecs = codecs

    def get(self, dialect: Dialect, parameters: DeflateParameters | None) -> FrameDelivery | None:
        """Return the delivery for a session of this dialect and these agreed parameters."""
        deflater = self._codecs.deflater(parameters)
        if parameters is not None and deflater is None:
            return None
        key = dialect.name, 0 if parameters is None else parameters.local_max_window_bits
        delivery = self._made.get(key)
        if delivery is None:
            delivery = self._made[key] = FrameDelivery(dialect, parameters, deflater)
        return delivery
