"""JSON Web Tokens: what is signed with our keys, for us and in its time; nothing else."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from server.identity import Identity
from server.jwt_verifier import JwtVerifier
from server.refusal import Refusal
from server.rights import EVERYTHING, Rights
from server.settings import Settings
from tests.jwt_keys import EC, ED25519, RSA, SECRET, jwk, key_set, public_pem, sign, write

Make = Callable[..., JwtVerifier]


@pytest.fixture
def verifier(tmp_path: Path) -> Make:
    """Make one that has the secret and both kinds of public keys, with these settings."""
    keys = key_set(jwk(RSA, "rsa"), jwk(ED25519, "ed"))
    files = {"jwt_secret": write(tmp_path, "secret", SECRET), "jwt_keys": write(tmp_path, "keys", keys)}
    return lambda **settings: JwtVerifier(Settings(**{**files, **settings}))


def verified(verifier: JwtVerifier, token: str) -> Identity:
    identity = verifier.verify(token)
    assert isinstance(identity, Identity)
    return identity


def refused(verifier: JwtVerifier, token: str) -> str:
    with pytest.raises(Refusal) as caught:
        verifier.verify(token)
    assert "invalid_token" == caught.value.code
    return str(caught.value)


def segment(value: Any) -> str:
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def forge(header: Any, claims: Any, signature: bytes = b"") -> str:
    return ".".join([segment(header), segment(claims), segment(signature)])


@pytest.mark.parametrize(
    ("key", "algorithm", "id"),
    [
        (SECRET, "HS256", None),
        (SECRET, "HS256", "whatever"),
        (RSA, "RS256", "rsa"),
        (RSA, "RS256", None),
        (ED25519, "EdDSA", "ed"),
        (ED25519, "EdDSA", None),
    ],
)
def test_token_of_each_kind_tells_who_it_belongs_to(
    key: Any, algorithm: str, id: Any, verifier: Make
) -> None:
    exp = int(time.time()) + 60
    identity = verified(verifier(jwt_leeway=5.0), sign(key, algorithm, id, exp=exp, team="x"))
    assert ("alice", exp + 5.0, EVERYTHING) == (identity.user, identity.expires_at, identity.rights)
    assert "x" == identity.claims["team"]


SIGNED_OTHERWISE = "The token is not signed in a way that is accepted here."
WRONG_SIGNATURE = "The token's signature is wrong."
UNKNOWN_KEY = "The token's key is not known."
UNREADABLE = "The token can't be read."


def confused() -> str:
    """A token signed by HS256 with the public key for a secret, which PyJWT itself wouldn't make."""
    signed = forge({"alg": "HS256", "kid": "rsa"}, {"sub": "alice", "exp": 9e9}).rpartition(".")[0]
    secret = public_pem(RSA).encode()
    return f"{signed}.{segment(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        (forge({"alg": "none"}, {"sub": "alice", "exp": 9e9}), SIGNED_OTHERWISE),
        (forge({"alg": "None"}, {"sub": "alice", "exp": 9e9}), SIGNED_OTHERWISE),
        (forge({"alg": ""}, {"sub": "alice"}), SIGNED_OTHERWISE),
        (forge({}, {"sub": "alice"}), SIGNED_OTHERWISE),
        (forge({"alg": ["HS256"]}, {"sub": "alice"}), SIGNED_OTHERWISE),
        (forge({"alg": None}, {"sub": "alice"}), SIGNED_OTHERWISE),
        (sign(SECRET * 2, "HS512"), SIGNED_OTHERWISE),
        (sign(RSA, "RS512", "rsa"), SIGNED_OTHERWISE),
        (sign(RSA, "PS256", "rsa"), SIGNED_OTHERWISE),
        (sign(EC, "ES256", "rsa"), SIGNED_OTHERWISE),
        (confused(), WRONG_SIGNATURE),
        (sign("another secret that is just as long as it"), WRONG_SIGNATURE),
        (sign()[:-43] + "A" * 43, WRONG_SIGNATURE),
        (forge({"alg": "HS256"}, {"sub": "alice", "exp": 9e9}), WRONG_SIGNATURE),
        (forge({"alg": "EdDSA", "kid": "ed"}, {"sub": "alice", "exp": 9e9}, bytes(64)), WRONG_SIGNATURE),
        (sign(ED25519, "EdDSA", "rsa"), UNKNOWN_KEY),
        (sign(RSA, "RS256", "other"), UNKNOWN_KEY),
        (sign(RSA, "RS256", ""), UNKNOWN_KEY),
        (forge({"alg": "RS256", "kid": 7}, {}), UNREADABLE),
        (forge({"alg": "HS256", "crit": ["b64"], "b64": False}, {}), UNREADABLE),
        ("..", UNREADABLE),
        ("a.b.c", UNREADABLE),
        (forge(b"\xff", {}), UNREADABLE),
        (forge([], {}), UNREADABLE),
        (forge(b"[" * 5000, {}), UNREADABLE),
        (f"{segment({'alg': 'HS256'})}.=.=", UNREADABLE),
    ],
)
def test_token_that_is_not_signed_with_our_keys_is_refused(token: str, problem: str, verifier: Make) -> None:
    assert problem == refused(verifier(), token)


