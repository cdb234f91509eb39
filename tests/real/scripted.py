"""Clients that run JavaScript, behind the interface of peers.py: `ws` in Node, and a page's own."""

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, final
from urllib.parse import urlsplit

from selenium.webdriver import Chrome

from ..conftest import require
from .chromium import PATIENCE, browser
from .peers import Ending, Message, Offer, Peer

NODE: Final = shutil.which("node")
SCRIPT: Final = Path(__file__).with_name("peer.js")
# What repeats itself after so many characters travels as these and a length, to and from the script.
PERIOD: Final = 1000


class ScriptError(Exception):
    """What the script was asked for failed."""


# Calls a function of the script by name, and waits until it is done.
Call = Callable[[str, Sequence[Any]], Any]

LOAD: Final = """
const script = document.createElement("script");
script.textContent = arguments[0];
document.head.append(script);
"""
CALL: Final = "const [name, given, done] = arguments; call(name, given).then(done);"


def has_ws() -> bool:
    """Tell whether Node is here, and finds the package."""
    return (
        NODE is not None
        and 0 == subprocess.run([NODE, "-e", "require('ws')"], stderr=subprocess.DEVNULL).returncode
    )


@contextmanager
def node() -> Iterator[Call]:
    """Run the script in Node."""
    require(has_ws(), "needs Node with the package ws in NODE_PATH")
    assert NODE is not None
    with subprocess.Popen(
        [NODE, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        to_node, from_node = process.stdin, process.stdout

        def call(name: str, given: Sequence[Any]) -> Any:
            print(json.dumps([name, given]), file=to_node, flush=True)
            return json.loads(from_node.readline())

        try:
            yield call
        finally:
            process.kill()


@contextmanager
def page(profile: Path) -> Iterator[Call]:
    """Run the script in a page of each server that it is to connect to."""
    with browser(profile) as chrome:
        chrome.set_script_timeout(2 * PATIENCE)
        yield lambda name, given: _call_page(chrome, name, given)
        # What isn't there, and handshakes that had to fail.
        chrome.get_log("browser")


def _call_page(chrome: Chrome, name: str, given: Sequence[Any]) -> Any:
    if name == "open":
        # A page that isn't there has no Content-Security-Policy in the way, and leaves no connection behind.
        _load(chrome, f"http://{urlsplit(given[0]).netloc}/nothing")
    if name == "abort":
        # So a page goes.
        _load(chrome, "about:blank")
        return {"result": None}
    return chrome.execute_async_script(CALL, name, given)


def _load(chrome: Chrome, url: str) -> None:
    chrome.get(url)
    chrome.execute_script(LOAD, SCRIPT.read_text())


def _to_json(message: Message) -> Any:
    repeats = len(message) > PERIOD and message[PERIOD:] == message[:-PERIOD]
    told = message[:PERIOD] if repeats else message
    length = {"length": len(message)} if repeats else {}
    if isinstance(told, bytes):
        return {"base64": base64.b64encode(told).decode(), **length}
    return {"text": told, **length} if repeats else told


def _from_json(told: Any) -> Message:
    if isinstance(told, str):
        return told
    message: Message = told["text"] if "text" in told else base64.b64decode(told["base64"])
    length: int = told.get("length", len(message))
    return (message * (length // PERIOD + 1))[:length]


@final
class ScriptedPeer:
    """The script's connection. A call is a thread's, for both ways to make one block."""

    def __init__(self, call: Call) -> None:
        self._blocking_call = call
        self.extensions = ""
        self.subprotocol: str | None = None

    async def open(self, url: str, subprotocols: Sequence[str], options: object) -> None:
        opened = await self._call("open", url, subprotocols, options)
        self.extensions, self.subprotocol = opened[0], opened[1] or None

    async def _call(self, name: str, *given: Any) -> Any:
        outcome = await asyncio.to_thread(self._blocking_call, name, given)
        if "error" in outcome:
            raise ScriptError(outcome["error"])
        return outcome["result"]

    async def send(self, *fragments: Message) -> None:
        await self._call("send", *map(_to_json, fragments))

    async def receive(self) -> Message:
        return _from_json(await self._call("receive"))

    async def ping(self, payload: bytes) -> bytes:
        pong = _from_json(await self._call("ping", _to_json(payload)))
        assert isinstance(pong, bytes)
        return pong

    async def close(self, code: int | None = None, reason: str = "") -> None:
        await self._call("close", *([] if code is None else [code, reason]))

    async def closed(self) -> Ending:
        return Ending(*await self._call("closed"))

    async def abort(self) -> None:
        await self._call("abort")


@asynccontextmanager
async def open_scripted(
    call: Call, url: str, *, offer: Offer | None = None, subprotocols: Sequence[str] = ()
) -> AsyncIterator[Peer]:
    deflate = offer is not None and {
        # What is false would refuse the answer that says more than was offered.
        "serverNoContextTakeover": offer.server_no_context_takeover or None,
        "clientNoContextTakeover": offer.client_no_context_takeover or None,
        "serverMaxWindowBits": offer.server_max_window_bits,
        "clientMaxWindowBits": offer.client_max_window_bits or False,
        "threshold": 0,
    }
    peer = ScriptedPeer(call)
    await peer.open(url, subprotocols, {"perMessageDeflate": deflate, "maxPayload": 1 << 30})
    try:
        yield peer
    finally:
        await peer.close()
