"""Tokens: by which a client shows on a new connection which session it was before."""

import hashlib
import hmac
import secrets
from typing import final

from .refusal import Refusal


@final
class Tokens:
    """Issues tokens that are good for as long as the server lives.

    A token is the session's id with a keyed hash, so nothing is kept for those who don't come back.
    """

    __slots__ = ("_key",)

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, id: str) -> str:
        """Make the token of a session."""
        return f"{id}.{self._sign(id)}"

    def verify(self, token: str) -> str:
        """Return the id of the session that a token was issued to. Raises Refusal."""
        id, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(errors="replace"), self._sign(id).encode()):
            raise Refusal("invalid_token", "This server issued no such token.")
        return id

    def _sign(self, id: str) -> str:
        return hmac.digest(self._key, id.encode(errors="replace"), hashlib.sha256)[:16].hex()
