"""Ids: names that nobody can guess, and that nobody else bears."""

import os
from binascii import b2a_base64
from typing import Final, final

# With these in place of two others base64 needs no escape in a URL.
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
# Octets of an id before base64, which makes characters of them without a rest.
_SIZE: Final = 9
_LENGTH: Final = 12
# Ids made at a time: asking the kernel costs more than all the rest, however much is asked for.
_BATCH: Final = 64


@final
class Ids:
    """A stock of them, each as `secrets.token_urlsafe(9)` makes one."""

    __slots__ = ("_stock",)

    def __init__(self) -> None:
        self._stock: list[str] = []

    def new(self) -> str:
        """Return one that was never returned before."""
        if not self._stock:
            text = b2a_base64(os.urandom(_SIZE * _BATCH), newline=False).translate(_URL_SAFE).decode("ascii")
            self._stock = [text[start : start + _LENGTH] for start in range(0, len(text), _LENGTH)]
        return self._stock.pop()
