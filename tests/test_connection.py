"""A connection: what each method does in each state of closing, what is answered, and what is refused."""

import os
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import Random

import pytest

from rfc6455.codes import Role
from rfc6455.connection import Connection, Receiving, Sending
from rfc6455.deflate import DeflateOptions, DeflateParameters, Deflater
from rfc6455.errors import ProtocolError, StateError
from rfc6455.events import Close, Ping, Pong
from rfc6455.messages import MAX_SPARE, Event, Readers, encode_message
from tests.vectors import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    FRAMES,
    MASKING_KEY,
    MAX_FRAGMENTS,
    MAX_MESSAGE_SIZE,
    PING,
    PONG,
    RSV1,
    TEXT,
    UNMASKED,
    FrameVector,
    deflated,
    feeds,
    frame,
    frames_in,
)

DEFLATE = DeflateParameters(True, True, 15, 15, DeflateOptions(min_size=10, max_size=20))

both_roles = pytest.mark.parametrize("role", Role)


def connected(role: Role = Role.SERVER, deflate: DeflateParameters | None = None) -> Connection:
    return Connection(role, deflate, masking_key=lambda: MASKING_KEY)


def incoming(role: Role, first: int, payload: bytes = b"") -> bytes:
    """A frame from the other end."""
    return frame(first, payload, MASKING_KEY if role is Role.SERVER else UNMASKED)


def outgoing(role: Role, first: int, payload: bytes = b"") -> bytes:
    return frame(first, payload, MASKING_KEY if role is Role.CLIENT else UNMASKED)


def sent(connection: Connection) -> list[tuple[int, bytes]]:
    return list(frames_in(b"".join(connection.data_to_send())))


