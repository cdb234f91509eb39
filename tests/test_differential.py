"""Against wsproto and websockets: the same octets mean the same to them as to us, or a row tells why not."""

from collections.abc import Callable, Iterator
from itertools import zip_longest
from random import Random
from typing import NamedTuple, Protocol

import pytest
from websockets import frames as websockets
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto import ConnectionType, WSConnection
from wsproto import events as wsproto
from wsproto.connection import ConnectionState
from wsproto.extensions import PerMessageDeflate

from rfc6455 import (
    ClientHandshake,
    Close,
    Connection,
    DeflateOptions,
    Event,
    Ping,
    Pong,
    ProtocolError,
    RequestReader,
    Role,
    ServerHandshake,
)
from tests.streams import MAX_SIZE, Fragment, Step, hostile_stream, random_conversation
from tests.vectors import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    MASKING_KEY,
    PING,
    PONG,
    RSV1,
    TEXT,
    UNMASKED,
    deflated,
    frame,
    head,
)

HOSTILE_STREAMS = 1000


class Outcome(NamedTuple):
    """What came of a stream, and how it failed: by which rule, if that is told, and with which code."""

    events: list[Event]
    rule: str = ""
    code: int = 0


class Peer(Protocol):
    def say(self, step: Step) -> bytes: ...

    def hear(self, data: bytes) -> tuple[list[Step], int]: ...


class Websockets:
    def __init__(self, protocol: ClientProtocol | ServerProtocol) -> None:
        self._protocol = protocol
        self._in_message = False

    def say(self, step: Step) -> bytes:
        match step:
            case Fragment(_, octets, fin) if self._in_message:
                self._protocol.send_continuation(octets, fin)
                self._in_message = not fin
            case Fragment(is_text, octets, fin):
                send = self._protocol.send_text if is_text else self._protocol.send_binary
                send(octets, fin)
                self._in_message = not fin
            case Ping(payload):
                self._protocol.send_ping(payload)
            case Pong(payload):
                self._protocol.send_pong(payload)
            case Close(code, reason):
                self._protocol.send_close(code, reason)
        return b"".join(self._protocol.data_to_send())

    def hear(self, data: bytes) -> tuple[list[Step], int]:
        steps: list[Step] = []
        is_text = False
        self._protocol.receive_data(data)
        for part in self._protocol.events_received():
            assert isinstance(part, websockets.Frame)
            payload = bytes(part.data)
            if part.opcode == PING:
                steps.append(Ping(payload))
            elif part.opcode == PONG:
                steps.append(Pong(payload))
            elif part.opcode == CLOSE:
                close = websockets.Close.parse(payload)
                steps.append(Close(close.code, close.reason))
            else:
                is_text = part.opcode == TEXT or (part.opcode == CONT and is_text)
                steps.append(Fragment(is_text, payload, part.fin))
        if self._protocol.parser_exc is None:
            return steps, 0
        assert self._protocol.close_sent is not None
        return steps, self._protocol.close_sent.code


class Wsproto:
    def __init__(self, connection: WSConnection) -> None:
        self._connection = connection

    def say(self, step: Step) -> bytes:
        event: wsproto.Event
        match step:
            case Fragment(True, octets, fin):
                event = wsproto.TextMessage(octets.decode(), message_finished=fin)
            case Fragment(False, octets, fin):
                event = wsproto.BytesMessage(octets, message_finished=fin)
            case Ping(payload):
                event = wsproto.Ping(payload)
            case Pong(payload):
                event = wsproto.Pong(payload)
            case Close(code, reason):
                event = wsproto.CloseConnection(code, reason)
        return self._connection.send(event)

    def hear(self, data: bytes) -> tuple[list[Step], int]:
        steps: list[Step] = []
        self._connection.receive_data(data)
        for event in self._connection.events():
            match event:
                case wsproto.TextMessage():
                    steps.append(Fragment(True, event.data.encode(), event.message_finished))
                case wsproto.BytesMessage():
                    steps.append(Fragment(False, bytes(event.data), event.message_finished))
                case wsproto.Ping():
                    steps.append(Ping(bytes(event.payload)))
                case wsproto.Pong():
                    steps.append(Pong(bytes(event.payload)))
                case wsproto.CloseConnection() if self._connection.state is ConnectionState.OPEN:
                    # It gives its own failure the form of a Close.
                    return steps, event.code
                case wsproto.CloseConnection():
                    steps.append(Close(event.code, event.reason or ""))
        return steps, 0


