"""The certificate of a peer's server: a PEM file on the command line, which has its key too."""

import ssl
import sys


def certificate() -> str | None:
    """Return the file, or None where the server shall speak plain TCP."""
    return next((word for word in sys.argv if word.endswith(".pem")), None)


def context() -> ssl.SSLContext | None:
    path = certificate()
    if path is None:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(path)
    return made
