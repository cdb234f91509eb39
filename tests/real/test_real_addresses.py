"""The client's address through real proxies: nginx over a unix socket, HAProxy with the PROXY protocol."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from ..conftest import Serve, eventually, require
from ..rawclient import RawClient

pytestmark = pytest.mark.real

PLACES = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://unix:{folder}/server.sock:;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
}}
"""
HAPROXY = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen chat
    bind 127.0.0.1:{port}
    server chat 127.0.0.1:{server} {send}
"""


@contextmanager
def running(*command: str) -> Iterator[None]:
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def open_to_all(folder: Path) -> None:
    """Let nginx's workers in, which are of another user."""
    for one in (folder, *list(folder.parents)[:2]):
        one.chmod(0o755)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def connect_from(source: str, port: int) -> RawClient:
    """Connect as soon as somebody listens there."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await RawClient.connect(("127.0.0.1", port), source=source)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)


async def test_nginx_tells_who_the_client_is_over_a_unix_socket(service: Serve, tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path=PLACES)
    require(nginx, "needs nginx")
    assert nginx is not None
    port = free_port()
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=port))
    open_to_all(tmp_path)
    async with service(unix=str(tmp_path / "server.sock"), unix_mode=0o666) as serving:
        with running(nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"):
            for source in ("127.0.0.5", "127.0.0.6"):
                client = await connect_from(source, port)
                await client.open("/echo", "X-Forwarded-For: 192.0.2.1")
                assert source == serving.sessions()[-1].address
                client.close()
            await eventually([], serving.sessions)


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"])
async def test_haproxy_tells_who_the_client_is_before_the_first_octet(
    send: str, service: Serve, tmp_path: Path
) -> None:
    haproxy = shutil.which("haproxy", path=PLACES)
    require(haproxy, "needs haproxy")
    assert haproxy is not None
    async with service(trusted_proxies=(ip_network("127.0.0.1"),), proxy_protocol=True) as serving:
        port = free_port()
        configuration = tmp_path / "haproxy.cfg"
        configuration.write_text(HAPROXY.format(port=port, server=serving.address[1], send=send))
        with running(haproxy, "-db", "-f", str(configuration)):
            client = await connect_from("127.0.0.5", port)
            await client.open()
            assert ["127.0.0.5"] == [session.address for session in serving.sessions()]
            client.close()
            await eventually([], serving.sessions)