def websockets_server(request: bytes, deflate: bool) -> tuple[Peer, bytes]:
    extensions = [ServerPerMessageDeflateFactory()] if deflate else None
    server = ServerProtocol(extensions=extensions, max_size=MAX_SIZE)
    server.receive_data(request)
    [event] = server.events_received()
    assert isinstance(event, Request)
    server.send_response(server.accept(event))
    return Websockets(server), b"".join(server.data_to_send())


def wsproto_server(request: bytes, deflate: bool) -> tuple[Peer, bytes]:
    server = WSConnection(ConnectionType.SERVER)
    server.receive_data(request)
    [event] = server.events()
    assert isinstance(event, wsproto.Request)
    return Wsproto(server), server.send(
        wsproto.AcceptConnection(extensions=[PerMessageDeflate()] if deflate else [])
    )


def websockets_client(deflate: bool) -> tuple[Peer, bytes, Callable[[bytes], object]]:
    extensions = [ClientPerMessageDeflateFactory(client_max_window_bits=True)] if deflate else None
    client = ClientProtocol(parse_uri("ws://localhost/"), extensions=extensions, max_size=MAX_SIZE)
    client.send_request(client.connect())

    def receive_response(response: bytes) -> None:
        client.receive_data(response)
        client.events_received()
        assert client.handshake_exc is None

    return Websockets(client), b"".join(client.data_to_send()), receive_response


def wsproto_client(deflate: bool) -> tuple[Peer, bytes, Callable[[bytes], object]]:
    client = WSConnection(ConnectionType.CLIENT)
    extensions = [PerMessageDeflate()] if deflate else []
    request = client.send(wsproto.Request("localhost", "/", extensions=extensions))

    def receive_response(response: bytes) -> None:
        client.receive_data(response)
        [event] = client.events()
        assert isinstance(event, wsproto.AcceptConnection)

    return Wsproto(client), request, receive_response


SERVERS = {"websockets": websockets_server, "wsproto": wsproto_server}
CLIENTS = {"websockets": websockets_client, "wsproto": wsproto_client}


class Ours:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._in_message = False

    def say(self, step: Step) -> bytes:
        match step:
            case Fragment(is_text, octets, fin) if self._in_message or not fin:
                self._connection.send_fragment(octets.decode() if is_text else octets, fin=fin)
                self._in_message = not fin
            case Fragment(True, octets):
                self._connection.send_text(octets.decode())
            case Fragment(False, octets):
                self._connection.send_binary(octets)
            case Ping(payload):
                self._connection.ping(payload)
            case Pong(payload):
                self._connection.pong(payload)
            case Close(code, reason):
                self._connection.close(code, reason)
        return b"".join(self._connection.data_to_send())

    def hear(self, data: bytes) -> Outcome:
        events: list[Event] = []
        self._connection.receive_data(data)
        try:
            while (event := self._connection.next_event()) is not None:
                events.append(event)
        except ProtocolError as error:
            return Outcome(events, error.rule, error.close_code)
        return Outcome(events)


def opened(oracle: str, role: Role, options: DeflateOptions | None) -> tuple[Ours, Peer]:
    """Shake hands: our end, in that role, and theirs."""
    deflate = options is not None
    if role is Role.CLIENT:
        asking = ClientHandshake("ws://localhost/", deflate=options)
        peer, response = SERVERS[oracle](asking.request, deflate)
        agreed = asking.receive_data(response)
    else:
        peer, request, receive_response = CLIENTS[oracle](deflate)
        read = RequestReader().feed(request)
        assert read is not None
        agreed = ServerHandshake(read).accept(deflate=options)
        receive_response(agreed.response)
    assert agreed is not None
    assert deflate == (agreed.deflate is not None)
    return Ours(Connection(role, agreed.deflate, max_message_size=MAX_SIZE)), peer


def heard(peer: Peer, data: bytes) -> Outcome:
    steps, code = peer.hear(data)
    events: list[Event] = []
    try:
        events.extend(put_together(steps))
    except UnicodeDecodeError:
        return Outcome(events, "", 1007)
    return Outcome(events, "", code)


def put_together(steps: list[Step]) -> Iterator[Event]:
    """Make messages of their parts, and let the rest through."""
    message = b""
    for step in steps:
        if not isinstance(step, Fragment):
            yield step
            continue
        message += step.octets
        if step.fin:
            yield message.decode() if step.is_text else message
            message = b""


