"""Opening handshakes: heads as they may come, judged by both ends, and what an application answers."""

from itertools import chain
from random import Random
from typing import Any, Final

from rfc6455 import (
    ClientHandshake,
    DeflateOptions,
    HandshakeError,
    Headers,
    Request,
    RequestReader,
    ResponseReader,
    ServerHandshake,
    accept_key,
    encode_refusal,
    may_be_sent,
)
from tests.fuzz import extensions, request, response
from tests.transcript.record import attempt, mutated, pieces, sometimes, told
from tests.vectors import KEY, handshake

_EXTENSIONS: Final = b"Sec-WebSocket-Extensions: "
REQUESTS: Final = list(
    dict.fromkeys(
        chain(
            (case.data for case in request.seeds()),
            (handshake(_EXTENSIONS + case.data) for case in extensions.seeds()),
        )
    )
)
ANSWERS: Final = list(dict.fromkeys(case.data for case in response.seeds()))

OPTIONS: Final = [
    None,
    DeflateOptions(),
    DeflateOptions(no_context_takeover=False),
    DeflateOptions(no_context_takeover=False, max_window_bits=9),
]
STATUSES: Final = [0, 101, 200, 299, 300, 400, 426, 451, 599, 600, 999]
NAMES: Final = [
    "X-A",
    "x-a",
    "Upgrade",
    "Host",
    "Set-Cookie",
    "Content-Length",
    "Date",
    "a b",
    "",
    "é",
    "A\n",
]
VALUES: Final = ["", "b", "a, b", " b ", "é", "€", "a\r\nB: c", "\x00", "\x7f", "\t", "b" * 100, "\ud800"]
SUBPROTOCOLS: Final = ["chat", "superchat", "Chat", "", "a b", "é", "v1.stomp"]
URIS: Final = [
    b"ws://localhost:8765/chat?a=b",
    b"WSS://[::1]",
    b"wss://example.com:443/%41",
    b"ws://user@example.com/",
    b"ws://example.com:0/#f",
    b"ws://example.com:65536/",
]


def fields(random: Random) -> list[tuple[str, str]]:
    count = random.choice([0, 0, 0, 1, 2])
    return [
        (sometimes(random, random.choice(NAMES), "X-A", 0.3), random.choice(VALUES)) for _ in range(count)
    ]


def subprotocols(random: Random) -> list[str]:
    return random.sample(SUBPROTOCOLS[:2] if random.random() < 0.7 else SUBPROTOCOLS, random.randrange(3))


def key(random: Random) -> str:
    return sometimes(random, random.choice(["", KEY[:-1], KEY + "=", "é" * 24, "\ud800"]), KEY, 0.05)


def limits(random: Random) -> dict[str, int]:
    if random.random() < 0.6:
        return {}
    return {"max_head": random.choice([0, 1, 240, 1500]), "max_fields": random.choice([0, 1, 7, 100])}


def head(random: Random, number: int, seeds: list[bytes]) -> bytes:
    """Each seed as it is, and then changed."""
    round_, turn = divmod(number, len(seeds))
    return mutated(random, seeds[turn], seeds) if round_ else seeds[turn]


def looked_at(headers: Headers) -> list[str]:
    """Everything that Headers can be asked."""
    names = ["host", "Upgrade", "SEC-WEBSOCKET-EXTENSIONS", "a", "", "é"]
    return [
        told([headers.get(name), headers.get_all(name), headers.joined(name), name in headers])
        for name in names
    ] + [told([list(headers.names()), headers.has_repeats(), len(headers)])]


def serving(random: Random, number: int) -> list[str]:
    """A server that reads a request, and accepts or refuses it, right or wrong, once or twice."""
    bounds = limits(random)
    if random.random() < 0.2:
        bounds["max_target"] = random.choice([0, 1, 20])
    reader = RequestReader(**bounds)
    lines = [told(list(bounds.values()))]
    found: list[Request] = []

    def feed(piece: bytes) -> Request | None:
        read = reader.feed(piece)
        found.extend([] if read is None else [read])
        return read

    for piece in pieces(random, head(random, number, REQUESTS)):
        lines.append(attempt(feed, piece))
    lines.append(told(reader.trailing))
    for read in found:
        lines += looked_at(read.headers)
        lines.append(told([read.upgrades_to(name) for name in ("websocket", "h2c")] + [read.has_body()]))
        lines += answering(random, read)
    return lines


def answering(random: Random, read: Request) -> list[str]:
    try:
        hand = ServerHandshake(read)
    except HandshakeError as error:
        return [attempt(ServerHandshake, read), attempt(encode_refusal, error)]
    lines = [told([hand.origin, hand.subprotocols])]
    while random.random() < 0.7:
        wanted = random.choice([None, random.choice(SUBPROTOCOLS), *hand.subprotocols])
        options = random.choice(OPTIONS)
        if random.random() < 0.7:
            lines.append(attempt(hand.accept, subprotocol=wanted, headers=fields(random), deflate=options))
        else:
            date = random.choice([None, "Tue, 15 Nov 1994 08:12:31 GMT", "a\nb"])
            message = random.choice(["", "no", "é", "\ud800", "a\r\nb"])
            lines.append(
                attempt(hand.refuse, random.choice(STATUSES), message, headers=fields(random), date=date)
            )
    return lines


def asking(random: Random, number: int) -> list[str]:
    """A client that asks in some way, and judges what it is answered."""
    uri = mutated(random, random.choice(URIS), URIS).decode("latin-1")
    arguments: dict[str, Any] = {
        "subprotocols": subprotocols(random),
        "headers": fields(random),
        "origin": random.choice([None, "http://localhost", "a\nb"]),
        "deflate": random.choice(OPTIONS),
        "key": key(random),
    }
    made: list[ClientHandshake] = []

    def make() -> list[object]:
        made.append(ClientHandshake(uri, **arguments))
        return [made[0].request, made[0].host, made[0].port, made[0].secure]

    lines = [attempt(make)]
    usual = ClientHandshake(
        "ws://localhost/chat", subprotocols=("chat", "superchat"), deflate=random.choice(OPTIONS), key=KEY
    )
    reader = ResponseReader(**limits(random))
    cut = pieces(random, head(random, number, ANSWERS))
    for piece in cut:
        lines.append(attempt(usual.receive_data, piece))
    lines += [attempt(reader.feed, piece) for piece in cut]
    return [*lines, told([usual.trailing, reader.trailing])]


def computing(random: Random, _: int) -> list[str]:
    """What needs no connection."""
    error = HandshakeError(
        random.choice(VALUES), status=random.choice(STATUSES), rule="", section="", headers=fields(random)
    )
    code = random.choice([999, 1000, 1004, 1014, 1016, 2999, 3000, 5000, -1, 1 << 70])
    headers = Headers([(random.choice(NAMES), random.choice(VALUES)) for _ in range(random.randrange(4))])
    return [
        attempt(accept_key, key(random)),
        attempt(encode_refusal, error, random.choice([None, "today", "a\nb"])),
        attempt(may_be_sent, code),
        *looked_at(headers),
    ]
