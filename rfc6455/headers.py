"""Header fields (RFC 9110, 5): an ordered map of those that one head carried, and their grammar.

The questions about a value (`is_...`) and its readers (`parse_...`, None for a value that breaks the
grammar) leave it to their caller to say whose fault it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NoReturn, final

from .errors import HandshakeError, StateError

_HEXADECIMAL: Final = "0123456789ABCDEFabcdef"
_ALPHANUMERIC: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NAME: Final = b"-._~!$&'()*+,;=%" + _ALPHANUMERIC
_PATH_OCTETS: Final = b":@/" + _NAME


def _only(octets: bytes) -> bytes:
    """Make the table that translates these octets to 1 and all others to 0."""
    return bytes(octet in octets for octet in range(256))


# 9110 5.6.2: the characters of a token.
_TOKEN: Final = _only(b"!#$%&'*+-.^_`|~" + _ALPHANUMERIC)
# 9110 5.5: a field value holds HTAB, SP, visible characters and obs-text.
_FIELD_VALUE: Final = _only(b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100)))
# 3986 3.2.2: the characters of a registered name or an IPv4 address.
_REGISTERED_NAME: Final = _only(_NAME)
# 3986 3.3 and 3.4: the characters of a path and a query; browsers leave some more in a query as they are
# (WHATWG URL, query percent-encode set).
_PATH: Final = _only(_PATH_OCTETS)
_QUERY: Final = _only(b"?[]{}|\\^`" + _PATH_OCTETS)

_MAX_EXCERPT: Final = 32

Fields = Sequence[tuple[str, str]]
Extension = tuple[str, list[tuple[str, str | None]]]


@final
class Headers:
    """Header fields in the order and spelling they were sent, found by name in any case."""

    __slots__ = ("_fields", "_first")

    def __init__(self, fields: Fields = ()) -> None:
        self._fields = fields
        self._first: dict[str, str] = {}
        for name, value in fields:
            self._first.setdefault(name.lower(), value)

    def get(self, name: str) -> str | None:
        """Return the first value of that name."""
        return self._first.get(name.lower())

    def first(self, lower_name: str) -> str | None:
        """Return the first value of a name that is written in lower case already."""
        return self._first.get(lower_name)

    def get_all(self, name: str) -> list[str]:
        """Return every value of that name, in order."""
        wanted = name.lower()
        first = self._first.get(wanted)
        if first is None:
            return []
        if not self.has_repeats():
            return [first]
        return [value for name, value in self._fields if name.lower() == wanted]

    def lists(self, lower_name: str, lower_member: str) -> bool:
        """Tell whether a list field has that member, in any case; both are written in lower case already."""
        first = self._first.get(lower_name)
        if first is None:
            return False
        # Most often it is the only one.
        if first.lower() == lower_member:
            return True
        members = self.joined(lower_name).lower().split(",")
        return lower_member in [member.strip(" \t") for member in members]

    def joined(self, name: str) -> str:
        """Return every value of that name as the one list they are (9110 5.3), "" for none."""
        return ", ".join(self.get_all(name))

    def has_repeats(self) -> bool:
        """Tell whether any name came more than once."""
        return len(self._first) < len(self._fields)

    def names(self) -> Iterable[str]:
        """Return each name once, in lower case."""
        return self._first

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._first

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


def parse_fields(lines: Sequence[str]) -> Headers:
    """Read field lines, without their CRLF, as Latin-1. Raises HandshakeError."""
    fields: list[tuple[str, str]] = []
    names: list[str] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name:
            _refuse_first_bad_line(lines)
        names.append(name)
        fields.append((name, value.strip(" \t")))
    # All names are looked at in one step, which costs a tenth of one step for each.
    if not _holds_only("".join(names), _TOKEN):
        _refuse_first_bad_line(lines)
    return Headers(fields)


def _refuse_first_bad_line(lines: Sequence[str]) -> NoReturn:
    line = next(line for line in lines if ":" not in line or not is_token(line.partition(":")[0]))
    name, colon, _ = line.partition(":")
    if line.startswith((" ", "\t")):
        # 9112 5.2: a folded line is refused. 9112 2.2: so is whitespace before the first field.
        expected, rule, section = "a field name at the start of the line", "leading-whitespace", "9112 5.2"
    elif not colon:
        expected, rule, section = "a field name and a colon", "missing-colon", "9112 5"
    elif is_token(name.rstrip(" \t")):
        # 9112 5.1: whitespace before the colon has made servers disagree on what the name is.
        expected, rule, section = "a colon right behind the field name", "space-before-colon", "9112 5.1"
    else:
        # 9110 5.1: a field name is a token.
        expected, rule, section = "a token as field name", "field-name", "9110 5.1"
    raise unexpected(expected, line, rule, section)


def unexpected(
    expected: str,
    received: str,
    rule: str,
    section: str,
    *,
    status: int = 400,
    headers: Fields = (),
) -> HandshakeError:
    """Make the error for text that isn't what was expected, quoting a short piece that is safe to print."""
    more = "..." if len(received) > _MAX_EXCERPT else ""
    message = f"Expected {expected}, received {received[:_MAX_EXCERPT]!a}{more}."
    return HandshakeError(message, status=status, rule=rule, section=section, headers=headers)


