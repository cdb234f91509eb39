"""permessage-deflate (RFC 7692): the codec, and the truth tables of its negotiation.

The four parameters are named for the client and the server on the wire; once agreed they are named
for the local and the remote end, so that nothing behind the handshake asks which role it plays.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from .errors import HandshakeError, InvalidPayload, MessageTooBig, PolicyViolation

EXTENSION_NAME: Final = "permessage-deflate"

# 7692 7.2.1: every message ends in an empty stored block whose last four octets are not sent.
_TAIL: Final = b"\x00\x00\xff\xff"
# 7692 7.2.3.6: the empty message.
_EMPTY_MESSAGE: Final = b"\x00"
# Input goes to zlib in windows, so that what follows a final block is copied a window at a time.
_WINDOW: Final = 16 * 1024
# A message may hold this many streams that each end in a final block (7692 7.2.3.4); two octets make one.
MAX_FINAL_BLOCKS: Final = 1000


@dataclass(frozen=True, slots=True)
class DeflateOptions:
    """What this end wants of permessage-deflate.

    Without context takeover, the default, a connection holds no codec between two messages. With it
    small messages shrink more, for 30 KB a connection at `max_window_bits=12, mem_level=5`.
    In a window of less than 12 bits `mem_level` is at most the bits less 4.

    `min_size` and `max_size` in octets: other messages are sent as they are unless the caller says
    otherwise; below nothing is gained, above compressing stalls the caller (44 ms per MiB at level 6).
    """

    no_context_takeover: bool = True
    max_window_bits: int = 15
    level: int = 1
    mem_level: int = 8
    min_size: int = 128
    max_size: int = 64 * 1024

    def __post_init__(self) -> None:
        # zlib can't deflate within a window of 2**8.
        if not 9 <= self.max_window_bits <= 15:
            raise ValueError(f"max_window_bits is 9 to 15, not {self.max_window_bits}")
        if not (0 <= self.level <= 9 and 1 <= self.mem_level <= 9):
            raise ValueError(f"level is 0 to 9 and mem_level 1 to 9, not {self.level} and {self.mem_level}")


@dataclass(frozen=True, slots=True)
class DeflateParameters:
    """What both ends agreed (7692 7.1), seen from this end."""

    local_no_context_takeover: bool
    remote_no_context_takeover: bool
    local_max_window_bits: int
    remote_max_window_bits: int
    options: DeflateOptions = DeflateOptions()

    @property
    def can_compress(self) -> bool:
        """Tell whether zlib can keep the agreed window; if not, messages are sent as they are."""
        return self.local_max_window_bits > 8


ExtensionParameters = Sequence[tuple[str, str | None]]


class _Offer(NamedTuple):
    """An extension element's four parameters: flags, and window bits with 0 for absent."""

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int
    client_max_window_bits: int


_WINDOW_BITS: Final = {str(bits): bits for bits in range(8, 16)}
_FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")
_SIZES: Final = ("server_max_window_bits", "client_max_window_bits")


def _read_parameters(parameters: ExtensionParameters, bare_client_bits: int) -> _Offer | str:
    """Read an element's parameters, or say what is wrong with them.

    `client_max_window_bits` without a value, which only an offer may have (7692 7.1.2.2), reads as
    `bare_client_bits`; 0 refuses it.
    """
    found: dict[str, int] = {}
    for name, value in parameters:
        # 7692 7: an unknown parameter, one given twice or a value out of range declines the element.
        if name in found:
            return f"{name} is given twice"
        if name in _FLAGS:
            if value is not None:
                return f"{name} takes no value"
            found[name] = 1
        elif name in _SIZES:
            if value is None and name == "client_max_window_bits" and bare_client_bits:
                found[name] = bare_client_bits
            elif value in _WINDOW_BITS:
                found[name] = _WINDOW_BITS[value]
            else:
                return f"{name} must be 8 to 15"
        else:
            return "unknown parameter"
    return _Offer(
        "server_no_context_takeover" in found,
        "client_no_context_takeover" in found,
        found.get("server_max_window_bits", 0),
        found.get("client_max_window_bits", 0),
    )


