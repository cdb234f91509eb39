"""permessage-deflate (RFC 7692): every cell of its negotiation, and a codec that meets any kind of stream."""

import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product
from random import Random

import pytest

from rfc6455.codes import Role
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
from rfc6455.frames import max_compressed_size
from rfc6455.handshake import Accepted, ServerHandshake
from rfc6455.headers import parse_extensions
from rfc6455.messages import Event, MessageReader
from rfc6455.request import RequestReader
from tests.vectors import (
    BINARY,
    CONT,
    FIN,
    MAX_FRAGMENTS,
    MAX_MESSAGE_SIZE,
    PING,
    RSV1,
    TEXT,
    FrameVector,
    feeds,
    frame,
    frames_in,
    handshake,
)
from tests.vectors_deflate import DEFLATED, stored

# The negotiation. A cell is (what came, what this end wants): what is answered or agreed.

Parameters = Sequence[tuple[str, str | None]]

OPTIONS = [
    DeflateOptions(no_context_takeover=no_context_takeover, max_window_bits=bits)
    for no_context_takeover, bits in product((True, False), (9, 12, 15))
]
by_options = pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda options: f"{options.no_context_takeover}-{options.max_window_bits}"
)

FLAGS = (True, False)
# "" is the parameter without a value, None no parameter.
SIZES = (None, "", "8", "9", "12", "15")

# 7692 7.1.1.1 and 7.1.1.2, (offered, wanted): answered.
OFFERED_SERVER_TAKEOVER = {
    (True, True): True, (True, False): True,
    (False, True): True, (False, False): False,
}  # fmt: skip
OFFERED_CLIENT_TAKEOVER = {
    (True, True): True, (True, False): False,
    (False, True): True, (False, False): False,
}  # fmt: skip
# 7692 7.1.2.1, (offered, wanted): the window to keep, answered where one was offered; None declines.
OFFERED_SERVER_BITS = {
    (None, 9): 9, (None, 12): 12, (None, 15): 15,
    ("", 9): None, ("", 12): None, ("", 15): None,
    ("8", 9): None, ("8", 12): None, ("8", 15): None,
    ("9", 9): 9, ("9", 12): 9, ("9", 15): 9,
    ("12", 9): 9, ("12", 12): 12, ("12", 15): 12,
    ("15", 9): 9, ("15", 12): 12, ("15", 15): 15,
}  # fmt: skip
# 7692 7.1.2.2, (offered, wanted): the window answered where contexts are kept; None answers nothing.
OFFERED_CLIENT_BITS = {
    (None, 9): None, (None, 12): None, (None, 15): None,
    ("", 9): 9, ("", 12): 12, ("", 15): 15,
    ("8", 9): 8, ("8", 12): 8, ("8", 15): 8,
    ("9", 9): 9, ("9", 12): 9, ("9", 15): 9,
    ("12", 9): 9, ("12", 12): 12, ("12", 15): 12,
    ("15", 9): 9, ("15", 12): 12, ("15", 15): 15,
}  # fmt: skip

# 7692 7.1.1.1 and 7.1.1.2, (answered, wanted): agreed; None refuses the answer.
ANSWERED_SERVER_TAKEOVER = {
    (True, True): True, (True, False): True,
    (False, True): None, (False, False): False,
}  # fmt: skip
ANSWERED_CLIENT_TAKEOVER = {
    (True, True): True, (True, False): True,
    (False, True): True, (False, False): False,
}  # fmt: skip
# 7692 7.1.2.1, (answered, offered): the window to inflate in; 15 was offered by no parameter.
ANSWERED_SERVER_BITS = {
    (None, 9): None, (None, 12): None, (None, 15): 15,
    ("", 9): None, ("", 12): None, ("", 15): None,
    ("8", 9): 8, ("8", 12): 8, ("8", 15): 8,
    ("9", 9): 9, ("9", 12): 9, ("9", 15): 9,
    ("12", 9): None, ("12", 12): 12, ("12", 15): 12,
    ("15", 9): None, ("15", 12): None, ("15", 15): 15,
}  # fmt: skip
# 7692 7.1.2.2, (answered, wanted): the window to compress in.
ANSWERED_CLIENT_BITS = {
    (None, 9): 9, (None, 12): 12, (None, 15): 15,
    ("", 9): None, ("", 12): None, ("", 15): None,
    ("8", 9): 8, ("8", 12): 8, ("8", 15): 8,
    ("9", 9): 9, ("9", 12): 9, ("9", 15): 9,
    ("12", 9): 9, ("12", 12): 12, ("12", 15): 12,
    ("15", 9): 9, ("15", 12): 12, ("15", 15): 15,
}  # fmt: skip


