"""Conflation: by what publications are told apart, so that a newer one may take the place of an older."""

from typing import Final

import msgspec

# Characters of a key; a longer value is none.
MAX_KEY: Final = 256


def key_of(path: tuple[str, ...], payload: object) -> str | None:
    """Find the value of the field to which `path` leads in a JSON payload; None if there is none."""
    if not path or not isinstance(payload, msgspec.Raw):
        return None
    try:
        value = msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        return None
    for word in path:
        if not isinstance(value, dict):
            return None
        value = value.get(word)
    if not isinstance(value, (str, int, float)):
        return None
    key = f"{type(value).__name__}:{value}"
    return key if len(key) <= MAX_KEY else None