def test_secret_alone_and_keys_alone_accept_each_their_own(tmp_path: Path) -> None:
    secret = JwtVerifier(Settings(jwt_secret=write(tmp_path, "secret", SECRET)))
    keys = JwtVerifier(Settings(jwt_keys=write(tmp_path, "key.pem", public_pem(RSA))))
    assert "alice" == verified(secret, sign()).user
    assert "alice" == verified(keys, sign(RSA, "RS256")).user
    assert SIGNED_OTHERWISE == refused(keys, sign())
    assert SIGNED_OTHERWISE == refused(keys, confused())
    assert SIGNED_OTHERWISE == refused(secret, sign(RSA, "RS256"))


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({"exp": NOW - 60}, "The token has expired."),
        ({"exp": 0}, "The token has expired."),
        ({"exp": -1e300}, "The token has expired."),
        ({"exp": None}, "The token has no claim exp."),
        ({"nbf": NOW + 3600}, "The token is not valid yet."),
        ({"iat": NOW + 3600}, "The token is not valid yet."),
        ({"aud": "chat"}, "The token is for another audience."),
        ({"sub": None}, "The token's claim sub is no user's name."),
        ({"sub": ""}, "The token's claim sub is no user's name."),
        ({"sub": "a\nb"}, "The token's claim sub is no user's name."),
        ({"sub": "a\u202eb"}, "The token's claim sub is no user's name."),
        ({"sub": "a" * 129}, "The token's claim sub is no user's name."),
        ({"exp": str(NOW + 3600)}, "The token's claim exp is no number."),
        ({"rooms": None, "x": 1, "sub": 7}, UNREADABLE),
        ({"rooms": []}, "The token's claim rooms can't be used: Expected `object`, got `array`"),
        ({"rooms": "*"}, "The token's claim rooms can't be used: Expected `object`, got `str`"),
        (
            {"rooms": {"join": [1]}},
            "The token's claim rooms can't be used: Expected `str`, got `int` - at `$.join[0]`",
        ),
        (
            {"rooms": {"publish": ["a.>.b"]}},
            "The token's claim rooms can't be used: In a pattern > stands at the end.",
        ),
    ],
)
def test_token_with_other_claims_is_refused(claims: dict[str, Any], problem: str, verifier: Make) -> None:
    assert problem == refused(verifier(), sign(**claims))


def signed(claims: bytes) -> str:
    """A token with claims that a JSON encoder wouldn't write."""
    return jwt.PyJWS().encode(claims, SECRET, "HS256")


