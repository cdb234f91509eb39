"""JSON bounds: how deep a text is nested and how much it names, told before it is decoded.

A decoder recurses, and its time and memory go by what a text holds; this goes by its length alone, and for
what people send it is a look for a handful of brackets.
"""

from typing import Final, final

from .refusal import Refusal

MAX_DEPTH: Final = 64
MAX_KEYS: Final = 10_000

_OPENINGS: Final = b"[{"
_NO_MARKS: Final = bytes(set(range(256)) - set(b'[]{}:"'))


@final
class JsonBounds:
    """`max_depth` objects and arrays in each other; `max_keys` names, objects and arrays in all."""

    __slots__ = ("_few", "_max_depth", "_max_keys")

    def __init__(self, max_depth: int = MAX_DEPTH, max_keys: int = MAX_KEYS) -> None:
        self._max_depth = max_depth
        self._max_keys = max_keys
        # What can't pass either.
        self._few = min(max_depth, max_keys)

    def check(self, text: str) -> None:
        """Hold a text to the bounds; what isn't JSON is left to the decoder. Raises Refusal."""
        # Each object and array takes two characters, and each name more.
        if len(text) > 2 * self._few and self._may_pass(text):
            self._check_exactly(text)

    def _may_pass(self, text: str) -> bool:
        """Count marks in strings too, as far as it matters."""
        few = self._few
        found = _count(text, "{", few) + _count(text, "[", few)
        if found > few:
            return True
        return len(text) > 2 * self._max_keys and found + _count(text, ":", self._max_keys) > self._max_keys

    def _check_exactly(self, text: str) -> None:
        """Count what stands outside of strings."""
        octets = text.encode()
        if b"\\" in octets:
            # Without the escapes every quote begins a string or ends one.
            octets = octets.replace(b"\\\\", b"").replace(b'\\"', b"")
        # Two quotes with nothing left between them are the ends of one string, or of two.
        marks = octets.translate(None, _NO_MARKS).replace(b'""', b"")
        outside = b"".join(marks.split(b'"')[::2])
        brackets = outside.translate(None, b":")
        openings = brackets.count(b"{") + brackets.count(b"[")
        if openings + len(outside) - len(brackets) > self._max_keys:
            raise Refusal("too_complex", f"More than {self._max_keys} names, objects and arrays.")
        depth = 0
        for bracket in brackets:
            depth += 1 if bracket in _OPENINGS else -1
            if depth > self._max_depth:
                raise Refusal("too_complex", f"Nested more than {self._max_depth} levels deep.")
            if depth <= 0:
                # Here the text ends, or is no JSON.
                return


def _count(text: str, mark: str, most: int) -> int:
    """Count a mark, up to one too many: to find the next one is cheap where there are few."""
    found = 0
    place = text.find(mark)
    while place >= 0 and found <= most:
        found += 1
        place = text.find(mark, place + 1)
    return found