def parameters(
    server_takeover: bool, client_takeover: bool, server_bits: str | None, client_bits: str | None
) -> Parameters:
    """Name those that are there, in the order in which they are answered."""
    named: list[tuple[str, str | None]] = []
    if server_takeover:
        named.append(("server_no_context_takeover", None))
    if client_takeover:
        named.append(("client_no_context_takeover", None))
    if server_bits is not None:
        named.append(("server_max_window_bits", server_bits or None))
    if client_bits is not None:
        named.append(("client_max_window_bits", client_bits or None))
    return named


def parsed(element: str) -> Parameters:
    """Read an extension element as its receiver does."""
    extensions = parse_extensions([element])
    assert extensions is not None
    [(name, found)] = extensions
    assert "permessage-deflate" == name
    return found


@by_options
def test_server_answers_every_offer_by_the_tables(options: DeflateOptions) -> None:
    wanted, wanted_bits = options.no_context_takeover, options.max_window_bits
    for offer in product(FLAGS, FLAGS, SIZES, SIZES):
        found = answer_offer(parameters(*offer), options)
        server_takeover = OFFERED_SERVER_TAKEOVER[offer[0], wanted]
        client_takeover = OFFERED_CLIENT_TAKEOVER[offer[1], wanted]
        server_bits = OFFERED_SERVER_BITS[offer[2], wanted_bits]
        # Where no context is kept the client's window costs nothing.
        client_bits = None if wanted else OFFERED_CLIENT_BITS[offer[3], wanted_bits]
        if server_bits is None:
            assert found is None
            continue
        assert found is not None
        answer = (
            server_takeover,
            client_takeover,
            str(server_bits) if offer[2] else None,
            str(client_bits) if client_bits else None,
        )
        assert parameters(*answer) == parsed(found[1])
        # 7692 7.2.2: a client that was told no window may use all of it.
        agreed = (server_takeover, client_takeover, server_bits, client_bits or 15)
        assert DeflateParameters(*agreed, options) == found[0]


@pytest.mark.parametrize(
    ("no_context_takeover", "bits", "expected"),
    [
        (True, 15, (True, True, None, "")),
        (True, 9, (True, True, None, "")),
        (False, 15, (False, False, None, "")),
        (False, 14, (False, False, "14", "")),
        (False, 9, (False, False, "9", "")),
    ],
)
def test_client_offers_what_it_wants(
    no_context_takeover: bool, bits: int, expected: tuple[bool, bool, str | None, str | None]
) -> None:
    options = DeflateOptions(no_context_takeover=no_context_takeover, max_window_bits=bits)
    assert parameters(*expected) == parsed(make_offer(options))


@by_options
def test_client_judges_every_answer_by_the_tables(options: DeflateOptions) -> None:
    wanted, wanted_bits = options.no_context_takeover, options.max_window_bits
    for answer in product(FLAGS, FLAGS, SIZES, SIZES):
        server_takeover = ANSWERED_SERVER_TAKEOVER[answer[0], wanted]
        client_takeover = ANSWERED_CLIENT_TAKEOVER[answer[1], wanted]
        # A window is asked of the server only where it keeps a context.
        server_bits = ANSWERED_SERVER_BITS[answer[2], 15 if wanted else wanted_bits]
        client_bits = ANSWERED_CLIENT_BITS[answer[3], wanted_bits]
        if server_takeover is None or server_bits is None or client_bits is None:
            with pytest.raises(HandshakeError) as refusal:
                accept_answer(parameters(*answer), options)
            assert (101, "deflate-answer") == (refusal.value.status, refusal.value.rule)
            continue
        agreed = DeflateParameters(client_takeover, server_takeover, client_bits, server_bits, options)
        assert agreed == accept_answer(parameters(*answer), options)


