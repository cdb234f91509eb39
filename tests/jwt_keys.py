"""Keys of every kind, made anew for each run, and the files and sets that hold them."""

import json
import time
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as new_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

SECRET: Final = "a secret of thirty-two octets, or more"
RSA: Final = new_rsa_key(65537, 2048)
SHORT_RSA: Final = new_rsa_key(65537, 1024)
ED25519: Final = Ed25519PrivateKey.generate()
EC: Final = new_ec_key(SECP256R1())


def public_pem(key: Any) -> str:
    """A public key as a file has it."""
    octets: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return octets.decode()


def jwk(key: RSAPrivateKey | Ed25519PrivateKey, id: str | None, **fields: Any) -> dict[str, Any]:
    """A public key as a set has it."""
    entry: dict[str, Any]
    if isinstance(key, RSAPrivateKey):
        entry = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        entry = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    entry |= {"kid": id} if id is not None else {}
    return entry | fields


def key_set(*entries: Any) -> str:
    """A set of keys."""
    return json.dumps({"keys": entries})


def sign(key: Any = SECRET, algorithm: str = "HS256", id: Any = None, **claims: Any) -> str:
    """A token of alice's, good for an hour; a claim of None is left out."""
    given = {"sub": "alice", "exp": int(time.time()) + 3600, **claims}
    given = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(given, key, algorithm, headers=None if id is None else {"kid": id})


def write(folder: Path, name: str, content: str | bytes) -> str:
    """Write a file; return its path."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)
