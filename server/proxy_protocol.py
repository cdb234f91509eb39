"""The PROXY protocol, versions 1 and 2: what a proxy says of a connection before its first octet.

Sans-IO: octets in, how many of them were the header's, and whose address it names. Written by the
specification of HAProxy (proxy-protocol.txt); the paragraphs cited are its.
"""

from ipaddress import ip_address
from typing import Final, final

# 2.1: the longest line with its end. 2.2: 16 octets, then as many as they say, up to 65,535: addresses, which
# take 216 at the most, and additions.
MAX_V1: Final = 107
MAX_V2: Final = 4096

_WORD: Final = b"PROXY "
_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED: Final = 16
_LOCAL, _PROXY = 0x20, 0x21
# 2.2: octets of both addresses and ports, by family and transport; unspecified ones aren't read.
_ADDRESSES: Final = {0x00: 0, 0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}
_INET, _INET6 = 0x11, 0x21
_CRC32C: Final = 0x03


class ProxyProtocolError(ValueError):
    """It isn't the header that it should be."""


@final
class ProxyHeader:
    """Reads one header; `source` is the address it names, or None where it names none."""

    __slots__ = ("_received", "is_complete", "source")

    def __init__(self) -> None:
        self._received = bytearray()
        self.is_complete = False
        self.source: str | None = None

    def feed(self, data: bytes) -> int:
        """Take octets; return how many of them are the header's. Raises ProxyProtocolError."""
        before = len(self._received)
        self._received += data
        end = _find_end(self._received)
        if end is None or len(self._received) < end:
            return len(data)
        del self._received[end:]
        header = bytes(self._received)
        self.source = _parse_v1(header) if header.startswith(_WORD) else _parse_v2(header)
        self.is_complete = True
        return end - before


def _find_end(received: bytearray) -> int | None:
    """Return where a header ends, once that is known."""
    if received.startswith(_WORD[: len(received)]):
        end = received.find(b"\n", 0, MAX_V1) + 1
        if not end and len(received) >= MAX_V1:
            raise ProxyProtocolError("the line is too long")
        return end or None
    if not received.startswith(_SIGNATURE[: len(received)]):
        raise ProxyProtocolError("there is no signature")
    if len(received) < _FIXED:
        return None
    end = _FIXED + int.from_bytes(received[14:16], "big")
    if end > MAX_V2:
        raise ProxyProtocolError("the header is too long")
    return end


def _parse_v1(line: bytes) -> str | None:
    if not line.endswith(b"\r\n"):
        raise ProxyProtocolError("the line doesn't end in CRLF")
    words = line[:-2].decode("latin-1").split(" ")
    # 2.1: of what follows UNKNOWN nothing is read.
    if words[1] == "UNKNOWN":
        return None
    if words[1] not in ("TCP4", "TCP6") or len(words) != 6:
        raise ProxyProtocolError("the line is malformed")
    source, _ = (_parse_address(text, words[1]) for text in words[2:4])
    for port in words[4:]:
        # 2.1: decimal, no leading zero.
        if not (port.isascii() and port.isdecimal()) or str(int(port)) != port or int(port) > 65535:
            raise ProxyProtocolError("a port is malformed")
    return source


def _parse_address(text: str, family: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        raise ProxyProtocolError("an address is malformed") from None
    if "%" in text or f"TCP{address.version}" != family:
        raise ProxyProtocolError("an address is of another family")
    return str(address)


def _parse_v2(header: bytes) -> str | None:
    command, family = header[12], header[13]
    if command not in (_LOCAL, _PROXY):
        raise ProxyProtocolError("the version or the command is unknown")
    # 2.2: LOCAL is the proxy's own connection, and nothing behind it is read.
    if command == _LOCAL:
        return None
    size = _ADDRESSES.get(family)
    if size is None or len(header) < _FIXED + size:
        raise ProxyProtocolError("the addresses are malformed")
    _check_additions(header, _FIXED + size)
    if family == _INET:
        return str(ip_address(header[16:20]))
    return str(ip_address(header[16:32])) if family == _INET6 else None


def _check_additions(header: bytes, position: int) -> None:
    """Skip the additions (2.2: a type, a length in two octets, a value), but check a checksum."""
    while position < len(header):
        start = position + 3
        end = start + int.from_bytes(header[position + 1 : start], "big")
        if start > len(header) or end > len(header):
            raise ProxyProtocolError("an addition is malformed")
        if header[position] == _CRC32C:
            # 2.2.3: over the whole header, with zeros in the checksum's place.
            whole = header[:start] + bytes(4) + header[end:]
            if end - start != 4 or crc32c(whole) != int.from_bytes(header[start:end], "big"):
                raise ProxyProtocolError("the checksum is wrong")
            # A second one would be of a header that has the first.
            return
        position = end


def _make_table() -> tuple[int, ...]:
    table: list[int] = []
    for octet in range(256):
        for _ in range(8):
            octet = octet >> 1 ^ (0x82F63B78 if octet & 1 else 0)
        table.append(octet)
    return tuple(table)


_TABLE: Final = _make_table()


def crc32c(data: bytes) -> int:
    """Compute the checksum of RFC 4960's appendix B."""
    checksum = 0xFFFFFFFF
    for octet in data:
        checksum = checksum >> 8 ^ _TABLE[(checksum ^ octet) & 0xFF]
    return checksum ^ 0xFFFFFFFF