@by_options
@pytest.mark.parametrize("server_options", OPTIONS, ids=lambda options: str(options.max_window_bits))
def test_each_end_can_inflate_what_the_other_sends(
    options: DeflateOptions, server_options: DeflateOptions
) -> None:
    answer = answer_offer(parsed(make_offer(options)), server_options)
    assert answer is not None
    server, element = answer
    client = accept_answer(parsed(element), options)
    message = b"".join(b"%d " % number for number in range(9000))
    for sender, receiver in ((server, client), (client, server)):
        deflater, inflater = Deflater(sender), Inflater(receiver)
        for _ in range(3):
            assert message == inflate(inflater, deflater.compress(message))


SERVER_BITS, CLIENT_BITS = "server_max_window_bits", "client_max_window_bits"
MALFORMED: list[Parameters] = [
    *(
        [(name, value)]
        for name in (SERVER_BITS, CLIENT_BITS)
        for value in ("7", "16", "0", "00", "08", "010", "1", "150", "-9", "+9", " 9", "9.0", "0x9", "\u0669")
    ),
    [(SERVER_BITS, "")],
    [(CLIENT_BITS, "")],
    [(SERVER_BITS, None)],
    *(
        [(name, value)]
        for name in ("server_no_context_takeover", "client_no_context_takeover")
        for value in ("1", "0", "true", "")
    ),
    [("server_no_context_takeover", None)] * 2,
    [("client_no_context_takeover", None)] * 2,
    [(SERVER_BITS, "10")] * 2,
    [(CLIENT_BITS, "10")] * 2,
    [(CLIENT_BITS, "10"), (CLIENT_BITS, None)],
    [(SERVER_BITS, "10"), (SERVER_BITS, "11")],
    [("unknown", None)],
    [("max_window_bits", "10")],
    [("Server_max_window_bits", "10")],
    [("server_no_context_takeover", None), ("unknown", "1")],
]


@pytest.mark.parametrize("malformed", MALFORMED, ids=repr)
def test_malformed_element_is_declined_by_a_server_and_refused_by_a_client(malformed: Parameters) -> None:
    options = DeflateOptions(no_context_takeover=False)
    assert answer_offer(malformed, options) is None
    with pytest.raises(HandshakeError) as refusal:
        accept_answer(malformed, options)
    assert "deflate-answer" == refusal.value.rule


@pytest.mark.parametrize(
    ("bits", "mem_level", "used"),
    [
        (9, 8, 5),
        (10, 8, 6),
        (11, 8, 7),
        (12, 8, 8),
        (15, 8, 8),
        (9, 4, 4),
        (12, 5, 5),
        (15, 9, 9),
        (12, 9, 8),
    ],
)
def test_hash_table_is_no_larger_than_its_window_needs(bits: int, mem_level: int, used: int) -> None:
    # How many octets a block takes depends on the level, so that each leaves a mark in what is made.
    text = Random(bits).choices(b"abcdefgh", k=100_000)
    made = {}
    for level in range(1, 10):
        codec = zlib.compressobj(1, zlib.DEFLATED, -bits, level)
        made[level] = (codec.compress(bytes(text)) + codec.flush(zlib.Z_FULL_FLUSH))[:-4]
    assert len(made) == len(set(made.values()))
    options = DeflateOptions(max_window_bits=bits, mem_level=mem_level)
    deflater = Deflater(DeflateParameters(True, True, bits, 15, options))
    assert made[used] == deflater.compress(bytes(text))


@pytest.mark.parametrize("bits", [8, 16, 0, -15])
def test_window_that_zlib_cannot_keep_is_refused_where_it_is_chosen(bits: int) -> None:
    with pytest.raises(ValueError, match="max_window_bits is 9 to 15"):
        DeflateOptions(max_window_bits=bits)