@pytest.mark.parametrize("oracle", SERVERS)
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "options",
    [
        None,
        DeflateOptions(),
        DeflateOptions(no_context_takeover=False, min_size=0),
        DeflateOptions(no_context_takeover=False, max_window_bits=9, min_size=0),
    ],
    ids=["plain", "fresh", "kept", "kept-9"],
)
def test_each_end_hears_what_the_other_says(oracle: str, role: Role, options: DeflateOptions | None) -> None:
    random = Random(6455)
    # wsproto loses a compressed message when a control frame comes inside it.
    inside = oracle != "wsproto" or options is None
    for _ in range(60):
        script = random_conversation(random, inside)
        expected = Outcome(list(put_together(script)))
        ours, theirs = opened(oracle, role, options)
        assert expected == heard(theirs, b"".join(map(ours.say, script)))
        ours, theirs = opened(oracle, role, options)
        assert expected == ours.hear(b"".join(map(theirs.say, script)))


def both(oracle: str, role: Role, options: DeflateOptions | None) -> tuple[Ours, Peer]:
    """Open a connection for each, in the same role."""
    other = Role.SERVER if role is Role.CLIENT else Role.CLIENT
    return opened(oracle, role, options)[0], opened(oracle, other, options)[1]


def parting(ours: Outcome, theirs: Outcome) -> tuple[str, str] | None:
    """Tell what each does at the first point where they part; None if they never do.

    It is a rule or a code by which to fail, a kind of event, or silence.
    """
    for our_event, their_event in zip_longest(ours.events, theirs.events):
        if our_event != their_event:
            return kind(our_event) or ours.rule or "silence", kind(their_event) or str(
                theirs.code or "silence"
            )
    if ours.code == theirs.code:
        return None
    return ours.rule or "silence", str(theirs.code or "silence")


def kind(event: Event | None) -> str:
    if event is None:
        return ""
    return "message" if isinstance(event, str | bytes) else "control"


class Difference(NamedTuple):
    """What we do, by the rule, and what they do instead, with the reason and an example."""

    oracle: str
    reason: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    example: bytes
    deflate: bool = False


KEPT = DeflateOptions(no_context_takeover=False)

