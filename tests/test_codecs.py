"""Codecs are shared by the connections that agreed on the same, and by no others."""

import pytest

from rfc6455 import DeflateParameters, MessageTooBig, PolicyViolation
from server.codecs import Codecs
from tests.vectors import CONT, TEXT, frame

KEEPING = DeflateParameters(False, False, 15, 15)


def agreed(local_bits: int = 15, remote_bits: int = 15) -> DeflateParameters:
    return DeflateParameters(True, True, local_bits, remote_bits)


def test_deflater_is_shared_by_all_that_agreed_on_a_window() -> None:
    codecs = Codecs(1 << 20, 4096)
    assert codecs.deflater(agreed(12)) is codecs.deflater(agreed(12, 9))
    assert codecs.deflater(agreed(12)) is not codecs.deflater(agreed(13))


def test_who_does_not_compress_or_keeps_a_context_shares_no_deflater() -> None:
    codecs = Codecs(1 << 20, 4096)
    assert codecs.deflater(None) is None
    assert codecs.deflater(KEEPING) is None


def test_readers_are_shared_by_all_whose_peers_send_in_the_same_way() -> None:
    codecs = Codecs(1 << 20, 4096)
    kinds = [None, agreed(), agreed(15, 9), KEEPING]
    assert [codecs.readers(kind) for kind in kinds] == [codecs.readers(kind) for kind in kinds]
    assert len(kinds) == len({codecs.readers(kind) for kind in kinds})
    assert codecs.readers(agreed(12)) is codecs.readers(agreed(13))


def test_readers_hold_messages_to_the_limits() -> None:
    codecs = Codecs(10, 2)
    for too_much in (frame(TEXT, b"a" * 11), frame(TEXT) + frame(CONT) * 2):
        reader = codecs.readers(None).take()
        reader.feed(too_much)
        with pytest.raises((MessageTooBig, PolicyViolation)):
            reader.next_event()