@pytest.mark.parametrize(("level", "mem_level"), [(-1, 8), (10, 8), (1, 0), (1, 10)])
def test_what_zlib_has_no_form_for_is_the_callers_mistake(level: int, mem_level: int) -> None:
    with pytest.raises(ValueError, match="level is 0 to 9 and mem_level 1 to 9"):
        DeflateOptions(level=level, mem_level=mem_level)


def accepted(*offers: str, options: DeflateOptions) -> Accepted:
    """Accept a whole request with these lines of Sec-WebSocket-Extensions."""
    lines = [f"Sec-WebSocket-Extensions: {offer}".encode() for offer in offers]
    request = RequestReader().feed(handshake(*lines))
    assert request is not None
    return ServerHandshake(request).accept(deflate=options)


BITS_12 = "permessage-deflate; server_max_window_bits=12"


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        # 9.1: a quoted value is what it quotes.
        (['permessage-deflate; server_max_window_bits="12"'], BITS_12),
        (['permessage-deflate; server_max_window_bits="1\\2"'], BITS_12),
        (['permessage-deflate; server_max_window_bits="012"'], None),
        # 7692 5.1: the first that can be accepted, alone, and by what it says.
        ([f"permessage-deflate; server_max_window_bits=8, {BITS_12}, permessage-deflate"], BITS_12),
        (["permessage-deflate; unknown, permessage-deflate"], "permessage-deflate"),
        (["permessage-deflate; server_max_window_bits=7", BITS_12], BITS_12),
        ([f"permessage-deflate, {BITS_12}"], "permessage-deflate"),
        (["permessage-deflate; unknown, permessage-deflate; server_max_window_bits=16"], None),
        # 9.1: extensions that nobody here speaks are no matter.
        ([f"permessage-bzip2; a=1, {BITS_12}, x-webkit-deflate-frame"], BITS_12),
        (["x-webkit-deflate-frame"], None),
        (["Permessage-Deflate"], None),
        ([], None),
    ],
)
def test_first_acceptable_offer_is_answered_alone(offers: list[str], answer: str | None) -> None:
    found = accepted(*offers, options=DeflateOptions(no_context_takeover=False))
    lines = [line for line in found.response.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Extensions")]
    assert [f"Sec-WebSocket-Extensions: {answer}".encode()] * (answer is not None) == lines
    assert (answer is not None) == (found.deflate is not None)


# The codec.

KEPT = DeflateParameters(False, False, 15, 15)
FRESH = DeflateParameters(True, True, 15, 15)
TAIL = b"\x00\x00\xff\xff"
FINAL = b"\x03\x00"
TEXT_OF_WORDS = b"The quick brown fox jumps over the lazy dog, and the lazy dog lets it. " * 40
NOISE = Random(7692).randbytes(1 << 16)
LIMIT = 1 << 20


def inflate(inflater: Inflater, payload: bytes) -> bytes:
    """Inflate a whole message."""
    inflated = inflater.inflate(payload, LIMIT)
    inflater.finish()
    return inflated


def deflate(data: bytes, *, final: bool = False, level: int = 9, strategy: int = 0, bits: int = 15) -> bytes:
    """Compress by means of zlib alone, up to a final block or, as in a message, without the tail."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -bits, 1, strategy)
    compressed = stream.compress(data)
    return compressed + stream.flush() if final else (compressed + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def compressed(*payloads: bytes) -> bytes:
    """Send a compressed message in these frames."""
    last = len(payloads) - 1
    return b"".join(
        frame((RSV1 | BINARY if number == 0 else CONT) | (FIN if number == last else 0), payload)
        for number, payload in enumerate(payloads)
    )


def cut(payload: bytes, count: int) -> list[bytes]:
    """Cut it into parts of about the same size."""
    return [payload[len(payload) * at // count : len(payload) * (at + 1) // count] for at in range(count)]


def read(reader: MessageReader, pieces: Iterable[bytes]) -> list[Event]:
    """Feed a reader, and take all that comes of it."""
    events: list[Event] = []
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next_event()) is not None:
            events.append(event)
    return events


def traced(action: Callable[[], object]) -> tuple[int, int]:
    """Octets that are held behind an action, and the most that were at any time; zlib's own among them."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many octets zlib was given to inflate, call by call."""
    sizes: list[int] = []
    make = zlib.decompressobj

    class Counting:
        def __init__(self, wbits: int) -> None:
            self._stream = make(wbits)

        def decompress(self, data: bytes, max_length: int) -> bytes:
            sizes.append(len(data))
            # To zlib 0 would be no limit.
            assert max_length > 0
            return self._stream.decompress(data, max_length)

        @property
        def eof(self) -> bool:
            return self._stream.eof

        @property
        def unused_data(self) -> bytes:
            return self._stream.unused_data

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    return sizes


@pytest.mark.parametrize("row", DEFLATED, ids=lambda row: row.id)
def test_row(row: FrameVector) -> None:
    for pieces in feeds(row.data):
        connection = Connection(
            row.role, KEPT, max_message_size=MAX_MESSAGE_SIZE, max_fragments=MAX_FRAGMENTS
        )
        events: list[Event] = []
        failure = (0, "")
        for number, piece in enumerate(pieces, 1):
            connection.receive_data(piece)
            try:
                while (event := connection.next_event()) is not None:
                    events.append(event)
            except ProtocolError as error:
                failure = (error.close_code, error.rule)
                # Whatever breaks a rule does so by its last octet.
                assert number == len(pieces)
        assert (row.events, (row.close_code, row.rule)) == (tuple(events), failure)


# What is sent.


@pytest.mark.parametrize("parameters", [KEPT, FRESH], ids=["kept", "fresh"])
@pytest.mark.parametrize("bits", range(9, 16))
def test_message_inflates_within_the_window_that_was_agreed(parameters: DeflateParameters, bits: int) -> None:
    sender = replace(parameters, local_max_window_bits=bits)
    deflater, inflater = Deflater(sender), Inflater(replace(parameters, remote_max_window_bits=bits))
    for message in (TEXT_OF_WORDS, b"a", NOISE + NOISE[:9000], bytes(70_000), b"", TEXT_OF_WORDS):
        assert message == inflate(inflater, deflater.compress(message))


def test_message_without_takeover_inflates_alone_whatever_was_sent_before() -> None:
    shared = Deflater(FRESH)
    random = Random(1)
    for _ in range(200):
        start = random.randrange(len(TEXT_OF_WORDS))
        message = TEXT_OF_WORDS[start : start + random.randrange(1, 600)]
        assert message == inflate(Inflater(FRESH), shared.compress(message))


def test_fragments_of_a_shared_deflater_may_lie_between_each_other() -> None:
    shared = Deflater(FRESH)
    parts = [
        (shared.compress(TEXT_OF_WORDS, fin), shared.compress(NOISE, fin)) for fin in (False, False, True)
    ]
    for number, message in enumerate((TEXT_OF_WORDS, NOISE)):
        assert message * 3 == inflate(Inflater(FRESH), b"".join(part[number] for part in parts))


def test_message_with_takeover_leans_on_those_before_it() -> None:
    deflater = Deflater(KEPT)
    first, second = deflater.compress(NOISE[:2000]), deflater.compress(NOISE[:2000])
    assert len(second) < 100 < len(first)
    inflater = Inflater(KEPT)
    assert [NOISE[:2000]] * 2 == [inflate(inflater, first), inflate(inflater, second)]
    # 7692 7.1.1: who keeps no context can't read it.
    fresh = Inflater(replace(KEPT, remote_no_context_takeover=True))
    assert NOISE[:2000] == inflate(fresh, first)
    with pytest.raises(InvalidPayload):
        inflate(fresh, second)


@pytest.mark.parametrize("parameters", [KEPT, FRESH], ids=["kept", "fresh"])
def test_only_the_last_fragment_loses_the_tail(parameters: DeflateParameters) -> None:
    deflater, inflater = Deflater(parameters), Inflater(parameters)
    for fragments in ([b"Hel", b"", b"lo"], [b"", b"Hello"], [b"Hello", b""], [b"", b""]):
        parts = [
            deflater.compress(part, number == len(fragments)) for number, part in enumerate(fragments, 1)
        ]
        assert all(part.endswith(TAIL) for part in parts[:-1] if part)
        assert not parts[-1].endswith(TAIL)
        assert b"".join(fragments) == inflate(inflater, b"".join(parts))


@pytest.mark.parametrize("parameters", [KEPT, FRESH], ids=["kept", "fresh"])
def test_empty_message_is_one_octet_of_zero(parameters: DeflateParameters) -> None:
    deflater = Deflater(parameters)
    assert [b"\x00"] * 2 == [deflater.compress(b""), deflater.compress(b"")]
    deflater.compress(b"Hello")
    assert b"\x00" == deflater.compress(b"")


def sent(connection: Connection) -> list[tuple[int, bytes]]:
    return list(frames_in(b"".join(connection.data_to_send())))


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("size", "compress", "expected"),
    [
        (99, None, False),
        (100, None, True),
        (1000, None, True),
        (1001, None, False),
        (100, False, False),
        (1000, False, False),
        (99, True, True),
        (1001, True, True),
        (0, None, False),
        (0, True, True),
    ],
)
def test_message_is_compressed_between_the_sizes_or_as_the_caller_says(
    role: Role, size: int, compress: bool | None, expected: bool
) -> None:
    options = DeflateOptions(min_size=100, max_size=1000)
    connection = Connection(role, replace(FRESH, options=options))
    text = "a" * size
    connection.send_text(text, compress=compress)
    connection.send_binary(text.encode(), compress=compress)
    for opcode, (first, payload) in zip((TEXT, BINARY), sent(connection), strict=True):
        assert FIN | opcode | (RSV1 if expected else 0) == first
        assert text.encode() == (inflate(Inflater(FRESH), payload) if expected else payload)


