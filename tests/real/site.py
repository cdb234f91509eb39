"""Servers behind a proxy that ends TLS: what docs/nginx.conf and docs/haproxy.cfg have in common."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

from ..conftest import ServerProcess
from ..rawserver import write_certificate

DOCUMENTS: Final = Path(__file__).parents[2] / "docs"
# Seconds that a proxy may take to end.
PATIENCE: Final = 20


@final
class Site:
    """Servers and the proxy before them."""

    def __init__(self, servers: list[ServerProcess], port: int, folder: Path) -> None:
        self.servers = servers
        self.server = servers[0]
        self.port = port
        self.certificate = write_certificate(folder)
        self.access_log = folder / "access.log"
        self.ssl = ssl.create_default_context(cafile=self.certificate)

    def uri(self, path: str) -> str:
        return f"wss://localhost:{self.port}{path}"


def read_document(name: str) -> str:
    """Read a configuration, with the name that the tests' certificate is for."""
    return substitute((DOCUMENTS / name).read_text(), {"chat.example.com": "localhost"})


def substitute(text: str, values: dict[str, str]) -> str:
    """Put in what is the user's own to put in; each is there."""
    for placeholder, value in values.items():
        assert placeholder in text
        text = text.replace(placeholder, value)
    return text


@contextmanager
def run_servers(
    document: str, folder: Path, flags: tuple[str, ...], count: int
) -> Iterator[list[ServerProcess]]:
    """Run so many servers as the document's comment tells, and with these flags."""
    command = re.search(r"^#   python -m server (.*)$", document, re.MULTILINE)
    assert command is not None
    running: list[ServerProcess] = []
    try:
        for number in range(count):
            running.append(ServerProcess([*command[1].split(), *flags], folder / f"server-{number}.log"))
        yield running
        for server in running:
            server.stop()
    finally:
        for server in running:
            server.kill()