def answer_offer(
    parameters: ExtensionParameters, options: DeflateOptions
) -> tuple[DeflateParameters, str] | None:
    """Answer one offer as a server: what is agreed, and the element to send. None declines this offer.

    | parameter | offered | answered |
    |---|---|---|
    | server_no_context_takeover | yes | yes (7692 7.1.1.1) |
    | | no | if the options want it |
    | client_no_context_takeover | either | if the options want it (7692 7.1.1.2) |
    | server_max_window_bits | 8 | the offer is declined, zlib can't |
    | | 9-15 | the smaller of it and the options' |
    | | no | no; a smaller window may be used unasked |
    | client_max_window_bits | yes | the smaller of it and the options', if contexts are kept |
    | | no | no (7692 7.1.2.2) |
    """
    offer = _read_parameters(parameters, bare_client_bits=15)
    if isinstance(offer, str) or offer.server_max_window_bits == 8:
        return None
    answer = [EXTENSION_NAME]
    server_no_context_takeover = offer.server_no_context_takeover or options.no_context_takeover
    if server_no_context_takeover:
        answer.append("server_no_context_takeover")
    if options.no_context_takeover:
        answer.append("client_no_context_takeover")
    server_bits = min(offer.server_max_window_bits or 15, options.max_window_bits)
    if offer.server_max_window_bits:
        answer.append(f"server_max_window_bits={server_bits}")
    # 7692 7.2.2: with no window agreed the peer may use all of 32 KiB.
    client_bits = 15
    if offer.client_max_window_bits and not options.no_context_takeover:
        client_bits = min(offer.client_max_window_bits, options.max_window_bits)
        answer.append(f"client_max_window_bits={client_bits}")
    agreed = DeflateParameters(
        server_no_context_takeover, options.no_context_takeover, server_bits, client_bits, options
    )
    return agreed, "; ".join(answer)


def make_offer(options: DeflateOptions) -> str:
    """Make the element that a client offers."""
    offer = [EXTENSION_NAME]
    if options.no_context_takeover:
        offer += ["server_no_context_takeover", "client_no_context_takeover"]
    elif options.max_window_bits < 15:
        offer.append(f"server_max_window_bits={options.max_window_bits}")
    offer.append("client_max_window_bits")
    return "; ".join(offer)


def accept_answer(parameters: ExtensionParameters, options: DeflateOptions) -> DeflateParameters:
    """Judge the server's answer to `make_offer(options)`. Raises HandshakeError.

    | parameter | offered | answered |
    |---|---|---|
    | server_no_context_takeover | yes | must be (7692 7.1.1.1) |
    | | no | may be |
    | client_no_context_takeover | either | may be (7692 7.1.1.2) |
    | server_max_window_bits | N | must be, N or less (7692 7.1.2.1) |
    | | no | may be |
    | client_max_window_bits | always | may be, with a value (7692 7.1.2.2) |
    """
    answer = _read_parameters(parameters, bare_client_bits=0)
    if isinstance(answer, str):
        raise _bad_answer(answer)
    if options.no_context_takeover and not answer.server_no_context_takeover:
        raise _bad_answer("server_no_context_takeover was offered and is missing")
    if not options.no_context_takeover and options.max_window_bits < 15:
        if not answer.server_max_window_bits:
            raise _bad_answer("server_max_window_bits was offered and is missing")
        if answer.server_max_window_bits > options.max_window_bits:
            raise _bad_answer("server_max_window_bits is more than was offered")
    return DeflateParameters(
        answer.client_no_context_takeover or options.no_context_takeover,
        answer.server_no_context_takeover,
        min(answer.client_max_window_bits or 15, options.max_window_bits),
        answer.server_max_window_bits or 15,
        options,
    )


def _bad_answer(what: str) -> HandshakeError:
    message = f"The server's answer to {EXTENSION_NAME} can't be accepted: {what}."
    return HandshakeError(message, status=101, rule="deflate-answer", section="7692 7")