def inflated(payload: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")


# Receiving.

Fault = tuple[int, str, str, str]
Run = tuple[list[Event], Fault | None, list[tuple[int, bytes]]]


def run(row: FrameVector, pieces: Iterable[bytes], *, auto_reply: bool = True) -> Run:
    """Feed a connection: what comes of it, the rule that was broken, and what is sent."""
    connection = Connection(
        row.role,
        DEFLATE if row.deflate else None,
        max_message_size=MAX_MESSAGE_SIZE,
        max_fragments=MAX_FRAGMENTS,
        auto_reply=auto_reply,
        masking_key=lambda: MASKING_KEY,
    )
    events: list[Event] = []
    fault = None
    for piece in pieces:
        connection.receive_data(piece)
        try:
            while (event := connection.next_event()) is not None:
                events.append(event)
        except ProtocolError as error:
            assert fault is None
            fault = (error.close_code, error.rule, error.section, str(error))
    return events, fault, sent(connection)


@pytest.mark.parametrize("row", FRAMES, ids=[row.id for row in FRAMES])
def test_events_and_replies_of_row(row: FrameVector) -> None:
    whole = run(row, [row.data])
    events, fault, replies = whole
    assert [*row.events] == events
    assert (row.close_code, row.rule, row.section) == (fault[:3] if fault else (0, "", row.section))
    expected = [(FIN | PONG, event.payload) for event in events if isinstance(event, Ping)]
    for event in events:
        if isinstance(event, Close):
            expected.append((FIN | CLOSE, b"" if event.code == 1005 else event.code.to_bytes(2, "big")))
    if fault:
        expected.append((FIN | CLOSE, row.close_code.to_bytes(2, "big") + fault[3].encode()))
    assert expected == replies
    for pieces in feeds(row.data):
        assert whole == run(row, pieces)
    # 7.1.7: behind a fault nothing is read, nor behind a Close.
    if any(first == FIN | CLOSE for first, _ in replies):
        assert whole == run(row, [row.data, incoming(row.role, FIN | PING), b"\xff\xff"])
        assert whole == run(row, [row.data + incoming(row.role, FIN | TEXT, b"behind")])
    assert (events, fault, []) == run(row, [row.data], auto_reply=False)


# Closing. Each cell tells what an action does in a state: `!` it raises, `+` an event comes; then the first
# octet of the frame that is sent; then the state that follows, if it is another; `-` for nothing at all.

STATES = {
    "open": (Sending.OPEN, Receiving.OPEN),
    "closing": (Sending.CLOSED, Receiving.OPEN),
    "closed": (Sending.CLOSED, Receiving.CLOSED),
    "failed": (Sending.CLOSED, Receiving.FAILED),
    "cut": (Sending.OPEN, Receiving.ABORTED),
    "over": (Sending.CLOSED, Receiving.ABORTED),
    # These two wait for the caller, who replies in its own time.
    "asked": (Sending.OPEN, Receiving.CLOSED),
    "broken": (Sending.OPEN, Receiving.FAILED),
}

TABLE = """
              open       fragments  closing  closed  failed  cut       over    asked     broken
send_text     81         !          !        !       !       81        !       81        81
send_binary   82         !          !        !       !       82        !       82        82
send_fragment 81         80         !        !       !       81        !       81        81
send_encoded  82         !          !        !       !       82        !       82        82
ping          89         89         !        !       !       89        !       89        89
pong          8a         8a         8a       -       -       8a        -       -         -
close         88>closing 88>closing -        -       -       88>over   -       88>closed 88>failed
answer_close  !          !          !        -       !       !         !       88>closed !
fail          88>failed  88>failed  >failed  -       -       88>failed >failed 88>closed 88>failed
receive_eof   >cut       >cut       >over    -       -       -         -       -         -
message       +          +          +        -       -       -         -       -         -
a_ping        +8a        +8a        +8a      -       -       -         -       -         -
a_pong        +          +          +        -       -       -         -       -         -
a_close       +88>closed +88>closed +>closed -       -       -         -       -         -
a_fault       !88>failed !88>failed !>failed -       -       -         -       -         -
"""
HEADER, *LINES = [line.split() for line in TABLE.strip().splitlines()]
CELLS = [(action, state, cell) for action, *cells in LINES for state, cell in zip(HEADER, cells, strict=True)]

ACTIONS: dict[str, Callable[[Connection], None]] = {
    "send_text": lambda connection: connection.send_text("a"),
    "send_binary": lambda connection: connection.send_binary(b"a"),
    "send_fragment": lambda connection: connection.send_fragment("a", fin=True),
    "send_encoded": lambda connection: connection.send_encoded(frame(FIN | BINARY, b"a", UNMASKED)),
    "ping": lambda connection: connection.ping(b"a"),
    "pong": lambda connection: connection.pong(b"a"),
    "close": lambda connection: connection.close(),
    "answer_close": lambda connection: connection.answer_close(),
    "fail": lambda connection: connection.fail(1008),
    "receive_eof": lambda connection: connection.receive_eof(),
}
FRAMES_OF_PEER = {
    "message": FIN | TEXT,
    "a_ping": FIN | PING,
    "a_pong": FIN | PONG,
    "a_close": FIN | CLOSE,
    "a_fault": FIN | 0xF,
}


def state(connection: Connection) -> str:
    [name] = [name for name, halves in STATES.items() if halves == (connection.sending, connection.receiving)]
    return name


def perform(connection: Connection, action: str) -> str:
    """Do it: tell whether it raised, or brought an event."""
    try:
        if action in ACTIONS:
            ACTIONS[action](connection)
        else:
            connection.receive_data(incoming(connection.role, FRAMES_OF_PEER[action]))
    except StateError:
        return "!"
    try:
        return "" if connection.next_event() is None else "+"
    except ProtocolError:
        return "!"


def brought_to(name: str, role: Role) -> Connection:
    """A connection in this state, with nothing left to be sent."""
    connection = Connection(role, auto_reply=name not in ("asked", "broken"))
    steps = {
        "closing": ["close"],
        "closed": ["close", "a_close"],
        "failed": ["fail"],
        "cut": ["receive_eof"],
        "over": ["close", "receive_eof"],
        "asked": ["a_close"],
        "broken": ["a_fault"],
    }
    for step in steps.get(name, []):
        perform(connection, step)
    if name == "fragments":
        connection.send_fragment("a", fin=False)
        name = "open"
    assert name == state(connection)
    connection.data_to_send()
    return connection


@both_roles
@pytest.mark.parametrize(("action", "name", "cell"), CELLS)
def test_each_method_in_each_state_of_closing(action: str, name: str, cell: str, role: Role) -> None:
    if action == "send_encoded" and role is Role.CLIENT:
        cell = "!"
    connection = brought_to(name, role)
    before = state(connection)
    outcome = perform(connection, action)
    outcome += "".join(f"{first:02x}" for first, _ in sent(connection))
    if state(connection) != before:
        outcome += f">{state(connection)}"
    assert cell == (outcome or "-")
    assert (state(connection) in ("closed", "failed", "over")) == connection.is_over


@pytest.mark.parametrize(
    ("name", "code"), [("closed", 1005), ("asked", 1005), ("cut", 1006), ("failed", 1006), ("open", 1006)]
)
def test_close_code_is_the_one_that_came(name: str, code: int) -> None:
    assert code == brought_to(name, Role.SERVER).close_code


@both_roles
def test_each_end_keeps_the_close_of_the_other(role: Role) -> None:
    connection = connected(role)
    connection.close(4000, "done")
    assert [(FIN | CLOSE, b"\x0f\xa0done")] == sent(connection)
    connection.receive_data(incoming(role, FIN | CLOSE, b"\x03\xe8bye"))
    assert Close(1000, "bye") == connection.next_event()
    assert (Close(4000, "done"), Close(1000, "bye"), 1000) == (
        connection.close_sent,
        connection.close_received,
        connection.close_code,
    )


def test_messages_arrive_behind_our_close_until_that_of_the_peer() -> None:
    connection = brought_to("closing", Role.SERVER)
    connection.receive_data(frame(TEXT, b"Hel") + frame(FIN | PING) + frame(FIN | CONT, b"lo"))
    assert [Ping(b""), "Hello", None] == [connection.next_event() for _ in range(3)]


def test_events_fed_before_the_end_of_input_still_come_and_are_answered() -> None:
    connection = connected()
    connection.receive_data(
        frame(FIN | TEXT, b"a") + frame(FIN | PING, b"b") + frame(FIN | CLOSE, b"\x03\xe8")
    )
    connection.receive_eof()
    assert ["a", Ping(b"b"), Close(1000), None] == [connection.next_event() for _ in range(4)]
    assert [(FIN | PONG, b"b"), (FIN | CLOSE, b"\x03\xe8")] == sent(connection)
    assert ("closed", 1000) == (state(connection), connection.close_code)


def test_fail_discards_what_was_fed_before_the_end_of_input() -> None:
    connection = connected()
    connection.receive_data(frame(FIN | TEXT, b"a"))
    connection.receive_eof()
    connection.fail(1008)
    assert None is connection.next_event()


def test_fail_discards_what_was_fed_before() -> None:
    connection = connected()
    connection.receive_data(frame(FIN | TEXT, b"a") + frame(FIN | PING))
    connection.fail(1008)
    assert None is connection.next_event()
    assert [(FIN | CLOSE, b"\x03\xf0")] == sent(connection)


@both_roles
def test_messages_of_one_read_are_taken_one_by_one_in_order(role: Role) -> None:
    connection = connected(role)
    sizes = range(200)
    data = b"".join(incoming(role, FIN | TEXT, b"x" * size) for size in sizes)
    connection.receive_data(data + incoming(role, FIN | BINARY, b"\xff") + incoming(role, FIN | PING))
    for size in sizes:
        assert size == connection.frames_received
        assert "x" * size == connection.next_event()
    assert [b"\xff", Ping(b""), None] == [connection.next_event() for _ in range(3)]


def test_fail_discards_the_messages_behind_the_one_that_was_taken() -> None:
    connection = connected()
    connection.receive_data(frame(FIN | TEXT, b"a") + frame(FIN | TEXT, b"b") + frame(FIN | TEXT, b"c"))
    assert "a" == connection.next_event()
    connection.fail(1008)
    assert (1, 0, None) == (connection.frames_received, connection.octets_held, connection.next_event())


def test_what_is_received_between_the_messages_of_one_read_comes_behind_them() -> None:
    connection = connected()
    connection.receive_data(frame(FIN | TEXT, b"a") + frame(FIN | TEXT, b"b") + frame(FIN | TEXT, b"c")[:-1])
    assert "a" == connection.next_event()
    connection.receive_data(frame(FIN | TEXT, b"c")[-1:] + frame(FIN | TEXT, b"d"))
    assert ["b", "c", "d", None] == [connection.next_event() for _ in range(4)]


def test_fault_fed_before_the_end_of_input_is_the_last_thing_read() -> None:
    connection = connected()
    connection.receive_data(frame(FIN | TEXT, b"\xff") + frame(FIN | TEXT, b"a"))
    connection.receive_eof()
    with pytest.raises(ProtocolError):
        connection.next_event()
    assert None is connection.next_event()
    assert "failed" == state(connection)


def test_unfinished_message_is_dropped_at_the_end_of_input() -> None:
    connection = connected()
    connection.receive_data(frame(TEXT, b"Hello"))
    connection.receive_eof()
    connection.receive_data(frame(FIN | CONT))
    assert None is connection.next_event()


def test_code_that_may_not_be_sent_is_refused_before_anything_is() -> None:
    connection = connected()
    for code in (-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535, 65536):
        for refuse in (connection.close, connection.fail):
            with pytest.raises(StateError):
                refuse(code)
    assert ("open", []) == (state(connection), sent(connection))


def test_reason_is_cut_to_123_octets() -> None:
    connection = connected()
    connection.close(1000, "€" * 42)
    assert [(FIN | CLOSE, b"\x03\xe8" + "€".encode() * 41)] == sent(connection)


# Answering by hand.


def test_without_auto_reply_the_caller_answers() -> None:
    connection = Connection(Role.SERVER, auto_reply=False)
    connection.receive_data(frame(FIN | PING, b"a") + frame(FIN | CLOSE, b"\x0f\xa0bye"))
    assert Ping(b"a") == connection.next_event()
    connection.pong(b"a")
    assert Close(4000, "bye") == connection.next_event()
    connection.send_text("last")
    connection.answer_close()
    connection.answer_close()
    assert [(FIN | PONG, b"a"), (FIN | TEXT, b"last"), (FIN | CLOSE, b"\x0f\xa0")] == sent(connection)


# Sending.

Send = Callable[[Connection, bytes], None]
SENDS: dict[int, Send] = {
    FIN | TEXT: lambda connection, payload: connection.send_text(payload.decode()),
    FIN | BINARY: lambda connection, payload: connection.send_binary(payload),
    TEXT: lambda connection, payload: connection.send_fragment(payload.decode(), fin=False),
    BINARY: lambda connection, payload: connection.send_fragment(payload, fin=False),
}


@both_roles
@pytest.mark.parametrize("first", SENDS)
@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536])
def test_message_is_sent_in_the_shortest_form_of_its_length(role: Role, first: int, length: int) -> None:
    connection = connected(role)
    SENDS[first](connection, b"a" * length)
    assert outgoing(role, first, b"a" * length) == b"".join(connection.data_to_send())
    assert [] == connection.data_to_send()


