"""systemd: the sockets that it hands over (sd_listen_fds), and what is told to it (sd_notify)."""

import os
import socket
import time
from contextlib import suppress
from typing import Final

# sd_listen_fds(3): the first of the descriptors that are handed over.
FIRST_DESCRIPTOR: Final = 3

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"


def inherited_sockets() -> list[socket.socket]:
    """Return the listening sockets that this process was given, once. Raises OSError for any other kind."""
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    # They may have been meant for the process that started us.
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    sockets: list[socket.socket] = []
    for place in range(int(count)):
        number = FIRST_DESCRIPTOR + place
        name = names[place] if place < len(names) else ""
        try:
            sockets.append(_take(number))
        except OSError as error:
            for taken in sockets:
                taken.close()
            raise OSError(f"{number} ({name or 'unnamed'}): {error.strerror or error}") from None
    return sockets


def _take(number: int) -> socket.socket:
    os.set_inheritable(number, False)
    taken = socket.socket(fileno=number)
    is_listening = taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if taken.type == socket.SOCK_STREAM and is_listening:
        return taken
    taken.close()
    raise OSError("it isn't a stream socket that listens (a unit needs Accept=no)")


def notify(state: str) -> None:
    """Tell systemd, if it wants to know."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    # A name that begins with @ is an abstract one. Who can't be told has to find out.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
        telling.connect("\0" + place[1:] if place.startswith("@") else place)
        telling.send(state.encode())


def reloading() -> str:
    """Return the state of a unit of Type=notify-reload that has begun to reload; READY ends it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