def test_plain_message_leaves_the_context_alone() -> None:
    connection = Connection(Role.SERVER, KEPT)
    inflater = Inflater(KEPT)
    for compress in (True, False, True, True):
        connection.send_binary(NOISE[:500], compress=compress)
        [(first, payload)] = sent(connection)
        assert NOISE[:500] == (inflate(inflater, payload) if first & RSV1 else payload)


def test_rsv1_is_on_the_first_fragment_only() -> None:
    connection = Connection(Role.SERVER, FRESH)
    for number, fragment in enumerate(["Hel", "", "lo"]):
        connection.send_fragment(fragment, fin=number == 2)
        connection.ping()
    frames = sent(connection)
    assert [RSV1 | TEXT, FIN | PING, CONT, FIN | PING, FIN | CONT, FIN | PING] == [
        first for first, _ in frames
    ]
    assert b"Hello" == inflate(Inflater(FRESH), b"".join(payload for _, payload in frames))


def test_client_told_to_keep_a_window_of_8_bits_sends_its_messages_plain() -> None:
    options = DeflateOptions(no_context_takeover=False)
    agreed = accept_answer([(CLIENT_BITS, "8")], options)
    assert not agreed.can_compress
    connection = Connection(Role.CLIENT, agreed)
    connection.send_binary(TEXT_OF_WORDS)
    connection.send_binary(TEXT_OF_WORDS, compress=True)
    connection.send_fragment(TEXT_OF_WORDS, fin=True)
    assert [(FIN | BINARY, TEXT_OF_WORDS)] * 3 == sent(connection)
    # 7692 6: its peer goes on compressing.
    connection.receive_data(b"\xc2\x07" + bytes.fromhex("f248cdc9c90700"))
    assert b"Hello" == connection.next_event()