DIFFERENCES = [
    Difference(
        "websockets",
        "5.2: takes a length in any form",
        ("length-minimal",),
        ("message", "control", "silence", "1002", "1007", "1009"),
        b"\x82\xfe\x00\x01" + MASKING_KEY + b"a",
    ),
    Difference(
        "websockets",
        "5.5: looks at a control frame's length, not at its form, and when all of it is here",
        ("control-length",),
        ("control", "silence", "1007", "1009"),
        b"\x89\xfe\x00\x01" + MASKING_KEY + b"a",
    ),
    Difference(
        "websockets",
        "5.2: calls a length with its top bit set too big",
        ("length-top-bit",),
        ("1009",),
        b"\x82\xff" + bytes([0x80, *bytes(7)]) + MASKING_KEY,
    ),
    Difference(
        "websockets",
        "judges a frame when all of it is here, and its size before",
        (
            "reserved-bit",
            "control-fragmented",
            "control-rsv1",
            "continuation",
            "continuation-rsv1",
            "message-interleaved",
        ),
        ("silence", "1009"),
        head(FIN | RSV1 | TEXT, 1),
    ),
    Difference(
        "websockets",
        "8.1: looks for UTF-8 at a message's end",
        ("text-utf8",),
        ("control", "silence", "1002", "1009"),
        frame(TEXT, b"\xff") + frame(FIN | PING),
    ),
    Difference(
        "websockets",
        "5.5.1: reads the reason before it judges the code",
        ("close-code",),
        ("1007",),
        frame(FIN | CLOSE, b"\x03\xed\xff"),
    ),
    Difference(
        "websockets",
        "5.4: takes no Close between fragments",
        ("control",),
        ("1002",),
        frame(TEXT, b"a") + frame(FIN | CLOSE, b"\x03\xe8"),
    ),
    Difference(
        "websockets",
        "10.4: counts a control frame inside a message as a part of it",
        ("control", "silence", "close-code", "close-code-cut", "close-reason"),
        ("1009",),
        frame(BINARY, bytes(MAX_SIZE)) + frame(FIN | PING, b"a"),
    ),
    Difference(
        "websockets",
        "10.4: has no limit on the number of fragments",
        ("message-fragments",),
        ("message", "control", "silence", "1002", "1007", "1009"),
        frame(TEXT) + frame(CONT) * 4096 + frame(FIN | CONT),
    ),
    Difference(
        "websockets",
        "7692 6.2: inflates a frame when all of it is here, and says 1002 if it can't",
        ("deflate-data", "inflated-size"),
        ("silence", "1002", "1009"),
        frame(FIN | RSV1 | BINARY, b"\x07"),
        deflate=True,
    ),
    Difference(
        "websockets",
        "10.4: limits what is sent to what comes of it",
        ("message", "silence"),
        ("1009",),
        frame(FIN | RSV1 | BINARY, deflated(Random(1).randbytes(MAX_SIZE))),
        deflate=True,
    ),
    Difference(
        "websockets",
        "7692 7.2.3.4: loses what is behind a final block",
        ("message", "text-utf8", "deflate-data", "inflated-size"),
        ("message", "control", "1007"),
        frame(FIN | RSV1 | BINARY, bytes.fromhex("f348cdc9c90700") * 2),
        deflate=True,
    ),
    Difference(
        "websockets",
        "7692 7.2.2: takes the tail behind a compressed message without octets for a block to come",
        ("message", "silence"),
        ("1002",),
        frame(FIN | RSV1 | TEXT) + frame(FIN | RSV1 | TEXT, deflated(b"Hello")),
        deflate=True,
    ),
    Difference(
        "wsproto",
        "10.4: has no limit",
        ("message-size", "message-fragments"),
        ("message", "control", "silence", "1002", "1007"),
        frame(FIN | BINARY, bytes(MAX_SIZE + 1)),
    ),
    Difference(
        "wsproto",
        "5.2: judges a frame's first octets when all of its length is here",
        ("reserved-bit", "mask"),
        ("silence",),
        bytes([FIN | RSV1 | TEXT, 0x80 | 126]),
    ),
    Difference(
        "wsproto",
        "5.4: judges a frame's place in its message with its first octet of payload",
        ("continuation", "message-interleaved"),
        ("silence",),
        head(FIN | CONT, 1),
    ),
    Difference(
        "wsproto",
        "7.4: doesn't know of 1014",
        ("control",),
        ("1002",),
        frame(FIN | CLOSE, b"\x03\xf6"),
    ),
    Difference(
        "wsproto",
        "8.1: waits for the third octet of a surrogate",
        ("text-utf8",),
        ("control", "silence", "1002"),
        frame(TEXT, b"\xed\xa0"),
    ),
    Difference(
        "wsproto",
        "7692 6: forgets that a message is compressed when a control frame comes inside it",
        ("message",),
        ("message",),
        frame(RSV1 | BINARY, b"\xf2\x48\xcd") + frame(FIN | PONG) + frame(FIN | CONT, b"\xc9\xc9\x07\x00"),
        deflate=True,
    ),
]


def is_explained(oracle: str, deflate: bool, found: tuple[str, str]) -> bool:
    rows = [row for row in DIFFERENCES if row.oracle == oracle and deflate >= row.deflate]
    return any(found[0] in row.ours and found[1] in row.theirs for row in rows)


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: f"{row.oracle}-{row.ours[0]}-{row.theirs[0]}")
def test_difference_is_still_there(row: Difference) -> None:
    ours, theirs = both(row.oracle, Role.SERVER, KEPT if row.deflate else None)
    found = parting(ours.hear(row.example), heard(theirs, row.example))
    assert found is not None
    assert found[0] in row.ours
    assert found[1] in row.theirs


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("oracle", "options"),
    [
        ("websockets", None),
        ("wsproto", None),
        ("websockets", DeflateOptions()),
        ("websockets", KEPT),
    ],
    ids=["websockets", "wsproto", "websockets-fresh", "websockets-kept"],
)
def test_hostile_stream_is_read_alike(oracle: str, role: Role, options: DeflateOptions | None) -> None:
    random = Random(7692)
    key = MASKING_KEY if role is Role.SERVER else UNMASKED
    for _ in range(HOSTILE_STREAMS):
        stream = hostile_stream(random, key, options is not None)
        ours, theirs = both(oracle, role, options)
        found = parting(ours.hear(stream), heard(theirs, stream))
        assert found is None or is_explained(oracle, options is not None, found), stream[:200].hex()
