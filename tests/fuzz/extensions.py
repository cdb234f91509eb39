"""Text as Sec-WebSocket-Extensions: one list on one line or many, and agreements that keep to the offer."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from typing import Final

from rfc6455.deflate import (
    EXTENSION_NAME,
    DeflateOptions,
    DeflateParameters,
    ExtensionParameters,
    accept_answer,
    answer_offer,
)
from rfc6455.errors import HandshakeError
from rfc6455.handshake import ServerHandshake
from rfc6455.headers import Extension, is_field_value, parse_extensions
from rfc6455.request import RequestReader
from tests.fuzz.case import Case, Target, cut_both_ways, in_linear_work
from tests.vectors import REQUESTS, handshake

OPTIONS: Final = tuple(
    DeflateOptions(no_context_takeover=no_context_takeover, max_window_bits=bits)
    for no_context_takeover, bits in product((True, False), (9, 12, 15))
)
# 6455 9.1: the grammar of one extension. A quoted value is a token, of which any character may be escaped.
_CHARACTER: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_VALUE: Final = rf'{_CHARACTER}+|"(?:\\?{_CHARACTER})+"'
_PARAMETER: Final = rf"[ \t]*;[ \t]*({_CHARACTER}+)(?:[ \t]*=[ \t]*({_VALUE}))?"
_EXTENSION: Final = re.compile(rf"({_CHARACTER}+)((?:{_PARAMETER})*)")
_FIELD: Final = b"Sec-WebSocket-Extensions: "


def at_commas(case: Case) -> list[str]:
    """The text as the values of lines: cut at the first comma behind each of the case's cuts."""
    text = case.data.decode("latin-1")
    ends = [sum(map(len, case.pieces[:count])) for count in range(1, len(case.pieces))]
    commas = {comma for end in ends if (comma := text.find(",", end)) >= 0}
    return [text[begin + 1 : end] for begin, end in pairwise([-1, *sorted(commas), len(text)])]


def by_the_grammar(text: str) -> list[Extension] | None:
    """Read the list without rfc6455. No token holds a comma, so each of them ends a member."""
    extensions: list[Extension] = []
    for member in text.split(","):
        stripped = member.strip(" \t")
        if not stripped:
            continue
        match = _EXTENSION.fullmatch(stripped)
        if match is None:
            return None
        found = re.findall(_PARAMETER, match[2])
        parameters = [(name, re.sub(r'["\\]', "", value) if value else None) for name, value in found]
        extensions.append((match[1], parameters))
    return extensions or None


def check(case: Case) -> None:
    text = case.data.decode("latin-1")
    lines = at_commas(case)
    extensions = in_linear_work([case.data], lambda _: parse_extensions([text]))
    assert extensions == in_linear_work(case.pieces, lambda _: parse_extensions(lines))
    assert extensions == by_the_grammar(text)
    if is_field_value(text):
        assert request_answered(case, [text]) == request_answered(case, lines)
    if extensions is None:
        return
    for _, parameters in extensions:
        check_offer(parameters, case.choose(0, OPTIONS))
        check_answer(parameters, case.choose(0, OPTIONS))
    for quote in ("", '"'):
        assert extensions == parse_extensions([written(extensions, quote)])


def request_answered(case: Case, lines: Sequence[str]) -> object:
    """Send these lines in a request: the response to it, or the rule that refused it."""
    # There may be a line for each octet of the text.
    reader = RequestReader(max_head=1 << 20, max_fields=1 << 16)
    request = reader.feed(handshake(*(_FIELD + line.encode("latin-1") for line in lines)))
    assert request is not None
    try:
        return ServerHandshake(request).accept(deflate=case.choose(0, OPTIONS)).response
    except HandshakeError as error:
        return error.status, error.rule, error.section


def written(extensions: Iterable[Extension], quote: str) -> str:
    return ", ".join(
        "; ".join(
            [name, *(key if value is None else f"{key}={quote}{value}{quote}" for key, value in parameters)]
        )
        for name, parameters in extensions
    )


def check_offer(parameters: ExtensionParameters, options: DeflateOptions) -> None:
    """7692 7.1: a server's answer keeps to the offer and says all that was agreed."""
    found = answer_offer(parameters, options)
    if found is None:
        return
    agreed, element = found
    offered = dict(parameters)
    assert len(offered) == len(parameters)
    (name, answered), *others = parse_extensions([element]) or []
    answer = dict(answered)
    assert (EXTENSION_NAME, []) == (name, others)
    assert "server_no_context_takeover" in answer or "server_no_context_takeover" not in offered
    assert agreed.local_no_context_takeover == ("server_no_context_takeover" in answer)
    assert agreed.remote_no_context_takeover == ("client_no_context_takeover" in answer)
    assert set(answer) - set(offered) <= {"server_no_context_takeover", "client_no_context_takeover"}
    bits = int(answer.get("server_max_window_bits") or 15)
    assert 9 <= agreed.local_max_window_bits <= bits <= int(offered.get("server_max_window_bits") or 15)
    assert agreed.remote_max_window_bits == int(answer.get("client_max_window_bits") or 15)
    assert agreed.remote_max_window_bits <= int(offered.get("client_max_window_bits") or 15) or (
        "client_max_window_bits" not in answer
    )


def check_answer(parameters: ExtensionParameters, options: DeflateOptions) -> None:
    """7692 7.1: a client accepts no more than it asked for."""
    try:
        agreed = accept_answer(parameters, options)
    except HandshakeError:
        return
    answer = dict(parameters)
    assert isinstance(agreed, DeflateParameters)
    assert len(answer) == len(parameters)
    assert agreed.remote_no_context_takeover == ("server_no_context_takeover" in answer)
    assert agreed.local_no_context_takeover or "client_no_context_takeover" not in answer
    assert agreed.remote_max_window_bits == int(answer.get("server_max_window_bits") or 15)
    assert agreed.local_max_window_bits <= int(answer.get("client_max_window_bits") or 15)


def seeds() -> Iterable[Case]:
    for vector in REQUESTS:
        for line in vector.request.split(b"\r\n"):
            if line.startswith(_FIELD):
                yield from cut_both_ways(0, line.removeprefix(_FIELD))
    for number, values in enumerate(product((b"", b"=", b"=8", b"=08", b'="12"', b"=15", b"=16"), repeat=2)):
        names = (b"server_max_window_bits", b"client_max_window_bits")
        windows = [b"; " + name + value for name, value in zip(names, values, strict=True)]
        flags = b"; server_no_context_takeover; client_no_context_takeover"
        element = EXTENSION_NAME.encode() + b"".join(windows) + flags * (number % 2)
        yield Case(number, [element, b", foo; bar, ", element])


def row(case: Case) -> str:
    octets = f'b"Sec-WebSocket-Extensions: " + bytes.fromhex("{case.data.hex()}")'
    return f'RequestVector("", "6455 9.1", handshake({octets}), 400, "extension-grammar")'


TARGET: Final = Target(check, seeds, row)
