"""`python -m server`: what it says, what it refuses, and how it ends."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

import rfc6455
from tests.conftest import ServerProcess, clean_environment, require
from tests.rawclient import CLOSE, closed, get, said, text, without_advice
from tests.rawclient import close as close_frame

TAKEN: Final = "Address already in use; stop what has it, or choose another"

Start = Callable[..., ServerProcess]
SIGNALS = [signal.SIGINT, signal.SIGTERM]
AWAY = closed(1001, "the server is going away")


def run(
    *arguments: str, python: list[str] | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run it where it is expected to end by itself."""
    return subprocess.run(
        [sys.executable, *(python or ["-m", "server"]), *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        env=clean_environment() | variables,
        check=False,
    )


def refused(outcome: subprocess.CompletedProcess[str]) -> str:
    """What was wrong, in one line for a person."""
    assert (2, "") == (outcome.returncode, outcome.stdout)
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def without(*modules: str) -> list[str]:
    """Python's arguments for a server that can't import these."""
    hidden = "".join(f"sys.modules[{module!r}] = None; " for module in modules)
    return ["-c", f"import sys; {hidden}from server.__main__ import main; sys.exit(main())"]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


# Starting.


def test_start_up_line_says_where_and_what(server: ServerProcess) -> None:
    places = f"http://127.0.0.1:{server.port}"
    if has_ipv6():
        places += f" and http://[::1]:{server.port}"
    assert server.line.startswith(f"listening on {places} ({rfc6455.BUILD} build, ")


@pytest.mark.parametrize(
    ("server", "loop"),
    [(("--loop", "asyncio"), r"asyncio"), (("--loop", "uvloop"), r"uvloop [\d.]+")],
    indirect=["server"],
)
def test_loop_is_the_one_asked_for(server: ServerProcess, loop: str) -> None:
    assert re.search(rf" build, {loop}\)\n$", server.line)


def test_one_address_may_be_named(start_server: Start) -> None:
    server = start_server("--host", "127.0.0.1")
    assert server.line.startswith(f"listening on http://127.0.0.1:{server.port} (")


async def test_serves_pages_and_sessions_on_every_address(server: ServerProcess) -> None:
    for host in ["127.0.0.1", *["::1"] * has_ipv6()]:
        client = await server.connect(host)
        await client.send(get("/healthz"))
        assert 200 == (await client.answer()).status
        await client.open("/echo")
        await client.send(text("Hello") + close_frame())
        assert [said("Hello"), closed(1000)] == await client.frames(2)
        await client.eof()


def test_options_come_from_flags_environment_and_file(start_server: Start, tmp_path: Path) -> None:
    config = tmp_path / "server.toml"
    config.write_text('loop = "asyncio"\nhost = "127.0.0.1"\n')
    server = start_server("--config", str(config))
    assert server.line.endswith("asyncio)\n")
    assert "::1" not in server.line


def test_help_lists_the_options() -> None:
    outcome = run("--help")
    assert (0, "") == (outcome.returncode, outcome.stderr)
    for option in ("--port", "--max-message-size", "--drain-timeout", "--config"):
        assert f"  {option} " in outcome.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--prot", "80"], "unknown argument '--prot'; did you mean --port?"),
        (["8765"], "unknown argument '8765'"),
        (["--port"], "argument --port: expected one argument"),
        (["--port", "x"], "port: expected a whole number, got 'x' (flag --port)"),
        (["--port", "65536"], "port: expected 1 to 65535, or 0 (any free one), got 65536 (flag --port)"),
        (["--config", "/none/at all"], "can't read file /none/at all: No such file or directory"),
        (["--config", "/"], "can't read file /: Is a directory"),
        (["--loop", "trio"], "loop: expected one of auto, uvloop, asyncio, got 'trio' (flag --loop)"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(arguments: list[str], problem: str) -> None:
    assert problem == refused(run(*arguments))


def test_unknown_variable_is_told() -> None:
    outcome = run(RFC6455_SERVER_PROT="80")
    assert refused(outcome).endswith("did you mean RFC6455_SERVER_PORT?")


def test_port_in_use_is_told(server: ServerProcess) -> None:
    outcome = run("--port", str(server.port))
    assert f"can't listen on localhost:{server.port}: {TAKEN}" == refused(outcome)


@pytest.mark.parametrize("taken", ["127.0.0.1", "::1"])
def test_port_in_use_on_one_of_two_addresses_is_told(taken: str) -> None:
    # Else some of our clients would find another's server there.
    require(has_ipv6(), "there is no ::1")
    with socket.create_server(
        (taken, 0), family=socket.AF_INET6 if ":" in taken else socket.AF_INET
    ) as other:
        port = other.getsockname()[1]
        expected = f"can't listen on localhost:{port}: {TAKEN}"
        assert expected == refused(run("--port", str(port)))


def test_host_that_is_not_ours_is_told() -> None:
    assert "can't listen on 192.0.2.1:8765: " in refused(run("--host", "192.0.2.1"))
    assert "can't listen on none.invalid:8765: " in refused(run("--host", "none.invalid"))


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_host_that_can_be_none_is_told(host: str) -> None:
    assert f"can't listen on {host}:8765: it is no host's name" == refused(run("--host", host))


@pytest.mark.parametrize("module", ["msgspec", "h11", "prometheus_client"])
def test_missing_extra_is_told(module: str) -> None:
    outcome = run(python=without(module))
    assert f"{module} is missing; install the extra [server]" == refused(outcome)


def test_uvloop_is_not_needed(start_server: Start) -> None:
    server = start_server(python=without("uvloop"))
    assert server.line.endswith(" build, asyncio)\n")


def test_uvloop_that_was_asked_for_is_missed() -> None:
    assert "loop: uvloop is not installed" == refused(run("--loop", "uvloop", python=without("uvloop")))


def test_log_is_the_servers_whatever_an_application_logs_when_it_is_loaded(tmp_path: Path) -> None:
    # Logging's own functions set up a log where there is none yet.
    (tmp_path / "talks.py").write_text("import logging\nlogging.warning('loading')\n")
    outcome = run("--app", "talks", "--log-format", "json", PYTHONPATH=str(tmp_path))
    complaint, logged = sorted(outcome.stderr.splitlines())
    assert "error: app: 'app' in 'talks' is no Application" == complaint
    assert "loading" == json.loads(logged)["message"]


# Ending.


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_signal_closes_all_sessions_and_ends_well(
    number: signal.Signals, loop: str, start_server: Start
) -> None:
    server = start_server("--loop", loop)
    clients = [await server.connect() for _ in range(3)]
    for client in clients:
        await client.open("/echo")
    idle = await server.connect()
    await idle.send(get("/"))
    assert 200 == (await idle.answer()).status
    server.process.send_signal(number)
    for client in clients:
        assert AWAY == without_advice(await client.frame())
        await client.send(close_frame(1001))
        await client.eof()
        client.close()
    await idle.eof()
    assert 0 == await asyncio.to_thread(server.wait)
    assert "Traceback" not in server.errors()


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_right_behind_the_start_up_line_is_heard(number: signal.Signals, start_server: Start) -> None:
    server = start_server()
    server.process.send_signal(number)
    assert 0 == server.wait()
    assert "Traceback" not in server.errors()


@pytest.mark.parametrize("number", SIGNALS)
async def test_second_signal_waits_for_nobody(number: signal.Signals, start_server: Start) -> None:
    server = start_server("--drain-timeout", "3600", "--close-timeout", "3600")
    client = await server.connect()
    await client.open("/echo")
    server.process.send_signal(signal.SIGTERM)
    assert AWAY == without_advice(await client.frame())
    server.process.send_signal(number)
    assert 0 == await asyncio.to_thread(server.wait)
    assert b"" == await client.rest()
    assert "Traceback" not in server.errors()


APPLICATION = """
import asyncio
from server.application import Application

app = Application()

@app.{hook}
async def wait_for_ever():
    print("waiting", flush=True)
    await asyncio.Event().wait()
"""


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("hook", ["on_start", "on_stop"])
def test_application_that_waits_for_ever_keeps_no_signal_waiting(
    hook: str, number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "waits.py").write_text(APPLICATION.format(hook=hook))
    flags = ["--port", "0", "--app", "waits", "--drain-timeout", "3600"]
    with subprocess.Popen(
        [sys.executable, "-m", "server", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment() | {"PYTHONPATH": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        if hook == "on_stop":
            assert next(lines).startswith("listening")
            process.send_signal(signal.SIGTERM)
        assert "waiting\n" in lines
        process.send_signal(number)
        try:
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert 0 == process.returncode
    assert "Traceback" not in errors


async def test_hangup_ends_nothing_where_there_is_nothing_to_read_anew(start_server: Start) -> None:
    server = start_server()
    client = await server.connect()
    await client.open("/echo")
    server.process.send_signal(signal.SIGHUP)
    await client.send(text("Hello"))
    assert said("Hello") == await client.frame()


async def test_client_that_does_not_answer_the_close_is_given_up(start_server: Start) -> None:
    server = start_server("--drain-timeout", "0.5")
    client = await server.connect()
    await client.open("/echo")
    begun = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert CLOSE == (await client.frame()).opcode
    assert b"" == await client.rest()
    # uvloop counts whole milliseconds, from when its turn began.
    assert time.monotonic() - begun >= 0.49
    assert 0 == await asyncio.to_thread(server.wait)