@both_roles
@pytest.mark.parametrize("is_late", [False, True], ids=["framed early", "framed late"])
@pytest.mark.parametrize("deflate", [None, DEFLATE], ids=["plain", "deflate"])
def test_texts_of_every_length_are_framed_in_order_in_one_piece_or_many(
    role: Role, is_late: bool, deflate: DeflateParameters | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A compiled build frames late whatever this says.
    monkeypatch.setattr("rfc6455.connection._FRAMED_LATE", is_late)
    in_pieces, in_one = connected(role, deflate), connected(role, deflate)
    texts = [
        character * length
        for length in (0, 1, 9, 62, 63, 125, 126, 300, 65535, 65536)
        for character in ("x", "ü")
    ]
    expected = []
    for connection in (in_pieces, in_one):
        for text in texts:
            connection.send_text(text, compress=False)
            connection.ping(b"between")
    for text in texts:
        expected += [outgoing(role, FIN | TEXT, text.encode()), outgoing(role, FIN | PING, b"between")]
    assert b"".join(expected) == b"".join(in_pieces.data_to_send())
    assert b"".join(expected) == in_one.frames_to_send()
    assert ([], None) == (in_pieces.data_to_send(), in_one.frames_to_send())


@both_roles
def test_what_is_sent_stays_in_order(role: Role) -> None:
    connection = connected(role)
    connection.send_text("grüße")
    connection.ping(b"b")
    connection.send_binary(b"\xff")
    connection.pong()
    connection.close(1001)
    expected = [
        (FIN | TEXT, "grüße".encode()),
        (FIN | PING, b"b"),
        (FIN | BINARY, b"\xff"),
        (FIN | PONG, b""),
    ]
    assert [*expected, (FIN | CLOSE, b"\x03\xe9")] == sent(connection)


@both_roles
def test_fragments_of_a_message_let_only_control_frames_between(role: Role) -> None:
    connection = connected(role)
    for _ in range(2):
        connection.send_fragment("Hel", fin=False)
        connection.ping()
        with pytest.raises(StateError):
            connection.send_fragment(b"", fin=True)
        with pytest.raises(StateError):
            connection.send_text("between")
        connection.send_fragment("", fin=False)
        connection.pong()
        connection.send_fragment("lo", fin=True)
        connection.send_fragment(b"\xff", fin=True)
    fragments = [(TEXT, b"Hel"), (FIN | PING, b""), (CONT, b""), (FIN | PONG, b""), (FIN | CONT, b"lo")]
    assert [*fragments, (FIN | BINARY, b"\xff")] * 2 == sent(connection)


@both_roles
def test_each_frame_of_a_client_is_masked_by_a_key_of_its_own(role: Role) -> None:
    keys = [b"abcd", b"efgh", bytes(4), b"\xff\xfe\xfd\xfc"]
    unused = iter(keys)
    connection = Connection(role, masking_key=lambda: next(unused))
    connection.send_text("Hello")
    connection.send_fragment(b"Hello", fin=False)
    connection.ping(b"Hello")
    connection.close(1000)
    firsts = [(FIN | TEXT, b"Hello"), (BINARY, b"Hello"), (FIN | PING, b"Hello"), (FIN | CLOSE, b"\x03\xe8")]
    used = keys if role is Role.CLIENT else [UNMASKED] * 4
    expected = [frame(first, payload, key) for (first, payload), key in zip(firsts, used, strict=True)]
    assert b"".join(expected) == b"".join(connection.data_to_send())


def test_masking_key_is_four_random_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", lambda size: b"\x01\x02\x03\x04\x05"[:size])
    connection = Connection(Role.CLIENT)
    connection.send_text("Hello")
    assert frame(FIN | TEXT, b"Hello", b"\x01\x02\x03\x04") == b"".join(connection.data_to_send())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda octets: memoryview(octets).cast("H")])
