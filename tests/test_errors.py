"""Errors say whose fault it is, by which rule, and what is sent for it."""

import pytest

from rfc6455.errors import (
    HandshakeError,
    InvalidPayload,
    MessageTooBig,
    PolicyViolation,
    ProtocolError,
    StateError,
    WebSocketError,
)


@pytest.mark.parametrize(
    ("kind", "close_code"),
    [(ProtocolError, 1002), (InvalidPayload, 1007), (PolicyViolation, 1008), (MessageTooBig, 1009)],
)
def test_each_fault_of_the_peer_has_its_close_code(kind: type[ProtocolError], close_code: int) -> None:
    error = kind("What came.", rule="a-rule", section="5.2")
    assert (close_code, "a-rule", "5.2", "What came.") == (
        error.close_code,
        error.rule,
        error.section,
        str(error),
    )
    assert isinstance(error, ProtocolError)


def test_failed_handshake_has_a_status_and_headers_of_its_own() -> None:
    headers = [("Allow", "GET")]
    error = HandshakeError("No.", status=405, rule="method", section="9110 15.5.6", headers=headers)
    headers.clear()
    assert (405, "method", "9110 15.5.6", (("Allow", "GET"),), "No.") == (
        error.status,
        error.rule,
        error.section,
        error.headers,
        str(error),
    )
    assert () == HandshakeError("No.", status=400, rule="key", section="4.2.1").headers


@pytest.mark.parametrize("kind", [ProtocolError, HandshakeError, StateError])
def test_all_are_of_one_family(kind: type[Exception]) -> None:
    assert issubclass(kind, WebSocketError)
