"""Kinds of options: how help names a value, what an error asks for, how it is read and shown."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Final, Literal, final, get_args

from .names import check_pattern
from .overflow import Overflow
from .refusal import Refusal

KIB: Final = 1 << 10
MIB: Final = 1 << 20
UNITS: Final = {"GiB": 1 << 30, "MiB": MIB, "KiB": KIB}
YES: Final = ("true", "on", "yes", "1")
NO: Final = ("false", "off", "no", "0")


@final
@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: how help names it, what an error asks for, how it is read and shown."""

    metavar: str
    expected: str
    toml: tuple[type, ...]  # what the file may hold; lists are of strings
    parse: Callable[[str], object]  # raises ValueError
    show: Callable[[Any], str] = str
    limits: tuple[float, float] | None = None


def parse_bytes(text: str) -> int:
    match = re.fullmatch(r"(-?[0-9]{1,18}) ?(KiB|MiB|GiB)?", text)
    if match is None:
        raise ValueError(text)
    return int(match[1]) * UNITS.get(match[2], 1)


def show_bytes(value: int) -> str:
    for unit, size in UNITS.items():
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return str(value)


def parse_switch(text: str) -> bool:
    word = text.lower()
    if word not in YES + NO:
        raise ValueError(text)
    return word in YES


def matching(pattern: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return parse


def list_of(metavar: str, expected: str, pattern: str) -> Kind:
    parse = matching(pattern)
    return Kind(
        metavar + ",...",
        "a list of " + expected,
        (list,),
        # Hosts and origins are compared in lower case.
        lambda text: tuple(parse(item.strip().lower()) for item in text.split(",") if item.strip()),
        lambda items: ", ".join(items) or "none",
    )


def parse_addresses(text: str) -> tuple[str, ...]:
    if not re.fullmatch(r"[^\s,]+( *, *[^\s,]+)*", text):
        raise ValueError(text)
    return tuple(item.strip().lower() for item in text.split(","))


def one_of(words: object) -> Kind:
    choices = get_args(words)
    return Kind("|".join(choices), "one of " + ", ".join(choices), (str,), matching("|".join(choices)))


def parse_rules(text: str) -> tuple[tuple[str, Overflow], ...]:
    rules: list[tuple[str, Overflow]] = []
    for item in filter(None, map(str.strip, text.split(","))):
        pattern, _, policy = item.rpartition("=")
        try:
            check_pattern(pattern)
        except Refusal as refusal:
            raise ValueError(text) from refusal
        rules.append((pattern, Overflow.parse(policy)))
    return tuple(rules)


def show_rules(rules: tuple[tuple[str, Overflow], ...]) -> str:
    return ", ".join(f"{pattern}={overflow}" for pattern, overflow in rules) or "none"


WHOLE: Final = "a whole number"
TIME: Final = "a number of seconds"
SIZE: Final = "a size such as 65536, 64KiB or 1MiB"
ORIGIN: Final = r"\*|null|[a-z][a-z0-9+.-]*://(\*\.)?[^\s/?#@*.][^\s/?#@*]*"
ORIGINS: Final = "origins such as https://example.com:8443 or https://*.example.com, null or *"
NAME: Final = r"(\*\.)?[a-z0-9_-][a-z0-9_.-]*|\[[0-9a-f:.]+\]"
# Nobody on the way may change a key; to this machine there is no way.
KEYS: Final = r"https://\S+|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/\S*)?|(?!https?:).+"
POLICIES: Final = "disconnect, drop-oldest, drop-newest or conflate:PATH"
NAMES: Final = "hosts without ports, such as example.com, *.example.com or [::1]"

# An empty host would listen on every interface; who wants that says 0.0.0.0 or ::.
Addresses = Annotated[
    tuple[str, ...],
    Kind("HOST,...", "names or addresses", (list, str), parse_addresses, ", ".join),
]
Port = Annotated[int, Kind("PORT", WHOLE, (int,), int, limits=(1, 65_535))]
Count = Annotated[int, Kind("N", WHOLE, (int,), int, limits=(1, 1_000_000_000))]
Bytes = Annotated[int, Kind("BYTES", SIZE, (int, str), parse_bytes, show_bytes, limits=(1, 1 << 30))]
Memory = Annotated[int, Kind("BYTES", SIZE, (int, str), parse_bytes, show_bytes, limits=(MIB, 1 << 40))]
Seconds = Annotated[
    float, Kind("SECONDS", TIME, (int, float), float, "{:.15g}".format, limits=(0.001, 86_400))
]
Switch = Annotated[
    bool, Kind("true|false", "true or false", (bool,), parse_switch, lambda on: str(on).lower())
]
Path = Annotated[
    str, Kind("FILE", "the path of a file", (str,), matching(r".+"), lambda path: path or "none")
]
Keys = Annotated[
    str,
    Kind(
        "FILE|URL",
        "the path of a file, or an https URL",
        (str,),
        matching(KEYS),
        lambda place: place or "none",
    ),
]
Text = Annotated[str, Kind("TEXT", "a text", (str,), matching(r".+"), lambda text: text or "any")]
Words = Annotated[
    tuple[str, ...],
    Kind(
        "NAME,...",
        "a list of names",
        (list,),
        lambda text: tuple(filter(None, map(str.strip, text.split(",")))),
        lambda words: ", ".join(words) or "none",
    ),
]
Cookie = Annotated[
    str,
    Kind(
        "NAME", "the name of a cookie", (str,), matching(r"[\w!#$%&'*+.^`|~-]+"), lambda name: name or "none"
    ),
]
Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...],
    Kind(
        "NETWORK,...",
        "a list of networks such as 10.0.0.0/8 or ::1",
        (list,),
        lambda text: tuple(ip_network(item.strip()) for item in text.split(",") if item.strip()),
        lambda networks: ", ".join(map(str, networks)) or "none",
    ),
]
Mode = Annotated[
    int,
    Kind(
        "MODE",
        "an octal mode such as 660",
        (str,),
        lambda text: int(matching(r"[0-7]{3}")(text), 8),
        "{:03o}".format,
    ),
]
Origins = Annotated[tuple[str, ...], list_of("ORIGIN", ORIGINS, ORIGIN)]
Hosts = Annotated[tuple[str, ...], list_of("HOST", NAMES, NAME)]
SlowReaders = Annotated[Overflow, Kind("POLICY", POLICIES, (str,), Overflow.parse, str, limits=None)]
SlowReadersByRoom = Annotated[
    tuple[tuple[str, Overflow], ...],
    Kind("PATTERN=POLICY,...", "a list of PATTERN=POLICY", (list,), parse_rules, show_rules),
]
Module = Annotated[
    str,
    Kind(
        "MODULE",
        "a module such as mypackage.chat",
        (str,),
        matching(r"[\w.]+(:\w+)?"),
        lambda name: name or "none",
    ),
]
Loop = Literal["auto", "uvloop", "asyncio"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
MetricsReaders = Literal["nobody", "loopback", "anyone"]