def test_what_a_caller_may_change_is_copied(kind: Callable[[bytearray], bytes | memoryview]) -> None:
    connection = connected()
    buffer = bytearray(b"Hello!")
    connection.send_binary(kind(buffer))
    buffer[:] = b"byebye"
    assert [(FIN | BINARY, b"Hello!")] == sent(connection)


@pytest.mark.parametrize("wrong", [5, "Hello", None, [72, 101]])
def test_what_is_no_bytes_is_a_type_error_and_sends_nothing(wrong: bytes) -> None:
    connection = connected()
    for send in (connection.send_binary, connection.ping, connection.pong):
        with pytest.raises(TypeError):
            send(wrong)
    assert [] == connection.data_to_send()


@pytest.mark.parametrize(
    ("code", "reason"), [("1000", ""), (None, ""), (1000, b"x"), (1000, 5), (1000, None)]
)
def test_close_of_another_kind_sends_nothing_and_closes_nothing(code: int, reason: str) -> None:
    # CVE-2026-45736 of ws: a reason of another type sent what stood in memory.
    connection = connected()
    # Which of the two it is depends on the build.
    with pytest.raises((TypeError, AttributeError)):
        connection.close(code, reason)
    assert [] == connection.data_to_send()
    connection.send_text("Hello")
    assert [(FIN | TEXT, b"Hello")] == sent(connection)


