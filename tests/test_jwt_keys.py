"""Keys of JSON Web Tokens: each for the one algorithm that its kind says, and no other kind at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from server.jwt_keys import Key, choose, load_public_keys, load_secret, parse_key_set
from server.settings import SettingsError
from tests.jwt_keys import EC, ED25519, RSA, SECRET, SHORT_RSA, jwk, key_set, public_pem, write

PRIVATE = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def named(keys: list[Key]) -> list[tuple[str, str | None]]:
    return [(key.algorithm, key.id) for key in keys]


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (ED25519, "EdDSA")])
def test_public_key_in_pem_is_good_for_one_algorithm(key: Any, algorithm: str, tmp_path: Path) -> None:
    assert [(algorithm, None)] == named(load_public_keys(write(tmp_path, "key.pem", public_pem(key))))


def test_set_has_a_key_for_each_id(tmp_path: Path) -> None:
    document = key_set(jwk(RSA, "a"), jwk(ED25519, "b", use="sig", alg="EdDSA"))
    assert [("RS256", "a"), ("EdDSA", "b")] == named(load_public_keys(write(tmp_path, "keys.json", document)))


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "b"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "b"},
        {"kty": "RSA", "kid": "b"},
        {"kty": "RSA", "n": 1, "e": "AQAB"},
        {"kty": "RSA", "n": "é", "e": "AQAB"},
        {"kty": "OKP", "crv": "Ed448", "x": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
        {"kty": ["RSA"]},
        {"kid": "b"},
        jwk(RSA, "b", use="enc"),
        jwk(RSA, "b", alg="RS512"),
        jwk(RSA, "b", alg="HS256"),
        jwk(RSA, None, kid=7),
        jwk(SHORT_RSA, "b"),
        [],
        None,
    ],
)
def test_key_of_another_kind_is_left_out_of_a_set(entry: Any) -> None:
    assert [("RS256", "a")] == named(parse_key_set({"keys": [entry, jwk(RSA, "a")]}))
    with pytest.raises(ValueError, match="there is no usable key in the set"):
        parse_key_set({"keys": [entry]})


@pytest.mark.parametrize("document", [None, [], "keys", {}, {"keys": None}, {"keys": {}}, {"keys": []}])
def test_what_is_no_set_has_no_keys(document: Any) -> None:
    with pytest.raises(ValueError, match="there is no usable key in the set"):
        parse_key_set(document)


SEVERAL = public_pem(RSA) + public_pem(ED25519)
UNUSABLE = "the key is not usable: RSA of 2048 bits or more, or Ed25519"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", ""),
        ("nonsense", ""),
        ("{", ""),
        ("{}", "there is no usable key in the set: RSA of 2048 bits or more, or Ed25519"),
        ("[" * 100_000, ""),
        ('{"keys":' + "[" * 100_000, ""),
        (PRIVATE, ""),
        (SEVERAL, "there are several keys; those stand in a JSON Web Key Set"),
        (public_pem(SHORT_RSA), UNUSABLE),
        (public_pem(EC), UNUSABLE),
        (b"\xff", ""),
        (SECRET, ""),
    ],
)
def test_file_without_a_public_key_is_named(content: str | bytes, problem: str, tmp_path: Path) -> None:
    path = write(tmp_path, "keys", content)
    with pytest.raises(SettingsError) as caught:
        load_public_keys(path)
    expected = f"jwt_keys: expected a public key in PEM or a JSON Web Key Set in {path}: {problem}"
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)
    assert PRIVATE.split("\n")[1] not in str(caught.value)


def test_secret_is_the_files_octets_without_the_line_end(tmp_path: Path) -> None:
    for content in (SECRET, SECRET + "\n", SECRET + "\r\n"):
        assert Key("HS256", None, SECRET.encode()) == load_secret(write(tmp_path, "secret", content))


@pytest.mark.parametrize("size", [31, 32, 33])
def test_secret_has_a_least_length(size: int, tmp_path: Path) -> None:
    path = write(tmp_path, "secret", "s" * size)
    if size >= 32:
        assert b"s" * size == load_secret(path).material
        return
    with pytest.raises(SettingsError) as caught:
        load_secret(path)
    assert f"jwt_secret: expected 32 octets or more in {path}, got 31" == str(caught.value)


@pytest.mark.parametrize(
    "content", [public_pem(RSA), PRIVATE, "ssh-rsa AAAA" * 10, json.dumps({"keys": [jwk(RSA, "a")]})]
)
def test_what_is_public_is_no_secret(content: str, tmp_path: Path) -> None:
    path = write(tmp_path, "secret", content)
    with pytest.raises(SettingsError) as caught:
        load_secret(path)
    assert f"jwt_secret: {path} holds a key of another kind; public ones are for jwt_keys" == str(
        caught.value
    )


@pytest.mark.parametrize("load", [load_secret, load_public_keys])
def test_file_that_is_not_there_is_named(load: Any) -> None:
    with pytest.raises(SettingsError, match=r"^jwt_\w+: can't read none: No such file or directory$"):
        load("none")


A, B, NAMELESS = (Key("RS256", id, b"") for id in ("a", "b", None))
OTHER = Key("EdDSA", "a", b"")


@pytest.mark.parametrize(
    ("keys", "id", "chosen"),
    [
        ([A, B, OTHER], "a", A),
        ([A, B, OTHER], "c", None),
        ([A, B], None, None),
        ([A, OTHER], None, A),
        ([NAMELESS], "a", NAMELESS),
        ([NAMELESS], None, NAMELESS),
        ([A, NAMELESS], "a", A),
        ([A, NAMELESS], "c", NAMELESS),
        ([A, NAMELESS], None, None),
        ([A, A], "a", None),
        ([OTHER], "a", None),
        ([A], ["a"], None),
        ([], "a", None),
    ],
)
def test_token_means_one_key_or_none(keys: list[Key], id: object, chosen: Key | None) -> None:
    assert chosen is choose(keys, "RS256", id)
