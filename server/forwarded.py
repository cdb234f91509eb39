"""Forwarded: who the client behind a trusted proxy is, and how it came there.

By Forwarded (RFC 7239) or by X-Forwarded-For, -Proto and -Host, which came before it. Each proxy adds on
the right whom it was reached by, so the client is the first from the right that isn't a trusted proxy itself:
what stands further left is its own claim, and isn't read. Where both kinds stand they have to say the same.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple, final

from rfc6455 import Headers

Networks = tuple[IPv4Network | IPv6Network, ...]

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# 7239 4: pairs with `;` between them, or `,` before those of the next proxy; either may be empty.
_PAIR: Final = re.compile(
    rf'[ \t]*(?:({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")[ \t]*)?(;|,|$)', re.DOTALL | re.ASCII
)
# 7239 6: an address, `unknown`, or a name that hides one; with a port, or a name that hides that.
_NODE: Final = re.compile(
    r"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\]|(unknown|_[0-9A-Za-z._-]+))(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]+))?",
    re.IGNORECASE | re.ASCII,
)
_HOST: Final = re.compile(r"(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_SCHEMES: Final = ("http", "https", "ws", "wss")


class ForwardedError(ValueError):
    """A trusted proxy wrote what can't be read."""


class Client(NamedTuple):
    """What is said of a client; None is nothing. The address may be a name that hides it, "" for unknown."""

    address: str | None = None
    scheme: str | None = None
    host: str | None = None


@final
class TrustedProxies:
    """The networks whose word is taken for who a client is."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def client(self, headers: Headers) -> Client:
        """Return who the client is by the word of a proxy that is trusted. Raises ForwardedError."""
        said = self._by_forwarded(headers)
        before = self._by_x_forwarded(headers)
        for one, other in zip(said, before, strict=True):
            if None not in (one, other) and one != other:
                raise ForwardedError("Forwarded and X-Forwarded differ")
        return Client(*(one if one is not None else other for one, other in zip(said, before, strict=True)))

    def _by_forwarded(self, headers: Headers) -> Client:
        elements = [element for value in headers.get_all("Forwarded") for element in parse_forwarded(value)]
        if not elements:
            return Client()
        place, address = self._find([element.get("for", "unknown") for element in elements])
        element = elements[place]
        return Client(
            address if "for" in element else None,
            _scheme(element["proto"]) if "proto" in element else None,
            _host(element["host"]) if "host" in element else None,
        )

    def _by_x_forwarded(self, headers: Headers) -> Client:
        listed = ",".join(headers.get_all("X-Forwarded-For")).split(",")
        # 9110 5.6.1.2: empty members of a list aren't there.
        nodes = [node.strip(" \t") for node in listed if node.strip(" \t")]
        scheme, host = _only(headers, "X-Forwarded-Proto"), _only(headers, "X-Forwarded-Host")
        return Client(
            self._find(nodes)[1] if nodes else None,
            None if scheme is None else _scheme(scheme),
            None if host is None else _host(host),
        )

    def _find(self, nodes: Sequence[str]) -> tuple[int, str]:
        """Return the client's place and address; the leftmost where all are trusted proxies."""
        for place in range(len(nodes) - 1, 0, -1):
            address = parse_node(nodes[place])
            if address not in self:
                return place, address
        return 0, parse_node(nodes[0])


def parse_forwarded(value: str) -> list[dict[str, str]]:
    """Split a Forwarded field into what each proxy wrote, by names in lower case. Raises ForwardedError."""
    elements: list[dict[str, str]] = [{}]
    position = 0
    while True:
        match = _PAIR.match(value, position)
        if match is None:
            raise ForwardedError("Forwarded is malformed")
        name, token, quoted, end = match.groups()
        if name is not None:
            # 7239 4: each parameter not more than once in an element.
            if name.lower() in elements[-1]:
                raise ForwardedError("Forwarded has a parameter twice")
            elements[-1][name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if token is None else token
        if not end:
            return [element for element in elements if element]
        if end == ",":
            elements.append({})
        position = match.end()


def parse_node(node: str) -> str:
    """Return a node's address in its one spelling, or the name that hides it. Raises ForwardedError.

    An IPv6 address may be without brackets, as X-Forwarded-For has it. `unknown` is "".
    """
    match = _NODE.fullmatch(node)
    four, six, name = match.groups() if match is not None else (None, node, None)
    if name is not None:
        return "" if name.lower() == "unknown" else name
    try:
        address = IPv6Address(six) if four is None else IPv4Address(four)
    except ValueError:
        raise ForwardedError("a forwarded address is malformed") from None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise ForwardedError("a forwarded address is malformed")
        address = address.ipv4_mapped or address
    return str(address)


def _only(headers: Headers, name: str) -> str | None:
    """Return the value of a field that stands for one thing; there may be one of it."""
    values = headers.get_all(name)
    if len(values) > 1:
        raise ForwardedError(f"{name} stands twice")
    return values[0] if values else None


def _scheme(scheme: str) -> str:
    if scheme.lower() not in _SCHEMES:
        raise ForwardedError("a forwarded scheme is not one of this server's")
    return scheme.lower()


def _host(host: str) -> str:
    if _HOST.fullmatch(host) is None:
        raise ForwardedError("a forwarded host is malformed")
    return host
