"""Our server's permessage-deflate with clients of other makes: every offer that they can make."""

import asyncio
import random
import socket
import struct
from itertools import product
from typing import Any, Final, NamedTuple

import pytest

from server.kinds import MIB
from server.protocol import WebSocketSession

from ..conftest import NO_RATES, Running, Serve
from .conftest import echo_url, of, on_one_loop
from .peers import Offer, Open, Peer

pytestmark = pytest.mark.real

BARE: Final = Offer(client_max_window_bits=True)
# The values of an offer's parameters, in the order of its fields.
VALUES: Final = ((False, True), (False, True), (None, *range(8, 16)), (None, *range(8, 16), True))
EVERY_OFFER: Final = [Offer(*values) for values in product(*VALUES)]

# What their callers can make them offer; of picows only its likeness of `websockets` has an extension.
OFFERS: Final[dict[str, list[Offer | None]]] = {
    "websockets": [None, *(offer for offer in EVERY_OFFER if offer.client_max_window_bits != 8)],
    "aiohttp": [None, BARE, *(BARE._replace(server_max_window_bits=bits) for bits in range(9, 15))],
    "picows": [None],
    "picows.websockets": [None, BARE],
    "ws": [None, *EVERY_OFFER],
    "chromium": [BARE],
}


DECLINED: Final = "declined"


class Answers(NamedTuple):
    """What a server with these settings answers to each of the values; DECLINED goes for the whole offer."""

    settings: dict[str, Any]
    server_no_context_takeover: tuple[bool | str, ...]
    client_no_context_takeover: tuple[bool | str, ...]
    server_max_window_bits: tuple[int | str | None, ...]
    client_max_window_bits: tuple[int | str | None, ...]

    def to(self, offer: Offer | None) -> str:
        answer = ["permessage-deflate"] if offer is not None else []
        for name, offered, values, answers in zip(Offer._fields, offer or (), VALUES, self[1:], strict=False):
            answered = answers[values.index(offered)]
            if answered == DECLINED:
                return ""
            if answered:
                answer.append(name if answered is True else f"{name}={answered}")
        return "; ".join(answer)


ANSWERS: Final = {
    "off": Answers({"compression": False}, *((DECLINED,) * len(values) for values in VALUES)),
    "default": Answers(
        {},
        server_no_context_takeover=(True, True),
        client_no_context_takeover=(True, True),
        server_max_window_bits=(None, DECLINED, 9, 10, 11, 12, 13, 14, 15),
        client_max_window_bits=(None, None, None, None, None, None, None, None, None, None),
    ),
    "context takeover": Answers(
        {"compression_context_takeover": True},
        server_no_context_takeover=(False, True),
        client_no_context_takeover=(False, False),
        server_max_window_bits=(None, DECLINED, 9, 10, 11, 12, 12, 12, 12),
        client_max_window_bits=(None, 8, 9, 10, 11, 12, 12, 12, 12, 12),
    ),
}

# Doesn't shrink, but for what was said before; the smallest window holds it.
NOISE: Final = random.Random(7692).randbytes(200)
# Repeats itself at every distance that a window may end at.
WORDS: Final = [random.Random(word).randbytes(30).hex() for word in range(500)]
LONG: Final = "".join(random.Random(7692).choices(WORDS, k=700))


class Outcome(NamedTuple):
    """What came of an offer."""

    answer: str
    server_compresses: bool
    client_compresses: bool
    server_keeps_context: bool
    client_keeps_context: bool


def expect(answer: str, offer: Offer | None) -> Outcome:
    is_agreed = answer != ""
    return Outcome(
        answer,
        server_compresses=is_agreed,
        client_compresses=is_agreed,
        server_keeps_context=is_agreed and "server_no_context_takeover" not in answer,
        client_keeps_context=is_agreed and "client_no_context_takeover" not in answer and not hints(offer),
    )


def hints(offer: Offer | None) -> bool:
    """Tell whether a client said that it would keep no context; `ws` does all the same unless told."""
    return offer is not None and offer.client_no_context_takeover


def traffic(session: WebSocketSession) -> tuple[int, int]:
    """Octets that the kernel has sent to a client, and received from it."""
    connected: socket.socket = session._transport.get_extra_info("socket")
    # Where struct tcp_info of Linux has tcpi_bytes_sent and tcpi_bytes_received.
    tcp_info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 208)
    (sent,), (received,) = struct.unpack_from("Q", tcp_info, 200), struct.unpack_from("Q", tcp_info, 128)
    return sent, received


async def converse(peer: Peer, running: Running, offer: Offer | None) -> Outcome:
    """Say what was said before, and see what it costs on the wire."""
    (session,) = running.sessions()
    costs = []
    for message in (NOISE, NOISE, "", LONG, NOISE):
        sent, received = traffic(session)
        await peer.send(message)
        assert message == await peer.receive()
        sent_by_now, received_by_now = traffic(session)
        costs.append((sent_by_now - sent, received_by_now - received))
    server_keeps, client_keeps = (octets < len(NOISE) // 2 for octets in costs[1])
    server_compresses, client_compresses = (octets < len(LONG) for octets in costs[3])
    return Outcome(
        peer.extensions, server_compresses, client_compresses, server_keeps, client_keeps and not hints(offer)
    )


@on_one_loop
@pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize(("connect", "offers"), OFFERS.items(), ids=OFFERS, indirect=["connect"])
async def test_every_offer_gets_its_answer_and_both_ends_keep_to_it(
    connect: Open, offers: list[Offer | None], answers: Answers, service: Serve
) -> None:
    outcomes = {}
    async with service(compression_threshold=0, **answers.settings, **NO_RATES) as running:
        for offer in offers:
            async with connect(echo_url(running), offer=offer) as peer:
                outcomes[offer] = await converse(peer, running, offer)
    assert {offer: expect(answers.to(offer), offer) for offer in offers} == outcomes


@of("websockets", "picows.websockets", "ws")
async def test_fragments_of_a_compressed_message_come_back_as_one(connect: Open, service: Serve) -> None:
    async with service() as running, connect(echo_url(running), offer=BARE) as peer:
        await peer.send(LONG[:9000], "", LONG[9000:])
        assert LONG == await peer.receive()


@on_one_loop
@of("websockets", "aiohttp", "picows.websockets", "ws", "chromium")
async def test_the_limit_holds_for_what_a_message_inflates_to(connect: Open, service: Serve) -> None:
    limit = 16 * MIB
    async with (
        service(max_message_size=limit, **NO_RATES) as running,
        connect(echo_url(running), offer=BARE) as peer,
    ):
        await peer.send(bytes(limit))
        assert bytes(limit) == await peer.receive()
        await asyncio.gather(peer.send(bytes(limit + 1)), return_exceptions=True)
        assert 1009 == (await peer.closed()).code
