"""Authentication: who a client is, told by the token that it shows at the handshake, or later to go on."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, final

from rfc6455 import HandshakeError, Request, ServerHandshake

from .credential import check_token, find_token
from .http_refusal import RETRY_AFTER, refusal
from .identity import Identity, Judged
from .refusal import Refusal
from .settings import Settings, SettingsError
from .token_file import TokenFile

logger = logging.getLogger(__name__)

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
# 6750 3: what an error_description can't hold, and an application may say.
_UNFIT: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")

AuthenticateHook = Callable[[str | None, Request | None], Awaitable[Identity | None]]

# Options that mean something only beside others: who gives one doesn't want that everybody comes in.
_DETAILS: Final = ("auth_cookie", "jwt_audience", "jwt_issuer")


@final
class Authenticator:
    """Judges tokens by what the settings name, and asks an application about any other. Raises SettingsError.

    What can be said at once is; else it is to be awaited.
    """

    __slots__ = ("_cookie", "_hook", "_hook_timeout", "_jwt", "_tokens")

    def __init__(self, settings: Settings, hook: AuthenticateHook | None) -> None:
        self._hook = hook
        self._hook_timeout = settings.hook_timeout
        self._cookie = settings.auth_cookie
        self._tokens = TokenFile(settings.auth_tokens) if settings.auth_tokens else None
        self._jwt = None
        if settings.jwt_secret or settings.jwt_keys:
            # Only then: it takes 80 ms and 22 MB to import.
            from .jwt_verifier import JwtVerifier

            self._jwt = JwtVerifier(settings)

    async def start(self) -> None:
        """Fetch what has to be fetched, before anybody waits for it."""
        if self._jwt is not None and self._jwt.remote is not None:
            await self._jwt.remote.fetch()

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._jwt is not None and self._jwt.remote is not None:
            self._jwt.remote.close()

    def authenticate(self, handshake: ServerHandshake) -> Judged:
        """Say whose request it is. Raises HandshakeError, now or when it is awaited."""
        try:
            judged = self._judge(find_token(handshake, self._cookie), handshake.request)
        except Refusal as refused:
            raise answer_to(refused) from None
        return judged if isinstance(judged, Identity) else partial(_answered, judged)

    def refresh(self, token: str) -> Judged:
        """Say whose token it is that a session shows. Raises Refusal, now or when it is awaited."""
        check_token(token)
        return self._judge(token, None)

    def reload_tokens(self) -> list[Identity]:
        """Read the file of tokens anew; return whose token is gone. Raises SettingsError."""
        return [] if self._tokens is None else self._tokens.reload()

    def reload_keys(self) -> None:
        """Read the files of keys anew. Raises SettingsError."""
        if self._jwt is not None:
            self._jwt.reload()

    def _judge(self, token: str | None, request: Request | None) -> Judged:
        identity = None
        if token is not None and self._tokens is not None:
            identity = self._tokens.find(token)
        if identity is not None:
            return identity
        # 7515 3.1: a JWT has three parts.
        if token is not None and self._jwt is not None and token.count(".") == 2:
            return self._jwt.verify(token)
        if self._hook is not None:
            return partial(self._ask, self._hook, token, request)
        raise _unknown(token)

    async def _ask(self, hook: AuthenticateHook, token: str | None, request: Request | None) -> Identity:
        limit = asyncio.timeout(self._hook_timeout)
        try:
            async with limit:
                identity = await hook(token, request)
        except Refusal:
            raise
        except Exception as error:
            if limit.expired():
                logger.warning("the authenticate hook took longer than %s s", self._hook_timeout)
                raise Refusal("timeout", "The application took too long.") from None
            # Its text may be the token, as in the KeyError of a look-up.
            told = Exception, Exception("(what it says is left out)"), error.__traceback__
            logger.error("the authenticate hook failed: %s", type(error).__name__, exc_info=told)
            raise Refusal("internal_error", "The application failed.") from None
        if identity is None:
            raise _unknown(token)
        if not isinstance(identity, Identity):
            logger.error("the authenticate hook returned no Identity: %s", type(identity).__name__)
            raise Refusal("internal_error", "The application failed.")
        return identity


async def _answered(judge: Callable[[], Awaitable[Identity]]) -> Identity:
    try:
        return await judge()
    except Refusal as refused:
        raise answer_to(refused) from None


def _unknown(token: str | None) -> Refusal:
    if token is None:
        return Refusal("unauthorized", "Expected a token.")
    return Refusal("invalid_token", "The token is not known.")


def make_authenticator(settings: Settings, hook: AuthenticateHook | None) -> Authenticator | None:
    """Make what settings and application ask for; None if everybody comes in. Raises SettingsError."""
    if settings.auth_tokens or settings.jwt_secret or settings.jwt_keys or hook is not None:
        return Authenticator(settings, hook)
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
        words = _UNFIT.sub("?", str(refused))
        wrong = f', error="{refused.code}", error_description="{words}"'
        challenge = 'Bearer realm="websocket"' + (wrong if refused.code == "invalid_token" else "")
        return refusal(status, str(refused), ("WWW-Authenticate", challenge))
    if status == 503:
        return refusal(status, str(refused), RETRY_AFTER)
    return refusal(status, str(refused))
