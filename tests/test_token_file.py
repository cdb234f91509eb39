"""Token file: whose a token is, and a clear word about a line that can't be used."""

from hashlib import sha256
from pathlib import Path

import pytest

from server.identity import Identity
from server.settings import SettingsError
from server.token_file import MIN_TOKEN, TokenFile

ALICE = "alices-token-0001"
BOB = "bobs-token/+~._00002=="


def write(folder: Path, text: str) -> str:
    path = folder / "tokens"
    path.write_text(text, encoding="utf-8")
    return str(path)


def user_of(identity: Identity | None) -> str | None:
    return None if identity is None else identity.user


def test_token_is_found_plain_or_by_its_hash(tmp_path: Path) -> None:
    hashed = sha256(BOB.encode()).hexdigest()
    tokens = TokenFile(write(tmp_path, f"# who\n\n alice \t{ALICE} \r\nbob sha256:{hashed.upper()}\n"))
    assert "alice" == user_of(tokens.find(ALICE))
    assert "bob" == user_of(tokens.find(BOB))
    for unknown in (ALICE[:-1], ALICE + "0", "", f"sha256:{hashed}", hashed, "alice", "é"):
        assert None is tokens.find(unknown)


def test_user_may_have_many_tokens(tmp_path: Path) -> None:
    tokens = TokenFile(write(tmp_path, f"alice {ALICE}\nalice {BOB}"))
    assert ["alice", "alice"] == [user_of(tokens.find(one)) for one in (ALICE, BOB)]


def test_file_holds_no_token_in_memory(tmp_path: Path) -> None:
    tokens = TokenFile(write(tmp_path, f"alice {ALICE}"))
    assert ALICE not in repr(tokens._known)


def test_reload_tells_whose_token_is_gone_and_keeps_the_others(tmp_path: Path) -> None:
    tokens = TokenFile(write(tmp_path, f"alice {ALICE}\nbob {BOB}"))
    alice, bob = tokens.find(ALICE), tokens.find(BOB)
    # The token is another's now.
    write(tmp_path, f"carol {BOB}\nalice {ALICE}")
    assert [bob] == tokens.reload()
    assert alice is tokens.find(ALICE)
    assert "carol" == user_of(tokens.find(BOB))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("alice", "expected a user and a token"),
        (f"alice {ALICE} more", "expected a user and a token"),
        ("alice short-token-001", "expected a token of 16 characters or more"),
        ("alice tokens-with-é-in-them", "A token has letters, digits and -._~+/ only, and = at its end."),
        ("alice sha256:abcdefabcdef", "A token has letters, digits and -._~+/ only, and = at its end."),
        (f"alice {'a' * 8193}", "A token has up to 8192 characters."),
        (f"{'a' * 129} {ALICE}", "A user's name has 1 to 128 bytes of UTF-8."),
        (f"a\x1b[2J {ALICE}", "A user's name has no control or invisible characters."),
        (f"bob {BOB}", "a token that stands above already"),
    ],
)
def test_line_that_can_not_be_used_is_named_and_changes_nothing(
    line: str, problem: str, tmp_path: Path
) -> None:
    path = write(tmp_path, f"alice {ALICE}")
    tokens = TokenFile(path)
    write(tmp_path, f"carol {BOB}\n{line}")
    with pytest.raises(SettingsError) as caught:
        tokens.reload()
    assert f"auth_tokens: {path}, line 2: {problem}" == str(caught.value)
    assert "alice" == user_of(tokens.find(ALICE))
    assert None is tokens.find(BOB)


def test_token_of_the_least_length_is_good(tmp_path: Path) -> None:
    token = "a" * MIN_TOKEN
    assert "alice" == user_of(TokenFile(write(tmp_path, f"alice {token}")).find(token))


def test_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    with pytest.raises(SettingsError) as caught:
        TokenFile(str(path))
    assert f"auth_tokens: can't read {path}: No such file or directory" == str(caught.value)
    path.write_bytes(b"\xff")
    with pytest.raises(SettingsError) as caught:
        TokenFile(str(path))
    assert f"auth_tokens: can't read {path}: it isn't UTF-8" == str(caught.value)
