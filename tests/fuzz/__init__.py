"""Coverage-guided fuzzing, by `python -m tests.fuzz TARGET`; each target is a module of this package."""

from typing import Final

TARGETS: Final = ("frames", "connection", "request", "response", "extensions")
