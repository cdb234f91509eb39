"""The input, line by line."""

import asyncio
import os
from typing import Final, final

_READ_SIZE: Final = 64 * 1024


class InputError(Exception):
    """A line of the input can't be sent; the message is for the person who gave it."""


@final
class Lines:
    """The lines of a descriptor, of which nothing is read before it is asked for; None has none."""

    def __init__(self, descriptor: int | None, max_length: int) -> None:
        self.has_ended = descriptor is None
        self._descriptor = descriptor
        self._max_length = max_length
        self._received = bytearray()
        # How much of it is known to hold no line end.
        self._searched = 0
        self._returned: bytes | None = None

    async def next(self) -> bytes | None:
        """Return the next line without its LF, None at the end. Raises InputError for one too long."""
        if self._returned is not None:
            line, self._returned = self._returned, None
            return line
        while (end := self._received.find(b"\n", self._searched)) < 0 and not self.has_ended:
            self._searched = len(self._received)
            if self._searched > self._max_length:
                raise self._too_long()
            data = await self._read()
            self._received += data
            self.has_ended = not data
        self._searched = 0
        # The last line needs no line end, but then it needs octets.
        if end < 0 and not self._received:
            return None
        line = bytes(self._received[: end if end >= 0 else None])
        del self._received[: len(line) + 1]
        if len(line) > self._max_length:
            raise self._too_long()
        return line

    def give_back(self, line: bytes) -> None:
        """Return this line next."""
        self._returned = line

    def _too_long(self) -> InputError:
        return InputError(f"A line of the input is longer than {self._max_length} octets.")

    async def _read(self) -> bytes:
        assert self._descriptor is not None
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, readable.set)
        except PermissionError:
            # A file can't be waited for: it is always readable. Others have their turn first.
            await asyncio.sleep(0)
            return os.read(self._descriptor, _READ_SIZE)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._descriptor)
        return os.read(self._descriptor, _READ_SIZE)
