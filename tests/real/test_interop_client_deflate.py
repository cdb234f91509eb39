"""permessage-deflate between our client and other servers: what is agreed, and that both ends keep to it.

Every offer that DeflateOptions can make meets what each server can be set to answer. Then it shows on the
wire: a message that repeats the one before is short where the sender kept its context, and as long as the
repetition lies within the window that was agreed.
"""

from collections.abc import Callable, Mapping
from random import Random
from string import ascii_letters
from typing import Any, Final, NamedTuple

import pytest

from rfc6455 import DeflateOptions
from server.client import ClientConnection, Refused, connect

from . import server_aiohttp, server_websockets, server_ws
from .servers import Serve, Setup, running
from .tap import Tap, tapped

pytestmark = pytest.mark.real

WINDOWS: Final = range(9, 16)
OFFERS: Final = [
    # Without takeover the window is our own affair, and not in the offer.
    *(DeflateOptions(max_window_bits=bits) for bits in (9, 15)),
    *(DeflateOptions(no_context_takeover=False, max_window_bits=bits) for bits in WINDOWS),
]

# server_no_context_takeover, client_no_context_takeover, server_max_window_bits, client_max_window_bits;
# 0 where nothing is said of a window.
Answer = tuple[bool, bool, int, int]
# The status where the server refuses the handshake for what was offered; None where it doesn't compress.
Outcome = Answer | int | None
Y: Final = True
N: Final = False


class Row(NamedTuple):
    """What a server answers, set like this: to offers without takeover, with it, and within n bits."""

    setting: Mapping[str, Any] | None
    without: Outcome
    with_takeover: Outcome
    within: Callable[[int], Outcome]

    def answer(self, offer: DeflateOptions) -> Outcome:
        if offer.no_context_takeover:
            return self.without
        return self.with_takeover if offer.max_window_bits == 15 else self.within(offer.max_window_bits)


OFF: Final = Row(None, None, None, lambda n: None)
BARE: Final = Row({}, (Y, Y, 0, 0), (N, N, 0, 0), lambda n: (N, N, n, 0))


def websockets_within(b: int) -> Row:
    setting = {"server_max_window_bits": b, "client_max_window_bits": b}
    return Row(setting, (Y, Y, b, b), (N, N, b, b), lambda n: (N, N, min(n, b), b))


WEBSOCKETS: Final = (
    OFF,
    BARE,
    Row({"server_no_context_takeover": True}, (Y, Y, 0, 0), (Y, N, 0, 0), lambda n: (Y, N, n, 0)),
    Row({"client_no_context_takeover": True}, (Y, Y, 0, 0), (N, Y, 0, 0), lambda n: (N, Y, n, 0)),
    Row({"server_max_window_bits": 12}, (Y, Y, 12, 0), (N, N, 12, 0), lambda n: (N, N, min(n, 12), 0)),
    Row({"client_max_window_bits": 12}, (Y, Y, 0, 12), (N, N, 0, 12), lambda n: (N, N, n, 12)),
    Row({"client_max_window_bits": 8}, (Y, Y, 0, 8), (N, N, 0, 8), lambda n: (N, N, n, 8)),
    *map(websockets_within, WINDOWS),
    Row(
        {
            "server_no_context_takeover": True,
            "client_no_context_takeover": True,
            "server_max_window_bits": 10,
            "client_max_window_bits": 11,
            "require_client_max_window_bits": True,
        },
        (Y, Y, 10, 11),
        (Y, Y, 10, 11),
        lambda n: (Y, Y, min(n, 10), 11),
    ),
)


# It refuses an offer of less than it is set to, and of what it is forbidden.
def ws_within(b: int) -> Row:
    setting = {"serverMaxWindowBits": b, "clientMaxWindowBits": b}
    return Row(setting, (Y, Y, b, b), (N, N, b, b), lambda n: (N, N, b, b) if n >= b else 400)


WS: Final = (
    OFF,
    BARE,
    Row({"serverNoContextTakeover": True}, (Y, Y, 0, 0), (Y, N, 0, 0), lambda n: (Y, N, n, 0)),
    Row({"serverNoContextTakeover": False}, 400, (N, N, 0, 0), lambda n: (N, N, n, 0)),
    Row({"clientNoContextTakeover": True}, (Y, Y, 0, 0), (N, Y, 0, 0), lambda n: (N, Y, n, 0)),
    Row(
        {"serverMaxWindowBits": 12}, (Y, Y, 12, 0), (N, N, 12, 0), lambda n: (N, N, 12, 0) if n >= 12 else 400
    ),
    Row({"serverMaxWindowBits": False}, (Y, Y, 0, 0), (N, N, 0, 0), lambda n: 400),
    Row({"clientMaxWindowBits": 12}, (Y, Y, 0, 12), (N, N, 0, 12), lambda n: (N, N, n, 12)),
    Row({"clientMaxWindowBits": False}, (Y, Y, 0, 0), (N, N, 0, 0), lambda n: (N, N, n, 0)),
    *map(ws_within, (8, *WINDOWS)),
    Row(
        {
            "serverNoContextTakeover": True,
            "clientNoContextTakeover": True,
            "serverMaxWindowBits": 10,
            "clientMaxWindowBits": 11,
        },
        (Y, Y, 10, 11),
        (Y, Y, 10, 11),
        lambda n: (Y, Y, 10, 11) if n >= 10 else 400,
    ),
)