def test_connection_that_agreed_on_nothing_never_compresses() -> None:
    connection = Connection(Role.SERVER, None, deflater=Deflater(FRESH))
    connection.send_binary(TEXT_OF_WORDS, compress=True)
    connection.send_fragment(TEXT_OF_WORDS, fin=True)
    assert [(FIN | BINARY, TEXT_OF_WORDS)] * 2 == sent(connection)


# What is received.


def test_window_that_was_not_agreed_is_all_of_32_kib() -> None:
    answer = answer_offer([], DeflateOptions(no_context_takeover=False, max_window_bits=9))
    assert answer is not None
    message = NOISE[:32_000]
    assert message * 2 == inflate(Inflater(answer[0]), deflate(message * 2))


@pytest.mark.parametrize("bits", range(8, 16))
def test_context_that_is_kept_is_as_wide_as_agreed(bits: int) -> None:
    # zlib looks back no further than 262 octets less than its window.
    reach = 512 - 262 if bits == 8 else (1 << bits) - 262
    stream = zlib.compressobj(9, zlib.DEFLATED, -max(bits, 9))
    inflater = Inflater(replace(KEPT, remote_max_window_bits=bits))
    for _ in range(3):
        payload = stream.compress(NOISE[:reach]) + stream.flush(zlib.Z_SYNC_FLUSH)
        assert NOISE[:reach] == inflate(inflater, payload[:-4])
    # All of it was one reference after another.
    assert len(payload) < 100 + reach // 50


