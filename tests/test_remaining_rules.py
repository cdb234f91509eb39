"""Rules that neither a row nor the test of one module shows: what is logged, and who is named to TLS."""

import asyncio
import logging

import pytest

from server.client import ConnectError, connect
from server.service import Service
from server.settings import Settings
from tests.faketransport import FakeTransport
from tests.rawclient import TEXT, frame
from tests.vectors import REQUESTS, RequestVector

NOT_HTTP = [row for row in REQUESTS if row.id in ("tls-hello", "socks", "ssh-banner", "http-2-preface")]


def records(caplog: pytest.LogCaptureFixture) -> list[tuple[str, bool]]:
    """What was logged: how serious it is, and whether a traceback came with it."""
    return [(record.levelname, record.exc_info is not None) for record in caplog.records]


@pytest.mark.parametrize("row", NOT_HTTP, ids=lambda row: row.id)
async def test_what_is_no_http_costs_one_line_of_the_log(
    row: RequestVector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "server")
    transport = FakeTransport(Service(Settings()))
    transport.receive(row.request)
    assert [("INFO", False)] == records(caplog)
    assert transport.eof_written


async def test_broken_rule_is_logged_once_by_its_name(caplog: pytest.LogCaptureFixture) -> None:
    # 7.1.7.
    transport = FakeTransport(Service(Settings()))
    transport.open()
    caplog.set_level(logging.DEBUG, "server")
    transport.receive(frame(TEXT, b"a secret", fin=False) + frame(TEXT, b"a secret"))
    assert [("INFO", False)] == records(caplog)
    assert "message-interleaved" in caplog.text
    assert "secret" not in caplog.text


async def test_tls_handshake_names_the_server() -> None:
    # 4.1 5, 6066 3: the name's type, its length, and the name.
    hello = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello.set_result(await reader.read(1 << 16))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectError):
            await connect(f"wss://localhost:{port}")
    assert b"\x00\x00\x09localhost" in await hello