@final
class Deflater:
    """Compresses messages.

    One that keeps no context can serve any number of connections: each part ends in a full flush,
    so that what it makes leans on nothing before it.
    """

    __slots__ = ("_flush_mode", "_zlib")

    def __init__(self, parameters: DeflateParameters) -> None:
        options = parameters.options
        bits = parameters.local_max_window_bits
        # zlib goes through its whole hash table whenever the window has slid: beside a small window a table
        # of the usual size costs several times what compressing does.
        mem_level = min(options.mem_level, bits - 4)
        self._zlib = zlib.compressobj(options.level, zlib.DEFLATED, -bits, mem_level)
        # 7692 7.1.1.1: without takeover a message refers to none before it.
        self._flush_mode = zlib.Z_FULL_FLUSH if parameters.local_no_context_takeover else zlib.Z_SYNC_FLUSH

    def compress(self, payload: bytes, fin: bool = True) -> bytes:
        """Compress a message, or with `fin=False` a fragment that isn't its last (7692 7.2.1)."""
        if not payload:
            # zlib returns nothing for a flush right behind a flush.
            return _EMPTY_MESSAGE if fin else b""
        compressed = self._zlib.compress(payload) + self._zlib.flush(self._flush_mode)
        return compressed[:-4] if fin else compressed


@final
class Inflater:
    """Decompresses messages as they arrive; its codec is made when a message needs it."""

    __slots__ = ("_final_blocks", "_no_context_takeover", "_tail_owed", "_wbits", "_zlib")

    def __init__(self, parameters: DeflateParameters) -> None:
        self._wbits = -parameters.remote_max_window_bits
        self._no_context_takeover = parameters.remote_no_context_takeover
        self._zlib: zlib._Decompress | None = None
        self._tail_owed = False
        self._final_blocks = 0

    @property
    def is_at_rest(self) -> bool:
        """Tell that it holds nothing: no message is begun, and no context kept."""
        return self._zlib is None and not self._tail_owed

    def inflate(self, payload: bytes, max_length: int) -> bytes:
        """Decompress a part of a message into at most `max_length` octets.

        Raises MessageTooBig when there is more, InvalidPayload when it isn't DEFLATE.
        """
        inflated: list[bytes] = []
        position = 0
        while position < len(payload):
            decompressor = self._zlib
            if decompressor is None:
                decompressor = self._zlib = zlib.decompressobj(self._wbits)
            window = payload[position : position + _WINDOW]
            try:
                # To zlib a max_length of 0 means no limit; one more than allowed never is 0.
                piece = decompressor.decompress(window, max_length + 1)
            except zlib.error as error:
                message = f"The compressed message doesn't inflate: {error}."
                raise InvalidPayload(message, rule="deflate-data", section="7692 6.2") from None
            if len(piece) > max_length:
                raise MessageTooBig(
                    "The message inflates to more than the limit.", rule="inflated-size", section="10.4"
                )
            inflated.append(piece)
            max_length -= len(piece)
            position += len(window)
            self._tail_owed = True
            if decompressor.eof:
                position -= len(decompressor.unused_data)
                self._begin_stream()
        return b"".join(inflated)

    def finish(self) -> None:
        """End the message. Raises InvalidPayload when it broke off within a block."""
        # 7692 7.2.2: the tail goes in once, behind the last fragment; with nothing before it, or behind
        # a final block, it would be read as the head of a stored block. It never stands for data.
        if self._tail_owed and self.inflate(_TAIL, _WINDOW):
            raise InvalidPayload(
                "The compressed message ends within a block.", rule="deflate-data", section="7692 7.2.2"
            )
        self._tail_owed = False
        self._final_blocks = 0
        if self._no_context_takeover:
            self._zlib = None

    def _begin_stream(self) -> None:
        """Go on behind a final block, where a zlib object returns nothing for ever (7692 7.2.3.4)."""
        self._final_blocks += 1
        if self._final_blocks > MAX_FINAL_BLOCKS:
            raise PolicyViolation(
                f"The compressed message has more than {MAX_FINAL_BLOCKS} final blocks.",
                rule="final-blocks",
                section="7692 7.2.3.4",
            )
        self._zlib = None
        self._tail_owed = False
