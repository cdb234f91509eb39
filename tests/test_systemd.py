"""systemd: sockets that are handed over, and what it is told, by the rules of sd_listen_fds and sd_notify."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.systemd import READY, inherited_sockets, notify
from tests.conftest import clean_environment
from tests.rawclient import RawClient, get
from tests.rawserver import write_certificate

# What systemd does between fork and exec.
HAND_OVER = textwrap.dedent(
    """
    import fcntl, os, sys
    descriptors = [int(number) for number in sys.argv[1].split(",")]
    high = [fcntl.fcntl(number, fcntl.F_DUPFD, 100) for number in descriptors]
    for place, number in enumerate(high, 3):
        os.dup2(number, place)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=sys.argv[2])
    os.execv(sys.executable, [sys.executable, "-W", "error", *sys.argv[3:]])
    """
)
SERVER = ("-m", "server", "--log-level", "info")


def hand_over(
    sockets: list[socket.socket], names: str, *python: str, **variables: str
) -> "subprocess.Popen[str]":
    numbers = [one.fileno() for one in sockets]
    return subprocess.Popen(
        [sys.executable, "-c", HAND_OVER, ",".join(map(str, numbers)), names, *python],
        pass_fds=numbers,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment() | variables,
    )


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(20)
        yield listening


async def test_server_serves_on_what_it_was_given_and_tells_how_it_is(
    notified: socket.socket, tmp_path: Path
) -> None:
    path = str(tmp_path / "handed.sock")
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        port = tcp.getsockname()[1]
        process = hand_over([tcp, unix], "web:local", *SERVER, NOTIFY_SOCKET=notified.getsockname())
    with process:
        assert b"READY=1" == notified.recv(100)
        assert process.stdout is not None
        assert f"listening on http://127.0.0.1:{port} and unix:{path} (" in process.stdout.readline()
        for client in (await RawClient.connect(("127.0.0.1", port)), await RawClient.connect_unix(path)):
            await client.send(get("/healthz"))
            assert 200 == (await client.answer()).status
            client.close()
        process.send_signal(signal.SIGTERM)
        assert b"STOPPING=1" == notified.recv(100)
        assert 0 == process.wait(20)
    # It is systemd's file.
    assert stat.S_ISSOCK(os.stat(path).st_mode)


async def test_reload_is_told_with_its_time(notified: socket.socket, tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        flags = ("--tls-certificate", certificate, "--tls-key", str(tmp_path / "key.pem"))
        process = hand_over([tcp], "", *SERVER, *flags, NOTIFY_SOCKET=notified.getsockname())
    with process:
        assert b"READY=1" == notified.recv(100)
        process.send_signal(signal.SIGHUP)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", notified.recv(100))
        assert b"READY=1" == notified.recv(100)
        process.send_signal(signal.SIGTERM)
        assert b"STOPPING=1" == notified.recv(100)
        assert 0 == process.wait(20)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_socket_that_does_not_listen_is_refused_in_a_line(kind: socket.SocketKind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as good, socket.socket(type=kind) as bad:
        bad.bind(("127.0.0.1", 0))
        process = hand_over([good, bad], "good:bad", *SERVER)
    output, errors = process.communicate(timeout=20)
    assert (2, "") == (process.returncode, output)
    assert (
        "error: can't take over the inherited sockets: "
        "4 (bad): it isn't a stream socket that listens (a unit needs Accept=no)\n"
    ) == errors


@pytest.mark.parametrize(
    ("pid", "count"), [("1", "1"), ("", "1"), ("mine", ""), ("mine", "x"), ("mine", "-1"), ("mine", "0")]
)
def test_sockets_for_another_process_are_left_alone(
    pid: str, count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()) if pid == "mine" else pid)
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_FDNAMES", "web")
    assert [] == inherited_sockets()
    # A child of ours is not to think that they are for it.
    assert {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}.isdisjoint(os.environ)


def test_abstract_name_is_notified(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"rfc6455-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify(READY)
        assert b"READY=1" == listening.recv(100)


@pytest.mark.parametrize("place", ["", "/nowhere/at/all"])
def test_nobody_to_notify_is_no_matter(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", place)
    notify(READY)
