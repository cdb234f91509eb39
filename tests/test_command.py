"""`python -m server connect`: lines in, messages out, and an exit status that scripts can use."""

import asyncio
import base64
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

import pytest

from rfc6455 import Opcode, encode_frame
from server.command.arguments import EPILOG
from server.command.lines import InputError, Lines
from server.command.running import Exit
from tests.conftest import ServerProcess, clean_environment, eventually, take_census
from tests.rawclient import Frame
from tests.rawserver import (
    Peer,
    Peers,
    answer,
    close_frame,
    closed,
    said,
    serve_peers,
    server_context,
    text,
    write_certificate,
)

# Warnings, of a socket left open for instance, are to be seen.
COMMAND: Final = (sys.executable, "-W", "error", "-m", "server", "connect")
_PATIENCE: Final = 20


def run(
    *arguments: str, given: str | bytes = b"", stdin: int | None = None, **variables: str
) -> tuple[int, str, str]:
    """Run it to its end; return status, output and errors."""
    outcome = subprocess.run(
        [*COMMAND, *arguments],
        input=None if stdin is not None else given.encode() if isinstance(given, str) else given,
        stdin=stdin,
        capture_output=True,
        timeout=_PATIENCE,
        env=clean_environment() | variables,
        check=False,
    )
    return outcome.returncode, outcome.stdout.decode(), outcome.stderr.decode()