def test_reference_to_what_is_beyond_the_agreed_window_fails() -> None:
    deflater, inflater = Deflater(KEPT), Inflater(replace(KEPT, remote_max_window_bits=9))
    assert NOISE[:2000] == inflate(inflater, deflater.compress(NOISE[:2000]))
    with pytest.raises(InvalidPayload):
        inflate(inflater, deflater.compress(NOISE[:2000]))


@pytest.mark.parametrize(
    ("kind", "level", "strategy"),
    [(0, 0, 0), (1, 9, zlib.Z_FIXED), (2, 9, 0)],
    ids=["stored", "fixed", "dynamic"],
)
@pytest.mark.parametrize("final", [False, True], ids=["", "final"])
def test_blocks_of_every_type_in_any_fragments(kind: int, level: int, strategy: int, final: bool) -> None:
    payload = deflate(TEXT_OF_WORDS, final=final, level=level, strategy=strategy)
    assert kind == payload[0] >> 1 & 3
    for count in (1, 2, 3, 10, len(payload)):
        reader = MessageReader(Role.SERVER, KEPT)
        message = compressed(*cut(payload, count))
        assert [TEXT_OF_WORDS] == read(reader, [message])
        assert [TEXT_OF_WORDS] == read(reader, cut(message, len(message)))


@pytest.mark.parametrize("parameters", [KEPT, FRESH], ids=["kept", "fresh"])
def test_final_block_at_every_position_loses_nothing(parameters: DeflateParameters) -> None:
    text = TEXT_OF_WORDS[:72]
    for at in range(len(text) + 1):
        streams = deflate(text[:at], final=True), deflate(text[at:])
        reader = MessageReader(Role.SERVER, parameters)
        for payloads in ([*streams], [streams[0] + streams[1]], [streams[0], b"", streams[1]]):
            assert [text] == read(reader, [compressed(*payloads)])
        # It ends the message, and leaves the next one as it is.
        assert [text[:at], text] == read(reader, [compressed(streams[0]) + compressed(deflate(text))])


@pytest.mark.parametrize("size", range((16 << 10) - 2, (16 << 10) + 3))
def test_final_block_at_the_border_of_what_zlib_is_given_loses_nothing(size: int) -> None:
    message = NOISE[: size - 5]
    stream = stored(message, final=True)
    assert size == len(stream)
    for payload in (stream, stream + b"\x00"):
        assert message == inflate(Inflater(KEPT), payload)
    assert message * 2 + b"Hello" == inflate(Inflater(KEPT), stream * 2 + deflate(b"Hello"))


# Limits.


@pytest.mark.parametrize("limit", [0, 1, 1000])
@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize("level", [0, 9])
def test_size_limit_holds_to_the_octet_over_any_fragments(limit: int, over: int, level: int) -> None:
    message = TEXT_OF_WORDS[: max(limit + over, 0)]
    payload = deflate(message, level=level)
    for count in (1, 2, 3, 5, len(payload)):
        whole = compressed(*cut(payload, count))
        for pieces in ([whole], cut(whole, len(whole))):
            reader = MessageReader(Role.SERVER, KEPT, max_message_size=limit)
            if over <= 0:
                assert [message] == read(reader, pieces)
                continue
            with pytest.raises(MessageTooBig) as failure:
                read(reader, pieces)
            assert "inflated-size" == failure.value.rule


