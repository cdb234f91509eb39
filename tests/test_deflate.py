"""permessage-deflate (RFC 7692): every cell of its negotiation, and the codec against streams of every kind."""

import random
import tracemalloc
import zlib
from collections.abc import Sequence
from itertools import product

import pytest

from rfc6455.codes import Opcode, Role
from rfc6455.connection import Connection
from rfc6455.deflate import (
    MAX_FINAL_BLOCKS,
    DeflateOptions,
    DeflateParameters,
    Deflater,
    Inflater,
    accept_answer,
    answer_offer,
    make_offer,
)
from rfc6455.errors import HandshakeError, InvalidPayload, MessageTooBig, PolicyViolation, ProtocolError
from rfc6455.events import Close, Ping, Pong
from rfc6455.frames import Frame, FrameParser, encode_frame, max_compressed_size
from rfc6455.handshake import Accepted, ServerHandshake
from rfc6455.head import RequestReader
from rfc6455.messages import Event
from tests.vectors import feeds, handshake

# The negotiation. A cell is (what came, what this end wants): what is answered or agreed.

Parameter = tuple[str, str | None]
WANTED_BITS = (9, 12, 15)
OPTIONS = [
    DeflateOptions(no_context_takeover=no_context_takeover, max_window_bits=bits)
    for no_context_takeover, bits in product((False, True), WANTED_BITS)
]
by_options = pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda options: f"{options.no_context_takeover}-{options.max_window_bits}"
)

# 7692 7.1.1.1 and 7.1.1.2: (offered, wanted): answered.
SERVER_TAKEOVER = {(True, True): True, (True, False): True, (False, True): True, (False, False): False}
CLIENT_TAKEOVER = {(True, True): True, (True, False): False, (False, True): True, (False, False): False}
# 7692 7.1.2.1: (offered, wanted): the window to keep, answered if one was offered; 0 declines.
SERVER_BITS = {
    (None, 9): 9, (None, 12): 12, (None, 15): 15,
    ("8", 9): 0, ("8", 12): 0, ("8", 15): 0,
    ("9", 9): 9, ("9", 12): 9, ("9", 15): 9,
    ("10", 9): 9, ("10", 12): 10, ("10", 15): 10,
    ("11", 9): 9, ("11", 12): 11, ("11", 15): 11,
    ("12", 9): 9, ("12", 12): 12, ("12", 15): 12,
    ("13", 9): 9, ("13", 12): 12, ("13", 15): 13,
    ("14", 9): 9, ("14", 12): 12, ("14", 15): 14,
    ("15", 9): 9, ("15", 12): 12, ("15", 15): 15,
}  # fmt: skip
# 7692 7.1.2.2: (offered, wanted): answered where contexts are kept; 0 is no answer. "" is no value.
CLIENT_BITS = {
    (None, 9): 0, (None, 12): 0, (None, 15): 0,
    ("", 9): 9, ("", 12): 12, ("", 15): 15,
    ("8", 9): 8, ("8", 12): 8, ("8", 15): 8,
    ("9", 9): 9, ("9", 12): 9, ("9", 15): 9,
    ("10", 9): 9, ("10", 12): 10, ("10", 15): 10,
    ("11", 9): 9, ("11", 12): 11, ("11", 15): 11,
    ("12", 9): 9, ("12", 12): 12, ("12", 15): 12,
    ("13", 9): 9, ("13", 12): 12, ("13", 15): 13,
    ("14", 9): 9, ("14", 12): 12, ("14", 15): 14,
    ("15", 9): 9, ("15", 12): 12, ("15", 15): 15,
}  # fmt: skip


def element(*parameters: Parameter) -> str:
    """Write an extension element as it stands in the header."""
    written = [name if value is None else f"{name}={value}" for name, value in parameters]
    return "; ".join(["permessage-deflate", *written])


def given(
    server_takeover: bool, client_takeover: bool, server_bits: str | None, client_bits: str | None
) -> list[Parameter]:
    """Name the parameters that are there."""
    parameters: list[Parameter] = []
    if server_takeover:
        parameters.append(("server_no_context_takeover", None))
    if client_takeover:
        parameters.append(("client_no_context_takeover", None))
    if server_bits is not None:
        parameters.append(("server_max_window_bits", server_bits))
    if client_bits is not None:
        parameters.append(("client_max_window_bits", client_bits or None))
    return parameters


@by_options
def test_server_answers_every_offer_by_the_tables(options: DeflateOptions) -> None:
    wanted = options.no_context_takeover
    offered_server_bits = sorted({offered for offered, _ in SERVER_BITS}, key=str)
    offered_client_bits = sorted({offered for offered, _ in CLIENT_BITS}, key=str)
    for offer in product((False, True), (False, True), offered_server_bits, offered_client_bits):
        server_takeover = SERVER_TAKEOVER[offer[0], wanted]
        client_takeover = CLIENT_TAKEOVER[offer[1], wanted]
        server_bits = SERVER_BITS[offer[2], options.max_window_bits]
        # Where no context is kept the client's window costs nothing.
        client_bits = 0 if wanted else CLIENT_BITS[offer[3], options.max_window_bits]
        expected = None
        if server_bits:
            answer = given(
                server_takeover,
                client_takeover,
                str(server_bits) if offer[2] else None,
                str(client_bits) if client_bits else None,
            )
            agreed = DeflateParameters(
                server_takeover, client_takeover, server_bits, client_bits or 15, options
            )
            expected = agreed, element(*answer)
        assert expected == answer_offer(given(*offer), options)


