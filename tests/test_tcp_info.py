"""What the kernel says of a connection is read by its offsets, as far as it goes."""

import socket
import struct
import sys

import pytest

from server.tcp_info import send_queue, tcp_info, unpack

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")


def test_fields_are_found_at_their_offsets() -> None:
    # Each octet is its own offset, so each field's value tells where it was read.
    raw = bytes(range(232))
    fields = unpack(raw)
    assert 2 == fields["retransmits"]
    assert struct.unpack_from("=I", raw, 68)[0] == fields["rtt_us"]
    assert struct.unpack_from("=Q", raw, 160)[0] == fields["delivery_rate"]
    assert struct.unpack_from("=I", raw, 228)[0] == fields["snd_wnd"]


@pytest.mark.parametrize(
    ("length", "name"), [(4, "probes"), (72, "rtt_us"), (104, "total_retrans"), (168, "delivery_rate")]
)
def test_older_kernel_gives_what_it_has(length: int, name: str) -> None:
    assert name in unpack(bytes(length))
    assert name not in unpack(bytes(length - 1))
    assert {} == unpack(b"")


@linux
def test_kernel_tells_of_what_was_sent_and_not_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        served, _ = listener.accept()
        with client, served:
            served.setblocking(False)
            sent = 0
            try:
                while True:
                    sent += served.send(bytes(1 << 16))
            except BlockingIOError:
                pass
            fields = tcp_info(served)
            assert 1 == fields["state"]
            assert 0 < fields["notsent_bytes"] <= sent
            queued = send_queue(served)
            assert queued is not None
            assert fields["notsent_bytes"] <= queued <= sent
            assert fields["bytes_acked"] + queued <= sent + 1


@linux
def test_what_is_no_tcp_connection_tells_nothing() -> None:
    one, other = socket.socketpair()
    one.close()
    assert {} == tcp_info(other)
    assert {} == tcp_info(one)
    assert None is send_queue(one)
    other.close()
