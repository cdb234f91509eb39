"""Credential: a token is found where it stands, and of two none is."""

import pytest

from rfc6455 import RequestReader, ServerHandshake
from server.credential import MAX_TOKEN, find_token
from server.refusal import Refusal
from tests.rawclient import upgrade

TOKEN = "abc.DEF-_~+/123=="


def find(path: str, *fields: str, cookie: str = "") -> str | None:
    request = RequestReader(max_head=1 << 16, max_target=1 << 15).feed(upgrade(path, *fields))
    assert request is not None
    return find_token(ServerHandshake(request), cookie)


def refused(path: str, *fields: str, cookie: str = "") -> str:
    with pytest.raises(Refusal) as caught:
        find(path, *fields, cookie=cookie)
    return f"{caught.value.code}: {caught.value}"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/", [f"Authorization: Bearer {TOKEN}"]),
        ("/", [f"Authorization: bEARER   {TOKEN}"]),
        (f"/?access_token={TOKEN}", []),
        (f"/?a=b&access_token={TOKEN}&c", []),
        ("/?access_token=abc.DEF%2D_~%2B%2f123%3D%3D", []),
        (f"/?%61ccess_token={TOKEN}", []),
        ("/", [f"Cookie: a=b; session={TOKEN}; c"]),
        ("/", ["Cookie: a=b", f'Cookie: session="{TOKEN}"']),
    ],
)
def test_token_is_found_in_its_place(path: str, fields: list[str]) -> None:
    assert TOKEN == find(path, *fields, cookie="session")


def test_token_is_found_among_the_subprotocols() -> None:
    assert "a.b-c" == find("/", "Sec-WebSocket-Protocol: rooms, bearer.a.b-c")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/", []),
        ("/?", []),
        ("/?token=a&access_tokens=a&access_toke=a&xaccess_token=a", []),
        ("/access_token=a", []),
        ("/", ["Sec-WebSocket-Protocol: rooms, bearer, Bearer.a, bearers.a"]),
        ("/", ["Cookie: session2=a; Session=a; xsession=a; =session"]),
        ("/", ["X-Authorization: Bearer a", "Proxy-Authorization: Bearer a"]),
    ],
)
def test_what_only_looks_like_a_token_is_none(path: str, fields: list[str]) -> None:
    assert None is find(path, *fields, cookie="session")


def test_cookie_is_looked_at_only_by_name() -> None:
    assert None is find("/", "Cookie: session=abc; =abc")


EMPTY = "invalid_request: Expected a token, received an empty one."
UNFIT = "invalid_request: A token has letters, digits and -._~+/ only, and = at its end."
TWO = "invalid_request: Expected one token in one place, received more."
SCHEME = "unauthorized: Expected the scheme Bearer in Authorization."


@pytest.mark.parametrize(
    ("path", "fields", "problem"),
    [
        ("/", ["Authorization: Basic YTpi"], SCHEME),
        ("/", ["Authorization: abc"], SCHEME),
        ("/", ["Authorization: "], SCHEME),
        ("/", ["Authorization: Bearerabc"], SCHEME),
        ("/", ["Authorization: Bearer\tabc"], SCHEME),
        ("/", ["Authorization: Bearer"], EMPTY),
        ("/", ["Authorization: Bearer abc, Basic YTpi"], UNFIT),
        ("/", ["Authorization: Bearer a b"], UNFIT),
        ("/", ["Authorization: Bearer a=b"], UNFIT),
        ("/", ["Authorization: Bearer \xe9"], UNFIT),
        ("/?access_token=", [], EMPTY),
        ("/?access_token", [], EMPTY),
        ("/?access_token=%ff", [], "invalid_request: The token in the query is not UTF-8."),
        ("/?access_token=%c3%a9", [], UNFIT),
        ("/?access_token=a%00b", [], UNFIT),
        ("/?access_token=a%0d%0ab", [], UNFIT),
        ("/?access_token=a%20b", [], UNFIT),
        ("/", ["Sec-WebSocket-Protocol: bearer."], EMPTY),
        ("/", ["Sec-WebSocket-Protocol: bearer.a!b"], UNFIT),
        ("/", ["Cookie: session="], EMPTY),
        ("/", ['Cookie: session=""'], EMPTY),
        ("/", ['Cookie: session="'], UNFIT),
        ("/?access_token=a&access_token=a", [], TWO),
        ("/?access_token=a", ["Authorization: Bearer a"], TWO),
        ("/?access_token=a", ["Authorization: Bearer b"], TWO),
        ("/", ["Authorization: Bearer a", "Sec-WebSocket-Protocol: rooms, bearer.a"], TWO),
        ("/", ["Authorization: Bearer a", "Cookie: session=a"], TWO),
        ("/", ["Sec-WebSocket-Protocol: bearer.a, bearer.b"], TWO),
        ("/", ["Cookie: session=a; session=b"], TWO),
        ("/", ["Cookie: session=a", "Cookie: session=b"], TWO),
    ],
)
def test_token_that_is_none_or_one_of_two_is_refused(path: str, fields: list[str], problem: str) -> None:
    assert problem == refused(path, *fields, cookie="session")


@pytest.mark.parametrize("size", [MAX_TOKEN - 1, MAX_TOKEN, MAX_TOKEN + 1])
def test_token_has_a_longest_length(size: int) -> None:
    token = "a" * size
    if size <= MAX_TOKEN:
        assert token == find(f"/?access_token={token}")
    else:
        expected = "invalid_request: A token has up to 8192 characters."
        assert expected == refused("/", f"Authorization: Bearer {token}")
