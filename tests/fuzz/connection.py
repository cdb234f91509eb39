"""Octets into a whole Connection that echoes: what comes of them and what is answered, held to a model."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from rfc6455.codes import Role
from rfc6455.connection import Connection, Receiving, Sending
from rfc6455.deflate import DeflateOptions, DeflateParameters
from rfc6455.errors import ProtocolError, StateError
from rfc6455.events import Close, Ping
from rfc6455.messages import Event
from tests.fuzz import frames
from tests.fuzz.case import Case, Target, in_linear_work
from tests.fuzz.frames import ROLES, Heard, assert_same
from tests.vectors import BINARY, CLOSE, FIN, MAX_FRAGMENTS, MAX_MESSAGE_SIZE, PONG, RSV1, TEXT, frames_in

OPTIONS: Final = DeflateOptions(min_size=3)
AGREED: Final = (
    None,
    DeflateParameters(False, False, 15, 15, OPTIONS),
    DeflateParameters(True, True, 12, 15, OPTIONS),
    DeflateParameters(False, True, 8, 8, OPTIONS),
)
_MASKING_KEY: Final = bytes.fromhex("37fa213d")

# A frame that was sent: opcode, and the payload as it was before it was compressed and masked.
Said = tuple[int, bytes]


class Manner(NamedTuple):
    """How the connection is used: who answers Ping and Close, and whether it closes before it reads."""

    role: Role
    agreed: DeflateParameters | None
    auto_reply: bool
    closes_first: bool


def manner(case: Case) -> Manner:
    bits = (False, True)
    return Manner(case.choose(0, ROLES), case.choose(1, AGREED), case.choose(3, bits), case.choose(4, bits))


def talk(how: Manner, pieces: Sequence[bytes]) -> tuple[Heard, list[Said]]:
    """Feed the pieces and echo each message; return what was heard and what was said."""
    connection = Connection(
        how.role,
        how.agreed,
        max_message_size=MAX_MESSAGE_SIZE,
        max_fragments=MAX_FRAGMENTS,
        auto_reply=how.auto_reply,
        masking_key=lambda: _MASKING_KEY,
    )
    if how.closes_first:
        connection.close(1001)
    heard = Heard([], None)
    for piece in pieces:
        connection.receive_data(piece)
        try:
            while (event := connection.next_event()) is not None:
                heard.events.append(event)
                reply(connection, event, how)
        except ProtocolError as error:
            assert heard.fault is None, "a second fault behind the first"
            heard = heard._replace(fault=(int(error.close_code), error.rule, error.section))
            if not how.auto_reply:
                connection.fail(error.close_code, str(error))
    connection.receive_eof()
    assert connection.next_event() is None
    assert_end(connection, heard)
    return heard, list(said(b"".join(connection.data_to_send()), how))


def reply(connection: Connection, event: Event, how: Manner) -> None:
    if isinstance(event, Ping) and not how.auto_reply:
        connection.pong(event.payload)
    if isinstance(event, Close) and not how.auto_reply:
        connection.answer_close()
    if not isinstance(event, str | bytes):
        return
    send = connection.send_text if isinstance(event, str) else connection.send_binary
    if connection.sending is Sending.OPEN:
        send(event)  # type: ignore[arg-type]  # It was chosen to fit.
        return
    try:
        send(event)  # type: ignore[arg-type]  # It was chosen to fit.
    except StateError:
        return
    raise AssertionError("a message was sent behind our Close")


def assert_end(connection: Connection, heard: Heard) -> None:
    closes = [event for event in heard.events if isinstance(event, Close)]
    if heard.fault is not None:
        assert connection.receiving is Receiving.FAILED
    else:
        assert connection.receiving is (Receiving.CLOSED if closes else Receiving.ABORTED)
    # 7.1.5: the code of the peer's Close, 1006 without one.
    assert connection.close_code == (closes[0].code if closes else 1006)
    # 5.5.1: nothing is heard behind a Close.
    assert closes == [event for event in heard.events[-1:] if isinstance(event, Close)]


def said(output: bytes, how: Manner) -> Iterator[Said]:
    """Read what was sent, without rfc6455."""
    size = 0
    stream = zlib.decompressobj(-15)
    for first, payload in frames_in(output):
        size += 2 + 4 * (how.role is Role.CLIENT) + (2 if len(payload) > 125 else 0) + len(payload)
        assert first & FIN
        if first & RSV1:
            assert how.agreed is not None
            if how.agreed.local_no_context_takeover:
                stream = zlib.decompressobj(-15)
            payload = stream.decompress(payload + b"\x00\x00\xff\xff")
        yield first & 0x0F, payload
    assert size == len(output), "a frame isn't whole, or not masked as it should be"


def expected(heard: Heard, how: Manner) -> Iterator[Said]:
    """What was to be said to what was heard: an echo, a Pong for each Ping, and one Close."""
    is_closed = how.closes_first
    if is_closed:
        yield CLOSE, (1001).to_bytes(2, "big")
    for event in heard.events:
        if isinstance(event, Ping):
            yield PONG, event.payload
        elif isinstance(event, Close):
            # 5.5.1: a Close is answered by its own code, unless ours was sent before.
            if not is_closed:
                yield CLOSE, b"" if event.code == 1005 else event.code.to_bytes(2, "big")
            return
        elif isinstance(event, str | bytes) and not is_closed:
            yield (TEXT, event.encode()) if isinstance(event, str) else (BINARY, event)
    if heard.fault is not None and not is_closed:
        yield CLOSE, heard.fault[0].to_bytes(2, "big")


def without_reason(sent: Said) -> Said:
    opcode, payload = sent
    return (opcode, payload[:2]) if opcode == CLOSE else sent


def check(case: Case) -> None:
    how = manner(case)
    heard, answers = in_linear_work([case.data], lambda pieces: talk(how, pieces))
    heard_split, answers_split = talk(how, case.pieces)
    assert_same(heard, heard_split, how.agreed)
    assert list(expected(heard, how)) == list(map(without_reason, answers))
    assert list(expected(heard_split, how)) == list(map(without_reason, answers_split))


def seeds() -> Iterable[Case]:
    for number, case in enumerate(frames.seeds()):
        yield case._replace(choice=case.choice | number % 4 << 3)


TARGET: Final = Target(check, seeds, frames.row)