# It can be set to compress or not, and speaks of the server's half alone.
AIOHTTP: Final = (OFF, Row({}, (Y, N, 0, 0), (N, N, 0, 0), lambda n: (N, N, n, 0)))

TABLE: Final = [
    pytest.param(serve, row, id=f"{name}-{row.setting}")
    for name, serve, rows in (
        ("websockets", server_websockets.serve, WEBSOCKETS),
        ("ws", server_ws.serve, WS),
        ("aiohttp", server_aiohttp.serve, AIOHTTP),
    )
    for row in rows
]


def parse(element: str | None) -> Answer | None:
    if element is None:
        return None
    name, *parameters = element.split("; ")
    assert "permessage-deflate" == name
    found = dict(parameter.partition("=")[::2] for parameter in parameters)
    answer = (
        found.pop("server_no_context_takeover", None) == "",
        found.pop("client_no_context_takeover", None) == "",
        int(found.pop("server_max_window_bits", 0)),
        int(found.pop("client_max_window_bits", 0)),
    )
    assert {} == found
    return answer


class Kept(NamedTuple):
    """The window that each end keeps to its next message, in bits; 0: none, None: it doesn't compress."""

    client: int | None
    server: int | None


def agreed(offer: DeflateOptions, answer: Answer) -> Kept:
    """Say what RFC 7692 7.1 makes of offer and answer."""
    server_forgets, client_forgets, server_bits, client_bits = answer
    client = (
        0 if client_forgets or offer.no_context_takeover else min(client_bits or 15, offer.max_window_bits)
    )
    # Node's zlib takes a window of 512 octets for one of 256, and reaches back no more than 250.
    server = 0 if server_forgets else max(server_bits or 15, 9)
    # zlib can't compress within 256: we send messages as they are.
    return Kept(None if client_bits == 8 else client, server)


# A text that doesn't repeat itself; and by window the length at which its repetition is still in reach.
TEXT: Final = "".join(Random(7692).choices(ascii_letters, k=1 << 14))
REACHES: Final = {bits: (1 << bits - 1) - 56 for bits in WINDOWS}


async def observe(connection: ClientConnection, tap: Tap) -> Kept:
    """Send each length twice, and tell by the octets that go each way what is kept."""
    client = server = None
    for bits, length in REACHES.items():
        first = await count_echo(connection, tap, TEXT[:length])
        second = await count_echo(connection, tap, TEXT[:length])
        if first[0] < length:
            client = bits if second[0] < first[0] // 2 else client or 0
        if first[1] < length:
            server = bits if second[1] < first[1] // 2 else server or 0
    return Kept(client, server)


async def count_echo(connection: ClientConnection, tap: Tap, message: str) -> tuple[int, int]:
    """Have it come back; return the octets that this took to the server and to the client."""
    to_server, to_client = tap.to_server, tap.to_client
    await connection.send(message)
    assert message == await anext(connection)
    return tap.to_server - to_server, tap.to_client - to_client


@pytest.mark.parametrize(("serve", "row"), TABLE)
async def test_both_keep_to_what_was_agreed(serve: Serve, row: Row) -> None:
    async with running(serve, Setup(row.setting)) as server, tapped(server.port) as tap:
        server.port = tap.port
        for offer in OFFERS:
            expected = row.answer(offer)
            connecting = connect(server.uri("echo"), deflate=offer)
            if isinstance(expected, int):
                with pytest.raises(Refused) as caught:
                    await connecting
                assert expected == caught.value.status
                continue
            async with connecting as connection:
                assert expected == parse(connection.headers.get("Sec-WebSocket-Extensions"))
                kept = Kept(None, None) if expected is None else agreed(offer, expected)
                assert kept == await observe(connection, tap)


@pytest.mark.parametrize("serve", [server_websockets.serve, server_ws.serve, server_aiohttp.serve])
async def test_nothing_is_agreed_where_nothing_was_offered(serve: Serve) -> None:
    async with running(serve, Setup({})) as server, tapped(server.port) as tap:
        server.port = tap.port
        async with connect(server.uri("echo"), deflate=None) as connection:
            assert "Sec-WebSocket-Extensions" not in connection.headers
            assert Kept(None, None) == await observe(connection, tap)
