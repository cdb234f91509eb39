"""Characters: which ones a name may have, so that no two names look alike by what nobody sees.

As in RFC 8264 (PRECIS), by which usernames (8265) and nicknames (8266) are held: no controls, no lone
surrogates, and nothing that is invisible. A joiner may stand where it joins (RFC 5892 A.1 and A.2), and
besides, since people are named so, in an emoji, as may the selector of its coloured form.
"""

import re
import unicodedata
from typing import Final

# Controls, formats, lone surrogates, line and paragraph separators.
_UNFIT: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Of the property Default_Ignorable_Code_Point those that count as letters or marks: fillers and selectors.
_IGNORABLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_NON_JOINER, _JOINER = "\u200c", "\u200d"
# The text form and the coloured form of an emoji.
_SELECTORS: Final = frozenset("\ufe0e\ufe0f")
_VIRAMA: Final = 9
# What most emoji count as, those that don't, and those that need a key around them.
_SYMBOLS: Final = frozenset({"So", "Sm"})
_OTHER_EMOJI: Final = frozenset("\u203c\u2049\u2139\u3030")
_ON_KEYS: Final = frozenset("#*0123456789")
_KEY: Final = "\u20e3"
# Marks, selectors among them, and the colours of skin: they belong to the character that they stand on.
_ON_ANOTHER: Final = frozenset({"Mn", "Sk"})


def are_fit(name: str) -> bool:
    """Tell whether a name has fit characters only."""
    # Nothing unfit is printable but what is ignorable; joiners aren't either, and are looked at in turn.
    if name.isprintable() and (name.isascii() or not _IGNORABLE.search(name)):
        return True
    return all(_is_fit(name, position) for position in range(len(name)))


def _is_fit(name: str, position: int) -> bool:
    character = name[position]
    if character in (_NON_JOINER, _JOINER):
        return _joins(name, position)
    if character in _SELECTORS:
        return _selects(name, position)
    return unicodedata.category(character) not in _UNFIT and not _IGNORABLE.match(character)


def _joins(name: str, position: int) -> bool:
    before, behind = name[:position], name[position + 1 : position + 2]
    if not before or not behind:
        return False
    # 5892 A.1, A.2: behind a virama, in the scripts of India.
    if unicodedata.combining(before[-1]) == _VIRAMA:
        return True
    base = next((one for one in reversed(before) if unicodedata.category(one) not in _ON_ANOTHER), "")
    if not base:
        return False
    # 5892 A.1: between letters that would join, as those of Arabic do.
    if name[position] == _NON_JOINER:
        return unicodedata.bidirectional(base) == unicodedata.bidirectional(behind) == "AL"
    return unicodedata.category(base) in _SYMBOLS and unicodedata.category(behind) in _SYMBOLS


def _selects(name: str, position: int) -> bool:
    emoji = name[position - 1 : position]
    if not emoji:
        return False
    if emoji in _ON_KEYS:
        return name[position + 1 : position + 2] == _KEY
    return emoji in _OTHER_EMOJI or unicodedata.category(emoji) in _SYMBOLS
