"""The real server, which says what it holds, as a line of JSON: `python -c "$(cat watched.py)"`.

At SIGUSR1 it takes the census; at SIGUSR2 it gives back to the system the memory that nobody uses, and says
what is left: malloc keeps what it may need again, and so the process looks larger than what it holds.
It is `python -m server` to the last line, and this file knows nothing of the tests: it runs from any folder.
"""

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from server.__main__ import main


def _service() -> Any:
    """Find the service: it is a local name of the task that runs it."""
    for task in asyncio.all_tasks():
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None and "service" in frame.f_locals:
            return frame.f_locals["service"]
    raise LookupError("no task runs a service")


def _count_descriptors() -> int:
    """Count those that are open, but for what is kept in reserve."""
    count = 0
    for descriptor in os.listdir("/proc/self/fd"):
        # The one that lists the folder is gone already.
        with suppress(FileNotFoundError):
            count += os.readlink(f"/proc/self/fd/{descriptor}") != os.devnull
    return count


def take_census() -> dict[str, int]:
    """Count everything that a connection could leave behind."""
    gc.collect()
    kinds = Counter(type(each).__name__ for each in gc.get_objects())
    context = _service().context
    hub = context.hub
    return {
        "descriptors": _count_descriptors(),
        "tasks": len(asyncio.all_tasks()),
        "timers": kinds["TimerHandle"],
        "connections": len(context.connections),
        "handshakes": len(context.handshakes),
        "closings": len(context.closings),
        "watched": len(context.heartbeat),
        "admitted": len(context.admission),
        "registered": len(hub.registry),
        "rooms": len(hub.rooms),
        "members": len(hub.memberships._joined),
        "remembered": len(hub._memory),
        # Whether anything still knows them, or they are garbage that can't go.
        "sessions": kinds["WebSocketSession"],
        "transports": kinds["UnixTransport"] + kinds["_SelectorSocketTransport"],
        "protocols": kinds["HttpProtocol"] + kinds["Linger"],
    }


def take_memory() -> dict[str, int]:
    """Measure the resident memory in KiB, and count the blocks that Python's objects take."""
    # What is noted of connections stays until there are 10,000 notes: it would look like a leak until then.
    _service().context.journal._events.clear()
    gc.collect()
    with suppress(AttributeError):
        # Only glibc has it.
        ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return {"resident": pages * os.sysconf("SC_PAGE_SIZE") // 1024, "blocks": sys.getallocatedblocks()}


def _tell(what: Callable[[], dict[str, int]]) -> None:
    print(json.dumps(what()), flush=True)


signal.signal(signal.SIGUSR1, lambda *_: _tell(take_census))
signal.signal(signal.SIGUSR2, lambda *_: _tell(take_memory))
sys.exit(main())
