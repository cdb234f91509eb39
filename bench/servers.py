"""Who is measured: the table of servers."""

import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

CHECKOUT: Final = Path(__file__).resolve().parent.parent


@final
@dataclass(frozen=True, slots=True)
class Door:
    """How the generator enters and what it says; `%P` is the payload's place, `%R` the room number's."""

    path: str
    # Messages that the server sends unasked at first.
    greetings: int = 0
    # What every connection says first, then what a member says; each is answered by one message.
    hello: str = ""
    join: str = ""
    leave: str = ""
    template: str = "%P"


@final
@dataclass(frozen=True, slots=True)
class Server:
    """In the command `{port}` is replaced, `{deflate}` by `on` or `off`, `{certificate}` by a file's path."""

    name: str
    command: tuple[str, ...]
    echo: Door | None = Door("/echo")
    room: Door | None = Door("/room", join="join", leave="leave")
    # What must be installed: a Python package, or `npm:` one of Node's.
    needs: str = ""
    can_deflate: bool = False
    # What the command has beside where it shall speak TLS; empty if it can't.
    tls: tuple[str, ...] = ()
    is_raw: bool = False
    folder: Path = CHECKOUT

    @property
    def version(self) -> str | None:
        """What is installed of what it needs; None if nothing is."""
        kind, _, package = self.needs.rpartition(":")
        if kind == "npm":
            return _node_version(package)
        try:
            return importlib.metadata.version(package) if package else ""
        except importlib.metadata.PackageNotFoundError:
            return None


def _node_version(package: str) -> str | None:
    node = shutil.which("node")
    if node is None:
        return None
    script = f"console.log(JSON.stringify(require('{package}/package.json').version))"
    asked = subprocess.run([node, "-e", script], capture_output=True, text=True)
    return json.loads(asked.stdout) if asked.returncode == 0 else None


_OUR_ROOM: Final = Door(
    path="/ws",
    greetings=1,
    join='{"action":"join","room":"bench%R"}',
    leave='{"action":"leave","room":"bench%R"}',
    template='{"action":"message","room":"bench%R","message":"%P"}',
)
_UNLIMITED: Final = (
    *("--max-rooms-per-connection", "1000000", "--max-message-size", "32MiB", "--compression", "{deflate}"),
)


def rates_off(folder: Path = CHECKOUT) -> tuple[str, ...]:
    """Flags that switch off every rate which the settings of that checkout have."""
    settings = (folder / "server" / "settings.py").read_text()
    rates = re.findall(r"^    (\w*_rate\w*): ", settings, re.MULTILINE)
    return tuple(part for rate in rates for part in ("--" + rate.replace("_", "-"), "0"))


def ours(name: str = "ours", folder: Path = CHECKOUT, loop: str = "auto") -> Server:
    flags = ("--port", "{port}", "--loop", loop, *rates_off(folder), *_UNLIMITED)
    command = (sys.executable, "-m", "server", *flags)
    # An older checkout may have none.
    tls = ("--tls-certificate", "{certificate}") if (folder / "server" / "tls.py").exists() else ()
    return Server(name, command, room=_OUR_ROOM, can_deflate=True, tls=tls, folder=folder)


def our_stream() -> Server:
    """Ours once more: its echo is an application's coroutine with `async for`."""
    command = (sys.executable, "-m", "bench.peers.stream", "{port}", *rates_off(), *_UNLIMITED)
    return Server("ours-async-for", command, room=None, can_deflate=True)


def peer(name: str, command: tuple[str, ...]) -> Server:
    """A server that speaks as those in `bench/peers` do."""
    return Server(name, command)


def _python(package: str, suffix: str = "", can_deflate: bool = False) -> Server:
    command = (sys.executable, "-m", f"bench.peers.{package}", "{port}", "{deflate}", suffix.strip("-"))
    return Server(package + suffix, command, needs=package, can_deflate=can_deflate, tls=("{certificate}",))


def _node(file: str) -> tuple[str, ...]:
    return ("node", str(CHECKOUT / "bench" / "peers" / file), "{port}", "{deflate}")


_SOCKETIO: Final = Door(
    "/socket.io/?EIO=4&transport=websocket", greetings=1, hello="40", template='42["m","%P"]'
)
_SOCKETIO_ROOM: Final = Door(
    _SOCKETIO.path,
    greetings=1,
    hello="40",
    join='42["join"]',
    leave='42["leave"]',
    template='42["publish","%P"]',
)

PEERS: Final = (
    _python("picows"),
    _python("picows", "-asyncio"),
    _python("websockets", can_deflate=True),
    _python("websockets", "-asyncio", can_deflate=True),
    _python("aiohttp", can_deflate=True),
    _python("uvicorn"),
    Server("ws", _node("ws.js"), needs="npm:ws", can_deflate=True),
    Server("socket.io", _node("socketio.js"), _SOCKETIO, _SOCKETIO_ROOM, needs="npm:socket.io"),
)


def raw(name: str, command: tuple[str, ...], members: bool) -> Server:
    """Plain TCP: what is left when the protocol costs nothing."""
    return Server(name, command, Door(""), Door("", join="join") if members else None, is_raw=True)
