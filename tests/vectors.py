"""Every rule that fits into a row: what comes in, and what must come of it."""

import gc
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import cycle
from operator import xor
from types import FrameType, FunctionType
from typing import Final, NamedTuple

from rfc6455.codes import Role
from rfc6455.events import Close, Ping, Pong
from rfc6455.messages import Event

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT: Final = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def feeds(data: bytes) -> Iterator[list[bytes]]:
    """Cut it in every way that matters: not at all, behind every octet, and once at each place."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


def work(action: Callable[[], object]) -> int:
    """Count the calls that an action makes, in Python and into C."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    # Whoever listens to the collector of garbage would be counted too.
    gc.disable()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


class RequestVector(NamedTuple):
    """A request; 101 if it is accepted as a handshake, 200 if it is let through as a plain request.

    A refusal names its `rule`; `header` is a field that goes with it.
    """

    id: str
    section: str
    request: bytes
    status: int
    rule: str = ""
    header: tuple[str, str] | None = None


class AnswerVector(NamedTuple):
    """An answer to a client that offered `chat`, `superchat` and deflate; accepted if it names no rule."""

    id: str
    section: str
    response: bytes
    rule: str = ""
    status: int = 101


def _head(
    line: bytes, base: tuple[bytes, ...], fields: tuple[bytes, ...], without: tuple[bytes, ...]
) -> bytes:
    """Put the fields in the place of those of the same name."""
    replaced = {field.partition(b":")[0].lower() for field in fields} | set(without)
    kept = [field for field in base if field.partition(b":")[0].lower() not in replaced]
    return b"\r\n".join([line, *kept, *fields, b"", b""])


_HANDSHAKE: Final = (
    b"Host: localhost:8765",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: " + KEY.encode(),
    b"Sec-WebSocket-Version: 13",
)


def handshake(*fields: bytes, line: bytes = b"GET /chat HTTP/1.1", without: tuple[bytes, ...] = ()) -> bytes:
    return _head(line, _HANDSHAKE, fields, without)


def plain(*fields: bytes, line: bytes = b"GET /chat HTTP/1.1", without: tuple[bytes, ...] = ()) -> bytes:
    return _head(line, (b"Host: localhost",), fields, without)


def answer(
    *fields: bytes, line: bytes = b"HTTP/1.1 101 Switching Protocols", without: tuple[bytes, ...] = ()
) -> bytes:
    base = (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + ACCEPT.encode())
    return _head(line, base, fields, without)


_WEBSOCKET: Final = ("Upgrade", "websocket")
_V13: Final = ("Sec-WebSocket-Version", "13")
_REPEATED: Final = "repeated-field"
_TE: Final = b"Transfer-Encoding: "
_PROTOCOL: Final = b"Sec-WebSocket-Protocol: "
_EXTENSIONS: Final = b"Sec-WebSocket-Extensions: "

_LINES: Final = [
    # 9112 2.2: lines end in CRLF, and only there.
    RequestVector("handshake", "6455 4.2.1", handshake(), 101),
    RequestVector("plain-request", "9112 3", plain(), 200),
    RequestVector("no-fields-in-http-1.0", "9112 3.2", b"GET / HTTP/1.0\r\n\r\n", 200),
    RequestVector("bare-lf-in-request-line", "9112 2.2", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "bare-lf"),
    RequestVector("bare-lf-in-field-line", "9112 2.2", plain(b"A: b\nC: d"), 400, "bare-lf"),
    RequestVector("bare-lf-for-empty-line", "9112 2.2", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "bare-lf"),
    RequestVector("bare-lf-first", "9112 2.2", b"\n" + handshake(), 400, "bare-lf"),
    RequestVector("bare-cr-in-request-line", "9112 2.2", b"GET\r/ HTTP/1.1\r\n\r\n", 400, "bare-cr"),
    RequestVector("bare-cr-in-field-line", "9112 2.2", plain(b"A: b\rC: d"), 400, "bare-cr"),
    RequestVector("two-cr-before-lf", "9112 2.2", plain(b"A: b\r"), 400, "bare-cr"),
    RequestVector("cr-at-the-head's-end", "9112 2.2", plain()[:-2] + b"\r\r\n", 400, "bare-cr"),
    RequestVector("one-empty-line-first", "9112 2.2", b"\r\n" + handshake(), 101),
    RequestVector("two-empty-lines-first", "9112 2.2", b"\r\n\r\n" + handshake(), 400, "request-line"),
    RequestVector("only-empty-lines", "9112 2.2", b"\r\n\r\n", 400, "request-line"),
    # 9110 5.5: control octets. HTAB and obs-text are data.
    *(
        RequestVector(f"control-{octet:02x}-in-value", "9110 5.5", plain(b"A: b%cc" % octet), 400, rule)
        for octet in (*range(0x09), *range(0x0A, 0x20), 0x7F)
        for rule in [{0x0A: "bare-lf", 0x0D: "bare-cr"}.get(octet, "control-octet")]
    ),
    RequestVector("tab-in-value", "9110 5.5", handshake(b"A: b\tc"), 101),
    RequestVector("obs-text-in-value", "9110 5.5", handshake("A: \u00e5\u2026\u0085".encode()), 101),
    RequestVector("next-line-is-no-line-end", "9110 5.5", handshake(b"A: b\x85Origin: evil"), 101),
    RequestVector("nul-in-name", "9110 5.1", plain(b"A\0: b"), 400, "control-octet"),
    RequestVector("nul-in-target", "9112 3.2", plain(line=b"GET /\0 HTTP/1.1"), 400, "control-octet"),
    RequestVector("tls-hello", "9112 3", bytes.fromhex("16030100c8010000c40303"), 400, "control-octet"),
    RequestVector("socks", "9112 3", b"\x05\x01\x00", 400, "control-octet"),
    RequestVector("ssh-banner", "9112 3", b"SSH-2.0-OpenSSH_9.2\r\n", 400, "request-line"),
    # 9112 5: field lines.
    RequestVector(
        "space-before-first-field",
        "9112 2.2",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        400,
        "leading-whitespace",
    ),
    RequestVector(
        "tab-before-first-field",
        "9112 2.2",
        b"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n",
        400,
        "leading-whitespace",
    ),
    RequestVector("folded-line", "9112 5.2", plain(b"A: b", b" c"), 400, "leading-whitespace"),
    RequestVector("folded-line-with-tab", "9112 5.2", plain(b"A: b", b"\tc: d"), 400, "leading-whitespace"),
    RequestVector("space-before-colon", "9112 5.1", plain(b"A : b"), 400, "space-before-colon"),
    RequestVector("tab-before-colon", "9112 5.1", plain(b"A\t: b"), 400, "space-before-colon"),
    RequestVector("empty-name", "9110 5.1", plain(b": b"), 400, "field-name"),
    RequestVector("space-in-name", "9110 5.1", plain(b"A b: c"), 400, "field-name"),
    RequestVector("delimiter-in-name", "9110 5.6.2", plain(b"A(b): c"), 400, "field-name"),
    RequestVector("obs-text-in-name", "9110 5.1", plain(b"\xe5: b"), 400, "field-name"),
    RequestVector("no-colon", "9112 5", plain(b"Host"), 400, "missing-colon"),
    RequestVector("every-character-of-a-token", "9110 5.6.2", handshake(b"!#$%&'*+-.^_`|~09azAZ: b"), 101),
    RequestVector("no-space-behind-colon", "9112 5", handshake(b"Upgrade:websocket"), 101),
    RequestVector("whitespace-around-value", "9112 5.1", handshake(b"Upgrade: \t websocket\t "), 101),
    RequestVector("names-in-any-case", "9110 5.1", handshake(b"uPGRADE: websocket"), 101),
    RequestVector("colons-in-value", "9110 5.5", handshake(b"A: b:c: d"), 101),
    RequestVector("empty-value", "9110 5.5", handshake(b"A:"), 101),
]

