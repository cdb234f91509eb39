"""The clients of peers.py and scripted.py, for tests that name them by `of()`."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import pytest

from ..conftest import Running
from .peers import Open, open_aiohttp, open_picows, open_picows_websockets, open_websockets
from .scripted import Call, node, open_scripted, page

IN_PYTHON: Final[dict[str, Open]] = {
    "websockets": open_websockets,
    "aiohttp": open_aiohttp,
    "picows": open_picows,
    "picows.websockets": open_picows_websockets,
}
ALL: Final = (*IN_PYTHON, "ws", "chromium")

# For tests that cost much and have nothing to do with the loop.
on_one_loop: Final = pytest.mark.parametrize("loop_name", ["uvloop"], indirect=True)


@pytest.fixture(scope="package")
def ws() -> Iterator[Call]:
    """`ws`, in Node."""
    with node() as call:
        yield call


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    """A page's own WebSocket."""
    with page(tmp_path_factory.mktemp("profile")) as call:
        yield call


@pytest.fixture
def connect(request: pytest.FixtureRequest) -> Open:
    """A client, by its name."""
    if request.param in IN_PYTHON:
        return IN_PYTHON[request.param]
    return partial(open_scripted, request.getfixturevalue(request.param))


def of(*names: str) -> pytest.MarkDecorator:
    """Run a test with each of these clients."""
    return pytest.mark.parametrize("connect", names, indirect=True)


def echo_url(running: Running) -> str:
    """Where a service echoes."""
    host, port = running.address
    return f"ws://{host}:{port}/echo"
