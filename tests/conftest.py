"""What every test relies on: the build it was meant for, a loop of its own if it is async, and real peers."""

import asyncio
import inspect
import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import rfc6455

_MAX_SECONDS = 60


def require(condition: object, reason: str) -> None:
    """Skip where something from outside is missing; fail where REQUIRE_REAL=1 says that nothing may be."""
    if condition:
        return
    if os.environ.get("REQUIRE_REAL") == "1":
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


def pytest_report_header() -> str:
    return f"rfc6455: {rfc6455.BUILD}, {rfc6455.__file__}"


def pytest_sessionstart() -> None:
    expected = os.environ.get("EXPECT_BUILD", rfc6455.BUILD)
    if expected != rfc6455.BUILD:
        raise pytest.UsageError(f"the build under test should be {expected!r}, and is {rfc6455.BUILD!r}")
    package = Path(rfc6455.__file__).parent
    if package != Path(__file__).parent.parent / "rfc6455":
        return
    # In a checkout an extension hides the source that was edited, and holds constants of other sources.
    newest = max(source.stat().st_mtime for source in [*package.glob("*.py"), *package.glob("*.c")])
    for extension in package.glob(f"*{EXTENSION_SUFFIXES[0]}"):
        if extension.stat().st_mtime < newest:
            raise pytest.UsageError("rfc6455/*.so are older than the sources: install again, or remove them")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), _MAX_SECONDS))
    return True
