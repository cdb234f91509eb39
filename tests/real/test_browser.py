"""The chat page and the browser's own WebSocket, in Chromium."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from ..conftest import ServerProcess
from .chromium import PATIENCE, browser, enter, say, wait_until_shown

pytestmark = pytest.mark.real


def test_two_tabs_chat(server: ServerProcess, tmp_path: Path) -> None:
    with browser(tmp_path) as chrome:
        alice = enter(chrome, server.url, "alice", "kitchen")
        bob = enter(chrome, server.url, "bob", "kitchen")
        say(chrome, "Hello, Alice")
        wait_until_shown(chrome, "#messages .mine", "Hello, Alice")
        chrome.switch_to.window(alice)
        wait_until_shown(chrome, "#messages .theirs .author", "bob")
        wait_until_shown(chrome, "#messages .theirs .text", "Hello, Alice")
        say(chrome, "Hello, Bob")
        chrome.switch_to.window(bob)
        wait_until_shown(chrome, "#messages .theirs .text", "Hello, Bob")
        assert "Online" == chrome.find_element(By.ID, "status").text


def test_what_users_write_is_never_markup(server: ServerProcess, tmp_path: Path) -> None:
    markup = "<img src=x onerror=alert(1)><b>bold</b>"
    with browser(tmp_path) as chrome:
        enter(chrome, server.url, markup[:27], "kitchen")
        say(chrome, markup)
        wait_until_shown(chrome, "#messages .text", markup)
        assert [] == chrome.find_elements(By.CSS_SELECTOR, "#messages img, #messages b")


def test_the_page_comes_back_after_the_server_was_gone(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    first = start_server()
    with browser(tmp_path) as chrome:
        enter(chrome, first.url, "alice", "kitchen")
        first.process.send_signal(signal.SIGTERM)
        assert 0 == first.wait()
        wait_until_shown(chrome, "#status", "Offline")
        say(chrome, "said while offline")
        start_server("--port", str(first.port))
        wait_until_shown(chrome, "#status", "Online")
        wait_until_shown(chrome, "#messages .mine .text", "said while offline")
        # The attempts to reconnect, which the browser reports as errors.
        refused = [entry["message"] for entry in chrome.get_log("browser")]
        assert all("WebSocket connection to" in message for message in refused)


# What a page has that uses the browser's WebSocket alone, without `/client.js`.
PLAIN_CLIENT = """
const [url, done] = arguments;
const heard = [];
const socket = new WebSocket(url);
socket.onopen = () => socket.send(JSON.stringify({ action: "join", room: "general" }));
socket.onmessage = (event) => {
  const data = JSON.parse(event.data);
  heard.push(data);
  switch (data.type) {
    case "joined":
      socket.send(JSON.stringify({ action: "message", room: "general", user: "alice", message: "hi" }));
      break;
    case "message":
      socket.send(JSON.stringify({ action: "broadcast", message: "all", echo: true }));
      break;
    case "broadcast":
      socket.close(1000);
  }
};
socket.onclose = (event) => done({ heard, code: event.code, clean: event.wasClean });
"""


def test_a_page_needs_no_library(server: ServerProcess, tmp_path: Path) -> None:
    with browser(tmp_path) as chrome:
        chrome.set_script_timeout(PATIENCE)
        chrome.get(f"http://localhost:{server.port}/")
        told = chrome.execute_async_script(PLAIN_CLIENT, f"ws://localhost:{server.port}")
    welcome, joined, message, broadcast = told["heard"]
    assert ("welcome", True) == (welcome["type"], bool(welcome["id"]))
    assert ("joined", "joined", "general") == (joined["type"], joined["status"], joined["room"])
    assert {"type": "message", "room": "general", "user": "alice", "message": "hi"}.items() <= message.items()
    assert {"type": "broadcast", "message": "all"}.items() <= broadcast.items()
    assert (1000, True) == (told["code"], told["clean"])


def test_a_page_of_another_origin_is_refused(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    ours, foreign = start_server(), start_server()
    script = """
        const [url, done] = arguments;
        const socket = new WebSocket(url);
        socket.onopen = () => done("open");
        socket.onclose = (event) => done(event.code);
    """
    with browser(tmp_path) as chrome:
        chrome.set_script_timeout(PATIENCE)
        # An error page of the other server has no Content-Security-Policy in the way.
        chrome.get(f"{foreign.url}/nothing")
        assert 1006 == chrome.execute_async_script(script, f"ws://127.0.0.1:{ours.port}/ws")
        assert "open" == chrome.execute_async_script(script, f"ws://127.0.0.1:{foreign.port}/ws")
        WebDriverWait(chrome, PATIENCE).until(lambda chrome: chrome.get_log("browser"))