def events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@final
class Running:
    """The command while it runs beside the test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, *arguments: str, stdin: int = asyncio.subprocess.PIPE) -> "Running":
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=clean_environment(),
            # A test run in the background ignores Ctrl-C, which would be inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        return cls(process)

    async def give(self, lines: str | bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(lines.encode() if isinstance(lines, str) else lines)
        await self.process.stdin.drain()

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    async def end(self, *, close_input: bool = True) -> tuple[int, str, str]:
        """Wait for the end; return status, and what was not yet read of output and errors."""
        process = self.process
        assert process.stdout is not None and process.stderr is not None
        if process.stdin is not None and close_input:
            process.stdin.close()
        async with asyncio.timeout(_PATIENCE):
            output, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())
            status = await process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return status, output.decode(), errors.decode()


async def start(peers: Peers, *arguments: str) -> tuple[Running, Peer]:
    """Start it, and open its connection."""
    running = await Running.start(*arguments, peers.uri)
    peer = await peers.accept()
    await peer.upgrade()
    return running, peer


# In a pipe, with a real server.


def test_echo_is_printed_before_it_exits(server: ServerProcess) -> None:
    assert (0, "hello\n", "") == run(f"ws://localhost:{server.port}/echo", given="hello\n")


def test_readmes_pipe_works_in_a_shell(server: ServerProcess) -> None:
    line = f"echo hello | {sys.executable} -m server connect ws://localhost:{server.port}/echo"
    assert line.replace(sys.executable, "python").replace(str(server.port), "8765") in EPILOG
    outcome = subprocess.run(line, shell=True, capture_output=True, timeout=_PATIENCE, check=True)
    assert (b"hello\n", b"") == (outcome.stdout, outcome.stderr)


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("", []),
        ("\n", [""]),
        ("a\n\nb\n", ["a", "", "b"]),
        ("no line end", ["no line end"]),
        ("carriage return\r\n", ["carriage return\\r"]),
        (
            "\u00e5 \u6f22\u3000\u5b57 \U0001f468\u200d\U0001f469\n",
            ["\u00e5 \u6f22\u3000\u5b57 \U0001f468\u200d\U0001f469"],
        ),
        ("x" * 200_000 + "\n", ["x" * 200_000]),
    ],
)
def test_each_line_is_a_message(server: ServerProcess, given: str, printed: list[str]) -> None:
    status, output, errors = run(f"ws://localhost:{server.port}/echo", given=given, PYTHONUTF8="1")
    assert (0, printed, "") == (status, output.split("\n")[:-1], errors)


@pytest.mark.parametrize("server", [("--message-rate", "0", "--frame-rate", "0")], indirect=True)
def test_many_lines_of_a_file_come_back_in_order(server: ServerProcess, tmp_path: Path) -> None:
    lines = "".join(f"{number} {'x' * (number % 300)}\n" for number in range(20_000))
    file = tmp_path / "lines"
    file.write_text(lines)
    with file.open() as given:
        assert (0, lines, "") == run(f"ws://localhost:{server.port}/echo", stdin=given.fileno())


def test_input_that_is_empty_from_the_start_closes(server: ServerProcess) -> None:
    with open(os.devnull) as nothing:
        assert (0, "", "") == run(f"ws://localhost:{server.port}/echo", stdin=nothing.fileno())
    line = f"{sys.executable} -m server connect ws://localhost:{server.port}/echo <&-"
    assert 0 == subprocess.run(line, shell=True, timeout=_PATIENCE, check=True).returncode


def test_reader_that_goes_away_is_no_error(server: ServerProcess) -> None:
    line = (
        f"seq 100 | {sys.executable} -W error -m server connect ws://localhost:{server.port}/echo | head -n 1"
    )
    outcome = subprocess.run(line, shell=True, capture_output=True, timeout=_PATIENCE, check=True)
    assert (b"1\n", b"") == (outcome.stdout, outcome.stderr)


def test_binary_sends_lines_octet_for_octet(server: ServerProcess) -> None:
    uri = f"ws://localhost:{server.port}/echo"
    assert (0, "\\xff\\x00 \u00e5\n", "") == run(
        "--binary", uri, given=b"\xff\x00 \xc3\xa5\n", PYTHONUTF8="1"
    )
    _, output, _ = run("--binary", "--json", uri, given=b"\xff\x00\n")
    assert b"\xff\x00" == base64.b64decode(events(output)[1]["base64"])


def test_json_is_one_object_per_event(server: ServerProcess) -> None:
    uri = f"ws://localhost:{server.port}/echo"
    status, output, errors = run("--json", "--no-compression", uri, given="a\x1b\x7f\u00e5\u202e\nb\n")
    assert (0, "") == (status, errors)
    assert output.isascii() and output.replace("\n", "").isprintable()
    opened, *others = events(output)
    headers = opened.pop("headers")
    assert {"event": "open", "uri": uri, "subprotocol": None} == opened
    assert ["Upgrade", "websocket"] in headers
    assert [
        {"event": "message", "text": "a\x1b\x7f\u00e5\u202e"},
        {"event": "message", "text": "b"},
        {"event": "close", "code": 1000, "reason": ""},
    ] == others


def test_output_in_another_encoding_is_escaped(server: ServerProcess) -> None:
    uri = f"ws://localhost:{server.port}/echo"
    assert (0, "\\xe5\\u6f22\n", "") == run(
        uri, given="\u00e5\u6f22\n", PYTHONIOENCODING="ascii", PYTHONUTF8="0"
    )


def test_works_without_what_the_server_needs(server: ServerProcess) -> None:
    hidden = "; ".join(f"sys.modules[{name!r}] = None" for name in ("msgspec", "h11", "uvloop"))
    code = f"import sys; {hidden}; from server.__main__ import main; sys.exit(main())"
    outcome = subprocess.run(
        [sys.executable, "-c", code, "connect", f"ws://localhost:{server.port}/echo"],
        input=b"hello\n",
        capture_output=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert (0, b"hello\n", b"") == (outcome.returncode, outcome.stdout, outcome.stderr)


def test_help_documents_all() -> None:
    status, output, errors = run("--help")
    assert (0, "") == (status, errors)
    documented = set(re.findall(r"^  (--[a-z-]+)", output, re.MULTILINE))
    assert documented == set(re.findall(r"--[a-z-]+", output.partition("\n\n")[0]))
    assert "--json" in documented
    for one in Exit:
        assert f"\n  {one:<4} " in output
    assert all(len(line) <= 90 for line in output.splitlines())


# What can't be done.


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "the following arguments are required: URI"),
        (["ws://localhost/", "more"], "unrecognized arguments: more"),
        (["--unknown", "ws://localhost/"], "unrecognized arguments: --unknown"),
        (["http://localhost/"], "A WebSocket URI is ws:// or wss://"),
        (
            ["--header", "no colon", "ws://localhost/"],
            "expected NAME:VALUE, got 8 characters without a colon",
        ),
        (["--header", "a b: c", "ws://localhost/"], "The header field 'a b' has a name or a value"),
        (["--header", "Host: c", "ws://localhost/"], "The header field Host is the handshake's own."),
        (["--subprotocol", "a b", "ws://localhost/"], "Subprotocols are tokens"),
        (
            ["--max-message-size", "big", "ws://localhost/"],
            "expected a size such as 65536 or 1MiB, got 'big'",
        ),
        (
            ["--cafile", "/nowhere", "wss://localhost/"],
            "can't read certificates from '/nowhere': No such file",
        ),
        (["--cafile", "/dev/null", "wss://localhost/"], "can't read certificates from '/dev/null': "),
        (["--insecure", "ws://localhost/"], "A TLS context is for wss://"),
    ],
)
def test_usage_is_2(arguments: Sequence[str], complaint: str) -> None:
    status, output, errors = run(*arguments)
    assert (Exit.USAGE, "") == (status, output)
    assert complaint in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "given", "complaint"),
    [
        ([], b"fine\nnot \xff\nunsent\n", "A line of the input is not UTF-8; --binary sends it as it is."),
        (["--max-message-size", "4"], b"fine\n5five\n", "A line of the input is longer than 4 octets."),
        (
            ["--max-message-size", "4"],
            b"fine\n5five" * 99_999,
            "A line of the input is longer than 4 octets.",
        ),
    ],
)
def test_line_that_cannot_be_sent_is_2_behind_those_before_it(
    server: ServerProcess, arguments: list[str], given: bytes, complaint: str
) -> None:
    status, output, errors = run(*arguments, f"ws://localhost:{server.port}/echo", given=given)
    assert (Exit.USAGE, "fine\n", f"error: {complaint}\n") == (status, output, errors)


def test_no_connection_is_3() -> None:
    status, output, errors = run("ws://127.0.0.1:1/")
    assert (Exit.NOT_CONNECTED, "", "error: 127.0.0.1:1 can't be reached: Connection refused.\n") == (
        status,
        output,
        errors,
    )
    status, output, errors = run("--json", "ws://127.0.0.1:1/")
    message = "127.0.0.1:1 can't be reached: Connection refused."
    assert (Exit.NOT_CONNECTED, "") == (status, errors)
    assert [{"event": "error", "error": "Unreachable", "message": message}] == events(output)


def test_refusal_is_4(server: ServerProcess) -> None:
    uri = f"ws://localhost:{server.port}/nowhere"
    message = "The server answered 404 Not Found instead of 101; There is no WebSocket at /nowhere."
    assert (Exit.REFUSED, "", f"error: {message}\n") == run(uri, given="never sent\n")
    status, output, errors = run("--json", uri)
    assert (Exit.REFUSED, "") == (status, errors)
    assert [{"event": "error", "error": "Refused", "message": message, "status": 404}] == events(output)


async def test_bad_answer_is_4() -> None:
    async with serve_peers() as peers:
        running = await Running.start(peers.uri)
        await (await peers.accept()).upgrade("Sec-WebSocket-Accept: \x80\x1b")
        status, output, errors = await running.end()
        assert (Exit.REFUSED, "") == (status, output)
        assert errors.startswith("error: The server's answer breaks the handshake (")


# Against a peer of our own.


async def test_request_carries_what_was_asked_for() -> None:
    async with serve_peers() as peers:
        running = await Running.start(
            *("--header", "X-One: 1", "--header", "X-Two:2:3", "--origin", "https://example.com"),
            *("--subprotocol", "b", "--subprotocol", "a", "--no-compression", "--json", peers.uri),
        )
        peer = await peers.accept()
        await peer.upgrade("Sec-WebSocket-Protocol: a")
        assert {
            "X-One: 1",
            "X-Two: 2:3",
            "Origin: https://example.com",
            "Sec-WebSocket-Protocol: b, a",
        } <= set(peer.head.decode().split("\r\n"))
        assert b"Sec-WebSocket-Extensions" not in peer.head
        assert "a" == json.loads(await running.line())["subprotocol"]
        ending = asyncio.create_task(running.end())
        await peer.answer_close()
        assert Exit.CLOSED == (await ending)[0]


async def test_messages_are_printed_as_they_come_and_lines_sent_as_they_are_given() -> None:
    async with serve_peers() as peers:
        running, peer = await start(peers)
        for message in ("one", "two"):
            await running.give(f"{message}\n")
            assert said(message) == await peer.frame()
            await peer.send(text(f"{message} back"))
            assert f"{message} back\n" == await running.line()
        ending = asyncio.create_task(running.end())
        assert closed(1000) == await peer.frame()
        # What still comes is printed, until the server's Close.
        await peer.send(text("three") + close_frame(1000))
        await peer.end()
        assert (Exit.CLOSED, "three\n", "") == await ending


@pytest.mark.parametrize(
    ("sent", "status", "remark"),
    [
        (close_frame(1000, "bye"), Exit.CLOSED, ""),
        (close_frame(1001), Exit.CLOSED, ""),
        (encode_frame(Opcode.CLOSE, b""), Exit.CLOSED, ""),
        (close_frame(1008, "no\x1b[31m"), Exit.ABNORMAL, "closed: 1008 no\\x1b[31m\n"),
        (close_frame(4000), Exit.ABNORMAL, "closed: 4000\n"),
        (b"", Exit.ABNORMAL, "closed: 1006 The server ended the connection without a Close.\n"),
        (b"\x83\x00", Exit.ABNORMAL, "closed: 1006 Opcode 0x3 is reserved.\n"),
        (
            encode_frame(Opcode.TEXT, b"x" * 1025),
            Exit.ABNORMAL,
            "closed: 1006 A message of more than 1024 octets is over the limit.\n",
        ),
    ],
)
async def test_close_of_the_server_ends_it_with_a_status(sent: bytes, status: Exit, remark: str) -> None:
    async with serve_peers() as peers:
        running, peer = await start(peers, "--max-message-size", "1KiB")
        await peer.send(text("last") + sent)
        await peer.end()
        # The input stays open: it is the server that ends it.
        assert (status, "last\n", remark) == await running.end(close_input=False)


async def test_peers_controls_never_reach_the_terminal_raw() -> None:
    hostile = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2028, 0xFEFF, 0xE000]))
    async with serve_peers() as peers:
        terminal, stdout = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            peers.uri,
            stdin=stdout,
            stdout=stdout,
            stderr=stdout,
            env=clean_environment() | {"PYTHONUTF8": "1"},
        )
        peer = await peers.accept()
        await peer.upgrade()
        octets = encode_frame(Opcode.BINARY, bytes(range(256)))
        await peer.send(text(hostile) + octets + close_frame(1008, hostile[1:40]))
        await peer.end()
        os.close(stdout)
        assert Exit.ABNORMAL == await process.wait()
        shown = b""
        # The terminal's end is told by an error.
        with suppress(OSError):
            while data := os.read(terminal, 4096):
                shown += data
        os.close(terminal)
        told = shown.decode()
        assert f"connected to {peers.uri}" in told
        assert "\\x1b" in told and "\\u202e" in told and "\\x9b" in told and "\\x7f" in told
        # The tab is harmless; the line ends are its own.
        assert all(character.isprintable() or character in "\t\r\n" for character in told)
        lines = told.replace("\r\n", "\n").splitlines()
        assert 4 == len(lines)
        assert lines[3].startswith("closed: 1008 \\x01")


async def test_person_is_told_of_opening_and_closing() -> None:
    async with serve_peers() as peers:
        terminal, stdin = pty.openpty()
        running = await Running.start("--subprotocol", "chat", peers.uri, stdin=stdin)
        peer = await peers.accept()
        await peer.upgrade("Sec-WebSocket-Protocol: chat")
        os.write(terminal, b"typed\n")
        assert said("typed") == await peer.frame()
        # Ctrl-D.
        os.write(terminal, b"\x04")
        assert closed(1000) == await peer.answer_close()
        assert (
            Exit.CLOSED,
            "",
            f"connected to {peers.uri}, speaking chat\nclosed: 1000\n",
        ) == await running.end()
        os.close(stdin)
        os.close(terminal)


async def test_listening_does_not_end_with_the_input() -> None:
    async with serve_peers() as peers:
        running = await Running.start("--listen", peers.uri, stdin=asyncio.subprocess.DEVNULL)
        peer = await peers.accept()
        await peer.upgrade()
        await peer.send(text("one"))
        assert "one\n" == await running.line()
        await peer.send(text("two") + close_frame(1000))
        assert closed(1000) == await peer.frame()
        await peer.end()
        assert (Exit.CLOSED, "two\n", "") == await running.end()


# Ctrl-C.


async def test_ctrl_c_closes_with_1001() -> None:
    async with serve_peers() as peers:
        running, peer = await start(peers)
        await running.give("typed\n")
        assert said("typed") == await peer.frame()
        running.interrupt()
        assert closed(1001) == await peer.answer_close()
        assert (Exit.INTERRUPTED, "", "") == await running.end(close_input=False)


async def test_ctrl_c_again_ends_at_once() -> None:
    async with serve_peers() as peers:
        running, peer = await start(peers)
        await running.give("typed\n")
        assert said("typed") == await peer.frame()
        running.interrupt()
        assert closed(1001) == await peer.frame()
        running.interrupt()
        assert [] == await peer.frames()
        assert (Exit.INTERRUPTED, "", "") == await running.end(close_input=False)


async def test_ctrl_c_while_connecting() -> None:
    async with serve_peers() as peers:
        running = await Running.start(peers.uri)
        peer = await peers.accept()
        await peer.read_head()
        running.interrupt()
        assert [] == await peer.frames()
        assert (Exit.INTERRUPTED, "", "") == await running.end(close_input=False)


# TLS.


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    return write_certificate(tmp_path)


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_wss_is_verified_against_a_file_or_not_at_all(certificate: str, is_trusted: bool) -> None:
    async with serve_peers(server_context(certificate)) as peers:
        flags = ("--cafile", certificate) if is_trusted else ("--insecure",)
        running, peer = await start(peers, *flags)
        await peer.send(text("secret") + close_frame(1000))
        await peer.frame()
        await peer.end()
        assert (Exit.CLOSED, "secret\n", "") == await running.end(close_input=False)


async def test_wss_that_cannot_be_trusted_is_3(certificate: str) -> None:
    async with serve_peers(server_context(certificate)) as peers:
        status, output, errors = await (await Running.start(peers.uri)).end()
        assert (Exit.NOT_CONNECTED, "") == (status, output)
        assert "shows a certificate that can't be trusted" in errors


def test_wss_is_not_verified_in_two_ways(certificate: str) -> None:
    status, output, errors = run("--insecure", "--cafile", certificate, "wss://localhost/")
    assert (Exit.USAGE, "") == (status, output)
    assert "argument --cafile: not allowed with argument --insecure" in errors


# A resolver that doesn't answer, and whose thread can't be ended.
NO_ANSWER: Final = (
    "import socket, sys, time; from server.__main__ import main\n"
    "def look_up(*arguments, **options): print('looking up', flush=True); time.sleep(60)\n"
    "socket.getaddrinfo = look_up; sys.exit(main())"
)


async def test_ctrl_c_again_ends_at_once_though_a_name_is_looked_up() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", NO_ANSWER, "connect", "ws://example.invalid/"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=clean_environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    running = Running(process)
    assert "looking up\n" == await running.line()
    while process.returncode is None:
        running.interrupt()
        # One may come before the first is dealt with; those after that end it.
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.1)
    assert (-signal.SIGINT, "", "") == await running.end()


# Reconnecting, without delays: chance draws nothing but 0.

NO_DELAY: Final = (
    "import random, sys; random.random = lambda: 0.0; from server.__main__ import main; sys.exit(main())"
)


async def start_without_delays(*arguments: str) -> Running:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", NO_DELAY, "connect", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=clean_environment(),
    )
    return Running(process)


async def test_reconnect_goes_on_until_1000() -> None:
    async with serve_peers() as peers:
        running = await start_without_delays("--reconnect", "--json", peers.uri)
        for sent in (close_frame(1001), b"", close_frame(1012)):
            peer = await peers.accept()
            await peer.upgrade()
            await peer.send(text("hello") + sent)
            await peer.end()
        peer = await peers.accept()
        await peer.read_head()
        await peer.send(answer("503 Busy", "Content-Length: 0"))
        await peer.end()
        peer = await peers.accept()
        await peer.upgrade()
        # The input is sent where there is a connection to send it to.
        await running.give("still here\n")
        assert said("still here") == await peer.frame()
        await peer.send(close_frame(1000))
        await peer.end()
        status, output, errors = await running.end(close_input=False)
        assert (Exit.CLOSED, "") == (status, errors)
        told = [(event["event"], event.get("code", event.get("status"))) for event in events(output)]
        lost = [("open", None), ("message", None)]
        assert [
            *(*lost, ("close", 1001), ("wait", None)),
            *(*lost, ("close", 1006), ("wait", None)),
            *(*lost, ("close", 1012), ("wait", None)),
            *(("error", 503), ("wait", None)),
            *(("open", None), ("close", 1000)),
        ] == told


async def test_line_that_had_not_left_goes_over_the_next_connection() -> None:
    line = b"x" * (8 << 20)
    async with serve_peers() as peers:
        running = await start_without_delays(
            "--reconnect", "--no-compression", "--max-message-size=16MiB", peers.uri
        )
        peer = await peers.accept()
        await peer.upgrade()
        giving = asyncio.create_task(running.give(line + b"\n"))
        # It has begun, and more of it than the kernel takes is still to come.
        await peer.octets(1)
        await giving
        peer.reset()
        peer = await peers.accept()
        await peer.upgrade()
        assert Frame(Opcode.TEXT, line) == await peer.frame()
        await peer.send(close_frame(1000))
        await peer.end()
        assert (Exit.CLOSED, "") == (await running.end(close_input=False))[:2]


async def test_reconnect_ends_with_the_input() -> None:
    async with serve_peers() as peers:
        running = await start_without_delays("--reconnect", peers.uri)
        peer = await peers.accept()
        await peer.upgrade()
        ending = asyncio.create_task(running.end())
        assert closed(1000) == await peer.frame()
        await peer.send(close_frame(1001))
        await peer.end()
        assert (Exit.CLOSED, "", "") == await ending


async def test_reconnect_tells_a_person_what_it_waits_for() -> None:
    async with serve_peers() as peers:
        running = await start_without_delays("--reconnect", peers.uri)
        peer = await peers.accept()
        await peer.read_head()
        await peer.send(answer("503 Busy", "Content-Length: 0"))
        await peer.end()
        peer = await peers.accept()
        await peer.read_head()
        await peer.send(answer("403 Forbidden", "Content-Length: 0"))
        status, output, errors = await running.end(close_input=False)
        assert (Exit.REFUSED, "") == (status, output)
        assert [
            "error: The server answered 503 Service Unavailable instead of 101",
            "trying again in 0.0 s",
            "error: The server answered 403 Forbidden instead of 101",
        ] == errors.splitlines()


# The input.


async def lines_of(lines: Lines) -> list[bytes]:
    found = []
    while (line := await lines.next()) is not None:
        found.append(line)
    return found


async def test_lines_are_found_in_any_split() -> None:
    reading, writing = os.pipe()
    lines = Lines(reading, 100)
    given = b"one\n\ntwo\nthree"
    collecting = asyncio.create_task(lines_of(lines))
    for position in range(len(given)):
        os.write(writing, given[position : position + 1])
        await asyncio.sleep(0)
    os.close(writing)
    assert [b"one", b"", b"two", b"three"] == await collecting
    assert None is await lines.next()
    os.close(reading)


async def test_line_of_the_longest_length_is_read_and_one_more_is_too_long() -> None:
    for size, is_refused in ((9, False), (10, False), (11, True)):
        for line_end in (b"\n", b""):
            reading, writing = os.pipe()
            os.write(writing, b"x" * size + line_end)
            os.close(writing)
            lines = Lines(reading, 10)
            if is_refused:
                with pytest.raises(InputError):
                    await lines.next()
            else:
                assert b"x" * size == await lines.next()
            os.close(reading)


async def test_line_given_back_comes_next() -> None:
    lines = Lines(None, 10)
    assert None is await lines.next()
    lines.give_back(b"again")
    assert b"again" == await lines.next()
    assert None is await lines.next()


async def test_wait_for_a_line_is_cancelled() -> None:
    before = take_census()
    reading, writing = os.pipe()
    lines = Lines(reading, 10)
    waiting = asyncio.create_task(lines_of(lines))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    os.write(writing, b"later\n")
    assert b"later" == await lines.next()
    os.close(reading)
    os.close(writing)
    await eventually(before, take_census)
