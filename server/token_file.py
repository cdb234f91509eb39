"""Token file: users and their tokens, one of each to a line; a token may stand as its hash.

# printf %s TOKEN | sha256sum
alice 5f0d3e8c7b1a49c2a6d4
bob sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

import hmac
import re
from hashlib import sha256
from typing import Final, final

from .credential import check_token
from .identity import Identity
from .refusal import Refusal
from .secret_file import warn_if_public
from .settings import SettingsError

# A token is a secret that nobody chose, so that its hash needs no salt.
MIN_TOKEN: Final = 16
_HASHED: Final = re.compile(r"sha256:([0-9a-fA-F]{64})")
# What an unknown token is compared with, so that it takes as long as a known one.
_NOBODY: Final = bytes(32)


@final
class TokenFile:
    """Finds who a token belongs to. Raises SettingsError, which quotes no token."""

    __slots__ = ("_known", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        # By the token's hash, so that neither the time a look-up takes nor the memory tells a token.
        self._known: dict[bytes, tuple[bytes, Identity]] = {}
        self.reload()

    def find(self, token: str) -> Identity | None:
        """Return whose token it is, if anybody's."""
        digest = sha256(token.encode()).digest()
        known, identity = self._known.get(digest, (_NOBODY, None))
        return identity if hmac.compare_digest(known, digest) else None

    def reload(self) -> list[Identity]:
        """Read the file anew; return those whose token is no longer in it. Raises SettingsError.

        A file that can't be used changes nothing.
        """
        try:
            with open(self._path, encoding="utf-8-sig") as file:
                lines = file.read().split("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it isn't UTF-8"
            raise SettingsError(f"auth_tokens: can't read {self._path}: {reason}") from None
        before, known = self._known, dict[bytes, tuple[bytes, Identity]]()
        holds_secrets = False
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            try:
                user, digest, is_hashed = _parse(line)
                if digest in known:
                    raise ValueError("a token that stands above already")
                old = before.get(digest)
                kept = old[1] if old is not None and old[1].user == user else Identity(user)
            except (Refusal, ValueError) as error:
                raise SettingsError(f"auth_tokens: {self._path}, line {number}: {error}") from None
            known[digest] = digest, kept
            holds_secrets = holds_secrets or not is_hashed
        self._known = known
        if holds_secrets:
            warn_if_public("auth_tokens", self._path)
        stay = {identity for _, identity in known.values()}
        return [identity for _, identity in before.values() if identity not in stay]


def _parse(line: str) -> tuple[str, bytes, bool]:
    """Read a line into a user's name, a token's hash, and whether that stood there.

    Raises ValueError or Refusal.
    """
    fields = line.split()
    if len(fields) != 2:
        raise ValueError("expected a user and a token")
    user, token = fields
    hashed = _HASHED.fullmatch(token)
    if hashed is not None:
        return user, bytes.fromhex(hashed[1]), True
    check_token(token)
    if len(token) < MIN_TOKEN:
        raise ValueError(f"expected a token of {MIN_TOKEN} characters or more")
    return user, sha256(token.encode()).digest(), False
