"""What holds for any octets, any split, and any two ends that talk."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from rfc6455.codes import Opcode, Role
from rfc6455.connection import Connection, Sending
from rfc6455.deflate import DeflateOptions, DeflateParameters
from rfc6455.errors import ProtocolError
from rfc6455.events import Close, Ping, Pong
from rfc6455.frames import FrameParser, encode_frame
from rfc6455.messages import Event
from tests.vectors import (
    BINARY,
    CONT,
    FIN,
    FRAMES,
    MAX_FRAGMENTS,
    MAX_MESSAGE_SIZE,
    PING,
    PONG,
    RSV1,
    TEXT,
    begun,
    deflated,
    frame,
    kept,
)

OPTIONS = DeflateOptions(min_size=5)
AGREEMENTS = [
    None,
    DeflateParameters(True, True, 15, 15, OPTIONS),
    DeflateParameters(False, False, 10, 10, OPTIONS),
]
agreements = st.sampled_from(AGREEMENTS)
roles = st.sampled_from(Role)
keys = st.binary(min_size=4, max_size=4)
messages = st.text(max_size=40) | st.binary(max_size=100)
controls = st.builds(Ping, st.binary(max_size=125)) | st.builds(Pong, st.binary(max_size=125))
places = st.lists(st.integers(0, 400), max_size=MAX_FRAGMENTS - 1)

Text = TypeVar("Text", str, bytes)


def cut(data: Text, places: Sequence[int]) -> list[Text]:
    """Cut at these places; some parts may be empty."""
    return [data[start:stop] for start, stop in pairwise(sorted([0, *places, len(data)]))]


def octet_by_octet(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def reader(role: Role, agreed: DeflateParameters | None) -> Connection:
    return Connection(
        role, agreed, max_message_size=MAX_MESSAGE_SIZE, max_fragments=MAX_FRAGMENTS, auto_reply=False
    )


def read(connection: Connection, pieces: Sequence[bytes]) -> list[Event | ProtocolError]:
    """The events of these pieces and, at the end, the fault if there is one."""
    seen: list[Event | ProtocolError] = []
    for piece in pieces:
        connection.receive_data(piece)
        try:
            while (event := connection.next_event()) is not None:
                seen.append(event)
        except ProtocolError as error:
            seen.append(error)
    return seen


def told(seen: list[Event | ProtocolError]) -> list[object]:
    """The same in a form that can be compared."""
    return [
        (item.close_code, item.rule, item.section) if isinstance(item, ProtocolError) else item
        for item in seen
    ]


# What comes in.


@st.composite
def conversations(draw: st.DrawFn) -> tuple[DeflateParameters | None, list[Event], bytes]:
    """What was agreed, the events of a conversation, and a client's frames made without rfc6455."""
    agreed = draw(agreements)
    events: list[Event] = []
    frames: list[bytes] = []
    for message in draw(st.lists(messages, max_size=5)):
        payload, first = (message.encode(), TEXT) if isinstance(message, str) else (message, BINARY)
        if agreed and draw(st.booleans()):
            payload, first = deflated(payload), first | RSV1
        *parts, last = cut(payload, draw(places))
        for part in parts:
            frames.append(frame(first, part, draw(keys)))
            first = CONT
            for control in draw(st.lists(controls, max_size=1)):
                events.append(control)
                opcode = PING if isinstance(control, Ping) else PONG
                frames.append(frame(FIN | opcode, control.payload, draw(keys)))
        frames.append(frame(FIN | first, last, draw(keys)))
        events.append(message)
    return agreed, events, b"".join(frames)


# Octets that come near to what a peer may send.
octets = st.one_of(
    st.binary(max_size=100),
    st.lists(
        st.sampled_from([row.data for row in FRAMES])
        | st.builds(frame, st.integers(0, 255), st.binary(max_size=130))
        | st.builds(begun, st.integers(0, 255), st.binary(max_size=130)),
        max_size=4,
    ).map(b"".join),
    st.builds(
        lambda data, at, put: data[:at] + put + data[at + len(put) :],
        conversations().map(lambda conversation: conversation[2]),
        st.integers(0, 400),
        st.binary(min_size=1, max_size=3),
    ),
)


@given(conversations(), places)
def test_any_split_gives_the_same_events(
    conversation: tuple[DeflateParameters | None, list[Event], bytes], places: list[int]
) -> None:
    agreed, events, data = conversation
    for pieces in ([data], octet_by_octet(data), cut(data, places)):
        assert events == read(reader(Role.SERVER, agreed), pieces)


@given(roles, octets, places)
def test_any_octets_give_events_and_at_most_one_fault_the_same_in_any_split(
    role: Role, data: bytes, places: list[int]
) -> None:
    whole = told(read(reader(role, None), [data]))
    for pieces in (octet_by_octet(data), cut(data, places)):
        assert whole == told(read(reader(role, None), pieces))


