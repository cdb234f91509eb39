"""Refusal: a request that the server understands and doesn't grant."""

from typing import final


@final
class Refusal(Exception):
    """A stable code for programs, a sentence for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