@pytest.mark.parametrize(
    ("no_context_takeover", "bits", "expected"),
    [
        (True, 15, "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"),
        (True, 9, "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"),
        (False, 15, "; client_max_window_bits"),
        (False, 14, "; server_max_window_bits=14; client_max_window_bits"),
        (False, 9, "; server_max_window_bits=9; client_max_window_bits"),
    ],
)
def test_client_offers_what_it_wants(no_context_takeover: bool, bits: int, expected: str) -> None:
    options = DeflateOptions(no_context_takeover=no_context_takeover, max_window_bits=bits)
    assert "permessage-deflate" + expected == make_offer(options)


# (answered, wanted): what is agreed; None refuses the answer.
ANSWERED_SERVER_TAKEOVER = {
    (True, True): True, (False, True): None, (True, False): True, (False, False): False,
}  # fmt: skip
ANSWERED_CLIENT_TAKEOVER = {
    (True, True): True, (False, True): True, (True, False): True, (False, False): False,
}  # fmt: skip
# 7692 7.1.2.1: (answered, offered): the window to inflate in; 15 was offered by saying nothing.
ANSWERED_SERVER_BITS = {
    (None, 9): None, (None, 12): None, (None, 15): 15,
    ("8", 9): 8, ("8", 12): 8, ("8", 15): 8,
    ("9", 9): 9, ("9", 12): 9, ("9", 15): 9,
    ("10", 9): None, ("10", 12): 10, ("10", 15): 10,
    ("11", 9): None, ("11", 12): 11, ("11", 15): 11,
    ("12", 9): None, ("12", 12): 12, ("12", 15): 12,
    ("13", 9): None, ("13", 12): None, ("13", 15): 13,
    ("14", 9): None, ("14", 12): None, ("14", 15): 14,
    ("15", 9): None, ("15", 12): None, ("15", 15): 15,
}  # fmt: skip
# 7692 7.1.2.2: (answered, wanted): the window to compress in; without a value it is only for offers.
ANSWERED_CLIENT_BITS = {
    **{(offered, wanted): bits for (offered, wanted), bits in CLIENT_BITS.items() if offered},
    (None, 9): 9, (None, 12): 12, (None, 15): 15,
    ("", 9): None, ("", 12): None, ("", 15): None,
}  # fmt: skip


@by_options
def test_client_accepts_or_refuses_every_answer_by_the_tables(options: DeflateOptions) -> None:
    wanted = options.no_context_takeover
    answered_server_bits = sorted({answered for answered, _ in ANSWERED_SERVER_BITS}, key=str)
    answered_client_bits = sorted({answered for answered, _ in ANSWERED_CLIENT_BITS}, key=str)
    for answer in product((False, True), (False, True), answered_server_bits, answered_client_bits):
        server_takeover = ANSWERED_SERVER_TAKEOVER[answer[0], wanted]
        client_takeover = ANSWERED_CLIENT_TAKEOVER[answer[1], wanted]
        # A window is asked of the server only where it keeps a context.
        server_bits = ANSWERED_SERVER_BITS[answer[2], 15 if wanted else options.max_window_bits]
        client_bits = ANSWERED_CLIENT_BITS[answer[3], options.max_window_bits]
        if server_takeover is None or client_takeover is None or server_bits is None or client_bits is None:
            with pytest.raises(HandshakeError) as refusal:
                accept_answer(given(*answer), options)
            assert (101, "deflate-answer") == (refusal.value.status, refusal.value.rule)
        else:
            agreed = DeflateParameters(client_takeover, server_takeover, client_bits, server_bits, options)
            assert agreed == accept_answer(given(*answer), options)


@by_options
def test_each_end_accepts_what_the_other_says(options: DeflateOptions) -> None:
    for server_options in OPTIONS:
        name, *offered = make_offer(options).split("; ")
        parameters = [(key, value or None) for key, _, value in (part.partition("=") for part in offered)]
        at_server = answer_offer(parameters, server_options)
        assert at_server is not None
        parameters = [
            (key, value or None)
            for key, _, value in (part.partition("=") for part in at_server[1].split("; ")[1:])
        ]
        at_client = accept_answer(parameters, options)
        assert at_server[0].local_no_context_takeover <= at_client.remote_no_context_takeover
        assert at_client.remote_no_context_takeover <= at_server[0].local_no_context_takeover
        assert at_server[0].remote_no_context_takeover <= at_client.local_no_context_takeover
        assert at_server[0].local_max_window_bits <= at_client.remote_max_window_bits
        assert at_client.local_max_window_bits <= at_server[0].remote_max_window_bits
