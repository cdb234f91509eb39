"""`python -m server connect URI`: a WebSocket client for people at a terminal and for scripts."""

from .running import main

__all__ = ["main"]