@pytest.mark.parametrize("wrong", [5, None, [72, 101]])
def test_fragment_of_another_kind_is_a_type_error_and_begins_no_message(wrong: bytes) -> None:
    connection = connected()
    with pytest.raises(TypeError):
        connection.send_fragment(wrong, fin=False)
    connection.send_text("Hello")
    assert [(FIN | TEXT, b"Hello")] == sent(connection)


LONE_SURROGATE_IN: list[Callable[[Connection], None]] = [
    lambda connection: connection.send_text("a\ud800"),
    lambda connection: connection.send_text("a" * 200 + "\udfff"),
    lambda connection: connection.send_fragment("\ud800", fin=False),
    lambda connection: connection.close(1000, "\ud800"),
    lambda connection: connection.fail(1008, "\ud800"),
]


@both_roles
@pytest.mark.parametrize("send", LONE_SURROGATE_IN)
def test_lone_surrogate_is_refused_and_the_connection_goes_on(
    role: Role, send: Callable[[Connection], None]
) -> None:
    connection = connected(role, DEFLATE)
    with pytest.raises(UnicodeEncodeError):
        send(connection)
    assert ("open", None) == (state(connection), connection.close_sent)
    connection.send_text("Hello")
    connection.receive_data(incoming(role, FIN | PONG))
    assert Pong(b"") == connection.next_event()
    assert [(FIN | TEXT, b"Hello")] == sent(connection)


