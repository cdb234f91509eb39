"""By which value of a message one is told from another."""

import pytest
from msgspec import Raw

from server.conflation import MAX_KEY, key_of


@pytest.mark.parametrize(
    ("path", "payload", "expected"),
    [
        ("s", b'{"s":"A"}', "str:A"),
        ("s", b'{"s":1}', "int:1"),
        ("s", b'{"s":1.5}', "float:1.5"),
        ("s", b'{"s":true}', "bool:True"),
        ("s", b'{"s":"1"}', "str:1"),
        ("a.s", b'{"a":{"s":"A"},"s":"B"}', "str:A"),
        ("s", b'{"s":null}', None),
        ("s", b'{"s":["A"]}', None),
        ("s", b"{}", None),
        ("a.s", b'{"a":"s"}', None),
        ("s", b'"A"', None),
        ("s", b"[" * 10_000, None),
        ("s", b"not json", None),
    ],
)
def test_key_is_the_value_and_its_type(path: str, payload: bytes, expected: str | None) -> None:
    assert expected == key_of(tuple(path.split(".")), Raw(payload))


@pytest.mark.parametrize(("excess", "is_one"), [(-1, True), (0, True), (1, False)])
def test_key_has_a_bound(excess: int, is_one: bool) -> None:
    value = "a" * (MAX_KEY - len("str:") + excess)
    assert is_one == (key_of(("s",), Raw(f'{{"s":"{value}"}}'.encode())) is not None)


def test_without_a_path_or_without_json_there_is_no_key() -> None:
    assert key_of((), Raw(b'{"s":1}')) is None
    assert key_of(("s",), '{"s":1}') is None
    assert key_of(("s",), b'{"s":1}') is None
