"""One plain HTTP request and its answer, through h11: octets in, octets out."""

from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, final

import h11

from rfc6455 import HandshakeError, Request

# Octets of a body that nobody asked for which are read before the request is refused.
MAX_UNWANTED_BODY: Final = 64 * 1024
# What a chunk counts besides its octets: it costs the same work however small it is.
CHUNK_WEIGHT: Final = 64


@final
class PlainExchange:
    """Reads a request to its end, so that what follows is known to be the next; then answers it."""

    __slots__ = ("_body_size", "_connection", "has_ended", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self._connection = h11.Connection(h11.SERVER)
        self._body_size = 0
        self.has_ended = False

    def receive_data(self, data: bytes) -> None:
        """Take the next octets, from the head on, until `has_ended`. Raises HandshakeError."""
        self._connection.receive_data(data)
        while not self.has_ended:
            try:
                event = self._connection.next_event()
            except h11.RemoteProtocolError as error:
                raise HandshakeError(
                    str(error), status=error.error_status_hint, rule="body", section="9112 7"
                ) from None
            if event is h11.NEED_DATA:
                # 9110 10.1.1: who waits for a 100 before sending a body gets the answer instead.
                self.has_ended = self._connection.they_are_waiting_for_100_continue
                return
            if isinstance(event, h11.Data):
                self._body_size += len(event.data) + CHUNK_WEIGHT * event.chunk_start
                if self._body_size > MAX_UNWANTED_BODY:
                    raise HandshakeError(
                        f"Expected at most {MAX_UNWANTED_BODY} octets of body, received more.",
                        status=413,
                        rule="body-size",
                        section="9110 15.5.14",
                    )
            self.has_ended = isinstance(event, h11.EndOfMessage)

    @property
    def trailing(self) -> bytes:
        """What came behind the request."""
        return bytes(self._connection.trailing_data[0])

    def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
        """Make the whole response, without its body if the request was a HEAD."""
        fields = [("Date", formatdate(usegmt=True)), *headers, ("Content-Length", str(len(body)))]
        # 9110 9.3.2: the answer to a HEAD has the same head, and nothing behind it.
        content = b"" if self.request.method == "HEAD" else body
        connection = self._connection
        return b"".join(
            connection.send(event) or b""
            for event in (
                h11.Response(status_code=status, reason=HTTPStatus(status).phrase, headers=fields),
                h11.Data(data=content),
                h11.EndOfMessage(),
            )
        )

    @property
    def may_continue(self) -> bool:
        """Tell whether another request may follow on this connection."""
        return self._connection.our_state is h11.DONE and self._connection.their_state is h11.DONE
