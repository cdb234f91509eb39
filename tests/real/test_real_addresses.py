"""The client's address through real proxies: nginx over a unix socket, both with the PROXY protocol."""

import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import pytest

from ..conftest import Serve, eventually, require
from ..rawclient import RawClient, upgrade
from ..rawserver import CERTIFICATE, write_certificate

pytestmark = pytest.mark.real

PLACES: Final = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
NGINX: Final = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
"""
HTTP: Final = """\
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
STREAM: Final = """\
stream {{
    server {{
        listen 127.0.0.1:{port};
        proxy_pass 127.0.0.1:{server};
        proxy_protocol on;
    }}
}}
"""
HAPROXY: Final = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen chat
    bind fd@{descriptor}
    server chat 127.0.0.1:{server} {send}
"""
TRUSTING: Final[dict[str, Any]] = {"trusted_proxies": (ip_network("127.0.0.1"),), "proxy_protocol": True}


def find(program: str) -> str:
    path = shutil.which(program, path=PLACES)
    require(path, f"needs {program}")
    return str(path)


@contextmanager
def running(listening: socket.socket, *command: str) -> Iterator[None]:
    """Run a proxy on a socket that listens already, which NGINX names to nginx: so no port is guessed."""
    descriptor = listening.fileno()
    process = subprocess.Popen(
        command,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "NGINX": f"{descriptor};"},
        pass_fds=[descriptor],
    )
    # Else who connects would wait for a proxy that is gone.
    listening.close()
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def running_nginx(folder: Path, configuration: str, **places: object) -> Iterator[int]:
    """Run it as configured; return its port."""
    nginx = find("nginx")
    listening = socket.create_server(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]
    file = folder / "nginx.conf"
    file.write_text((configuration).format(folder=folder, port=port, **places))
    with running(listening, nginx, "-p", str(folder), "-c", str(file), "-e", "stderr"):
        yield port


def open_to_all(folder: Path) -> None:
    """Let nginx's workers in, which are of another user."""
    for one in (folder, *list(folder.parents)[:2]):
        one.chmod(0o755)


def load_stream_module() -> str:
    """Write the line by which nginx learns to pass on octets, where that is a module of its own."""
    built = subprocess.run([find("nginx"), "-V"], capture_output=True, text=True, check=True).stderr
    modules = re.search(r"--modules-path=(\S+)", built)
    module = Path(modules[1] if modules else "") / "ngx_stream_module.so"
    require(module.exists(), "needs nginx's stream module")
    return f"load_module {module};\n"


async def test_nginx_tells_who_the_client_is_over_a_unix_socket(service: Serve, tmp_path: Path) -> None:
    open_to_all(tmp_path)
    async with service(unix=str(tmp_path / "server.sock"), unix_mode=0o666) as serving:
        with running_nginx(tmp_path, NGINX + HTTP) as port:
            for source in ("127.0.0.5", "127.0.0.6"):
                client = await RawClient.connect(("127.0.0.1", port), source=source)
                await client.open("/echo", "X-Forwarded-For: 192.0.2.1")
                assert source == serving.sessions()[-1].address
                client.close()
            await eventually([], serving.sessions)


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "over TLS"])
async def test_nginx_tells_who_the_client_is_before_the_first_octet(
    is_secure: bool, service: Serve, tmp_path: Path
) -> None:
    files: dict[str, str] = {}
    secure: dict[str, Any] = {}
    if is_secure:
        files = {"tls_certificate": write_certificate(tmp_path), "tls_key": str(tmp_path / "key.pem")}
        secure = {"ssl": ssl.create_default_context(cadata=CERTIFICATE), "server_hostname": "localhost"}
    async with service(**TRUSTING, **files) as serving:
        configuration = load_stream_module() + NGINX + STREAM
        with running_nginx(tmp_path, configuration, server=serving.address[1]) as port:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=("127.0.0.5", 0), **secure
            )
            # Whoever is no proxy can't say where it comes from.
            writer.write(upgrade("/echo", "X-Forwarded-For: 192.0.2.1"))
            assert b"HTTP/1.1 101 Switching Protocols\r\n" == await reader.readline()
            assert ["127.0.0.5"] == [session.address for session in serving.sessions()]
            writer.transport.abort()
            await eventually([], serving.sessions)


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"])
async def test_haproxy_tells_who_the_client_is_before_the_first_octet(
    send: str, service: Serve, tmp_path: Path
) -> None:
    haproxy = find("haproxy")
    async with service(**TRUSTING) as serving:
        listening = socket.create_server(("127.0.0.1", 0))
        address = listening.getsockname()
        file = tmp_path / "haproxy.cfg"
        server = serving.address[1]
        file.write_text(HAPROXY.format(descriptor=listening.fileno(), server=server, send=send))
        with running(listening, haproxy, "-db", "-f", str(file)):
            client = await RawClient.connect(address, source="127.0.0.5")
            await client.open()
            assert ["127.0.0.5"] == [session.address for session in serving.sessions()]
            client.close()
            await eventually([], serving.sessions)
