"""JSON Web Tokens (RFC 7519, through PyJWT): who they belong to, until when, and with which rights."""

from functools import partial
from typing import Any, Final, final

import jwt

from .identity import Identity, Judged
from .jwks import RemoteKeys
from .jwt_keys import Key, choose, load_public_keys, load_secret
from .refusal import Refusal
from .rights import EVERYTHING, parse_rights
from .settings import Settings

RIGHTS_CLAIM: Final = "rooms"

# The end of the year 9999.
_LATEST: Final = 253_402_300_799

_UNREADABLE: Final = "The token can't be read."
# What is wrong with a token, by what PyJWT raises; the first that fits.
_WRONG: Final = (
    (jwt.ExpiredSignatureError, "The token has expired."),
    (jwt.ImmatureSignatureError, "The token is not valid yet."),
    (jwt.InvalidAudienceError, "The token is for another audience."),
    (jwt.InvalidIssuerError, "The token is of another issuer."),
    (jwt.InvalidSignatureError, "The token's signature is wrong."),
)


@final
class JwtVerifier:
    """Verifies tokens with the keys, and holds them to the claims, that the settings name.

    Raises SettingsError.
    """

    __slots__ = ("_algorithms", "_keys", "_settings", "remote")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: list[Key] = []
        self._algorithms: set[str] = set()
        is_url = settings.jwt_keys.startswith(("https://", "http://"))
        self.remote = RemoteKeys(settings.jwt_keys) if is_url else None
        self.reload()

    def reload(self) -> None:
        """Read the files of keys anew; ones that can't be used change nothing. Raises SettingsError."""
        settings = self._settings
        keys = [load_secret(settings.jwt_secret)] if settings.jwt_secret else []
        if settings.jwt_keys and self.remote is None:
            keys += load_public_keys(settings.jwt_keys)
        self._keys = keys
        self._algorithms = {key.algorithm for key in keys}
        if self.remote is not None:
            self._algorithms |= self.remote.algorithms

    def verify(self, token: str) -> Judged:
        """Say whose token it is, at once if its key is at hand. Raises Refusal, now or when it is awaited."""
        algorithm, id = _read_header(token)
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise _invalid("The token is not signed in a way that is accepted here.")
        key = choose(self._keys, algorithm, id)
        if key is None and self.remote is not None:
            key = self.remote.find(algorithm, id)
            if key is None:
                return partial(self._identify_later, self.remote, token, algorithm, id)
        if key is None:
            raise _invalid("The token's key is not known.")
        return self._identify(token, key)

    async def _identify_later(
        self, remote: RemoteKeys, token: str, algorithm: object, id: object
    ) -> Identity:
        return self._identify(token, await remote.fetch_and_find(algorithm, id))

    def _verify(self, token: str, key: Key) -> dict[str, Any]:
        settings = self._settings
        try:
            return jwt.decode(
                token,
                key.material,
                # Never by what the token says.
                algorithms=[key.algorithm],
                audience=settings.jwt_audience or None,
                issuer=settings.jwt_issuer or None,
                leeway=settings.jwt_leeway,
                options={"require": list(settings.jwt_required_claims)},
            )
        except jwt.MissingRequiredClaimError as error:
            raise _invalid(f"The token has no claim {error.claim}.") from None
        except jwt.PyJWTError as error:
            raise _invalid(
                next((says for kind, says in _WRONG if isinstance(error, kind)), _UNREADABLE)
            ) from None
        # PyJWT doesn't look at the types of all that it converts.
        except (ValueError, TypeError, OverflowError, AttributeError, RecursionError):
            raise _invalid(_UNREADABLE) from None

    def _identify(self, token: str, key: Key) -> Identity:
        claims = self._verify(token, key)
        name = self._settings.jwt_user_claim
        user, expiry = claims.get(name), claims.get("exp")
        if not isinstance(user, str):
            raise _invalid(f"The token's claim {name} is no user's name.")
        # 7519 2: a number of seconds; true is a number to Python.
        if expiry is not None and (type(expiry) not in (int, float) or expiry > _LATEST):
            raise _invalid("The token's claim exp is no number.")
        try:
            rights = parse_rights(claims[RIGHTS_CLAIM]) if RIGHTS_CLAIM in claims else EVERYTHING
        except ValueError as error:
            raise _invalid(f"The token's claim {RIGHTS_CLAIM} can't be used: {error}") from None
        try:
            if expiry is None:
                return Identity(user, rights=rights, claims=claims)
            return Identity(user, float(expiry) + self._settings.jwt_leeway, rights, claims)
        except Refusal:
            raise _invalid(f"The token's claim {name} is no user's name.") from None


def _read_header(token: str) -> tuple[object, object]:
    """Read what a token says of its signature: the algorithm, and the key's id."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError):
        raise _invalid(_UNREADABLE) from None
    return header.get("alg"), header.get("kid")


def _invalid(message: str) -> Refusal:
    return Refusal("invalid_token", message)
