"""Printable: nothing that a peer sends reaches a terminal as more than text."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from server.printable import PrintableFormatter, printable
from tests.conftest import ServerProcess
from tests.jwt_keys import write
from tests.rawclient import close, frame, upgrade


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00e5\u6f22\U0001f600", "plain \u00e5\u6f22\U0001f600"),
        ("a\tb\u00a0\u3000\u200d", "a\tb\u00a0\u3000\u200d"),
        ("\0\x1b[2J\x7f\x85\x9b", "\\x00\\x1b[2J\\x7f\\x85\\x9b"),
        ("a\nb\r\u2028\u2029", "a\\nb\\r\\u2028\\u2029"),
        ("\u202e\u2066\ufeff\ue000\U000e0001", "\\u202e\\u2066\\ufeff\\ue000\\U000e0001"),
        ("\\n", "\\n"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert shown == printable(text)


def record_of(message: str, error: Exception | None = None) -> str:
    info = None if error is None else (type(error), error, None)
    record = logging.LogRecord("server", logging.INFO, "server.py", 1, "from %s", (message,), info)
    return PrintableFormatter("%(levelname)s %(message)s").format(record)


def test_record_is_one_line_of_harmless_text() -> None:
    assert "INFO from a\\nERROR b\\x1b[2J\\u202e" == record_of("a\nERROR b\x1b[2J\u202e")


def test_line_of_a_traceback_can_not_pass_for_a_record() -> None:
    expected = "INFO from a\n ValueError: b\n ERROR \\x1b[2J"
    assert expected == record_of("a", ValueError("b\nERROR \x1b[2J"))


# Everything in a request and in a Close that a peer chooses.
EVIL = "\x1b]0;owned\x07\x9b2J\u202e"
TOKEN = "hush-0123456789"
SECRETS = [
    upgrade(f"/none?access_token={TOKEN}"),
    upgrade(f"/ws?access_token={TOKEN}{EVIL}"),
    upgrade("/ws", f"Authorization: Bearer {TOKEN}", f"Authorization: Bearer {TOKEN}"),
    upgrade("/ws", f"Authorization : Bearer {TOKEN}"),
    upgrade("/ws", f"Authorization: Bearer {TOKEN}{EVIL}"),
    upgrade("/ws", f"Sec-WebSocket-Protocol: rooms, bearer.{TOKEN}=/"),
    upgrade("/ws", f"Sec-WebSocket-Protocol: rooms, bearer.{TOKEN}"),
    upgrade("/ws", f"Authorization: Basic {TOKEN}"),
    upgrade("/ws", f"Authorization: Bearer {TOKEN} {TOKEN}"),
    upgrade("/ws", f"Authorization: Bearer {TOKEN}.{TOKEN}.{TOKEN}"),
    upgrade("/ws", f"Cookie: session={TOKEN}"),
    upgrade(f"/ws?access_token={TOKEN}&access_token=%1b%5b2J"),
    upgrade("/ws", f"Sec-WebSocket-Key: {TOKEN}"),
    upgrade("/ws", f"Sec-WebSocket-Version: {TOKEN}"),
    upgrade("/ws", f"Sec-WebSocket-Extensions: {TOKEN} {TOKEN}"),
    upgrade("/ws", f"Upgrade: websocket, {TOKEN}", "Connection: close"),
    upgrade("/ws", f"Host: {TOKEN} {EVIL}"),
    upgrade("/ws", f"Origin: https://{TOKEN}.example/{EVIL}"),
    upgrade("/ws", f"Expect: {TOKEN}"),
    f"{TOKEN}{EVIL} /ws HTTP/1.1\r\n\r\n".encode(),
    f"GET /{EVIL}?token={TOKEN} HTTP/1.1\r\n\r\n".encode(),
    f"GET /?token={TOKEN} {TOKEN}\r\n\r\n".encode(),
    f"{EVIL}{TOKEN}\r\n\r\n".encode(),
    upgrade("/ws") + frame(8, b"\x03\xe8" + f"{TOKEN}{EVIL}".encode() + b"\xff"),
    upgrade("/ws") + frame(8, b"\x03\xee" + f"{TOKEN}{EVIL}".encode()),
    upgrade("/ws") + close(4000, TOKEN + EVIL),
    upgrade("/ws") + frame(1, f"{TOKEN}{EVIL}".encode() + b"\xff"),
    upgrade("/ws") + frame(1, f'{{"action":"{TOKEN}{EVIL}"}}'.encode()) + frame(3, TOKEN.encode()),
]


@pytest.mark.parametrize("is_asked", [False, True], ids=["open to all", "with tokens"])
async def test_log_has_neither_secrets_nor_what_a_terminal_obeys(
    is_asked: bool, start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    tokens = write(tmp_path, "tokens", "alice another-token-0001")
    flags = ["--auth-tokens", tokens, "--auth-cookie", "session"] if is_asked else []
    server = start_server("--log-level", "debug", *flags)
    for octets in SECRETS:
        client = await server.connect()
        await client.send(octets)
        client.end_sending()
        await client.rest()
    server.stop()
    log = server.errors()
    assert log.count("\n") >= len(SECRETS) - 2
    assert TOKEN not in log
    assert [] == [character for character in log if not (character.isprintable() or character == "\n")]