@pytest.mark.parametrize(
    "claims",
    [
        b"",
        b"null",
        b"[]",
        b'"alice"',
        b"\xff",
        b"{" * 5000,
        b'{"sub":"alice","exp":1e400}',
        b'{"sub":"alice","exp":NaN}',
        b'{"sub":"alice","exp":Infinity}',
        b'{"sub":"alice","exp":[]}',
        b'{"sub":"alice","exp":{}}',
        b'{"sub":"alice","exp":"soon"}',
        b'{"sub":"alice","exp":' + b"9" * 400 + b"}",
        b'{"sub":"alice","exp":' + b"9" * 5000 + b"}",
        b'{"sub":"alice","exp":true}',
        b'{"sub":"alice","exp":9e9,"nbf":1e400}',
        b'{"sub":"alice","exp":9e9,"nbf":[]}',
        b'{"sub":"alice","exp":9e9,"iat":null}',
        b'{"sub":"alice","exp":9e9,"aud":7}',
        b'{"sub":"alice","exp":9e9,"aud":[7]}',
        b'{"sub":"alice","exp":9e9,"jti":7}',
        b'{"sub":["alice"],"exp":9e9}',
        b'{"sub":"\\ud800","exp":9e9}',
    ],
)
def test_claims_of_another_type_are_refused_and_nothing_else_happens(claims: bytes, verifier: Make) -> None:
    for settings in ({}, {"jwt_audience": ("chat",)}, {"jwt_issuer": "me"}, {"jwt_leeway": 0.0}):
        assert refused(verifier(**settings), signed(claims))


def test_leeway_is_for_clocks_that_differ(verifier: Make) -> None:
    now = int(time.time())
    assert "alice" == verified(verifier(jwt_leeway=120.0), sign(exp=now - 60, nbf=now + 60)).user
    assert "The token has expired." == refused(verifier(jwt_leeway=0.0), sign(exp=now - 1))
    assert "The token is not valid yet." == refused(verifier(jwt_leeway=0.0), sign(nbf=now + 60))


@pytest.mark.parametrize(
    ("audience", "problem"),
    [
        ("chat", ""),
        (["other", "chat2"], ""),
        ("other", "The token is for another audience."),
        ("chat2x", "The token is for another audience."),
        ([], "The token has no claim aud."),
        (None, "The token has no claim aud."),
    ],
)
def test_token_is_for_one_of_the_audiences(audience: Any, problem: str, verifier: Make) -> None:
    judge = verifier(jwt_audience=("chat", "chat2"))
    token = sign(aud=audience)
    assert problem == refused(judge, token) if problem else verified(judge, token)


@pytest.mark.parametrize(
    ("issuer", "problem"),
    [
        ("https://id.example/", ""),
        ("https://id.example", "The token is of another issuer."),
        ("https://id.example/evil", "The token is of another issuer."),
        (None, "The token has no claim iss."),
    ],
)
def test_token_is_of_the_issuer(issuer: str | None, problem: str, verifier: Make) -> None:
    judge = verifier(jwt_issuer="https://id.example/")
    token = sign(iss=issuer)
    assert problem == refused(judge, token) if problem else verified(judge, token)


def test_claims_may_be_required_or_not(verifier: Make) -> None:
    assert "The token has no claim rooms." == refused(verifier(jwt_required_claims=("exp", "rooms")), sign())
    for_ever = verified(verifier(jwt_required_claims=()), sign(exp=None))
    assert float("inf") == for_ever.expires_at


def test_user_may_stand_in_another_claim(verifier: Make) -> None:
    judge = verifier(jwt_user_claim="email")
    assert "a@b.example" == verified(judge, sign(email="a@b.example")).user
    assert "The token's claim email is no user's name." == refused(judge, sign())


def test_rights_stand_in_a_claim(verifier: Make) -> None:
    rooms = {"join": ["team.*", "hall"], "publish": ["hall"], "direct": True}
    rights = verified(verifier(), sign(rooms=rooms)).rights
    assert Rights(("team.*", "hall"), ("hall",), broadcast=False, direct=True) == rights
    # A claim that gives nothing isn't one that is missing.
    assert Rights() == verified(verifier(), sign(rooms={})).rights
