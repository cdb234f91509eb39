"""The census of a real server's process: what it holds, as `watched.py` tells it."""

import json
import signal
from pathlib import Path
from typing import Final

from tests.conftest import ServerProcess

# Python's arguments for a server that can be asked.
WATCHED: Final = ("-W", "error", "-c", Path(__file__).with_name("watched.py").read_text())

Census = dict[str, int]


def take_census(server: ServerProcess) -> Census:
    """Ask the server what it holds."""
    return _ask(server, signal.SIGUSR1)


def take_memory(server: ServerProcess) -> dict[str, int]:
    """Have the server return what memory it doesn't use, and ask how much it does."""
    return _ask(server, signal.SIGUSR2)


def _ask(server: ServerProcess, question: signal.Signals) -> dict[str, int]:
    server.process.send_signal(question)
    assert server.process.stdout is not None
    answer: dict[str, int] = json.loads(server.process.stdout.readline())
    return answer


def first_census(server: ServerProcess) -> Census:
    """Ask a server that has served nobody yet."""
    # The sweep's first timer is one of those objects that the collector was told to leave alone.
    while (census := take_census(server))["timers"] == 0:
        pass
    return census


def take_lasting_census(server: ServerProcess) -> Census:
    """The same without what is forgotten in a time of its own: rooms without members, and ids."""
    return {**take_census(server), "rooms": 0, "remembered": 0}
