"""Signing in as users do, from a browser's page and from the command line, against `python -m server`."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..conftest import ServerProcess
from ..jwt_keys import ED25519, RSA, SECRET, jwk, key_set, public_pem, sign, write
from .chromium import browser, enter, say, wait_until_shown

pytestmark = pytest.mark.real

TOKEN = "alices-token-0001"
Start = Callable[..., ServerProcess]


def options(folder: Path) -> dict[str, tuple[list[str], str]]:
    """Each way to judge a token, and one that passes."""
    tokens = write(folder, "tokens", f"alice {TOKEN}\n")
    secret = write(folder, "secret", SECRET)
    pem = write(folder, "key.pem", public_pem(RSA))
    keys = write(folder, "keys.json", key_set(jwk(RSA, "rsa"), jwk(ED25519, "ed")))
    return {
        "file of tokens": (["--auth-tokens", tokens], TOKEN),
        "HS256": (["--jwt-secret", secret], sign()),
        "RS256": (["--jwt-keys", pem], sign(RSA, "RS256")),
        "EdDSA": (["--jwt-keys", keys], sign(ED25519, "EdDSA", "ed")),
    }


def run(*command: str) -> tuple[int, str, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, input="")
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("kind", ["file of tokens", "HS256", "RS256", "EdDSA"])
def test_command_line_client_signs_in_by_a_header(kind: str, start_server: Start, tmp_path: Path) -> None:
    flags, token = options(tmp_path)[kind]
    server = start_server(*flags)
    uri = f"ws://127.0.0.1:{server.port}/ws"
    connect = sys.executable, "-m", "server", "connect", uri
    status, printed, _ = run(*connect, "--header", f"Authorization: Bearer {token}")
    assert (0, True) == (status, '"user":"alice"' in printed)
    status, printed, complaint = run(*connect)
    assert (4, "", True) == (status, printed, "401" in complaint)
    assert token not in server.errors()


# What a page does, by the client that the server gives it.
IN_A_PAGE = """
const [token, done] = arguments;
import("/client.js").then(async ({ RoomsClient }) => {
  const told = [];
  const client = new RoomsClient(location.origin.replace("http", "ws") + "/ws", { token: async () => token });
  client.addEventListener("welcome", ({ detail }) => told.push(detail.user));
  client.connect();
  await client.join("hall");
  const { offset } = await client.message("hall", "Hello");
  told.push(offset);
  client.close();
  done(told);
});
"""

WITHOUT_A_TOKEN = """
const done = arguments[0];
const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws");
socket.onclose = ({ code }) => done(code);
"""

PROTOCOL = """
const [path, offer, done] = arguments;
const socket = new WebSocket(location.origin.replace("http", "ws") + path, offer);
socket.onopen = () => done(socket.protocol);
socket.onclose = ({ code }) => done(code);
"""


def test_page_signs_in_by_the_option_token(start_server: Start, tmp_path: Path) -> None:
    server = start_server("--jwt-secret", write(tmp_path, "secret", SECRET))
    with browser(tmp_path / "profile") as chrome:
        chrome.get(server.url)

        def ask(script: str, *arguments: Any) -> Any:
            return chrome.execute_async_script(script, *arguments)

        assert ["alice", 1] == ask(IN_A_PAGE, sign())
        bearer = f"bearer.{sign()}"
        assert "rooms" == ask(PROTOCOL, "/ws", ["rooms", bearer])
        assert "bearer" == ask(PROTOCOL, "/echo", ["bearer", bearer])
        assert 1006 == ask(WITHOUT_A_TOKEN)
        # An offer of nothing but a token gets no answer, and the browser gives up.
        assert 1006 == ask(PROTOCOL, "/ws", [bearer])
        messages = [entry["message"] for entry in chrome.get_log("browser")]
        assert all("WebSocket connection to" in message for message in messages)


def test_chat_page_signs_in_by_a_token_that_one_types(start_server: Start, tmp_path: Path) -> None:
    server = start_server("--auth-tokens", write(tmp_path, "tokens", f"alice {TOKEN}\n"))
    with browser(tmp_path / "profile") as chrome:
        enter(chrome, server.url, "bob", "hall", TOKEN)
        say(chrome, "Hello")
        wait_until_shown(chrome, "#messages .mine .author", "alice")
        wait_until_shown(chrome, "#people li", "alice")


def test_page_comes_back_with_a_newer_token_when_the_old_one_expired(
    start_server: Start, tmp_path: Path
) -> None:
    server = start_server("--jwt-secret", write(tmp_path, "secret", SECRET), "--jwt-leeway", "0")
    script = """
const [tokens, done] = arguments;
import("/client.js").then(({ RoomsClient }) => {
  const told = [];
  const url = location.origin.replace("http", "ws") + "/ws";
  const client = new RoomsClient(url, { token: () => tokens.shift() });
  client.addEventListener("status", ({ detail }) => told.push(detail.code ?? detail.status));
  client.addEventListener("welcome", () => told.push("welcome"));
  client.addEventListener("joined", ({ detail }) => told.push(detail.room));
  client.addEventListener("joined", () => tokens.length || done(told));
  client.connect();
  client.join("hall");
});
"""
    with browser(tmp_path / "profile") as chrome:
        chrome.get(server.url)
        tokens = [sign(exp=int(time.time()) + 3), sign()]
        told = chrome.execute_async_script(script, tokens)
    begin = ["connecting", "online", "welcome", "hall"]
    assert [*begin, 3000, *begin] == told
