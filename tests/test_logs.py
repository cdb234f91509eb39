"""The log: lines that say what happened to whom, and that nobody has to wait for."""

import json
import logging
import os
import re
import select
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Final, final

import pytest

from server.application import Application, Session
from server.dialects.stream import Stream
from server.logs import (
    CONNECTION,
    LOSSES,
    MAX_WAITING,
    JsonFormatter,
    LineHandler,
    TextFormatter,
    rfc3339,
    start_logging,
)

from .conftest import Serve, ServerProcess, eventually
from .rawclient import frame, get, text, upgrade

EVIL: Final = "\x1b]0;owned\x07\x9b2J\x7f\u202e\nERROR forged"
Start = Callable[..., ServerProcess]
# Seconds until a line that should have come is missed.
_PATIENCE: Final = 20


def record_of(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    record = logging.LogRecord("server.test", logging.INFO, "file.py", 1, message, arguments, None)
    record.created = 1790000000.25
    record.__dict__.update(fields)
    return record


def test_time_is_written_as_rfc_3339_has_it() -> None:
    assert "2026-09-21T14:13:20.250Z" == rfc3339(1790000000.25)
    assert "1970-01-01T00:00:00.000Z" == rfc3339(0.0)


# Text.


def test_text_is_a_time_a_level_and_the_message() -> None:
    assert "2026-09-21T14:13:20.250Z INFO hello you" == TextFormatter().format(record_of("hello %s", "you"))


def test_text_names_the_connection_once() -> None:
    line = TextFormatter().format(record_of("session abc failed", connection="abc"))
    assert line.endswith("INFO session abc failed")
    line = TextFormatter().format(record_of("failed", connection="abc"))
    assert line.endswith("INFO failed (session abc)")


def test_text_has_neither_line_ends_nor_what_a_terminal_obeys() -> None:
    line = TextFormatter().format(record_of("from %s", EVIL))
    assert line.isprintable()


# JSON.


def read(record: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert line.isprintable()
    told: dict[str, Any] = json.loads(line)
    return told


def test_json_has_the_message_and_the_fields_that_are_known() -> None:
    expected = {
        "time": "2026-09-21T14:13:20.250Z",
        "level": "INFO",
        "logger": "server.test",
        "message": "hello you",
        "connection": "abc",
        "status": 101,
    }
    assert expected == read(record_of("hello %s", "you", connection="abc", status=101, user=None, other=1))


def test_json_brings_back_whatever_was_logged() -> None:
    assert f"from {EVIL} \ud800" == read(record_of("from %s", EVIL + " \ud800"))["message"]


def test_json_has_a_traceback_in_one_field() -> None:
    record = record_of("failed")
    try:
        raise ValueError(EVIL)
    except ValueError:
        record.exc_info = sys.exc_info()
    lines = read(record)["exception"].split("\n")
    assert "Traceback (most recent call last):" == lines[0]
    assert EVIL.split("\n")[-1] == lines[-1]


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_records_of_an_application_name_the_connection_they_are_about(formatter: logging.Formatter) -> None:
    token = CONNECTION.set("abc")
    try:
        assert "abc" in formatter.format(record_of("hello"))
    finally:
        CONNECTION.reset(token)
    assert "abc" not in formatter.format(record_of("hello"))


# What is written.


class Pipe:
    """A log on a pipe."""

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        self.handler = LineHandler(self._writing)
        self.handler.setFormatter(TextFormatter())

    def log(self, message: str) -> None:
        self.handler.handle(record_of(message))

    def read_until(self, mark: str) -> str:
        received = b""
        while mark.encode() not in received:
            readable, _, _ = select.select([self.reading], [], [], _PATIENCE)
            assert readable, f"nothing comes behind {received!r}"
            received += os.read(self.reading, 1 << 16)
        return received.decode()

    def end(self) -> None:
        # Without a reader the thread can't write, and so ends.
        os.close(self.reading)
        self.handler.close()
        os.close(self._writing)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    losses = LOSSES.records
    yield made
    made.end()
    LOSSES.records = losses


def test_lines_come_in_order(pipe: Pipe) -> None:
    for number in range(100):
        pipe.log(f"line {number}.")
    found = re.findall(r"line (\d+)\.", pipe.read_until("line 99.\n"))
    assert [str(number) for number in range(100)] == found


def test_record_that_arises_anywhere_within_another_is_written_too(pipe: Pipe) -> None:
    # As one of what the garbage collector finds: a task whose exception nobody asked for.
    count = 0

    def log_within(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += 1
        pipe.log(f"{count}.")

    def log() -> None:
        sys.setprofile(log_within)
        pipe.log("outer")
        sys.setprofile(None)
        pipe.log("the end")

    logging_thread = threading.Thread(target=log, daemon=True)
    logging_thread.start()
    lines = pipe.read_until("the end\n").splitlines()
    logging_thread.join()
    inner = [line for line in lines if line.endswith(".")]
    assert count > 10
    assert count == len(inner) == len(lines) - 2


def test_pipe_that_nobody_reads_keeps_nobody_waiting_and_what_is_lost_is_told(pipe: Pipe) -> None:
    before = LOSSES.records
    # More than the pipe, the thread and the list of those that wait take together.
    while LOSSES.records == before:
        pipe.log("x" * 1000)
    for _ in range(9):
        pipe.log("x" * 1000)
    assert before + 10 == LOSSES.records
    told = pipe.read_until("were lost before this\n")
    assert "WARNING 10 log records were lost before this" in told
    pipe.log("later")
    assert pipe.read_until("later\n").count("\n") == 1


def test_what_waits_is_bounded(pipe: Pipe) -> None:
    before = LOSSES.records
    while LOSSES.records == before:
        pipe.log("x" * 100_000)
    assert MAX_WAITING - 100_100 < pipe.handler.waiting <= MAX_WAITING


def test_line_that_is_too_long_for_the_room_is_lost_alone(pipe: Pipe) -> None:
    before = LOSSES.records
    pipe.log("x" * MAX_WAITING)
    pipe.log("short")
    pipe.read_until("short\n")
    assert before + 1 == LOSSES.records


def test_non_blocking_pipe_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.handler.descriptor, False)
    for _ in range(300):
        pipe.log("x" * 1000)
    pipe.log("the end")
    assert 301 == pipe.read_until("the end\n").count("\n")


def test_disk_that_is_full_loses_what_it_can_not_take() -> None:
    before = LOSSES.records
    descriptor = os.open("/dev/full", os.O_WRONLY)
    handler = LineHandler(descriptor)
    handler.setFormatter(TextFormatter())
    handler.handle(record_of("a"))
    handler.close()
    os.close(descriptor)
    assert before + 1 == LOSSES.records
    LOSSES.records = before


def test_record_that_can_not_be_formatted_ends_nothing(
    pipe: Pipe, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe.handler.handle(record_of("%d apples", "no"))
    pipe.log("later")
    first, *traceback, error, last = pipe.read_until("later\n").splitlines()
    assert first.endswith("WARNING can't format the record of file.py:1")
    assert " Traceback (most recent call last):" == traceback[0]
    assert " TypeError: %d format: a real number is required, not str" == error
    assert last.endswith("later")
    # What isn't the log's would keep its thread waiting.
    assert "" == capsys.readouterr().err


def test_close_writes_what_waits_and_leaves_a_reader_who_takes_nothing() -> None:
    pipe = Pipe()
    pipe.log("last words")
    pipe.handler.close()
    assert "last words" in pipe.read_until("\n")
    pipe.handler.close()
    pipe.end()
    stuck = Pipe()
    before = LOSSES.records
    while LOSSES.records == before:
        stuck.log("x" * 1000)
    stuck.handler.close()
    assert stuck.handler.thread.is_alive()
    stuck.end()
    assert not stuck.handler.thread.is_alive()
    LOSSES.records = before


def test_end_of_the_process_writes_what_waits_without_delay() -> None:
    pipe = Pipe()
    pipe.log("last words")
    # As the interpreter does at its end: with the handler's own lock held.
    logging.shutdown([weakref.ref(pipe.handler)])
    assert not pipe.handler.thread.is_alive()
    pipe.end()


def test_process_that_began_without_standard_error_logs_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(sys, "stderr", None)
    before = threading.active_count()
    level = root.level
    start_logging("info", "text")
    root.setLevel(level)
    assert [logging.NullHandler] == [type(handler) for handler in root.handlers]
    assert before == threading.active_count()


# The server's.


def lines_of(server: ServerProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.errors().splitlines()]


async def test_every_record_about_a_connection_has_its_id(start_server: Start) -> None:
    server = start_server("--log-format", "json", "--log-level", "debug")
    client = await server.connect()
    await client.send(upgrade("/ws?token=secret"))
    await client.answer()
    id = json.loads((await client.frame()).payload)["id"]
    await client.send(frame(0x3))
    await client.rest()
    refused = await server.connect()
    await refused.send(upgrade("/nowhere?token=secret"))
    await refused.answer()
    server.stop()
    opened, failed, unfound = lines_of(server)
    assert (id, "127.0.0.1", 101, "/ws") == tuple(
        opened[name] for name in ("connection", "address", "status", "path")
    )
    assert (id, "INFO") == (failed["connection"], failed["level"])
    assert ("127.0.0.1", 404, "/nowhere") == tuple(unfound[name] for name in ("address", "status", "path"))
    assert "secret" not in server.errors()


async def test_path_in_the_log_is_cut_and_steers_no_terminal(start_server: Start) -> None:
    server = start_server()
    client = await server.connect()
    await client.send(get("/" + "a" * 8000))
    await client.answer()
    server.stop()
    (line,) = server.errors().splitlines()
    assert len(line) < 400


@final
class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.told: list[tuple[str, str | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = json.loads(self.format(record))
        self.told.append((line["message"], line.get("connection")))


async def test_what_an_application_logs_names_the_session_that_it_serves(service: Serve) -> None:
    app = Application()
    log = logging.getLogger("tests.application")

    @app.on_join
    async def join(session: Session, room: str) -> None:
        log.warning("joins")

    @app.on_disconnect
    async def leave(session: Session, code: int) -> None:
        log.warning("goes")

    async def stream(stream: Stream) -> None:
        log.warning("streams")

    heard = Heard()
    log.addHandler(heard)
    try:
        async with service({"/stream": stream}, app) as running:
            await running.open("/stream")
            (streaming,) = running.sessions()
            await eventually([("streams", streaming.id)], lambda: heard.told)
            client = await running.open("/ws")
            id = json.loads((await client.frame()).payload)["id"]
            await client.send(text('{"action": "join", "room": "a"}'))
            await client.frame()
            client.close()
            await eventually([("joins", id), ("goes", id)], lambda: heard.told[1:])
    finally:
        log.removeHandler(heard)