def _holds_only(text: str, octets: bytes) -> bool:
    return text.isascii() and 0 not in text.encode().translate(octets)


def is_token(text: str) -> bool:
    """9110 5.6.2: one or more of the characters that need no quotes."""
    return text != "" and _holds_only(text, _TOKEN)


def is_field_value(text: str) -> bool:
    """9110 5.5: no control character but HTAB, nothing beyond Latin-1."""
    try:
        return 0 not in text.encode("latin-1").translate(_FIELD_VALUE)
    except UnicodeEncodeError:
        return False


def is_path_and_query(text: str) -> bool:
    """3986 3.3, 3.4: only their characters, and each percent sign has its two hexadecimal digits."""
    path, _, query = text.partition("?")
    return (
        path.startswith("/")
        and _holds_only(path, _PATH)
        and (not query or _holds_only(query, _QUERY))
        and _is_percent_encoded(text)
    )


def _is_percent_encoded(text: str) -> bool:
    return "%" not in text or all(
        len(part) > 1 and not part[:2].strip(_HEXADECIMAL) for part in text.split("%")[1:]
    )


def parse_authority(text: str) -> tuple[str, int | None] | None:
    """Read `host [":" port]` (3986 3.2) into the host, an IPv6 address without brackets, and the port."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or not _is_ipv6(host):
            return None
        port = rest[1:]
    else:
        # 9110 4.2.4: user information, like all that holds "@", is no host.
        host, _, port = text.partition(":")
        if not host or not _holds_only(host, _REGISTERED_NAME) or not _is_percent_encoded(host):
            return None
    if not port:
        return host, None
    if len(port) > 5 or not is_digits(port):
        return None
    number = int(port)
    return (host, number) if number <= 65535 else None


def _is_ipv6(text: str) -> bool:
    # 3986 3.2.2: no zone, which IPv6Address would read behind "%".
    if text.strip(_HEXADECIMAL + ":."):
        return False
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def is_digits(text: str) -> bool:
    """5234 B.1: one or more of 0 to 9; no sign, no underscore, no other script's digits."""
    return text.isascii() and text.isdigit()


def list_members(values: Sequence[str]) -> list[str]:
    """Split a list field's values, which are one list however many lines brought it (9110 5.3)."""
    members = [member.strip(" \t") for member in ",".join(values).split(",")]
    # 9110 5.6.1.2: empty members don't count.
    return [member for member in members if member]


def parse_token_list(values: Sequence[str]) -> list[str] | None:
    """Read `1#token` (9110 5.6.1)."""
    members = list_members(values)
    return members if members and all(map(is_token, members)) else None


def parse_extensions(values: Sequence[str]) -> list[Extension] | None:
    """Read `extension-list` (9.1): each extension's token and its parameters, quoted values unquoted."""
    text = _unquoted(",".join(values))
    if text is None:
        return None
    extensions: list[Extension] = []
    for member in list_members([text]):
        token, *parts = [part.strip(" \t") for part in member.split(";")]
        parameters: list[tuple[str, str | None]] = []
        for part in parts:
            name, equals, value = part.partition("=")
            name, value = name.rstrip(" \t"), value.lstrip(" \t")
            if not is_token(name) or (equals and not is_token(value)):
                return None
            parameters.append((name, value if equals else None))
        if not is_token(token):
            return None
        extensions.append((token, parameters))
    return extensions or None


def _unquoted(text: str) -> str | None:
    """Replace each quoted value by the token it stands for."""
    pieces: list[str] = []
    position = 0
    while (opening := text.find('"', position)) >= 0:
        # 9.1: a quoted value must be a token once unescaped. So an escaped quote or backslash ends the
        # matter, the next quote is the closing one, and any other backslash falls away.
        closing = text.find('"', opening + 1)
        quoted = text[opening + 1 : closing]
        value = quoted.replace("\\", "")
        before = text[position:opening].rstrip(" \t")
        if closing < 0 or quoted.endswith("\\") or "\\\\" in quoted or not is_token(value):
            return None
        if not before.endswith("=") or (pieces and not _is_behind_value(before)):
            return None
        pieces += before, value
        position = closing + 1
    rest = text[position:]
    if pieces and not _is_behind_value(rest):
        return None
    pieces.append(rest)
    return "".join(pieces)


def _is_behind_value(text: str) -> bool:
    following = text.lstrip(" \t")
    return not following or following[0] in ",;"


def encode_fields(fields: Fields, owned: frozenset[str] = frozenset()) -> str:
    """Write field lines, by the tables that judge those of the peer. Raises StateError."""
    for name, value in fields:
        if not is_token(name) or not is_field_value(value):
            raise StateError(f"The header field {name!a} has a name or a value that can't be sent.")
        if name.lower() in owned:
            raise StateError(f"The header field {name} is the handshake's own.")
    return "".join(f"{name}: {value}\r\n" for name, value in fields)