@given(agreements, octets, places)
def test_any_octets_give_the_same_events_with_deflate_and_a_fault_or_none(
    agreed: DeflateParameters | None, data: bytes, places: list[int]
) -> None:
    whole = read(reader(Role.SERVER, agreed), [data])
    for pieces in (octet_by_octet(data), cut(data, places)):
        seen = read(reader(Role.SERVER, agreed), pieces)
        # Of two faults in one message that is found first which comes first in what is inflated at once.
        assert [item for item in whole if not isinstance(item, ProtocolError)] == [
            item for item in seen if not isinstance(item, ProtocolError)
        ]
        assert len(whole) == len(seen)


@given(agreements, octets)
def test_what_is_kept_between_two_reads_never_passes_the_limits(
    agreed: DeflateParameters | None, data: bytes
) -> None:
    connection = reader(Role.SERVER, agreed)
    before = kept(connection)
    for piece in octet_by_octet(data):
        for event in read(connection, [piece]):
            assert not isinstance(event, str | bytes) or len(event) <= MAX_MESSAGE_SIZE
        # The message, a control frame, a head, and the objects that hold them.
        assert kept(connection) - before <= MAX_MESSAGE_SIZE * 9 // 8 + 125 + 14 + 1500


# What is sent.


@given(st.sampled_from(Opcode), st.binary(max_size=300), st.booleans(), st.none() | keys)
def test_frame_is_read_as_it_was_written(
    opcode: Opcode, payload: bytes, fin: bool, key: bytes | None
) -> None:
    control = opcode >= Opcode.CLOSE
    payload, fin = (payload[:125], True) if control else (payload, fin)
    parser = FrameParser(Role.CLIENT if key is None else Role.SERVER, deflate=True)
    if opcode is Opcode.CONTINUATION:
        parser.feed(encode_frame(Opcode.TEXT, b"", fin=False, masking_key=key))
        parser.next_frame()
    rsv1 = opcode in (Opcode.TEXT, Opcode.BINARY)
    parser.feed(encode_frame(opcode, payload, fin=fin, rsv1=rsv1, masking_key=key))
    assert (fin, rsv1, opcode, payload) == parser.next_frame()


class End:
    """One of two ends that talk: what it sent, and what it heard, but for Pongs."""

    def __init__(self, role: Role, agreed: DeflateParameters | None) -> None:
        self.connection = Connection(role, agreed)
        self.said: list[Event] = []
        self.heard: list[Event] = []
        self.parts: list[str] = []
        self.began_to_close = False
        self.under_way = b""

    def say(self, action: object) -> None:
        """Do what the script says, where the connection's state allows it."""
        connection = self.connection
        if connection.sending is Sending.CLOSED:
            return
        match action:
            case str() | bytes() as message if not self.parts:
                send = connection.send_text if isinstance(message, str) else connection.send_binary
                send(message)  # type: ignore[arg-type]  # It was chosen to fit.
                self.said.append(message)
            case str() as message:
                self.fragment(message, fin=True)
            case (str() as part,):
                self.fragment(part, fin=False)
            case Ping(payload):
                connection.ping(payload)
                self.said.append(Ping(payload))
            case Close(code, reason):
                connection.close(code, reason)
                self.said.append(Close(code, reason))
                self.began_to_close = True

    def fragment(self, part: str, *, fin: bool) -> None:
        self.connection.send_fragment(part, fin=fin)
        self.parts.append(part)
        if fin:
            self.said.append("".join(self.parts))
            self.parts.clear()

    def deliver(self, other: "End", most: int) -> None:
        """Bring some octets to the other end."""
        self.under_way += b"".join(self.connection.data_to_send())
        data, self.under_way = self.under_way[:most], self.under_way[most:]
        for event in read(other.connection, [data]):
            assert not isinstance(event, ProtocolError)
            if not isinstance(event, Pong):
                other.heard.append(event)


closes = st.builds(Close, st.sampled_from([1000, 1001, 1011, 3000, 4999]), st.text(max_size=20))
actions = st.one_of(messages, st.tuples(st.text(max_size=9)), st.builds(Ping, st.binary(max_size=9)), closes)
steps = st.tuples(st.sampled_from([0, 1]), actions | st.integers(1, 100))


@given(agreements, st.lists(steps, max_size=30))
def test_two_ends_hear_all_that_was_said_and_close_by_the_same_code(
    agreed: DeflateParameters | None, script: list[tuple[int, object]]
) -> None:
    ends = client, server = End(Role.CLIENT, agreed), End(Role.SERVER, agreed)
    for index, action in script:
        if isinstance(action, int):
            ends[index].deliver(ends[1 - index], action)
        else:
            ends[index].say(action)
    client.say(Close(1000))
    for _ in range(2):
        client.deliver(server, 1 << 20)
        server.deliver(client, 1 << 20)
    for end, other in ((client, server), (server, client)):
        own, others = end.connection.close_sent, other.connection.close_sent
        assert own and others and end.connection.is_over
        # An answer to a Close repeats its code.
        assert [*other.said, *([] if other.began_to_close else [Close(own.code)])] == end.heard
        assert others.code == end.connection.close_code
    if not client.began_to_close or not server.began_to_close:
        assert client.connection.close_code == server.connection.close_code