@both_roles
def test_control_frame_carries_at_most_125_octets(role: Role) -> None:
    connection = connected(role)
    for send in (connection.ping, connection.pong):
        send(b"a" * 125)
        with pytest.raises(StateError):
            send(b"a" * 126)
    assert [(FIN | PING, b"a" * 125), (FIN | PONG, b"a" * 125)] == sent(connection)


# Compressing.


@both_roles
@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.parametrize(
    ("size", "compress", "compressed"),
    [
        *((size, None, size in (10, 20)) for size in (0, 9, 10, 20, 21)),
        *((size, False, False) for size in (9, 10, 21)),
        *((size, True, True) for size in (0, 9, 10, 21)),
    ],
)
def test_message_is_compressed_by_its_size_or_as_asked(
    role: Role, kind: int, size: int, compress: bool | None, compressed: bool
) -> None:
    for deflate in (DEFLATE, None, DeflateParameters(True, True, 8, 15, DEFLATE.options)):
        connection = connected(role, deflate)
        if kind == TEXT:
            connection.send_text("a" * size, compress=compress)
        else:
            connection.send_binary(b"a" * size, compress=compress)
        [(first, payload)] = sent(connection)
        # A window that zlib can't keep, or no agreement: all goes as it is.
        if compressed and deflate is DEFLATE:
            assert FIN | RSV1 | kind == first
            payload = inflated(payload)
        else:
            assert FIN | kind == first
        assert b"a" * size == payload


def test_compressed_fragments_have_rsv1_on_the_first_only() -> None:
    connection = connected(Role.SERVER, DEFLATE)
    for fragment, fin in (("Hel", False), ("", False), ("lo", False), ("", True)):
        connection.send_fragment(fragment, fin=fin)
    frames = sent(connection)
    assert [RSV1 | TEXT, CONT, CONT, FIN | CONT] == [first for first, _ in frames]
    assert b"Hello" == inflated(b"".join(payload for _, payload in frames))


