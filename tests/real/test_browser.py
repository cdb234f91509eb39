"""The chat page and the browser's own WebSocket, in Chromium."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from ..conftest import ServerProcess
from .chromium import PATIENCE, browser, enter, say, wait_until_shown
from .proxy import network

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


def shown(chrome: Chrome, selector: str) -> list[str]:
    """What stands in the elements of this kind, those that one has to scroll to included."""
    script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent)"
    return list(chrome.execute_script(script, selector))


def wait_until_listed(chrome: Chrome, names: list[str]) -> None:
    WebDriverWait(chrome, PATIENCE, 0.05).until(lambda chrome: names == shown(chrome, "#people li"))


def wait_until_sent(chrome: Chrome) -> None:
    WebDriverWait(chrome, PATIENCE, 0.05).until(lambda chrome: not shown(chrome, "#outbox li"))


def forget_failed_attempts(chrome: Chrome) -> None:
    """Take the attempts to reconnect out of the log, which the browser reports as errors."""
    messages = [entry["message"] for entry in chrome.get_log("browser")]
    assert all("WebSocket connection to" in message for message in messages)


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
        wait_until_shown(chrome, "#outbox .pending", "waiting for the connection")
        start_server("--port", str(first.port))
        wait_until_shown(chrome, "#status", "Online")
        wait_until_shown(chrome, "#messages .mine .text", "said while offline")
        forget_failed_attempts(chrome)


# A client without chance in its delays: the first script ends when it is online, the second when it is not.
ADVISED_CLIENT = """
const [url, done] = arguments;
import("/client.js").then(({ RoomsClient }) => {
  window.client = new RoomsClient(url, { random: () => 0 });
  const heard = (status) => new Promise((resolve) => {
    client.addEventListener("status", ({ detail }) => detail.status === status && resolve(detail));
  });
  window.offline = heard("offline");
  heard("online").then(done);
  client.connect();
});
"""
UNTIL_OFFLINE = """
const [done] = arguments;
window.offline.then((detail) => { window.client.close(); done(detail); });
"""


def test_a_server_that_stops_is_obeyed_when_it_says_when_to_come_back(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = start_server()
    with browser(tmp_path) as chrome:
        chrome.set_script_timeout(PATIENCE)
        chrome.get(server.url)
        chrome.execute_async_script(ADVISED_CLIENT, f"ws://127.0.0.1:{server.port}/ws")
        server.process.send_signal(signal.SIGTERM)
        told = chrome.execute_async_script(UNTIL_OFFLINE)
    reason, _, seconds = told["reason"].rpartition("; retry=")
    assert (1001, "the server is going away") == (told["code"], reason)
    assert float(seconds) * 1000 == pytest.approx(told["retryIn"])
    assert 0 == server.wait()


def test_what_a_killed_server_did_not_acknowledge_is_heard_once_from_the_next(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    first = start_server()
    with browser(tmp_path) as chrome:
        alice = enter(chrome, first.url, "alice", "kitchen")
        bob = enter(chrome, first.url, "bob", "kitchen")
        say(chrome, "before")
        wait_until_shown(chrome, "#messages .mine .text", "before")
        first.process.send_signal(signal.SIGSTOP)
        for text in ("one", "two"):
            say(chrome, text)
            wait_until_shown(chrome, "#outbox .pending", text)
        assert ["sending", "sending"] == shown(chrome, "#outbox .pending .label")
        first.process.kill()
        first.wait()
        start_server("--port", str(first.port))
        for tab, kind in ((bob, ".mine"), (alice, ".theirs")):
            chrome.switch_to.window(tab)
            wait_until_shown(chrome, "#messages .note.gap", "missing")
            wait_until_shown(chrome, f"#messages {kind} .text", "two")
            wait_until_sent(chrome)
            assert ["before", "one", "two"] == shown(chrome, "#messages .text")
        forget_failed_attempts(chrome)


def test_what_was_said_while_the_network_was_gone_is_caught_up_on(
    server: ServerProcess, tmp_path: Path
) -> None:
    with network(server.port) as proxy, browser(tmp_path) as chrome:
        alice = enter(chrome, f"http://127.0.0.1:{proxy.port}", "alice", "kitchen")
        proxy.cut()
        wait_until_shown(chrome, "#status", "Offline")
        say(chrome, "from afar")
        bob = enter(chrome, server.url, "bob", "kitchen")
        for text in ("one", "two"):
            say(chrome, text)
            wait_until_shown(chrome, "#messages .mine .text", text)
        proxy.mend()
        wait_until_shown(chrome, "#messages .theirs .text", "from afar")
        chrome.switch_to.window(alice)
        wait_until_shown(chrome, "#messages .mine .text", "from afar")
        assert ["one", "two", "from afar"] == shown(chrome, "#messages .text")
        assert ["while you were away"] * 2 == shown(chrome, "#messages .label")
        assert "Back again, with 2 messages from meanwhile" in shown(chrome, "#messages .note")
        wait_until_sent(chrome)
        chrome.switch_to.window(bob)
        assert ["one", "two", "from afar"] == shown(chrome, "#messages .text")
        forget_failed_attempts(chrome)


@pytest.mark.parametrize("server", [("--history-messages", "2")], indirect=True)
def test_more_than_the_server_keeps_is_a_gap_that_is_marked(server: ServerProcess, tmp_path: Path) -> None:
    with network(server.port) as proxy, browser(tmp_path) as chrome:
        alice = enter(chrome, f"http://127.0.0.1:{proxy.port}", "alice", "kitchen")
        say(chrome, "before")
        wait_until_shown(chrome, "#messages .mine .text", "before")
        proxy.cut()
        wait_until_shown(chrome, "#status", "Offline")
        enter(chrome, server.url, "bob", "kitchen")
        for text in ("one", "two", "three"):
            say(chrome, text)
            wait_until_shown(chrome, "#messages .mine .text", text)
        chrome.switch_to.window(alice)
        proxy.mend()
        wait_until_shown(chrome, "#messages .text", "three")
        everything = shown(chrome, "#messages .text, #messages .note")
        assert ["before", "The connection was lost"] == everything[1:3]
        assert ["Messages from meanwhile are missing here", "two", "three"] == everything[3:]
        forget_failed_attempts(chrome)


@pytest.mark.parametrize("server", [("--presence-interval", "0.1")], indirect=True)
def test_the_page_shows_who_is_here(server: ServerProcess, tmp_path: Path) -> None:
    with browser(tmp_path) as chrome:
        alice = enter(chrome, server.url, "alice", "kitchen")
        wait_until_shown(chrome, "#count", "1 here")
        bob = enter(chrome, server.url, "bob", "kitchen")
        wait_until_listed(chrome, ["alice", "bob"])
        enter(chrome, server.url, "bob", "kitchen")
        chrome.switch_to.window(alice)
        wait_until_listed(chrome, ["alice", "bob \u00d7 2"])
        assert "2 here" == chrome.find_element(By.ID, "count").text
        chrome.switch_to.window(bob)
        chrome.find_element(By.ID, "leave").click()
        chrome.switch_to.window(alice)
        wait_until_listed(chrome, ["alice", "bob"])


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
