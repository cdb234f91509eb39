"""Codecs: what connections share that agreed on the same, so that one at rest holds little of its own."""

from typing import final

from rfc6455 import DeflateParameters, Deflater, Readers, Role


@final
class Codecs:
    """Makes each deflater once, and each connection's supply of readers; `max_...` are those of a message."""

    __slots__ = ("_deflaters", "_max_fragments", "_max_message_size", "_readers")

    def __init__(self, max_message_size: int, max_fragments: int) -> None:
        self._max_message_size = max_message_size
        self._max_fragments = max_fragments
        self._deflaters: dict[int, Deflater] = {}
        self._readers: dict[tuple[bool, int] | None, Readers] = {}

    def deflater(self, parameters: DeflateParameters | None) -> Deflater | None:
        """Return the deflater for all connections that keep no context and agreed on this window."""
        if parameters is None or not parameters.local_no_context_takeover:
            return None
        deflater = self._deflaters.get(parameters.local_max_window_bits)
        if deflater is None:
            deflater = self._deflaters[parameters.local_max_window_bits] = Deflater(parameters)
        return deflater

    def readers(self, parameters: DeflateParameters | None) -> Readers:
        """Return the readers for all connections whose peers agreed to send in the same way."""
        key = None
        if parameters is not None:
            key = parameters.remote_no_context_takeover, parameters.remote_max_window_bits
        readers = self._readers.get(key)
        if readers is None:
            readers = self._readers[key] = Readers(
                Role.SERVER,
                parameters,
                max_message_size=self._max_message_size,
                max_fragments=self._max_fragments,
            )
        return readers
