"""Secret files that are everybody's to read are told of, and used all the same."""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from server.jwt_keys import load_secret
from server.management import Guard
from server.secret_file import warn_if_public
from server.tls import ServerTls
from server.token_file import TokenFile
from tests.rawserver import write_certificate

TOKEN: Final = "0123456789abcdef0123456789abcdef"
HASHED: Final = f"alice sha256:{sha256(b'of another').hexdigest()}"


def write(folder: Path, content: str, mode: int) -> str:
    path = folder / "secret"
    path.write_text(content)
    path.chmod(mode)
    return str(path)


def warning(option: str, path: str) -> str:
    return f"{option}: every user of this machine may read or change {path}; chmod o= it"


@pytest.mark.parametrize(
    ("mode", "is_public"), [(0o600, False), (0o660, False), (0o400, False), (0o604, True), (0o602, True)]
)
@pytest.mark.parametrize(
    ("option", "content", "use"),
    [
        ("auth_tokens", f"{HASHED}\nbob {TOKEN}", TokenFile),
        ("jwt_secret", TOKEN, load_secret),
        ("management_token", TOKEN, Guard),
    ],
)
def test_file_that_everybody_may_read_is_told_of(
    option: str,
    content: str,
    use: Callable[[str], object],
    mode: int,
    is_public: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = write(tmp_path, content, mode)
    use(path)
    assert [warning(option, path)] * is_public == [record.getMessage() for record in caplog.records]
    assert TOKEN not in caplog.text


def test_file_of_hashes_holds_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    TokenFile(write(tmp_path, HASHED, 0o644))
    assert [] == caplog.records


@pytest.mark.parametrize("is_apart", [True, False])
def test_key_that_everybody_may_read_is_told_of_wherever_it_stands(
    is_apart: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Path(write_certificate(tmp_path))
    key = tmp_path / "key.pem"
    if not is_apart:
        certificate.write_text(certificate.read_text() + key.read_text())
        key = certificate
    certificate.chmod(0o644)
    tls = ServerTls(str(certificate), str(key) if is_apart else "")
    key.chmod(0o600)
    caplog.clear()
    tls.reload()
    assert [] == caplog.records
    key.chmod(0o644)
    tls.reload()
    option = "tls_key" if is_apart else "tls_certificate"
    assert [warning(option, str(key))] == [record.getMessage() for record in caplog.records]


def test_file_that_is_gone_by_now_is_no_matter(tmp_path: Path) -> None:
    warn_if_public("auth_tokens", str(tmp_path / "gone"))


def test_pipe_that_a_shell_makes_is_nobodys(caplog: pytest.LogCaptureFixture) -> None:
    reading, writing = os.pipe()
    os.fchmod(reading, 0o644)
    warn_if_public("auth_tokens", f"/dev/fd/{reading}")
    os.close(reading)
    os.close(writing)
    assert [] == caplog.records
