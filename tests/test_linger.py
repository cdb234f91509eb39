"""Lingering: the end of a connection, in which the peer can read what was written last."""

import asyncio

import pytest

from server.linger import MAX_DISCARDED, Linger
from server.service import Service
from server.settings import Settings
from tests.faketransport import FakeTransport


class Owner(asyncio.Protocol):
    """Whose connection it was."""

    def __init__(self) -> None:
        self.lost: list[Exception | None] = []

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


def lingering(
    *, can_write_eof: bool = True, is_closing: bool = False
) -> tuple[FakeTransport, Owner, Service]:
    service = Service(Settings())
    transport = FakeTransport(service, can_write_eof=can_write_eof)
    owner = Owner()
    transport.pause_reading()
    if is_closing:
        transport.close()
    Linger(transport, owner, service.context)
    return transport, owner, service


async def test_half_closes_and_reads_on() -> None:
    transport, owner, service = lingering()
    assert (True, True, "") == (transport.eof_written, transport.reads, transport.end)
    assert 1 == len(service.context.closings)
    assert [] == owner.lost


async def test_transport_that_cannot_half_close_ends_in_its_own_way() -> None:
    # TLS has no half: it says that it closes, and waits for the peer to say so.
    transport, _, _ = lingering(can_write_eof=False)
    assert (False, True, "closed") == (transport.eof_written, transport.reads, transport.end)


async def test_transport_that_is_closing_is_left_alone() -> None:
    transport, owner, service = lingering(is_closing=True)
    assert (False, False, "closed") == (transport.eof_written, transport.reads, transport.end)
    transport.lose()
    assert ([None], 0) == (owner.lost, len(service.context.closings))


async def test_peer_that_has_reset_the_connection_is_no_fault() -> None:
    class Reset(FakeTransport):  # type: ignore[misc]  # A transport in a state that only a socket gets into.
        def write_eof(self) -> None:
            raise OSError(107, "Transport endpoint is not connected")

    service = Service(Settings())
    transport = Reset(service)
    Linger(transport, Owner(), service.context)
    assert 1 == len(service.context.closings)


@pytest.mark.parametrize(("excess", "end"), [(-1, ""), (0, ""), (1, "aborted")])
async def test_discards_a_whole_message_and_up_to_its_limit(excess: int, end: str) -> None:
    transport, _, service = lingering()
    transport.receive(bytes(service.settings.max_message_size))
    transport.receive(bytes(MAX_DISCARDED + excess))
    assert end == transport.end


async def test_lets_the_transport_close_at_the_peers_end() -> None:
    transport, _, _ = lingering()
    assert isinstance(transport.protocol, Linger)
    transport.protocol.eof_received()
    assert "" == transport.end


async def test_waits_no_longer_than_the_close_timeout() -> None:
    transport, _, service = lingering()
    context = service.context
    now = context.clock()
    assert [] == context.closings.expired(now + context.settings.close_timeout - 1)
    (entry,) = context.closings.expired(now + context.settings.close_timeout + 1)
    entry.expire()
    assert "aborted" == transport.end


async def test_hands_the_end_back_to_the_owner() -> None:
    transport, owner, service = lingering()
    error = ConnectionResetError()
    transport.lose(error)
    assert ([error], 0) == (owner.lost, len(service.context.closings))
