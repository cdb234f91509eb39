"""HAProxy as docs/haproxy.cfg sets it up, in front of several `python -m server`."""

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
_HAPROXY: Final = shutil.which("haproxy", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


@contextmanager
def behind_haproxy(folder: Path, *flags: str, servers: int = 3) -> Iterator[Site]:
    """Run both; HAProxy warns of nothing."""
    require(_HAPROXY, "needs haproxy")
    assert _HAPROXY is not None
    document = read_document("haproxy.cfg")
    # Nobody is here who would have to notice.
    with run_servers(document, folder, ("--drain-delay", "0", *flags), servers) as running:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            site = Site(running, listening.getsockname()[1], folder)
            configuration = folder / "haproxy.cfg"
            configuration.write_text(_settle(document, site, folder, listening.fileno()))
            with site.access_log.open("w") as output, (folder / "haproxy.log").open("w") as log:
                process = subprocess.Popen(
                    [_HAPROXY, "-db", "-dW", "-f", configuration],
                    stdout=output,
                    stderr=log,
                    pass_fds=[listening.fileno()],
                )
        try:
            yield site
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _settle(document: str, site: Site, folder: Path, descriptor: int) -> str:
    """Put in the places of this test, and a socket that listens already: so no port is guessed."""
    both = folder / "both.pem"
    both.write_text(Path(site.certificate).read_text() + (folder / "key.pem").read_text())
    named = re.findall(r"^ +server \w+ (127\.0\.0\.1:\d+)$", document, re.MULTILINE)
    places = {
        "bind :443": f"bind fd@{descriptor}",
        "/etc/ssl/private/localhost.pem": str(both),
        # As many as need descriptors that anybody may have.
        "maxconn 100000": "maxconn 100",
    }
    ports = {name: f"127.0.0.1:{server.port}" for name, server in zip(named, site.servers, strict=True)}
    return substitute(document, places | ports)
