"""TLS: served as without it, a certificate that is renewed in place, and a clear word about a bad one."""

import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.client import Refused, connect
from server.tls import ServerTls, TlsError
from tests.conftest import NO_RATES, Serve, ServerProcess, eventually
from tests.rawserver import CERTIFICATE, write_certificate


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A certificate for localhost, and its key."""
    return write_certificate(tmp_path), str(tmp_path / "key.pem")


def trusting(certificate: str = CERTIFICATE) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=certificate)


async def test_messages_and_closes_pass_as_without_tls(service: Serve, files: tuple[str, str]) -> None:
    certificate, key = files
    async with service(tls_certificate=certificate, tls_key=key, **NO_RATES) as running:
        uri = f"wss://localhost:{running.address[1]}/echo"
        async with connect(uri, ssl=trusting(), deflate=None) as connection:
            for size in (0, 1, 16_384, 1 << 20):
                await connection.send("a" * size)
                assert size == len(await anext(connection))
            await connection.close(4000)
        assert 4000 == connection.close_code


async def test_who_sends_too_much_learns_why(service: Serve, files: tuple[str, str]) -> None:
    certificate, key = files
    async with service(tls_certificate=certificate, tls_key=key, max_message_size=1000) as running:
        uri = f"wss://localhost:{running.address[1]}/echo"
        async with connect(uri, ssl=trusting(), deflate=None) as connection:
            await connection.send("a" * 1001)
            assert [] == [message async for message in connection]
        assert 1009 == connection.close_code


@pytest.mark.parametrize(("scheme", "status"), [("https", 101), ("http", 403)])
async def test_page_that_came_without_tls_is_of_another_origin(
    scheme: str, status: int, service: Serve, files: tuple[str, str]
) -> None:
    certificate, key = files
    async with service(tls_certificate=certificate, tls_key=key) as running:
        place = f"localhost:{running.address[1]}"
        found = 101
        try:
            async with connect(f"wss://{place}/echo", ssl=trusting(), origin=f"{scheme}://{place}"):
                pass
        except Refused as refused:
            found = refused.status
    assert status == found


async def test_plain_talk_on_a_tls_port_leaves_nothing_behind(service: Serve, files: tuple[str, str]) -> None:
    certificate, key = files
    async with service(tls_certificate=certificate, tls_key=key) as running:
        client = await running.connect()
        await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await client.rest()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_not_spoken(files: tuple[str, str], version: ssl.TLSVersion) -> None:
    assert ServerTls(*files).context.minimum_version > version


async def test_key_may_stand_in_the_certificates_file(service: Serve, files: tuple[str, str]) -> None:
    certificate, key = files
    both = join(certificate, key)
    async with (
        service(tls_certificate=both) as running,
        connect(f"wss://localhost:{running.address[1]}/echo", ssl=trusting()) as connection,
    ):
        await connection.send("hello")
        assert "hello" == await anext(connection)


def read(path: str) -> str:
    return Path(path).read_text()


def replace(path: str, content: str) -> None:
    Path(path).write_text(content)


def join(*paths: str) -> str:
    replace(paths[0], "".join(map(read, paths)))
    return paths[0]


def new_certificate(folder: Path) -> tuple[str, str]:
    certificate, key = folder / "new.pem", folder / "new-key.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=new"
    subprocess.run(
        [
            "openssl",
            *request.split(),
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
    )
    return str(certificate), str(key)


def test_files_that_do_not_belong_together_change_nothing(files: tuple[str, str], tmp_path: Path) -> None:
    certificate, key = files
    tls = ServerTls(certificate, key)
    other, _ = new_certificate(tmp_path)
    shutil.copy(other, certificate)
    with pytest.raises(TlsError, match=r"can't use the certificate in .*certificate\.pem and .*key\.pem: "):
        tls.reload()


def test_files_that_are_renewed_while_they_are_read_are_read_once(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = files
    tls = ServerTls(certificate, key)
    other, _ = new_certificate(tmp_path)
    load = ssl.SSLContext.load_cert_chain

    def load_and_renew(context: ssl.SSLContext, *arguments: Any) -> None:
        load(context, *arguments)
        # Its key is still to come.
        shutil.copy(other, certificate)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load_and_renew)
    tls.reload()


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_bad_certificate_is_told_in_one_line(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "chain.pem"
    if content is not None:
        path.write_text(content)
    flags = ["--port", "0", "--tls-certificate", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "server", *flags], capture_output=True, text=True, check=False
    )
    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"error: can't use the certificate in {path}: ")
    assert 1 == done.stderr.count("\n")


def test_key_alone_is_refused() -> None:
    with pytest.raises(TlsError, match="only with its tls_certificate"):
        ServerTls("", "key.pem")


async def test_renewed_certificate_is_shown_to_who_comes_and_nobody_is_cut_off(
    start_server: Callable[..., ServerProcess], files: tuple[str, str], tmp_path: Path
) -> None:
    certificate, key = files
    server = start_server("--tls-certificate", certificate, "--tls-key", key)
    assert "https://127.0.0.1:" in server.line
    uri = f"wss://localhost:{server.port}/echo"

    async with connect(uri, ssl=trusting()) as before:
        # A bad one first: the old one stays.
        replace(certificate, "no certificate")
        server.process.send_signal(signal.SIGHUP)
        await eventually(1, lambda: server.errors().count("the old one stays"))
        async with connect(uri, ssl=trusting()):
            pass
        for made, named in zip(new_certificate(tmp_path), files, strict=True):
            shutil.copy(made, named)
        server.process.send_signal(signal.SIGHUP)
        await eventually(1, lambda: server.errors().count("the certificate was read anew"))
        async with connect(uri, ssl=trusting(read(certificate))) as after:
            for connection in (before, after):
                await connection.send("hello")
                assert "hello" == await anext(connection)