@pytest.mark.parametrize("fragments", [1, 100])
def test_zip_bomb_is_refused_before_it_unfolds(handed: list[int], fragments: int) -> None:
    bomb = compressed(*cut(deflate(bytes(64 << 20)), fragments))
    reader = MessageReader(Role.SERVER, KEPT, max_message_size=LIMIT)

    def receive() -> None:
        with pytest.raises(MessageTooBig):
            read(reader, [bomb])

    _, most = traced(receive)
    assert most < 3 * LIMIT
    # A thousandth of what comes of it.
    assert sum(handed) < 32 << 10


@pytest.mark.parametrize("fragments", [1, 100])
def test_message_at_the_limit_is_held_three_times_at_most(fragments: int) -> None:
    message = compressed(*cut(deflate(bytes(LIMIT)), fragments))
    reader = MessageReader(Role.SERVER, KEPT, max_message_size=LIMIT)
    _, most = traced(lambda: read(reader, [message]))
    # What zlib and the codec hold comes on top.
    assert most < 3 * LIMIT + (128 << 10)


@pytest.mark.parametrize("size", [1, 1000, 1 << 16])
def test_message_of_the_limit_may_be_longer_as_sent(size: int) -> None:
    message = NOISE[:size]
    payload = deflate(message, level=1, bits=9)
    assert size < len(payload) <= max_compressed_size(size)
    reader = MessageReader(Role.SERVER, FRESH, max_message_size=size)
    assert [message] * 2 == read(reader, [compressed(payload), compressed(*cut(payload, 3))])


@pytest.mark.parametrize("parameters", [KEPT, FRESH], ids=["kept", "fresh"])
def test_final_blocks_of_a_message_are_limited(parameters: DeflateParameters) -> None:
    inflater = Inflater(parameters)
    for _ in range(2):
        # Those of one message don't count for the next.
        assert b"" == inflate(inflater, FINAL * (MAX_FINAL_BLOCKS - 1))
        assert b"" == inflate(inflater, FINAL * MAX_FINAL_BLOCKS)
    for payload in (FINAL * (MAX_FINAL_BLOCKS + 1), FINAL * MAX_FINAL_BLOCKS + b"\x01"):
        with pytest.raises(PolicyViolation) as failure:
            inflate(Inflater(parameters), payload)
        assert "final-blocks" == failure.value.rule


def test_final_blocks_over_fragments_are_limited_together() -> None:
    inflater = Inflater(KEPT)
    for _ in range(MAX_FINAL_BLOCKS):
        assert b"" == inflater.inflate(FINAL, 0)
    with pytest.raises(PolicyViolation):
        inflater.inflate(FINAL, 0)


@pytest.mark.parametrize("count", [10_000, 100_000])
def test_work_on_final_blocks_does_not_grow_with_the_square(handed: list[int], count: int) -> None:
    with pytest.raises(PolicyViolation):
        inflate(Inflater(KEPT), FINAL * count)
    assert len(handed) == MAX_FINAL_BLOCKS + 1
    assert sum(handed) <= len(handed) * (16 << 10)


def test_work_on_long_streams_is_one_window_more_for_each_final_block(handed: list[int]) -> None:
    message = NOISE[:1500]
    payload = stored(message, final=True) * 500
    assert message * 500 == inflate(Inflater(KEPT), payload)
    assert sum(handed) <= len(payload) + 500 * (16 << 10)


def test_without_takeover_nothing_is_held_between_messages() -> None:
    inflaters: list[Inflater] = []

    def receive() -> None:
        for _ in range(100):
            inflaters.append(Inflater(FRESH))
            assert TEXT_OF_WORDS == inflate(inflaters[-1], deflate(TEXT_OF_WORDS))

    held, _ = traced(receive)
    assert held < 500 * len(inflaters)
