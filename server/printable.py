"""Printable: text that others chose, as a terminal and a log may have it."""

import logging
import unicodedata
from typing import Any


def printable(text: str) -> str:
    """Write what a terminal might obey, or wouldn't show, as an escape."""
    if text.isprintable():
        return text
    return "".join(
        character if _is_harmless(character) else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _is_harmless(character: str) -> bool:
    # Other scripts' spaces don't count as printable, nor do the joiners that they and emoji are written with.
    return character.isprintable() or unicodedata.category(character) == "Zs" or character in "\t\u200c\u200d"


class PrintableFormatter(logging.Formatter):
    """Writes a record so that nothing in it steers a terminal, turns text around or passes for a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Write the line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        """Write a traceback, whose lines are its own, whatever stands in an exception's text."""
        # A continuation begins with a space, so that none can pass for a record.
        lines = super().formatException(ei).split("\n")
        return "\n".join(f" {printable(line)}" for line in lines)
