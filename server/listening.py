"""Listening: the sockets that a service accepts from."""

import errno
import socket
from typing import Final

from .settings import Settings

# Connections the kernel keeps for us between two turns of the loop.
BACKLOG: Final = 128
# Octets that the kernel holds unsent before it says that a socket is full; else it would hold megabytes.
NOTSENT_LOWAT: Final = 32 * 1024

_NO_IPV6: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class ListenError(Exception):
    """No socket could be opened to listen on; the message is for the person who asked for it."""


def open_sockets(settings: Settings) -> list[socket.socket]:
    """Bind every address that the host name stands for, all to the same port. Raises ListenError."""
    host, port = settings.host, settings.port
    # localhost is both loopback addresses, whatever the machine's own tables say.
    names = ["127.0.0.1", "::1"] if host == "localhost" else [host]
    sockets: list[socket.socket] = []
    try:
        for name in names:
            for family, kind, proto, _, address in socket.getaddrinfo(
                name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                try:
                    sockets.append(_bind(family, kind, proto, (address[0], port, *address[2:]), settings))
                except OSError as error:
                    # A machine without IPv6 has no ::1.
                    if name != "::1" or not sockets or error.errno not in _NO_IPV6:
                        raise
                port = sockets[0].getsockname()[1]
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise ListenError(f"can't listen on {host}:{port}: {error.strerror}") from None
    return sockets


def _bind(
    family: int, kind: int, proto: int, address: tuple[object, ...], settings: Settings
) -> socket.socket:
    listener = socket.socket(family, kind, proto)
    try:
        # A restarted server needn't wait for the last one's connections to fade.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Accepted sockets inherit these.
        if settings.socket_send_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.socket_send_buffer)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
