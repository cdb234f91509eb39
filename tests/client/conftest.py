"""What tests of the client share: servers by hand, and ways to wait for it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

import pytest

from server.client import ClientConnection, ConnectError
from tests.rawserver import Peers, serve_peers, write_certificate

# What no timeout of a test is meant to reach, and what each one reaches at once.
NEVER: Final = 60.0
AT_ONCE: Final = 0.01


@pytest.fixture
def peers(loop_name: str) -> Callable[..., AbstractAsyncContextManager[Peers]]:
    """`async with peers() as listening:` has servers of the test's own, on both kinds of loops."""
    return serve_peers


Listen = Callable[..., AbstractAsyncContextManager[Peers]]


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """The file of the certificate, with its key beside it."""
    return write_certificate(tmp_path)


async def failure(connecting: Awaitable[object]) -> ConnectError:
    with pytest.raises(ConnectError) as caught:
        await connecting
    return caught.value


async def turns(count: int = 3) -> None:
    """Let everything happen that waits for nothing from outside."""
    for _ in range(count):
        await asyncio.sleep(0)


def end(connection: ClientConnection) -> tuple[int | None, str]:
    return connection.close_code, connection.close_reason


async def cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
