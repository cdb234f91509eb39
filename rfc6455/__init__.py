"""The WebSocket protocol, RFC 6455, with permessage-deflate, RFC 7692: bytes in, events and bytes out.

Sans-IO: there is no socket, clock, task or log in here, and no dependency. A parser of frames:

    >>> from rfc6455 import FrameParser, Role
    >>> parser = FrameParser(Role.SERVER)
    >>> parser.feed(bytes.fromhex("818537fa213d7f9f4d5158"))
    >>> parser.next_frame()
    Frame(fin=True, rsv1=False, opcode=<Opcode.TEXT: 1>, payload=b'Hello')

A whole conversation, from the opening handshake on:

    >>> from rfc6455 import ClientHandshake, Connection, RequestReader, ServerHandshake
    >>> asking = ClientHandshake("ws://example.com/chat")
    >>> answer = ServerHandshake(RequestReader().feed(asking.request)).accept()
    >>> agreed = asking.receive_data(answer.response)
    >>> client = Connection(Role.CLIENT, agreed.deflate)
    >>> server = Connection(Role.SERVER, answer.deflate)
    >>> client.send_text("Hello")
    >>> server.receive_data(b"".join(client.data_to_send()))
    >>> server.next_event()
    'Hello'
"""

from . import frames as _frames
from .client_handshake import ClientHandshake
from .codes import CloseCode, Opcode, Role, may_be_sent
from .connection import Connection, Receiving, Sending
from .deflate import DeflateOptions, DeflateParameters, Deflater, Inflater
from .errors import (
    HandshakeError,
    InvalidPayload,
    MessageTooBig,
    PolicyViolation,
    ProtocolError,
    StateError,
    WebSocketError,
)
from .events import Close, Ping, Pong
from .frames import Frame, FrameParser, encode_frame
from .handshake import Accepted, ServerHandshake, accept_key, encode_refusal
from .headers import Headers
from .masking import NATIVE
from .messages import Event, MessageReader, Readers, encode_message
from .request import Request, RequestReader
from .response import Response, ResponseReader

# Which build was loaded: "compiled" includes the native functions.
_IS_COMPILED = not (_frames.__file__ or "").endswith(".py")
BUILD = "compiled" if _IS_COMPILED else "native functions" if NATIVE else "pure"

__all__ = [
    "BUILD",
    "Accepted",
    "ClientHandshake",
    "Close",
    "CloseCode",
    "Connection",
    "DeflateOptions",
    "DeflateParameters",
    "Deflater",
    "Event",
    "Frame",
    "FrameParser",
    "HandshakeError",
    "Headers",
    "Inflater",
    "InvalidPayload",
    "MessageReader",
    "MessageTooBig",
    "Opcode",
    "Ping",
    "PolicyViolation",
    "Pong",
    "ProtocolError",
    "Readers",
    "Receiving",
    "Request",
    "RequestReader",
    "Response",
    "ResponseReader",
    "Role",
    "Sending",
    "ServerHandshake",
    "StateError",
    "WebSocketError",
    "accept_key",
    "encode_frame",
    "encode_message",
    "encode_refusal",
    "may_be_sent",
]
