"""nginx as docs/nginx.conf sets it up, in front of one `python -m server` or several."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..conftest import require
from .site import PATIENCE, Site, read_document, run_servers, substitute

# Where users other than root don't look.
_NGINX: Final = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")

# What stands around a file of /etc/nginx/conf.d, with nothing of the machine's own.
_AROUND: Final = """\
daemon off;
worker_processes 1;
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
    include {folder}/site.conf;
}}
"""


@contextmanager
def behind_nginx(folder: Path, *flags: str, servers: int = 1) -> Iterator[Site]:
    """Run both; nginx complains of nothing."""
    require(_NGINX, "needs nginx")
    document = read_document("nginx.conf")
    with run_servers(document, folder, flags, servers) as running:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            site = Site(running, listening.getsockname()[1], folder)
            (folder / "site.conf").write_text(_settle(document, site, folder))
            process = _start(folder, listening)
        try:
            yield site
        finally:
            process.terminate()
            status = process.wait(PATIENCE)
        assert 0 == status
        assert [] == _complaints(folder)


def _settle(document: str, site: Site, folder: Path) -> str:
    """Put in the places of this test: as many upstream servers as there are, in the order of the file."""
    named = re.findall(r"^ +server (127\.0\.0\.1:\d+);\n", document, re.MULTILINE)
    places = {
        "listen 443": f"listen 127.0.0.1:{site.port}",
        "/var/log/nginx/chat.log": str(site.access_log),
        "/etc/ssl/certs/localhost.pem": site.certificate,
        "/etc/ssl/private/localhost.key": f"{folder}/key.pem",
    }
    for number, name in enumerate(named):
        line = f"    server {name};\n"
        there = f"    server 127.0.0.1:{site.servers[number].port};\n" if number < len(site.servers) else ""
        places[line] = there
    return substitute(document, places)


def _complaints(folder: Path) -> list[str]:
    """Read what nginx logged; that a server was gone its clients have seen."""
    gone = ("connect() failed", "temporarily disabled", "Connection reset by peer")
    lines = (folder / "nginx.log").read_text().splitlines()
    return [line for line in lines if "[notice]" not in line and not any(word in line for word in gone)]


def _start(folder: Path, listening: socket.socket) -> "subprocess.Popen[bytes]":
    """Start it on a socket that listens already, which NGINX names: so no port is guessed."""
    assert _NGINX is not None
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder))
    with (folder / "nginx.log").open("w") as log:
        return subprocess.Popen(
            [_NGINX, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"],
            stderr=log,
            env={**os.environ, "NGINX": f"{listening.fileno()};"},
            pass_fds=[listening.fileno()],
        )
