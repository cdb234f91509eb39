"""Names of rooms and users: what they may be made of, and the patterns that stand for many rooms."""

from typing import Final

from .characters import are_fit
from .refusal import Refusal

MAX_NAME: Final = 128
# Words of a pattern, which bounds the ways in which one name can be matched.
MAX_WORDS: Final = 16
# In the place of a word: any one, and any one or more at the end.
ANY_WORD: Final = "*"
ANY_REST: Final = ">"


def check_name(what: str, name: str) -> None:
    """Hold a room's or a user's name to its bounds. Raises Refusal."""
    if not name or len(name.encode(errors="replace")) > MAX_NAME:
        raise Refusal("invalid_name", f"A {what}'s name has 1 to {MAX_NAME} bytes of UTF-8.")
    if not are_fit(name):
        raise Refusal("invalid_name", f"A {what}'s name has no control or invisible characters.")


def check_room(name: str) -> None:
    """Hold the name of one room to its bounds. Raises Refusal."""
    check_name("room", name)
    if is_pattern(name):
        raise Refusal("invalid_name", f"{name!r} stands for many rooms; name one.")


def is_pattern(name: str) -> bool:
    """Tell whether a name stands for many rooms, such as `sensors.*` or `sensors.>`."""
    # Most names have neither character, so they needn't be cut into words.
    if ANY_WORD not in name and ANY_REST not in name:
        return False
    return any(word in (ANY_WORD, ANY_REST) for word in name.split("."))


def check_pattern(pattern: str) -> None:
    """Hold a pattern to its bounds. Raises Refusal."""
    check_name("room", pattern)
    words = pattern.split(".")
    if ANY_REST in words[:-1]:
        raise Refusal("invalid_name", f"In a pattern {ANY_REST} stands at the end.")
    if len(words) > MAX_WORDS:
        raise Refusal("invalid_name", f"A pattern has up to {MAX_WORDS} words.")


def matches(pattern: str, name: str) -> bool:
    """Tell whether a pattern, or a plain name, stands for that room, or for all that another pattern does."""
    wanted = pattern.split(".")
    words = name.split(".")
    if wanted[-1] == ANY_REST and len(words) >= len(wanted):
        wanted.pop()
        words = words[: len(wanted)]
    return len(wanted) == len(words) and all(
        # More words than one are more than any one.
        one == word or (one == ANY_WORD and word != ANY_REST)
        for one, word in zip(wanted, words, strict=True)
    )
