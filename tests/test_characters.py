"""Which characters a name may have: all that can be seen, and of the others those that something needs."""

import sys
import unicodedata

import pytest

from server.characters import are_fit

# Where a character could hide.
AROUND = ["{}", "{}admin", "ad{}min", "admin{}", "\u0645{}", "\U0001f469{}"]


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "\u00e5sa o'neill",
        "\u7530\u4e2d",
        # Persian, between letters that would join, with a vowel in between too.
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0645\u06cc\u0650\u200c\u062e",
        # Sinhala and Devanagari, behind a virama.
        "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
        "\u0915\u094d\u200c\u0937",
        # A family, an astronaut's skin, a rainbow flag, a head that shakes, a heart, a key, and a letter.
        "\U0001f469\u200d\U0001f469\u200d\U0001f467",
        "\U0001f9d1\U0001f3fd\u200d\U0001f680",
        "\U0001f3f3\ufe0f\u200d\U0001f308",
        "\U0001f642\u200d\u2194\ufe0f",
        "\u2764\ufe0f",
        "1\ufe0f\u20e3",
        "\u2139\ufe0f",
        # Not assigned yet, at least not in this Unicode, and of private use.
        "\U0001faff",
        "\ue000",
    ],
)
def test_what_people_write_is_fit(name: str) -> None:
    assert are_fit(name)


@pytest.mark.parametrize("around", AROUND)
def test_invisible_characters_are_unfit_wherever_they_stand(around: str) -> None:
    hidden = [chr(code) for code in range(sys.maxunicode + 1)]
    formats = [character for character in hidden if unicodedata.category(character) in ("Cf", "Cc", "Cs")]
    fillers = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\ufe00\ufe0d\uffa0\U000e0100"
    separators = "\u2028\u2029"
    for character in [*formats, *fillers, *separators]:
        assert not are_fit(around.format(character)), f"{ord(character):x}"


@pytest.mark.parametrize("selector", "\ufe0e\ufe0f")
@pytest.mark.parametrize("around", ["{}", "{}a", "a{}", "a.{}b", "1{}", "\u2764\ufe0f{}"])
def test_selector_without_an_emoji_is_unfit(around: str, selector: str) -> None:
    assert not are_fit(around.format(selector))


@pytest.mark.parametrize("joiner", "\u200c\u200d")
@pytest.mark.parametrize(
    "around",
    ["\u0650{}\u062e", "\u0645{}a", "a{}\u0645", "\U0001f469{}a", "a{}\U0001f469", "\u0645{}{}\u062e"],
)
def test_joiner_that_joins_nothing_is_unfit(around: str, joiner: str) -> None:
    assert not are_fit(around.format(joiner, joiner))
