"""Clients of three makes in one room: `websockets` from PyPI, `ws` from npm, and the page in Chromium."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from selenium.webdriver.common.by import By
from websockets.asyncio.client import connect

from ..conftest import ServerProcess
from .chromium import browser, enter, say, wait_until_shown
from .node import node_with_ws

pytestmark = pytest.mark.real

NODE_CLIENT: Final = """
const WebSocket = require("ws");
const socket = new WebSocket(process.argv[1], { perMessageDeflate: true });
socket.on("message", (data, isBinary) => {
  const message = JSON.parse(data);
  console.log(data.toString());
  if (message.type === "welcome") socket.send(JSON.stringify({ action: "join", room: "kitchen" }));
  if (message.type === "joined")
    socket.send(JSON.stringify({ action: "message", room: "kitchen", user: "node", message: "from ws" }));
  if (message.user === "page") socket.close(1000);
});
socket.on("close", (code) => process.exit(code === 1000 ? 0 : 1));
"""


async def python_client(url: str, until: str) -> list[Any]:
    """Join, speak, and listen until that user was heard."""
    heard = []
    async with connect(url) as socket:
        await socket.recv()
        await socket.send(json.dumps({"action": "join", "room": "kitchen"}))
        await socket.recv()
        await socket.send(
            json.dumps(
                {"action": "message", "room": "kitchen", "user": "python", "message": "from websockets"}
            )
        )
        async for message in socket:
            heard.append(json.loads(message))
            if heard[-1]["user"] == until:
                return heard
    raise AssertionError(f"{until} was never heard: {heard}")


def test_clients_of_three_makes_hear_each_other(server: ServerProcess, tmp_path: Path) -> None:
    url = f"ws://127.0.0.1:{server.port}/ws"
    command = [node_with_ws(), "-e", NODE_CLIENT, url]
    with browser(tmp_path) as chrome:
        enter(chrome, server.url, "page", "kitchen")
        node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        wait_until_shown(chrome, "#messages .theirs .text", "from ws")

        async def speak_and_listen() -> list[Any]:
            listening = asyncio.create_task(python_client(url, "page"))
            await asyncio.to_thread(wait_until_shown, chrome, "#messages .theirs .text", "from websockets")
            await asyncio.to_thread(say, chrome, "from the page")
            return await listening

        heard_by_python = asyncio.run(speak_and_listen())
        output, _ = node.communicate(timeout=20)
        authors = [element.text for element in chrome.find_elements(By.CSS_SELECTOR, "#messages .author")]
    assert 0 == node.returncode
    heard_by_node = [json.loads(line) for line in output.splitlines()][2:]
    assert ["node", "python", "page"] == authors
    assert ["node", "python", "page"] == [message["user"] for message in heard_by_node]
    assert ["python", "page"] == [message["user"] for message in heard_by_python]
    assert [1, 2, 3] == [message["offset"] for message in heard_by_node]
    assert heard_by_node[1:] == heard_by_python
