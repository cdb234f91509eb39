"""The keys that JSON Web Tokens are verified with: a secret, a public key, or a set of keys (RFC 7517).

Each key is good for one algorithm, by what kind of key it is; what a token says of itself changes nothing.
"""

import json
from typing import Any, Final, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from .secret_file import warn_if_public
from .settings import SettingsError

SYMMETRIC: Final = "HS256"
# 7517 6.1: by type of key.
PUBLIC: Final = {"RSA": "RS256", "OKP": "EdDSA"}

# 7518 3.2, 3.3: octets of a secret, and bits of an RSA key.
_MIN_SECRET: Final = 32
_MIN_RSA: Final = 2048
_USABLE: Final = f"RSA of {_MIN_RSA} bits or more, or Ed25519"


class Key(NamedTuple):
    """What a signature is verified with; `id` is None for a key that has no name."""

    algorithm: str
    id: str | None
    material: bytes | RSAPublicKey | Ed25519PublicKey


def choose(keys: list[Key], algorithm: object, id: object) -> Key | None:
    """Return the one key that a token means; None if it is none, or could be several."""
    fitting = [key for key in keys if key.algorithm == algorithm]
    # 7515 4.1.4: the id is a hint. A key without a name fits any, a token without a hint any key.
    chosen = [key for key in fitting if id is None or key.id == id] or [
        key for key in fitting if key.id is None
    ]
    return chosen[0] if len(chosen) == 1 else None


def load_secret(path: str) -> Key:
    """Read a shared secret: the file's octets but for a line end. Raises SettingsError."""
    secret = _read("jwt_secret", path).rstrip(b"\r\n")
    # What is public by its nature is no secret.
    if secret.startswith((b"-----BEGIN", b"ssh-", b"{")):
        raise SettingsError(f"jwt_secret: {path} holds a key of another kind; public ones are for jwt_keys")
    if len(secret) < _MIN_SECRET:
        raise SettingsError(f"jwt_secret: expected {_MIN_SECRET} octets or more in {path}, got {len(secret)}")
    warn_if_public("jwt_secret", path)
    return Key(SYMMETRIC, None, secret)


def load_public_keys(path: str) -> list[Key]:
    """Read a public key in PEM, or a set of keys in JSON. Raises SettingsError."""
    octets = _read("jwt_keys", path)
    try:
        if octets.lstrip().startswith(b"{"):
            return parse_key_set(json.loads(octets))
        if octets.count(b"-----BEGIN") > 1:
            raise ValueError("there are several keys; those stand in a JSON Web Key Set")
        key = _pin(None, load_pem_public_key(octets))
        if key is None:
            raise ValueError(f"the key is not usable: {_USABLE}")
        return [key]
    except (ValueError, RecursionError, UnsupportedAlgorithm) as error:
        problem = str(error).partition("\n")[0]
        raise SettingsError(
            f"jwt_keys: expected a public key in PEM or a JSON Web Key Set in {path}: {problem}"
        ) from None


def parse_key_set(document: Any) -> list[Key]:
    """Take the usable keys of a JSON Web Key Set (RFC 7517 5). Raises ValueError if there are none."""
    entries = document.get("keys") if isinstance(document, dict) else None
    keys = [_parse_key(entry) for entry in entries] if isinstance(entries, list) else []
    usable = [key for key in keys if key is not None]
    if not usable:
        raise ValueError(f"there is no usable key in the set: {_USABLE}")
    return usable


def _parse_key(entry: Any) -> Key | None:
    """Take one key of a set; 7517 5: one that isn't understood is left out."""
    if not isinstance(entry, dict):
        return None
    kind, id = entry.get("kty"), entry.get("kid")
    algorithm = PUBLIC.get(kind) if isinstance(kind, str) else None
    if algorithm is None or entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig":
        return None
    if not isinstance(id, str | None):
        return None
    try:
        return _pin(id, jwt.PyJWK(entry, algorithm).key)
    # PyJWT doesn't look at the types of all that it takes apart.
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, UnsupportedAlgorithm):
        return None


def _pin(id: str | None, material: object) -> Key | None:
    """Give a key the one algorithm it is good for."""
    if isinstance(material, RSAPublicKey) and material.key_size >= _MIN_RSA:
        return Key("RS256", id, material)
    if isinstance(material, Ed25519PublicKey):
        return Key("EdDSA", id, material)
    return None


def _read(option: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise SettingsError(f"{option}: can't read {path}: {error.strerror}") from None
