"""The arguments of the command, and what it tells of itself."""

import argparse
import ssl
from typing import Final

from rfc6455 import DeflateOptions

from ..client import Options
from ..kinds import parse_bytes

DESCRIPTION: Final = """\
Connect to a WebSocket: each line of standard input is sent as a message, each
message received is printed as a line. At the end of the input the connection is
closed, and what still comes until the server has closed too is printed.

Octets and characters that don't print stand as \\xNN, \\uNNNN or \\n; --json tells
exactly what came. What isn't a message is told on standard error."""

EPILOG: Final = """\
With --json each event is one object on a line of its own:
  {"event": "open", "uri": ..., "subprotocol": ..., "headers": [[name, value], ...]}
  {"event": "message", "text": ...}  or  {"event": "message", "base64": ...}
  {"event": "close", "code": ..., "reason": ...}
  {"event": "error", "error": ..., "message": ...}, with "status" if the server gave one
  {"event": "wait", "seconds": ...}  before the next attempt of --reconnect

Exit status:
  0    closed by either side with 1000, 1001 or no code, the end of the input included
  2    the command line, or a line of the input, can't be used
  3    no connection: name, network, TLS or time
  4    the server refused the handshake, or answered it wrongly
  5    closed otherwise: with another code, or without a Close (1006)
  130  interrupted by Ctrl-C; once more ends it at once

Examples:
  echo hello | python -m server connect ws://localhost:8765/echo
  python -m server connect --json --reconnect wss://example.com/feed"""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m server connect",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("uri", metavar="URI", help="ws:// or wss://")
    add("--json", action="store_true", help="print one JSON object per event")
    add("--binary", action="store_true", help="send lines as binary messages, octet for octet")
    add("--listen", action="store_true", help="don't read the input, and so don't close at its end")
    add(
        "--reconnect", action="store_true", help="connect again, after a random delay, until closed with 1000"
    )
    add(
        "--header",
        metavar="NAME:VALUE",
        action="append",
        default=[],
        type=_parse_header,
        help="add a header field to the handshake; may be repeated",
    )
    add(
        "--subprotocol",
        metavar="NAME",
        action="append",
        default=[],
        help="offer a subprotocol; may be repeated, best first",
    )
    add("--origin", help="send this Origin, as a page of that origin would")
    add("--no-compression", action="store_true", help="don't offer permessage-deflate")
    add(
        "--max-message-size",
        metavar="BYTES",
        default=1 << 20,
        type=_parse_size,
        help="size of a message either way; may end in KiB, MiB or GiB [1MiB]",
    )
    trust = parser.add_mutually_exclusive_group()
    trust.add_argument(
        "--cafile", metavar="FILE", type=_trusting, help="trust the certificates in this PEM file, no others"
    )
    trust.add_argument(
        "--insecure", action="store_true", help="don't verify who the server of a wss:// URI is"
    )
    return parser


def make_options(arguments: argparse.Namespace) -> Options:
    return Options(
        subprotocols=arguments.subprotocol,
        headers=arguments.header,
        origin=arguments.origin,
        deflate=None if arguments.no_compression else DeflateOptions(),
        max_message_size=arguments.max_message_size,
        ssl=_unverified() if arguments.insecure else arguments.cafile,
    )


def _parse_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        # Not quoted: where the name was forgotten it may be a secret.
        raise argparse.ArgumentTypeError(f"expected NAME:VALUE, got {len(text)} characters without a colon")
    return name.strip(), value.strip()


def _parse_size(text: str) -> int:
    try:
        return parse_bytes(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a size such as 65536 or 1MiB, got {text!r}") from None


def _trusting(path: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"can't read certificates from {path!r}: {error.strerror}") from None


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
