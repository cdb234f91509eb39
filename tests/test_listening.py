"""Listening: which sockets are opened, what becomes of a socket's file, and what is said when none can be."""

import os
import socket
import stat
from pathlib import Path

import pytest

from server.listening import NOTSENT_LOWAT, Listener, ListenError, open_listeners
from server.service import Service
from server.settings import Settings
from tests.conftest import Serve, eventually, take_census
from tests.rawclient import RawClient, close, closed, said, text


def opened(**settings: object) -> list[Listener]:
    return open_listeners(Settings(**{"port": 0, **settings}))  # type: ignore[arg-type]  # each has its own


def close_all(listeners: list[Listener]) -> None:
    for listener in listeners:
        listener.close()


# TCP.


def test_all_hosts_get_the_same_port() -> None:
    listeners = opened(host=("127.0.0.1", "127.0.0.2", "127.0.0.3"))
    addresses = [listener.address for listener in listeners]
    close_all(listeners)
    ports = {address[1] for address in addresses if address is not None}
    assert 1 == len(ports)
    assert ["127.0.0.1", "127.0.0.2", "127.0.0.3"] == [address[0] for address in addresses if address]


def test_localhost_is_both_families() -> None:
    listeners = opened()
    described = [listener.describe("http") for listener in listeners]
    port = listeners[0].socket.getsockname()[1]
    close_all(listeners)
    assert [f"http://127.0.0.1:{port}", f"http://[::1]:{port}"][: len(described)] == described


def test_host_that_is_taken_is_named_and_nothing_stays_open() -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ListenError, match=rf"^can't listen on 127\.0\.0\.2:{port}: Address already in use; stop"
        ):
            opened(host=("127.0.0.1", "127.0.0.2"), port=port)
        socket.create_server(("127.0.0.1", port)).close()


async def test_address_that_is_taken_behind_our_back_is_named_and_nothing_stays_open(loop_name: str) -> None:
    before = take_census()
    # Both can be bound, but one of them alone can listen.
    service = Service(Settings(host=("127.0.0.1", "127.0.0.1", "127.0.0.2"), port=0))
    with pytest.raises(ListenError) as caught:
        await service.start()
    port = service.addresses[0][1]
    expected = (
        f"can't listen on 127.0.0.1:{port}: Address already in use; stop what has it, or choose another"
    )
    assert expected == str(caught.value)
    await eventually(before, take_census)


def test_accepted_sockets_inherit_a_bound_on_what_is_unsent() -> None:
    (listener,) = opened(host=("127.0.0.1",), socket_send_buffer=4096)
    found = listener.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
    listener.close()
    assert NOTSENT_LOWAT == found


def test_proxy_protocol_from_nobody_is_refused() -> None:
    with pytest.raises(ListenError, match=r"^proxy_protocol: trusted_proxies must name those"):
        opened(proxy_protocol=True)


# A path.


def test_file_has_its_mode_and_goes_with_the_listener(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    for mode in (0o600, 0o660, 0o666):
        (listener,) = opened(unix=str(path), unix_mode=mode)
        status = path.stat()
        assert (True, mode) == (stat.S_ISSOCK(status.st_mode), stat.S_IMODE(status.st_mode))
        assert (None, f"unix:{path}") == (listener.address, listener.describe("http"))
        listener.close()
        assert not path.exists()


def test_file_of_a_dead_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.exists()
    (listener,) = opened(unix=str(path))
    listener.socket.listen()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()


@pytest.mark.parametrize("backlog", [0, 128])
def test_file_of_a_live_server_is_not(backlog: int, tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    with socket.socket(socket.AF_UNIX) as live, socket.socket(socket.AF_UNIX) as client:
        live.bind(str(path))
        live.listen(backlog)
        # Its queue may be full.
        client.connect(str(path))
        with pytest.raises(
            ListenError, match=r"^can't listen on unix:.*\.sock: Address already in use; stop what has it"
        ):
            opened(unix=str(path))
        client.setblocking(False)
        assert stat.S_ISSOCK(path.stat().st_mode)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_socket_is_not_replaced(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    if kind == "file":
        path.write_text("kept")
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ListenError, match="Address already in use"):
        opened(unix=str(path))
    assert path.is_symlink() or "kept" == path.read_text()


def test_file_of_the_next_server_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    (first,) = opened(unix=str(path))
    path.unlink()
    (second,) = opened(unix=str(path))
    first.close()
    assert path.exists()
    second.close()


def test_file_that_is_gone_already_is_no_matter(tmp_path: Path) -> None:
    (listener,) = opened(unix=str(tmp_path / "server.sock"))
    os.unlink(tmp_path / "server.sock")
    listener.close()


@pytest.mark.parametrize("name", ["x" * 200, "none/server.sock"])
def test_path_that_cannot_be_bound_is_told_in_a_line(name: str, tmp_path: Path) -> None:
    umask = os.umask(0o022)
    os.umask(umask)
    with pytest.raises(ListenError, match=r"^can't listen on unix:.+: (AF_UNIX path too long|No such file)"):
        opened(unix=str(tmp_path / name))
    after = os.umask(umask)
    assert umask == after


async def test_sessions_over_a_unix_socket_have_no_address_and_no_limit_of_one(
    service: Serve, tmp_path: Path
) -> None:
    path = str(tmp_path / "server.sock")
    async with service(unix=path, max_connections_per_address=1, handshake_rate_per_address=1) as running:
        assert ([], [f"unix:{path}"]) == (running.service.addresses, running.service.places)
        clients = [await RawClient.connect_unix(path) for _ in range(5)]
        for client in clients:
            await client.open("/echo", "Host: anything.example")
            await client.send(text("Hello"))
            assert said("Hello") == await client.frame()
        assert [""] * 5 == [session.address for session in running.sessions()]
        for client in clients:
            await client.send(close())
            assert closed(1000) == await client.frame()
            await client.eof()
            client.close()
    assert [] == os.listdir(tmp_path)
