"""Credential: the token that a request shows, and the one place where it stands."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from rfc6455 import ServerHandshake

from .refusal import Refusal

MAX_TOKEN: Final = 8192
# 6750 2.1: what a token is made of.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_SCHEME: Final = "bearer"
# 6750 2.3.
_PARAMETER: Final = "access_token"
# A browser's WebSocket can't set a field, but offer subprotocols: one that begins so is a token.
_SUBPROTOCOL: Final = "bearer."


def find_token(handshake: ServerHandshake, cookie: str) -> str | None:
    """Return the token that a request shows; `cookie` names one that may hold it, if any. Raises Refusal."""
    found = [token for place in _PLACES for token in place(handshake, cookie)]
    if not found:
        return None
    # 6750 2: one credential, in one place; of two someone would judge the first and someone the last.
    if len(found) > 1:
        raise Refusal("invalid_request", "Expected one token in one place, received more.")
    check_token(found[0])
    return found[0]


def check_token(token: str) -> None:
    """Hold a token to what one is made of. Raises Refusal."""
    if not token:
        raise Refusal("invalid_request", "Expected a token, received an empty one.")
    if len(token) > MAX_TOKEN:
        raise Refusal("invalid_request", f"A token has up to {MAX_TOKEN} characters.")
    if not _TOKEN.fullmatch(token):
        raise Refusal("invalid_request", "A token has letters, digits and -._~+/ only, and = at its end.")


def _in_authorization(handshake: ServerHandshake, cookie: str) -> Iterator[str]:
    field = handshake.request.headers.get("Authorization")
    if field is None:
        return
    scheme, _, token = field.partition(" ")
    # 9110 11.1: schemes are compared without regard to case.
    if scheme.lower() != _SCHEME:
        raise Refusal("unauthorized", "Expected the scheme Bearer in Authorization.")
    yield token.lstrip(" ")


def _in_query(handshake: ServerHandshake, cookie: str) -> Iterator[str]:
    for parameter in handshake.request.query.split("&"):
        name, _, value = parameter.partition("=")
        if unquote_to_bytes(name) != _PARAMETER.encode():
            continue
        try:
            yield unquote_to_bytes(value).decode()
        except UnicodeDecodeError:
            # 6455 8.1.
            raise Refusal("invalid_request", "The token in the query is not UTF-8.") from None


def _in_subprotocols(handshake: ServerHandshake, cookie: str) -> Iterator[str]:
    for name in handshake.subprotocols:
        if name.startswith(_SUBPROTOCOL):
            yield name.removeprefix(_SUBPROTOCOL)


def _in_cookie(handshake: ServerHandshake, cookie: str) -> Iterator[str]:
    for field in handshake.request.headers.get_all("Cookie") if cookie else ():
        for pair in field.split(";"):
            name, _, value = pair.strip(" ").partition("=")
            # 6265 4.1.1: a value may stand in quotes.
            if name == cookie:
                yield value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


_PLACES: Final = (_in_authorization, _in_query, _in_subprotocols, _in_cookie)