def test_shared_deflater_keeps_two_messages_in_fragments_apart() -> None:
    deflater = Deflater(DEFLATE)
    ends = [Connection(Role.SERVER, DEFLATE, deflater=deflater) for _ in range(2)]
    for fragment, fin in ((b"Hello" * 9, False), (b"Hello" * 9, True)):
        for end in ends:
            end.send_fragment(fragment, fin=fin)
    for end in ends:
        assert b"Hello" * 18 == inflated(b"".join(payload for _, payload in sent(end)))


def test_own_deflater_keeps_its_context_where_that_was_agreed() -> None:
    connection = connected(Role.SERVER, DeflateParameters(False, True, 15, 15))
    for _ in range(2):
        connection.send_binary(bytes(range(256)))
    (_, first), (_, second) = sent(connection)
    assert len(second) < len(first) // 10


# Frames that many connections share.


@pytest.mark.parametrize("message", ["grüße", b"\xff", "", "a" * 70000])
def test_encoded_message_is_what_the_connection_would_send(message: str | bytes) -> None:
    connection = connected()
    if isinstance(message, str):
        connection.send_text(message)
    else:
        connection.send_binary(message)
    assert b"".join(connection.data_to_send()) == encode_message(message)


@pytest.mark.parametrize(("message", "kind"), [("a" * 200, TEXT), (b"a" * 200, BINARY)])
def test_message_is_compressed_once_for_all_that_share_a_window(message: str | bytes, kind: int) -> None:
    shared = encode_message(message, Deflater(DEFLATE))
    connection = connected(Role.SERVER, DEFLATE)
    connection.send_encoded(shared, connection.shared_window_bits)
    [(first, payload)] = sent(connection)
    assert (FIN | RSV1 | kind, b"a" * 200) == (first, inflated(payload))


@pytest.mark.parametrize(
    ("deflate", "window"),
    [
        (None, 0),
        (DEFLATE, 15),
        (DeflateParameters(True, False, 9, 15), 9),
        (DeflateParameters(True, True, 8, 15), 0),
        (DeflateParameters(False, True, 15, 15), 0),
    ],
)
def test_shared_frames_have_the_window_that_was_agreed(
    deflate: DeflateParameters | None, window: int
) -> None:
    connection = connected(Role.SERVER, deflate)
    assert window == connection.shared_window_bits
    for bits in (0, 8, 9, 10, 15):
        if bits in (0, window):
            connection.send_encoded(b"\x82\x00", bits)
            assert [(FIN | BINARY, b"")] == sent(connection)
        else:
            with pytest.raises(StateError):
                connection.send_encoded(b"\x82\x00", bits)
    assert [] == connection.data_to_send()


def test_frames_are_counted() -> None:
    connection = connected()
    connection.receive_data(frame(TEXT) + frame(FIN | PING) + frame(FIN | CONT) + frame(FIN | TEXT))
    while connection.next_event() is not None:
        pass
    assert 4 == connection.frames_received


@pytest.mark.parametrize(
    ("data", "held"),
    [
        (b"", 0),
        (frame(FIN | TEXT, b"Hello"), 0),
        (frame(TEXT, b"Hello"), 5),
        (frame(TEXT, b"Hello")[:-1], 4),
        (frame(TEXT, b"Hello") + frame(FIN | PING, b"a") + frame(CONT, b"You"), 8),
        (frame(TEXT, b"Hello") + frame(FIN | PING, b"abc")[:-1], 7),
        (frame(TEXT, b"Hello") + frame(FIN | CONT, b"You")[:5], 10),
        (frame(TEXT, b"Hello") + frame(FIN | CONT, b"You"), 0),
        (frame(RSV1 | BINARY, deflated(b"a" * 1000)), 1000),
    ],
)
def test_what_is_held_is_what_no_event_has_brought(data: bytes, held: int) -> None:
    connection = connected(deflate=DeflateParameters(True, True, 15, 15))
    connection.receive_data(data)
    assert len(data) == connection.octets_held
    while connection.next_event() is not None:
        pass
    assert held == connection.octets_held


