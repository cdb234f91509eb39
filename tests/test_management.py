"""Who may ask what: the token, and who needs none for the metrics."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rfc6455 import HandshakeError, RequestReader
from server.management import MAX_LISTED, MIN_TOKEN, Guard, management
from server.settings import SettingsError

from .conftest import Running, Serve, ServerProcess, clean_environment
from .rawclient import Answer, get

TOKEN = "correct-horse.battery_staple"
SHOWN = f"Authorization: Bearer {TOKEN}"


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return str(path)


async def ask(running: Running, path: str, *fields: str) -> Answer:
    client = await running.connect()
    await client.send(get(path, *fields))
    answer = await client.answer()
    client.close()
    return answer


DEBUG = ("/debug/connections", "/debug/connections/some-id")


@pytest.mark.parametrize("path", DEBUG)
async def test_debug_is_not_there_without_a_token_in_the_settings(service: Serve, path: str) -> None:
    async with service() as running:
        for fields in [(), (SHOWN,), ("Authorization: Bearer ",)]:
            assert 404 == (await ask(running, path, *fields)).status


@pytest.mark.parametrize("path", DEBUG)
@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("Authorization: Bearer",),
        (f"Authorization: {TOKEN}",),
        (f"Authorization: Basic {TOKEN}",),
        (f"Authorization: Bearer {TOKEN}x",),
        (f"Authorization: Bearer {TOKEN[:-1]}",),
        (f"Authorization: Bearer {TOKEN.upper()}",),
        ("Authorization: Bearer \xfc",),
        (f"Cookie: token={TOKEN}",),
    ],
)
async def test_debug_asks_for_the_token(
    service: Serve, token_file: str, path: str, fields: tuple[str, ...]
) -> None:
    async with service(management_token=token_file) as running:
        answer = await ask(running, path, *fields)
        assert (401, "Bearer") == (answer.status, answer.fields["www-authenticate"])


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Bearer "])
async def test_debug_opens_for_the_token(service: Serve, token_file: str, scheme: str) -> None:
    async with service(management_token=token_file) as running:
        answer = await ask(running, "/debug/connections", f"Authorization: {scheme} {TOKEN}")
        assert (200, "application/json") == (answer.status, answer.fields["content-type"])
        assert "no-cache" == answer.fields["cache-control"]


async def test_token_is_not_taken_from_the_query(service: Serve, token_file: str) -> None:
    # Queries stand in the logs of every proxy.
    async with service(management_token=token_file) as running:
        assert 401 == (await ask(running, f"/debug/connections?token={TOKEN}")).status


@pytest.mark.parametrize(("readers", "status"), [("nobody", 401), ("loopback", 200), ("anyone", 200)])
async def test_metrics_are_for_whom_the_settings_say_and_for_who_has_the_token(
    service: Serve, token_file: str, readers: str, status: int
) -> None:
    async with service(metrics_without_token=readers, management_token=token_file) as running:
        assert status == (await ask(running, "/metrics")).status
        assert 200 == (await ask(running, "/metrics", SHOWN)).status


@pytest.mark.parametrize(
    ("readers", "address", "is_open"),
    [
        ("loopback", "127.0.0.1", True),
        ("loopback", "127.9.9.9", True),
        ("loopback", "::1", True),
        ("loopback", "10.0.0.1", False),
        ("loopback", "2001:db8::1", False),
        # A unix socket's peer has none.
        ("loopback", "", False),
        ("anyone", "10.0.0.1", True),
        ("nobody", "127.0.0.1", False),
    ],
)
async def test_metrics_on_loopback_are_for_peers_of_this_machine(
    service: Serve, readers: str, address: str, is_open: bool
) -> None:
    async with service(metrics_without_token=readers) as running:
        scrape = management(running.context, Guard(""))["/metrics"]
        request = RequestReader().feed(get("/metrics"))
        assert request is not None
        if is_open:
            assert scrape(request, address).body.startswith(b"# HELP")
            return
        with pytest.raises(HandshakeError) as caught:
            scrape(request, address)
        assert 404 == caught.value.status


@pytest.mark.parametrize(
    "field", ["Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1", "Via: 1.1 proxy"]
)
async def test_metrics_on_loopback_are_not_for_whom_a_proxy_asks(service: Serve, field: str) -> None:
    async with service() as running:
        assert 200 == (await ask(running, "/metrics")).status
        assert 404 == (await ask(running, "/metrics", field)).status


async def test_management_is_held_to_the_hosts_that_are_served(service: Serve, token_file: str) -> None:
    async with service(management_token=token_file) as running:
        client = await running.connect()
        await client.send(get("/debug/connections", SHOWN, host="rebound.example"))
        assert 421 == (await client.answer()).status


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("?limit=1", 200),
        (f"?limit={MAX_LISTED}", 200),
        (f"?limit={MAX_LISTED + 1}", 400),
        ("?limit=0", 400),
        ("?limit=-1", 400),
        ("?limit=many", 400),
        ("?limit=%D9%A1", 400),
        (f"?limit={'9' * 5000}", 400),
    ],
)
async def test_limit_of_the_list_is_a_number_in_range(
    service: Serve, token_file: str, query: str, status: int
) -> None:
    async with service(management_token=token_file) as running:
        assert status == (await ask(running, f"/debug/connections{query}", SHOWN)).status


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a management token"),
        (b"fifteen-letters", "expected a management token"),
        (b"with a space in between", "expected a management token"),
        (b"not-ascii-\xc3\xbc-not-ascii", "expected a management token"),
        (b"\xff" * 20, "expected a management token"),
        (None, "can't read the management token"),
    ],
)
def test_token_that_can_not_be_used_is_refused_at_the_start(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        Guard(str(path))
    assert str(caught.value).startswith(message)
    assert str(path) in str(caught.value)
    assert not content or content.decode("latin-1") not in str(caught.value)


def test_token_of_the_least_length_will_do(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("x" * MIN_TOKEN)
    Guard(str(path))


def test_command_line_complains_of_the_token(tmp_path: Path) -> None:
    path = str(tmp_path / "nothing")
    done = subprocess.run(
        [sys.executable, "-m", "server", "--port", "0", "--management-token", path],
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    expected = f"error: can't read the management token in {path}: No such file or directory\n"
    assert (2, expected) == (done.returncode, done.stderr)


async def test_token_is_in_no_log(token_file: str, start_server: Callable[..., ServerProcess]) -> None:
    server = start_server("--management-token", token_file, "--log-level", "debug")
    for field in (SHOWN, f"Authorization: Basic {TOKEN}", f"Authorization: Bearer {TOKEN}\x00"):
        client = await server.connect()
        await client.send(get("/debug/connections", field))
        await client.answer()
        client.close()
    server.stop()
    assert "401" in server.errors()
    assert TOKEN not in server.errors()


def write(path: str, content: str) -> None:
    Path(path).write_text(content)


async def test_token_is_read_anew_and_a_bad_one_leaves_the_old(service: Serve, token_file: str) -> None:
    async with service(management_token=token_file) as running:
        for content, status in (("too short", 200), ("another-token-of-mine", 401)):
            write(token_file, content)
            running.service.reload()
            assert status == (await ask(running, "/debug/connections", SHOWN)).status
        answer = await ask(running, "/debug/connections", "Authorization: Bearer another-token-of-mine")
        assert 200 == answer.status
        (error,) = running.errors
        assert "too short" not in error
        running.errors.clear()
