"""TLS: the certificate that the server shows; a new one is taken without a connection being lost."""

import ssl
from typing import Final, final

from .secret_file import warn_if_public

# Older versions are broken (RFC 8996).
_OLDEST: Final = ssl.TLSVersion.TLSv1_2


class TlsError(Exception):
    """There is no usable certificate; the message is for the person who named the files."""


@final
class ServerTls:
    """What new connections are encrypted with: the certificate chain and the key, both in PEM.

    `key_path` is empty where the key stands in the certificate's file. Raises TlsError.
    """

    __slots__ = ("_certificate_path", "_key_path", "context")

    def __init__(self, certificate_path: str, key_path: str) -> None:
        if not certificate_path:
            raise TlsError("tls_key: a key is of use only with its tls_certificate")
        self._certificate_path = certificate_path
        self._key_path = key_path
        self.context = self._load()

    def reload(self) -> None:
        """Read the files anew; what they hold is shown to all who connect from now on. Raises TlsError.

        Files that don't belong together change nothing.
        """
        self.context = self._load()

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _OLDEST
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._certificate_path, self._key_path or None, lambda: "")
        except OSError as error:
            files = " and ".join(filter(None, (self._certificate_path, self._key_path)))
            raise TlsError(f"can't use the certificate in {files}: {error.strerror or error}") from None
        if self._key_path:
            warn_if_public("tls_key", self._key_path)
        else:
            warn_if_public("tls_certificate", self._certificate_path)
        return context