def test_messages_that_are_parsed_and_not_yet_taken_are_held() -> None:
    connection = connected()
    connection.receive_data(
        frame(FIN | TEXT) + frame(FIN | TEXT, "grün".encode()) + frame(FIN | BINARY, b"abc")
    )
    for held in (8, 3, 0):
        assert connection.next_event() is not None
        assert held == connection.octets_held


@pytest.mark.parametrize("is_failure", [False, True])
def test_nothing_is_held_behind_the_end(is_failure: bool) -> None:
    connection = connected()
    connection.receive_data(frame(TEXT, b"Hello") + frame(FIN | PING, b"abc")[:-1])
    assert connection.next_event() is None
    assert 7 == connection.octets_held
    if is_failure:
        connection.fail(1013)
    else:
        connection.receive_data(b"c" + frame(FIN | CLOSE) + b"a" * 100)
        assert [Ping, Close] == [type(connection.next_event()) for _ in range(2)]
    assert (0, None) == (connection.octets_held, connection.next_event())
    connection.receive_data(b"a" * 100)
    assert (0, None) == (connection.octets_held, connection.next_event())


@pytest.mark.parametrize(
    "deflate", [None, DeflateParameters(True, True, 15, 15), DeflateParameters(False, False, 15, 15)]
)
def test_connections_that_share_readers_receive_as_if_each_had_its_own(
    deflate: DeflateParameters | None,
) -> None:
    readers = Readers(Role.SERVER, deflate)
    alone = [connected(deflate=deflate) for _ in range(5)]
    sharing = [Connection(Role.SERVER, deflate, readers=readers) for _ in alone]
    random = Random(7)
    streams = [
        frame(FIN | TEXT, b"Hello")
        + (
            frame(FIN | RSV1 | BINARY, deflated(b"a" * 200))
            if deflate is not None
            else frame(FIN | BINARY, b"a")
        )
        + frame(TEXT, b"Hel")
        + frame(FIN | PING, b"a" * number)
        + frame(FIN | CONT, b"lo")
        + frame(FIN | TEXT, b"You")
        for number in range(5)
    ]
    while any(streams):
        number = random.choice([number for number, stream in enumerate(streams) if stream])
        size = random.choice([1, 2, 7, 100])
        piece, streams[number] = streams[number][:size], streams[number][size:]
        for end in (alone[number], sharing[number]):
            end.receive_data(piece)
        while (event := alone[number].next_event()) is not None:
            assert event == sharing[number].next_event()
        assert sharing[number].next_event() is None
        assert alone[number].frames_received == sharing[number].frames_received
        assert alone[number].octets_held == sharing[number].octets_held


def test_one_reader_is_enough_for_connections_between_two_messages() -> None:
    readers = Readers(Role.SERVER)
    reader = readers.take()
    readers.give_back(reader)
    for _ in range(5):
        connection = Connection(Role.SERVER, readers=readers)
        connection.receive_data(frame(FIN | PING) + frame(FIN | TEXT, b"Hello"))
        assert [Ping(b""), "Hello"] == [connection.next_event() for _ in range(2)]
        assert connection.next_event() is None
    assert (reader, 10) == (readers.take(), reader.frames_received)


def test_no_reader_is_given_back_with_something_begun() -> None:
    readers = Readers(Role.SERVER)
    begun = [b"\x81", frame(TEXT), frame(FIN | TEXT, b"Hello")[:-1], frame(FIN | PING, b"a")[:-1]]
    for data in (*begun, b"\x83", frame(FIN | CLOSE)):
        reader = readers.take()
        readers.give_back(reader)
        connection = Connection(Role.SERVER, readers=readers)
        connection.receive_data(data)
        with suppress(ProtocolError):
            while connection.next_event() is not None:
                pass
        assert readers.take() is not reader


def test_no_more_readers_are_kept_than_are_read_at_once() -> None:
    readers = Readers(Role.SERVER)
    taken = [readers.take() for _ in range(MAX_SPARE + 1)]
    for reader in taken:
        readers.give_back(reader)
    again = {readers.take() for _ in taken}
    assert MAX_SPARE == len(again & set(taken))