_REQUEST_LINES: Final = [
    # 9112 3: one space, one space, nothing else.
    *(
        RequestVector(id_, "9112 3", plain(line=line), 400, rule)
        for id_, line, rule in [
            ("two-spaces-behind-method", b"GET  / HTTP/1.1", "request-line"),
            ("two-spaces-behind-target", b"GET /  HTTP/1.1", "request-line"),
            ("space-before-method", b" GET / HTTP/1.1", "request-line"),
            ("space-behind-version", b"GET / HTTP/1.1 ", "request-line"),
            ("space-in-target", b"GET /a b HTTP/1.1", "request-line"),
            ("no-target", b"GET HTTP/1.1", "request-line"),
            ("empty-target", b"GET  HTTP/1.1", "target-form"),
            ("no-version", b"GET /", "request-line"),
            ("tab-for-space", b"GET\t/\tHTTP/1.1", "request-line"),
            ("vertical-tab-for-space", b"GET\x0b/ HTTP/1.1", "control-octet"),
            ("empty-method", b" / HTTP/1.1", "method"),
            ("method-is-no-token", b"G(ET / HTTP/1.1", "method"),
            ("method-is-not-ascii", b"G\xcbT / HTTP/1.1", "method"),
        ]
    ),
    # 9112 2.3: the version.
    *(
        RequestVector(
            f"version-{version.decode()}", "9112 2.3", plain(line=b"GET / " + version), 400, "http-version"
        )
        for version in (
            b"http/1.1",
            b"HTTP/1.10",
            b"HTTP/1.1x",
            b"HTTP/11",
            b"HTTP/1.",
            b"HTTP/+1.1",
            b"HTTPS/1.1",
        )
    ),
    *(
        RequestVector(
            f"major-version-{version.decode()}",
            "9110 15.6.6",
            plain(line=b"GET / " + version),
            505,
            "http-version",
        )
        for version in (b"HTTP/2.0", b"HTTP/3.0", b"HTTP/0.9")
    ),
    RequestVector("http-2-preface", "9110 15.6.6", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http-version"),
    RequestVector("minor-version-2-is-read-as-1", "9110 2.5", handshake(line=b"GET / HTTP/1.2"), 101),
    RequestVector("minor-version-9-is-read-as-1", "9110 2.5", handshake(line=b"GET / HTTP/1.9"), 101),
    RequestVector(
        "http-1.0-upgrades-never",
        "9110 7.8",
        handshake(line=b"GET / HTTP/1.0"),
        426,
        "http-version",
        _WEBSOCKET,
    ),
    RequestVector(
        "query-as-browsers-leave-it", "9112 3.2", handshake(line=b"GET /?a[]={b}|^`\\ HTTP/1.1"), 101
    ),
    RequestVector("http-1.0-is-a-plain-request", "9110 7.8", handshake(line=b"GET / HTTP/1.0"), 200),
    # 9112 3.2: the target.
    *(
        RequestVector(id_, "9112 3.2", plain(line=b"GET %b HTTP/1.1" % target), 400, rule)
        for id_, target, rule in [
            ("fragment", b"/a#b", "target-octets"),
            ("target-is-not-ascii", b"/\xc3\xa5", "target-octets"),
            ("quote-in-target", b'/"', "target-octets"),
            ("backslash-in-target", b"/a\\b", "target-octets"),
            ("brace-in-target", b"/{a}", "target-octets"),
            ("percent-without-digits", b"/%", "target-octets"),
            ("percent-with-one-digit", b"/a?b=%4", "target-octets"),
            ("percent-with-other-letters", b"/%4g", "target-octets"),
            ("percent-behind-percent", b"/%%41", "target-octets"),
            ("relative-target", b"chat", "target-form"),
            ("asterisk-form", b"*", "target-form"),
            ("authority-form", b"localhost:8765", "target-form"),
            ("absolute-form-without-host", b"http:///chat", "target-authority"),
            ("absolute-form-with-user", b"http://user@localhost/", "target-authority"),
            ("absolute-form-with-fragment", b"http://localhost/#a", "target-octets"),
            ("query-for-path", b"?a", "target-form"),
        ]
    ),
    *(
        RequestVector(id_, "9112 3.2", handshake(line=b"GET %b HTTP/1.1" % target), 101)
        for id_, target in [
            ("every-character-of-a-path", b"/-._~!$&'()*+,;=:@/09azAZ%2f%2F"),
            ("every-character-of-a-query", b"/?-._~!$&'()*+,;=:@/?09azAZ%c3%A5"),
            ("two-slashes", b"//chat"),
            ("absolute-form", b"http://localhost:8765/chat?a=b"),
            ("absolute-form-secure", b"https://localhost/"),
            ("absolute-form-of-websocket", b"ws://localhost/"),
            ("absolute-form-scheme-in-any-case", b"HTTP://localhost/"),
            ("absolute-form-of-another-host", b"http://example.com/"),
            ("absolute-form-of-ipv6", b"http://[::1]:8765/"),
            ("absolute-form-without-path", b"http://localhost"),
            ("absolute-form-with-query-only", b"http://localhost?a=b"),
        ]
    ),
    RequestVector(
        "absolute-form-of-another-scheme",
        "9110 7.4",
        plain(line=b"GET ftp://localhost/ HTTP/1.1"),
        421,
        "target-scheme",
    ),
    # 9110 9.1: a method is a token in its own case; which ones exist is for the server to say.
    RequestVector(
        "post-with-body", "9112 6", plain(b"Content-Length: 2", line=b"POST /@connections/1 HTTP/1.1"), 200
    ),
    RequestVector("unknown-method", "9110 9.1", plain(line=b"BREW /pot HTTP/1.1"), 200),
    *(
        RequestVector(
            f"method-{method.decode()}",
            "9110 15.5.6",
            handshake(line=method + b" / HTTP/1.1"),
            405,
            "method",
            ("Allow", "GET"),
        )
        for method in (b"POST", b"HEAD", b"OPTIONS", b"get", b"BREW")
    ),
]

_FRAMING: Final = [
    # 9112 3.2: one valid Host.
    RequestVector("no-host", "9112 3.2", plain(without=(b"host",)), 400, "host-missing"),
    RequestVector("two-hosts", "9112 3.2", plain(b"Host: a", b"Host: b"), 400, _REPEATED),
    RequestVector("two-equal-hosts", "9112 3.2", plain(b"Host: a", b"host: a"), 400, _REPEATED),
    RequestVector(
        "no-host-with-absolute-form",
        "9112 3.2",
        plain(line=b"GET http://a/ HTTP/1.1", without=(b"host",)),
        400,
        "host-missing",
    ),
    RequestVector(
        "two-hosts-in-http-1.0",
        "9112 3.2",
        plain(b"Host: a", b"Host: a", line=b"GET / HTTP/1.0"),
        400,
        _REPEATED,
    ),
    *(
        RequestVector(f"host-{id_}", "9112 3.2", plain(b"Host: " + host), 400, "host-value")
        for id_, host in [
            ("empty", b""),
            ("with-user", b"user@localhost"),
            ("with-path", b"localhost/chat"),
            ("with-space", b"local host"),
            ("of-two", b"a, b c"),
            ("with-letters-for-port", b"localhost:http"),
            ("with-two-ports", b"localhost:80:80"),
            ("with-signed-port", b"localhost:+80"),
            ("with-port-65536", b"localhost:65536"),
            ("with-port-of-six-digits", b"localhost:000080"),
            ("only-port", b":8765"),
            ("with-half-percent", b"local%4host"),
            ("not-ascii", b"l\xf6calhost"),
            ("with-open-bracket", b"[::1"),
            ("with-text-behind-bracket", b"[::1]8765"),
            ("of-ipv6-without-brackets", b"::1"),
            ("of-ipv6-with-zone", b"[fe80::1%25eth0]"),
            ("of-ipv6-too-long", b"[1:2:3:4:5:6:7:8:9]"),
            ("of-empty-brackets", b"[]"),
        ]
    ),
    *(
        RequestVector(f"host-{host.decode()}", "3986 3.2.2", handshake(b"Host: " + host), 101)
        for host in (
            b"localhost",
            b"localhost:",
            b"localhost:0",
            b"localhost:65535",
            b"127.0.0.1:8765",
            b"[::1]",
            b"[::1]:8765",
            b"[::ffff:127.0.0.1]",
            b"a_b.example",
            b"a%2db",
            b"xn--bcher-kva.example.",
        )
    ),
    # 9110 5.3: what must not come twice.
    *(
        RequestVector(
            f"two-of-{name.decode()}",
            "9110 5.3",
            handshake(name + b": " + value, name + b": " + value),
            400,
            _REPEATED,
        )
        for name, value in [
            (b"Content-Length", b"0"),
            (b"Expect", b"100-continue"),
            (b"Origin", b"http://a"),
            (b"Authorization", b"Basic YTpi"),
            (b"Sec-WebSocket-Key", KEY.encode()),
            (b"Sec-WebSocket-Version", b"13"),
            (b"X-Forwarded-Host", b"a"),
            (b"X-Forwarded-Proto", b"https"),
        ]
    ),
    RequestVector("two-cookies", "9110 5.3", handshake(b"Cookie: a=b", b"Cookie: c=d"), 101),
    # 9112 6.3: Content-Length.
    *(
        RequestVector(
            f"content-length-{id_}", "9112 6.3", plain(b"Content-Length: " + value), 400, "content-length"
        )
        for id_, value in [
            ("empty", b""),
            ("with-plus", b"+0"),
            ("negative", b"-1"),
            ("in-hexadecimal", b"0x0"),
            ("with-underscore", b"1_0"),
            ("with-point", b"1.0"),
            ("in-arabic-digits", "\u0663".encode()),
            ("superscript-in-latin-1", b"\xb2"),
            ("list", b"1, 2"),
            ("list-of-equals", b"1, 1"),
            ("of-19-digits", b"9" * 19),
            ("of-5000-digits", b"9" * 5000),
        ]
    ),
    RequestVector("content-length-of-18-digits", "9110 8.6", plain(b"Content-Length: " + b"9" * 18), 200),
    RequestVector("content-length-0-on-upgrade", "9112 6.3", handshake(b"Content-Length: 00"), 101),
    RequestVector("content-length-on-upgrade", "9110 7.8", handshake(b"Content-Length: 5"), 400, "body"),
    # 9112 6.1: Transfer-Encoding.
    RequestVector("chunked", "9112 6.1", plain(_TE + b"Chunked", line=b"POST / HTTP/1.1"), 200),
    RequestVector("chunked-on-upgrade", "9110 7.8", handshake(_TE + b"chunked"), 400, "body"),
    RequestVector(
        "chunked-and-content-length",
        "9112 6.1",
        plain(_TE + b"chunked", b"Content-Length: 0"),
        400,
        "transfer-encoding",
    ),
    RequestVector(
        "chunked-in-http-1.0",
        "9112 6.1",
        plain(_TE + b"chunked", line=b"GET / HTTP/1.0"),
        400,
        "transfer-encoding",
    ),
    RequestVector("chunked-not-last", "9112 6.3", plain(_TE + b"chunked, gzip"), 400, "transfer-encoding"),
    RequestVector(
        "chunked-twice", "9112 6.1", plain(_TE + b"chunked", _TE + b"chunked"), 400, "transfer-encoding"
    ),
    RequestVector("not-chunked", "9112 6.3", plain(_TE + b"gzip"), 400, "transfer-encoding"),
    RequestVector("identity", "9112 6.3", plain(_TE + b"identity"), 400, "transfer-encoding"),
    RequestVector("transfer-encoding-empty", "9112 6.1", plain(_TE), 400, "transfer-encoding"),
    RequestVector("chunked-with-parameter", "9112 7", plain(_TE + b"chunked;a=b"), 400, "transfer-encoding"),
    RequestVector("chunked-with-vertical-tab", "9112 6.1", plain(_TE + b"\x0bchunked"), 400, "control-octet"),
    RequestVector("unknown-coding", "9112 6.1", plain(_TE + b"xchunked, chunked"), 501, "transfer-coding"),
    # 9110 10.1.1: Expect.
    RequestVector("expect-continue", "9110 10.1.1", handshake(b"Expect: 100-Continue"), 101),
    RequestVector("expect-another-thing", "9110 10.1.1", handshake(b"Expect: tea"), 417, "expect"),
    RequestVector("expect-in-http-1.0", "9110 10.1.1", plain(b"Expect: tea", line=b"GET / HTTP/1.0"), 200),
]

_FIELDS: Final = [
    # 4.2.1 3: Upgrade.
    RequestVector("no-upgrade", "6455 4.2.1", handshake(without=(b"upgrade",)), 426, "upgrade", _WEBSOCKET),
    *(
        RequestVector(
            f"upgrade-{id_}", "9110 7.8", handshake(b"Upgrade: " + value), 426, "upgrade", _WEBSOCKET
        )
        for id_, value in [
            ("empty", b""),
            ("to-h2c", b"h2c"),
            ("to-notwebsocket", b"notwebsocket"),
            ("to-websocket2", b"websocket2"),
            ("to-websocket-with-version", b"websocket/13"),
            ("of-two-words", b"web socket"),
            ("quoted", b'"websocket"'),
        ]
    ),
    RequestVector("upgrade-in-any-case", "9110 7.8", handshake(b"Upgrade: WebSocket"), 101),
    RequestVector("upgrade-in-a-list", "9110 7.8", handshake(b"Upgrade: h2c , websocket"), 101),
    RequestVector("upgrade-on-two-lines", "9110 5.3", handshake(b"Upgrade: h2c", b"Upgrade: websocket"), 101),
    RequestVector("upgrade-to-h2c-is-a-plain-request", "9110 7.8", handshake(b"Upgrade: h2c"), 200),
    # 4.2.1 4: Connection.
    *(
        RequestVector(
            f"connection-{id_}",
            "9110 7.6.1",
            handshake(*fields, without=(b"connection",)),
            426,
            "connection",
            _WEBSOCKET,
        )
        for id_, fields in [
            ("missing", ()),
            ("keep-alive", (b"Connection: keep-alive",)),
            ("notupgrade", (b"Connection: notupgrade",)),
            ("upgrade-in-a-word", (b"Connection: keep-alive, upgrades",)),
        ]
    ),
    RequestVector("connection-in-any-case", "9110 7.6.1", handshake(b"Connection: UPGRADE"), 101),
    RequestVector("connection-in-a-list", "9110 7.6.1", handshake(b"Connection: keep-alive, Upgrade"), 101),
    RequestVector(
        "connection-on-two-lines", "9110 5.3", handshake(b"Connection: close", b"Connection: Upgrade"), 101
    ),
    RequestVector(
        "connection-with-empty-members", "9110 5.6.1.2", handshake(b"Connection: , ,Upgrade,,"), 101
    ),
    # 4.2.1 5: the key.
    *(
        RequestVector(
            f"key-{id_}", "6455 4.2.1", handshake(*fields, without=(b"sec-websocket-key",)), 400, "key"
        )
        for id_, fields in [
            ("missing", ()),
            ("empty", (b"Sec-WebSocket-Key:",)),
            ("of-15-octets", (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j",)),
            ("of-17-octets", (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWQ=",)),
            ("without-padding", (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ",)),
            ("with-excess-padding", (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===",)),
            ("with-foreign-characters", (b"Sec-WebSocket-Key: dGhl!IHNhbXBsZSBub25jZQ==",)),
            ("with-space-inside", (b"Sec-WebSocket-Key: dGhlIHNhbXBs ZSBub25jZQ==",)),
            ("in-the-url-alphabet", (b"Sec-WebSocket-Key: -_hlIHNhbXBsZSBub25jZQ==",)),
            ("of-two", (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",)),
            ("not-ascii", (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ\xb2==",)),
        ]
    ),
    RequestVector(
        "key-in-whitespace", "6455 4.2.2", handshake(b"Sec-WebSocket-Key: \t" + KEY.encode() + b" "), 101
    ),
    # 4.2.1 6 and 4.4: the version.
    *(
        RequestVector(
            f"websocket-version-{id_}",
            "6455 4.4",
            handshake(*fields, without=(b"sec-websocket-version",)),
            426,
            "version",
            _V13,
        )
        for id_, fields in [
            ("missing", ()),
            ("empty", (b"Sec-WebSocket-Version:",)),
            ("8", (b"Sec-WebSocket-Version: 8",)),
            ("14", (b"Sec-WebSocket-Version: 14",)),
            ("013", (b"Sec-WebSocket-Version: 013",)),
            ("list", (b"Sec-WebSocket-Version: 13, 8",)),
            ("in-words", (b"Sec-WebSocket-Version: abc",)),
        ]
    ),
    # 4.3: subprotocols.
    *(
        RequestVector(f"subprotocol-{id_}", "6455 4.3", handshake(*fields), 400, "subprotocol")
        for id_, fields in [
            ("empty", (_PROTOCOL,)),
            ("only-commas", (_PROTOCOL + b", ,",)),
            ("no-token", (_PROTOCOL + b"chat, su(per",)),
            ("with-space", (_PROTOCOL + b"super chat",)),
            ("quoted", (_PROTOCOL + b'"chat"',)),
            ("not-ascii", (_PROTOCOL + b"ch\xe5t",)),
            ("twice", (_PROTOCOL + b"chat, chat",)),
            ("twice-on-two-lines", (_PROTOCOL + b"chat", _PROTOCOL + b"chat")),
        ]
    ),
    RequestVector("subprotocols", "6455 4.3", handshake(_PROTOCOL + b"chat, superchat"), 101),
    RequestVector(
        "subprotocols-with-empty-members", "9110 5.6.1.2", handshake(_PROTOCOL + b",chat,,superchat,"), 101
    ),
    RequestVector("subprotocols-that-differ-in-case", "6455 4.1", handshake(_PROTOCOL + b"chat, CHAT"), 101),
    # 9.1: extensions.
    *(
        RequestVector(
            f"extensions-{id_}", "6455 9.1", handshake(_EXTENSIONS + value), 400, "extension-grammar"
        )
        for id_, value in [
            ("empty", b""),
            ("only-commas", b",,"),
            ("with-empty-parameters", b"foo;;"),
            ("ending-in-semicolon", b"foo;"),
            ("without-name", b"; a"),
            ("with-empty-value", b"foo; a="),
            ("with-nameless-value", b"foo; =a"),
            ("with-two-equal-signs", b"foo; a=b=c"),
            ("of-two-words", b"foo bar"),
            ("with-open-quote", b'foo; a="b'),
            ("with-lone-quote", b'foo; a="'),
            ("with-open-quote-behind-escape", b'foo; a="b\\'),
            ("with-empty-quotes", b'foo; a=""'),
            ("with-quoted-space", b'foo; a="b c"'),
            ("with-quoted-comma", b'foo; a="x,y"'),
            ("with-quoted-semicolon", b'foo; a="x;y"'),
            ("with-escaped-quote", b'foo; a="b\\"c"'),
            ("with-escaped-backslash", b'foo; a="b\\\\c"'),
            ("with-escape-before-last-quote", b'foo; a="b\\"'),
            ("with-quoted-name", b'"foo"'),
            ("with-quoted-parameter", b'foo; "a"'),
            ("with-text-before-quote", b'foo; a=b"c"'),
            ("with-text-behind-quote", b'foo; a="b"c'),
            ("with-text-between-quotes", b'foo; a="b"c;d="e"'),
            ("with-open-quote-behind-comma", b',foo; a="bc'),
            ("with-parameter-behind-quote", b'foo; a="b" c="d"'),
            ("with-two-quotes", b'foo; a="b""c"'),
            ("not-ascii", b"f\xf6\xf6"),
        ]
    ),
    *(
        RequestVector(
            f"extensions-{id_}", "6455 9.1", handshake(*(_EXTENSIONS + value for value in values)), 101
        )
        for id_, values in [
            ("unknown", (b"foo, x-bar; a; b=1",)),
            ("without-spaces", (b"foo;a=b;c,bar",)),
            ("with-spaces", (b" foo ; a = b ; c , bar ",)),
            ("with-quoted-value", (b'foo; a="10"; b="c"',)),
            ("with-quoted-value-in-spaces", (b'foo; a= "10" ; b="c" , bar',)),
            ("with-quoted-pair", (b'foo; a="b\\c"',)),
            ("with-empty-members", (b", foo,,",)),
            ("on-two-lines", (b"foo; a", b"bar")),
        ]
    ),
    RequestVector("origin", "6455 4.2.1", handshake(b"Origin: http://localhost:8765"), 101),
]

REQUESTS: Final = [*_LINES, *_REQUEST_LINES, *_FRAMING, *_FIELDS]

ANSWERS: Final = [
    AnswerVector("answer", "6455 4.1", answer()),
    # 4.1 1: the status, and a head that is HTTP.
    AnswerVector("status-200", "6455 4.1", answer(line=b"HTTP/1.1 200 OK"), "status", 200),
    AnswerVector("status-401", "6455 4.1", answer(line=b"HTTP/1.1 401 "), "status", 401),
    AnswerVector("status-102-is-not-the-answer", "9110 15.2", b"HTTP/1.1 102 Processing\r\n\r\n" + answer()),
    AnswerVector(
        "status-103-is-not-the-answer", "9110 15.2", b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" * 10 + answer()
    ),
    AnswerVector(
        "interim-responses-without-end",
        "9110 15.2",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 11,
        "interim-responses",
    ),
    AnswerVector("reason-is-empty", "9112 4", answer(line=b"HTTP/1.1 101 ")),
    AnswerVector("reason-of-obs-text", "9112 4", answer(line=b"HTTP/1.1 101 V\xe4xel")),
    AnswerVector("minor-version-2", "9110 2.5", answer(line=b"HTTP/1.2 101 OK")),
    AnswerVector("http-1.0", "9110 7.8", answer(line=b"HTTP/1.0 101 OK"), "http-version"),
    AnswerVector("http-2.0", "9112 2.3", answer(line=b"HTTP/2.0 101 OK"), "http-version", 0),
    *(
        AnswerVector(id_, "9112 4", answer(line=line), rule, 0)
        for id_, line, rule in [
            ("no-space-behind-status", b"HTTP/1.1 101", "status-line"),
            ("no-status", b"HTTP/1.1", "status-line"),
            ("two-spaces-before-status", b"HTTP/1.1  101 OK", "status-line"),
            ("status-of-two-digits", b"HTTP/1.1 99 OK", "status-line"),
            ("status-of-four-digits", b"HTTP/1.1 1010 OK", "status-line"),
            ("status-with-sign", b"HTTP/1.1 +11 OK", "status-line"),
            ("status-not-ascii", b"HTTP/1.1 10\xb9 OK", "status-line"),
            ("not-http", b"SSH-2.0-OpenSSH_9.2", "http-version"),
        ]
    ),
    AnswerVector(
        "status-099-is-no-interim-response", "9110 15", answer(line=b"HTTP/1.1 099 OK"), "status", 99
    ),
    AnswerVector("bare-lf", "9112 2.2", answer(b"A: b\nC: d"), "bare-lf", 0),
    AnswerVector("control-octet", "9110 5.5", answer(b"A: \x1b[2J"), "control-octet", 0),
    AnswerVector("folded-line", "9112 5.2", answer(b" c"), "leading-whitespace", 0),
    # 4.1 2 and 3: Upgrade and Connection.
    AnswerVector("upgrade-missing", "6455 4.1", answer(without=(b"upgrade",)), "upgrade"),
    AnswerVector("upgrade-to-another", "6455 4.1", answer(b"Upgrade: h2c"), "upgrade"),
    AnswerVector("upgrade-to-two", "6455 4.1", answer(b"Upgrade: websocket, h2c"), "upgrade"),
    AnswerVector(
        "upgrade-twice", "6455 4.1", answer(b"Upgrade: websocket", b"Upgrade: websocket"), "upgrade"
    ),
    AnswerVector("upgrade-in-any-case", "6455 4.1", answer(b"Upgrade: WebSocket")),
    AnswerVector("connection-missing", "6455 4.1", answer(without=(b"connection",)), "connection"),
    AnswerVector("connection-close", "6455 4.1", answer(b"Connection: close"), "connection"),
    AnswerVector("connection-in-a-list", "6455 4.1", answer(b"Connection: keep-alive, upgrade")),
    # 4.1 4: the accepted key.
    AnswerVector("accept-missing", "6455 4.1", answer(without=(b"sec-websocket-accept",)), "accept"),
    AnswerVector(
        "accept-of-another-key", "6455 4.1", answer(b"Sec-WebSocket-Accept: " + KEY.encode()), "accept"
    ),
    AnswerVector(
        "accept-in-another-case",
        "6455 4.1",
        answer(b"Sec-WebSocket-Accept: " + ACCEPT.lower().encode()),
        "accept",
    ),
    AnswerVector(
        "accept-twice", "6455 11.3.3", answer(*[b"Sec-WebSocket-Accept: " + ACCEPT.encode()] * 2), "accept"
    ),
    AnswerVector(
        "accept-in-whitespace", "6455 4.1", answer(b"Sec-WebSocket-Accept: \t" + ACCEPT.encode() + b" \t")
    ),
    # 4.1 6: the subprotocol.
    AnswerVector("subprotocol", "6455 4.1", answer(_PROTOCOL + b"superchat")),
    AnswerVector("subprotocol-not-offered", "6455 4.1", answer(_PROTOCOL + b"mqtt"), "subprotocol"),
    AnswerVector("subprotocol-in-another-case", "6455 4.1", answer(_PROTOCOL + b"Chat"), "subprotocol"),
    AnswerVector("subprotocol-empty", "6455 4.1", answer(_PROTOCOL), "subprotocol"),
    AnswerVector("subprotocol-list", "6455 4.1", answer(_PROTOCOL + b"chat, superchat"), "subprotocol"),
    AnswerVector(
        "subprotocol-twice", "6455 11.3.4", answer(_PROTOCOL + b"chat", _PROTOCOL + b"chat"), "subprotocol"
    ),
    # 4.1 5: extensions.
    AnswerVector(
        "deflate", "7692 5.1", answer(_EXTENSIONS + b"permessage-deflate; server_no_context_takeover")
    ),
    AnswerVector("extension-not-offered", "6455 4.1", answer(_EXTENSIONS + b"foo"), "extension"),
    AnswerVector(
        "extension-twice", "7692 5.1", answer(*[_EXTENSIONS + b"permessage-deflate"] * 2), "extension"
    ),
    AnswerVector(
        "extension-beside-deflate", "6455 4.1", answer(_EXTENSIONS + b"permessage-deflate, foo"), "extension"
    ),
    AnswerVector(
        "extensions-on-two-lines",
        "6455 11.3.2",
        answer(_EXTENSIONS + b"permessage-deflate; server_no_context_takeover", _EXTENSIONS),
        "extension",
    ),
    AnswerVector("extension-grammar", "6455 9.1", answer(_EXTENSIONS + b"foo;;"), "extension-grammar"),
    AnswerVector("extensions-empty", "6455 9.1", answer(_EXTENSIONS), "extension-grammar"),
    AnswerVector(
        "deflate-with-unknown-parameter",
        "7692 7",
        answer(_EXTENSIONS + b"permessage-deflate; a"),
        "deflate-answer",
    ),
    # 9112 6.3: a 1xx response has no body, whatever it says.
    AnswerVector("content-length-says-nothing", "9112 6.3", answer(b"Content-Length: 0")),
    AnswerVector("octets-behind-the-head", "6455 4.1", answer() + b"\x81\x00"),
]


# Frames, made and read without rfc6455, so that its mistakes and ours don't cancel out.

FIN: Final = 0x80
RSV1: Final = 0x40
RSV2: Final = 0x20
RSV3: Final = 0x10
CONT: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
OPCODES: Final = {
    "continuation": CONT,
    "text": TEXT,
    "binary": BINARY,
    "close": CLOSE,
    "ping": PING,
    "pong": PONG,
}
MASKING_KEY: Final = bytes.fromhex("37fa213d")
UNMASKED: Final = b""


def head(first: int, length: int, key: bytes = MASKING_KEY) -> bytes:
    mask = 0x80 if key else 0
    if length < 126:
        return struct.pack("!BB", first, mask | length) + key
    if length < 65536:
        return struct.pack("!BBH", first, mask | 126, length) + key
    return struct.pack("!BBQ", first, mask | 127, length) + key


def masked(payload: bytes, key: bytes) -> bytes:
    return bytes(map(xor, payload, cycle(key))) if key else payload


def frame(first: int, payload: bytes = b"", key: bytes = MASKING_KEY) -> bytes:
    return head(first, len(payload), key) + masked(payload, key)


def begun(first: int, payload: bytes, key: bytes = MASKING_KEY) -> bytes:
    """A frame that announces twenty octets more than have come."""
    return head(first, len(payload) + 20, key) + masked(payload, key)


def frames_in(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each whole frame by its first octet and its payload; a part of one at the end is passed over."""
    while len(data) > 1:
        length = data[1] & 0x7F
        key_at = 2 + {126: 2, 127: 8}.get(length, 0)
        if length > 125:
            length = int.from_bytes(data[2:key_at], "big")
        start = key_at + (4 if data[1] & 0x80 else 0)
        stop = start + length
        if len(data) < stop:
            return
        yield data[0], masked(data[start:stop], data[key_at:start])
        data = data[stop:]


def deflated(payload: bytes) -> bytes:
    """A message as it is sent compressed (7692 7.2.1)."""
    codec = zlib.compressobj(wbits=-15)
    return (codec.compress(payload) + codec.flush(zlib.Z_SYNC_FLUSH))[:-4]


def kept(thing: object) -> int:
    """Count the octets of memory that an object takes, with all that it alone refers to."""
    found: dict[int, object] = {}
    waiting = [thing]
    while waiting:
        item = waiting.pop()
        if id(item) not in found and not isinstance(item, type | Enum | FunctionType):
            found[id(item)] = item
            waiting += gc.get_referents(item)
    return sum(map(sys.getsizeof, found.values()))


class FrameVector(NamedTuple):
    """What comes in, and the events of it; `role` is who reads.

    If a rule is broken the last octet breaks it: before it nothing is wrong, behind it nothing is read.
    """

    id: str
    section: str
    data: bytes
    events: tuple[Event, ...] = ()
    close_code: int = 0
    rule: str = ""
    role: Role = Role.SERVER
    deflate: bool = False


# The limits under which every row is read.
MAX_MESSAGE_SIZE: Final = 200
MAX_FRAGMENTS: Final = 4

_HELLO: Final = frame(FIN | TEXT, b"Hello")

_FRAME_HEADS: Final = [
    # 5.1: a client masks, a server doesn't.
    *(
        FrameVector(f"{name}-from-client-unmasked", "5.1", bytes([FIN | opcode, 5]), (), 1002, "mask")
        for name, opcode in OPCODES.items()
    ),
    *(
        FrameVector(
            f"{name}-from-server-masked", "5.1", bytes([FIN | opcode, 0x85]), (), 1002, "mask", Role.CLIENT
        )
        for name, opcode in OPCODES.items()
    ),
    FrameVector("masked-hello", "5.7", bytes.fromhex("818537fa213d7f9f4d5158"), ("Hello",)),
    FrameVector("unmasked-hello", "5.7", bytes.fromhex("810548656c6c6f"), ("Hello",), role=Role.CLIENT),
    FrameVector("key-of-zeros", "5.3", frame(FIN | TEXT, b"Hello", bytes(4)), ("Hello",)),
    FrameVector(
        "each-frame-has-its-own-key",
        "5.3",
        frame(TEXT, b"Hello", b"abcd") + frame(FIN | CONT, b" again", b"\xff\0\xff\1"),
        ("Hello again",),
    ),
    # 5.2: reserved bits, which an extension may give a meaning.
    *(
        FrameVector(
            f"rsv-{bits >> 4:03b}-on-{name}{' with deflate' * deflate}".replace(" ", "-"),
            "5.2",
            bytes([FIN | bits | opcode, 0x85]),
            (),
            1002,
            "reserved-bit",
            deflate=deflate,
        )
        for name, opcode in OPCODES.items()
        for bits, deflate in [(RSV1, False), (RSV2, False), (RSV3, False), (RSV2, True), (RSV1 | RSV3, True)]
    ),
    *(
        FrameVector(
            f"rsv1-on-{name}-with-deflate",
            "7692 6",
            bytes([FIN | RSV1 | opcode, 0x85]),
            (),
            1002,
            "control-rsv1",
            deflate=True,
        )
        for name, opcode in OPCODES.items()
        if opcode >= CLOSE
    ),
    FrameVector(
        "rsv1-on-continuation-with-deflate",
        "7692 6",
        frame(RSV1 | TEXT, deflated(b"Hello")) + bytes([FIN | RSV1 | CONT, 0x81]),
        (),
        1002,
        "continuation-rsv1",
        deflate=True,
    ),
    # 5.2: reserved opcodes.
    *(
        FrameVector(f"opcode-{opcode:x}", "5.2", bytes([fin | opcode, 0x80]), (), 1002, "opcode")
        for opcode in (*range(0x3, 0x8), *range(0xB, 0x10))
        for fin in [FIN if opcode % 2 else 0]
    ),
    # 5.2: the shortest form of the length, and 63 bits of it.
    *(
        FrameVector(
            f"length-{length}-in-16-bits-from-{name}",
            "5.2",
            struct.pack("!BBH", FIN | BINARY, mask | 126, length),
            (),
            1002,
            "length-minimal",
            role,
        )
        for length in (0, 1, 125)
        for name, mask, role in [("client", 0x80, Role.SERVER), ("server", 0, Role.CLIENT)]
    ),
    *(
        FrameVector(
            f"length-{length}-in-64-bits-from-{name}",
            "5.2",
            struct.pack("!BBQ", FIN | TEXT, mask | 127, length),
            (),
            1002,
            "length-minimal",
            role,
        )
        for length in (0, 125, 126, 65535)
        for name, mask, role in [("client", 0x80, Role.SERVER), ("server", 0, Role.CLIENT)]
    ),
    *(
        FrameVector(
            f"length-{length:x}",
            "5.2",
            struct.pack("!BBQ", FIN | BINARY, 0xFF, length),
            (),
            1002,
            "length-top-bit",
        )
        for length in (1 << 63, (1 << 63) + 5, (1 << 64) - 1)
    ),
    *(
        FrameVector(f"length-{length}", "5.2", frame(FIN | BINARY, b"a" * length), (b"a" * length,))
        for length in (0, 1, 125, 126, 127, MAX_MESSAGE_SIZE)
    ),
    # 5.5: control frames are short and whole.
    *(
        FrameVector(
            f"{name}-with-length-marker-{marker}",
            "5.5",
            bytes([FIN | opcode, 0x80 | marker]),
            (),
            1002,
            "control-length",
        )
        for name, opcode in OPCODES.items()
        for marker in (126, 127)
        if opcode >= CLOSE
    ),
    *(
        FrameVector(f"{name}-in-fragments", "5.5", bytes([opcode, 0x82]), (), 1002, "control-fragmented")
        for name, opcode in OPCODES.items()
        if opcode >= CLOSE
    ),
    *(
        FrameVector(f"ping-of-{size}", "5.5.2", frame(FIN | PING, b"a" * size), (Ping(b"a" * size),))
        for size in (0, 1, 125)
    ),
    *(
        FrameVector(f"pong-of-{size}", "5.5.3", frame(FIN | PONG, b"a" * size), (Pong(b"a" * size),))
        for size in (0, 1, 125)
    ),
]

_FRAGMENTS: Final = [
    # 5.4: what may follow what.
    FrameVector("continuation-first", "5.4", bytes([FIN | CONT, 0x85]), (), 1002, "continuation"),
    FrameVector("continuation-first-unfinished", "5.4", bytes([CONT, 0x85]), (), 1002, "continuation"),
    FrameVector(
        "continuation-behind-message",
        "5.4",
        _HELLO + bytes([FIN | CONT, 0x85]),
        ("Hello",),
        1002,
        "continuation",
    ),
    FrameVector(
        "continuation-behind-fragments",
        "5.4",
        frame(TEXT, b"Hel") + frame(FIN | CONT, b"lo") + bytes([CONT, 0x80]),
        ("Hello",),
        1002,
        "continuation",
    ),
    *(
        FrameVector(
            f"{name}-inside-{outer}",
            "5.4",
            frame(OPCODES[outer], b"Hel") + bytes([fin | OPCODES[name], 0x82]),
            (),
            1002,
            "message-interleaved",
        )
        for name in ("text", "binary")
        for outer in ("text", "binary")
        for fin in [FIN if name == outer else 0]
    ),
    FrameVector("two-fragments", "5.7", bytes.fromhex("010348656c80026c6f"), ("Hello",), role=Role.CLIENT),
    FrameVector(
        "binary-fragments",
        "5.4",
        frame(BINARY, b"\xff") + frame(CONT, b"\0") + frame(FIN, b"\xfe"),
        (b"\xff\0\xfe",),
    ),
    FrameVector(
        "control-frames-between-fragments",
        "5.4",
        frame(TEXT, b"Hel")
        + frame(FIN | PING, b"a")
        + frame(CONT)
        + frame(FIN | PONG, b"b")
        + frame(FIN | PING)
        + frame(FIN | CONT, b"lo")
        + frame(FIN | BINARY, b"!"),
        (Ping(b"a"), Pong(b"b"), Ping(b""), "Hello", b"!"),
    ),
    FrameVector(
        "control-frames-between-compressed-fragments",
        "7692 7.2.3.1",
        frame(RSV1 | TEXT, bytes.fromhex("f248cd"))
        + frame(FIN | PING, b"a")
        + frame(FIN | CONT, bytes.fromhex("c9c90700")),
        (Ping(b"a"), "Hello"),
        deflate=True,
    ),
    FrameVector(
        "plain-fragments-behind-compressed-message",
        "7692 6",
        frame(FIN | RSV1 | TEXT, deflated(b"Hello")) + frame(TEXT, b"Hel") + frame(FIN | CONT, b"lo"),
        ("Hello", "Hello"),
        deflate=True,
    ),
    FrameVector(
        "continuation-behind-control-frame-alone",
        "5.4",
        frame(FIN | PING) + bytes([FIN | CONT, 0x80]),
        (Ping(b""),),
        1002,
        "continuation",
    ),
    FrameVector("empty-text", "5.4", frame(FIN | TEXT), ("",)),
    FrameVector("empty-binary", "5.4", frame(FIN | BINARY), (b"",)),
    FrameVector("text-of-empty-fragments", "5.4", frame(TEXT) + frame(CONT) + frame(FIN | CONT), ("",)),
    FrameVector("binary-of-empty-fragments", "5.4", frame(BINARY) + frame(FIN | CONT), (b"",)),
    FrameVector(
        "empty-fragments-around-a-full-one",
        "5.4",
        frame(TEXT) + frame(CONT, b"Hello") + frame(FIN | CONT) + _HELLO,
        ("Hello", "Hello"),
    ),
]

_LIMITS: Final = [
    # 10.4: a message's size, as soon as it is announced.
    *(
        FrameVector(
            f"message-of-{length}-announced",
            "10.4",
            head(FIN | opcode, length)[:-4],
            (),
            1009,
            "message-size",
        )
        for length in (MAX_MESSAGE_SIZE + 1, 65535, 65536, (1 << 63) - 1)
        for opcode in [TEXT if length % 2 else BINARY]
    ),
    FrameVector(
        "message-from-server-announced",
        "10.4",
        head(BINARY, MAX_MESSAGE_SIZE + 1, UNMASKED),
        (),
        1009,
        "message-size",
        Role.CLIENT,
    ),
    FrameVector(
        "size-counts-octets", "10.4", frame(FIN | TEXT, "€".encode() * 66 + b"12"), ("€" * 66 + "12",)
    ),
    FrameVector(
        "size-of-fragments-at-the-limit",
        "10.4",
        frame(BINARY, b"a" * 125)
        + frame(FIN | PING, b"b" * 125)
        + frame(CONT, b"a" * 75)
        + frame(FIN | CONT),
        (Ping(b"b" * 125), b"a" * 200),
    ),
    FrameVector(
        "size-of-fragments-over-the-limit",
        "10.4",
        frame(BINARY, b"a" * 120) + frame(CONT, b"a" * 80) + bytes([FIN | CONT, 0x81]),
        (),
        1009,
        "message-size",
    ),
    FrameVector(
        "size-begins-anew-with-each-message",
        "10.4",
        (frame(BINARY, b"a" * 100) + frame(FIN | CONT, b"a" * 100)) * 2,
        (b"a" * 200, b"a" * 200),
    ),
    # 10.4: a message's frames, empty ones too.
    FrameVector(
        "as-many-frames-as-the-limit",
        "10.4",
        (frame(TEXT, b"a") + frame(CONT) * 2 + frame(FIN | PING) + frame(FIN | CONT, b"b")) * 2,
        (Ping(b""), "ab", Ping(b""), "ab"),
    ),
    *(
        FrameVector(
            f"one-frame-more-than-the-limit{name}",
            "10.4",
            frame(BINARY, payload) + frame(CONT, payload) * 3 + bytes([fin | CONT, 0x80]),
            (),
            1008,
            "message-fragments",
        )
        for name, payload, fin in [("", b"a", FIN), ("-and-all-empty", b"", 0)]
    ),
]

_CLOSES: Final = [
    # 5.5.1: the code and the reason.
    FrameVector("close-without-code", "7.1.5", frame(FIN | CLOSE), (Close(1005),)),
    FrameVector("close-of-one-octet", "5.5.1", frame(FIN | CLOSE, b"\x03"), (), 1002, "close-code-cut"),
    *(
        FrameVector(f"close-{code}", "7.4", frame(FIN | CLOSE, struct.pack("!H", code)), (Close(code),))
        for code in (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
    ),
    *(
        FrameVector(
            f"close-{code}-is-refused",
            "7.4",
            frame(FIN | CLOSE, struct.pack("!H", code)),
            (),
            1002,
            "close-code",
        )
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ),
    FrameVector(
        "close-with-reason",
        "5.5.1",
        frame(FIN | CLOSE, b"\x03\xe8gr\xc3\xbc\xc3\x9fe"),
        (Close(1000, "grüße"),),
    ),
    FrameVector(
        "close-with-reason-of-123",
        "5.5",
        frame(FIN | CLOSE, b"\x0f\xa0" + "€".encode() * 41),
        (Close(4000, "€" * 41),),
    ),
    *(
        FrameVector(
            f"close-with-reason-{name}",
            "5.5.1",
            frame(FIN | CLOSE, b"\x03\xe8" + reason),
            (),
            1007,
            "close-reason",
        )
        for name, reason in [
            ("not-utf8", b"caf\xe9"),
            ("cut", b"\xe2\x82"),
            ("of-surrogate", b"\xed\xa0\x80"),
        ]
    ),
    # 5.4, 7.1.4: a Close may come between fragments; their message is dropped.
    FrameVector(
        "close-between-fragments",
        "5.4",
        frame(TEXT, b"Hel") + frame(FIN | CLOSE, b"\x03\xe8"),
        (Close(1000),),
    ),
    # 1.4: what follows a Close is discarded, whatever it is.
    *(
        FrameVector(f"{name}-behind-close", "1.4", frame(FIN | CLOSE, b"\x03\xe9") + data, (Close(1001),))
        for name, data in [
            ("message", _HELLO),
            ("ping", frame(FIN | PING)),
            ("close", frame(FIN | CLOSE, b"\x03\xe8")),
            ("fault", b"\xff\xff"),
        ]
    ),
]

# 3629 3: octets of which the last is impossible where it stands.
_IMPOSSIBLE: Final = {
    "lone-continuation": b"\x80",
    "continuation-too-many": b"\xc3\xa5\xa5",
    "overlong-of-2": b"\xc0",
    "overlong-of-2-highest": b"\xc1",
    "overlong-of-3": b"\xe0\x80",
    "overlong-of-3-highest": b"\xe0\x9f",
    "overlong-of-4": b"\xf0\x80",
    "overlong-of-4-highest": b"\xf0\x8f",
    "surrogate": b"\xed\xa0",
    "surrogate-highest": b"\xed\xbf",
    "above-10ffff": b"\xf4\x90",
    "f5": b"\xf5",
    "five-octets": b"\xf8",
    "six-octets": b"\xfc",
    "fe": b"\xfe",
    "ff": b"\xff",
    "ascii-for-second": b"\xc3A",
    "ascii-for-third": b"\xe2\x82A",
    "ascii-for-fourth": b"\xf0\x9f\x98A",
    "first-for-second": b"\xc3\xc3",
    "first-for-third": b"\xe2\x82\xe2",
    "first-for-fourth": b"\xf0\x9f\x98\xf0",
}

_UTF8: Final = [
    FrameVector(f"utf8-{name}{where}", "8.1", data, (), 1007, "text-utf8")
    for name, octets in _IMPOSSIBLE.items()
    for where, data in [
        ("", frame(FIN | TEXT, b"caf\xc3\xa9" + octets)),
        ("-in-unfinished-frame", begun(FIN | TEXT, b"caf\xc3\xa9" + octets)),
        ("-in-unfinished-message", frame(TEXT, b"caf\xc3") + frame(CONT, b"\xa9") + begun(CONT, octets)),
        ("-over-fragments", frame(TEXT, octets[:-1]) + frame(CONT) + begun(CONT, octets[-1:])),
    ]
] + [
    # 8.1: a message ends with a whole code point, a fragment need not (5.6).
    *(
        FrameVector(f"utf8-cut-at-{len(cut)}{where}", "8.1", data, (), 1007, "text-utf8")
        for cut in (b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98")
        for where, data in [
            ("", frame(FIN | TEXT, b"a" + cut)),
            ("-over-fragments", frame(TEXT, cut[:1]) + frame(CONT, cut[1:]) + frame(FIN | CONT)),
        ]
    ),
    FrameVector(
        "utf8-code-point-over-fragments",
        "5.6",
        frame(TEXT, b"\xf0") + frame(CONT, b"\x9f\x98") + frame(CONT) + frame(FIN | CONT, b"\x80"),
        ("\U0001f600",),
    ),
    *(
        FrameVector(f"utf8-{ord(character):04x}", "8.1", frame(FIN | TEXT, character.encode()), (character,))
        for character in "\0\x7f\x80\u07ff\u0800\ud7ff\ue000\ufeff\ufffe\uffff\U00010000\U0010ffff"
    ),
    *(
        FrameVector(f"utf8-{name}-is-fine-in-binary", "5.6", frame(FIN | BINARY, octets), (octets,))
        for name, octets in _IMPOSSIBLE.items()
    ),
    FrameVector(
        "utf8-in-binary-fragments", "5.6", frame(BINARY, b"\xff") + frame(FIN | CONT, b"\xc3"), (b"\xff\xc3",)
    ),
    # 7692 6.1: of compressed text the octets are checked that it inflates to.
    FrameVector(
        "utf8-of-compressed-text",
        "7692 6.1",
        frame(FIN | RSV1 | TEXT, deflated("grüße".encode())),
        ("grüße",),
        deflate=True,
    ),
    FrameVector(
        "utf8-impossible-behind-inflate",
        "8.1",
        # A stored block of a hundred octets.
        begun(RSV1 | TEXT, b"\x00\x64\x00\x9b\xffab\xff"),
        (),
        1007,
        "text-utf8",
        deflate=True,
    ),
    FrameVector(
        "utf8-cut-behind-inflate",
        "8.1",
        frame(FIN | RSV1 | TEXT, deflated(b"caf\xc3")),
        (),
        1007,
        "text-utf8",
        deflate=True,
    ),
]

FRAMES: Final = [*_FRAME_HEADS, *_FRAGMENTS, *_LIMITS, *_CLOSES, *_UTF8]
