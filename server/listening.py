"""Listening: the sockets that a service accepts from, over TCP, at a path, or as systemd hands them over."""

import errno
import os
import socket
import stat
from contextlib import suppress
from typing import Final, final

from .settings import Settings
from .systemd import inherited_sockets

# Octets that the kernel holds unsent before it says that a socket is full; else it would hold megabytes.
NOTSENT_LOWAT: Final = 32 * 1024

_NO_IPV6: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class ListenError(Exception):
    """No socket could be opened to listen on; the message is for the person who asked for it."""


@final
class Listener:
    """A socket to accept from, and the file of ours that goes when it is closed, if there is one."""

    __slots__ = ("_file", "socket")

    def __init__(self, listening: socket.socket, *, owns_file: bool = False) -> None:
        self.socket = listening
        listening.setblocking(False)
        path = listening.getsockname() if owns_file else ""
        self._file = (path, _identity(path)) if owns_file else None

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port, or None where it is a path."""
        if self.socket.family == socket.AF_UNIX:
            return None
        host, port = self.socket.getsockname()[:2]
        return host, port

    @property
    def place(self) -> str:
        """Host and port, or the path, for people."""
        if self.address is None:
            name = self.socket.getsockname()
            # An abstract name, which begins with a NUL, is read as octets.
            return f"unix:{os.fsdecode(name).replace(chr(0), '@')}"
        return _join(*self.address)

    def describe(self, scheme: str) -> str:
        """Say where clients find it."""
        return self.place if self.address is None else f"{scheme}://{self.place}"

    def listen(self, backlog: int) -> None:
        """Let the kernel take connections. Raises ListenError."""
        try:
            self.socket.listen(backlog)
        except OSError as error:
            # Who had bound the address too was faster.
            raise _failure(self.place, error) from None

    def close(self) -> None:
        """Stop listening; whoever waits in the queue is refused."""
        self.socket.close()
        if self._file is None:
            return
        path, identity = self._file
        # Another server may have its own there by now.
        with suppress(FileNotFoundError):
            if _identity(path) == identity:
                os.unlink(path)


def open_listeners(settings: Settings) -> list[Listener]:
    """Return what systemd hands over, else the unix socket, else every address. Raises ListenError."""
    try:
        sockets = inherited_sockets()
    except OSError as error:
        raise ListenError(f"can't take over the inherited sockets: {error.strerror or error}") from None
    if sockets:
        listeners = [Listener(inherited) for inherited in sockets]
    elif settings.unix:
        listeners = [Listener(_open_unix(settings.unix, settings.unix_mode), owns_file=True)]
    else:
        listeners = [Listener(opened) for opened in _open_tcp(settings.host, settings.port)]
    are_trusted = settings.trusted_proxies or any(listener.address is None for listener in listeners)
    if settings.proxy_protocol and not are_trusted:
        for listener in listeners:
            listener.close()
        raise ListenError("proxy_protocol: trusted_proxies must name those whose connections begin with it")
    for listener in listeners:
        _tune(listener.socket, settings)
    return listeners


def _tune(listening: socket.socket, settings: Settings) -> None:
    """Set what accepted sockets inherit."""
    if settings.socket_send_buffer:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.socket_send_buffer)
    if listening.family == socket.AF_UNIX:
        return
    # A write is whole: nothing is gained by waiting for more.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)


def _open_tcp(hosts: tuple[str, ...], port: int) -> list[socket.socket]:
    """Bind every address that the host names stand for, all to the same port. Raises ListenError."""
    sockets: list[socket.socket] = []
    name = ""
    try:
        for name in hosts:
            sockets += _open_host(name, sockets[0].getsockname()[1] if sockets else port)
    # What can't be a name in DNS, such as one with an empty label, isn't looked up.
    except (OSError, UnicodeError) as error:
        for opened in sockets:
            opened.close()
        place = _join(name, port)
        if isinstance(error, UnicodeError):
            raise ListenError(f"can't listen on {place}: it is no host's name") from None
        raise _failure(place, error) from None
    return sockets


def _open_host(host: str, port: int) -> list[socket.socket]:
    # localhost is both loopback addresses, whatever the machine's own tables say.
    names = ["127.0.0.1", "::1"] if host == "localhost" else [host]
    sockets: list[socket.socket] = []
    try:
        for name in names:
            for family, kind, proto, _, address in socket.getaddrinfo(
                name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                try:
                    sockets.append(_bind(family, kind, proto, (address[0], port, *address[2:])))
                except OSError as error:
                    # A machine without IPv6 has no ::1.
                    if name != "::1" or not sockets or error.errno not in _NO_IPV6:
                        raise
                port = sockets[0].getsockname()[1]
    except OSError:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def _bind(family: int, kind: int, proto: int, address: tuple[object, ...]) -> socket.socket:
    listening = socket.socket(family, kind, proto)
    try:
        # A restarted server needn't wait for the last one's connections to fade.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening


def _open_unix(path: str, mode: int) -> socket.socket:
    """Bind a path, also over the file that a dead server left there. Raises ListenError."""
    listening = socket.socket(socket.AF_UNIX)
    # The file must at no time be open to more users than it is meant for.
    umask = os.umask(~mode & 0o777)
    try:
        if _is_left_over(path):
            os.unlink(path)
        listening.bind(path)
    except OSError as error:
        listening.close()
        raise _failure(f"unix:{path}", error) from None
    finally:
        os.umask(umask)
    return listening


def _is_left_over(path: str) -> bool:
    """Tell whether a path is a socket's on which nobody listens any more."""
    with suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as probe:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
        probe.setblocking(False)
        return probe.connect_ex(path) == errno.ECONNREFUSED
    return False


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _failure(place: str, error: OSError) -> ListenError:
    advice = "; stop what has it, or choose another" if error.errno == errno.EADDRINUSE else ""
    return ListenError(f"can't listen on {place}: {error.strerror or error}{advice}")


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
