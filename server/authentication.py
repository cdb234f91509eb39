"""Authentication: who a client is, told by the token that it shows at the handshake, or later to go on."""

from typing import Final, final

from rfc6455 import HandshakeError, ServerHandshake

from .credential import check_token, find_token
from .http_refusal import RETRY_AFTER, refusal
from .identity import Identity
from .refusal import Refusal
from .settings import Settings, SettingsError
from .token_file import TokenFile

# What a refusal's code is before the upgrade; any other is an application's own, and forbids.
_STATUS: Final = {
    "invalid_request": 400,
    "unauthorized": 401,
    "invalid_token": 401,
    "internal_error": 500,
    "timeout": 503,
    "unavailable": 503,
}
_FORBIDDEN: Final = 403

# Options that mean something only beside others: who gives one doesn't want that everybody comes in.
_DETAILS: Final = ("auth_cookie", "jwt_audience", "jwt_issuer")


@final
class Authenticator:
    """Judges tokens by what the settings name. Raises SettingsError."""

    __slots__ = ("_cookie", "_jwt", "_tokens")

    def __init__(self, settings: Settings) -> None:
        self._cookie = settings.auth_cookie
        self._tokens = TokenFile(settings.auth_tokens) if settings.auth_tokens else None
        self._jwt = None
        if settings.jwt_secret or settings.jwt_keys:
            # Only then: it takes 80 ms and 22 MB to import.
            from .jwt_verifier import JwtVerifier

            self._jwt = JwtVerifier(settings)

    def authenticate(self, handshake: ServerHandshake) -> Identity:
        """Say whose request it is. Raises HandshakeError."""
        try:
            return self._judge(find_token(handshake, self._cookie))
        except Refusal as refused:
            raise answer_to(refused) from None

    def refresh(self, token: str) -> Identity:
        """Say whose token it is that a session shows. Raises Refusal."""
        check_token(token)
        return self._judge(token)

    def reload(self) -> list[Identity]:
        """Read the file of tokens anew; return whose token is gone. Raises SettingsError."""
        return [] if self._tokens is None else self._tokens.reload()

    def _judge(self, token: str | None) -> Identity:
        if token is None:
            raise Refusal("unauthorized", "Expected a token.")
        identity = self._tokens.find(token) if self._tokens is not None else None
        if identity is not None:
            return identity
        # 7515 3.1: a JWT has three parts.
        if self._jwt is not None and token.count(".") == 2:
            return self._jwt.verify(token)
        raise Refusal("invalid_token", "The token is not known.")


def make_authenticator(settings: Settings) -> Authenticator | None:
    """Make what the settings ask for; None if everybody comes in. Raises SettingsError."""
    if settings.auth_tokens or settings.jwt_secret or settings.jwt_keys:
        return Authenticator(settings)
    for name in _DETAILS:
        if getattr(settings, name):
            raise SettingsError(
                f"{name}: of use only with auth_tokens, jwt_secret or jwt_keys; else all come in"
            )
    return None


def answer_to(refused: Refusal) -> HandshakeError:
    """Make the answer to a request whose token was refused."""
    status = _STATUS.get(refused.code, _FORBIDDEN)
    if status == 401:
        # 6750 3: what is asked for; and what was wrong, if there was a token.
        wrong = f', error="{refused.code}", error_description="{refused}"'
        challenge = 'Bearer realm="websocket"' + (wrong if refused.code == "invalid_token" else "")
        return refusal(status, str(refused), ("WWW-Authenticate", challenge))
    if status == 503:
        return refusal(status, str(refused), RETRY_AFTER)
    return refusal(status, str(refused))
