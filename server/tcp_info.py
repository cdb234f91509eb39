"""TCP_INFO: what the kernel knows of a connection, where it is Linux's."""

import fcntl
import socket
import struct
import sys
import termios
from typing import Final

# struct tcp_info of linux/tcp.h. It grows at its end: an older kernel gives the beginning.
_FIELDS: Final = {
    "state": (0, "B"),
    "retransmits": (2, "B"),
    "probes": (3, "B"),
    "backoff": (4, "B"),
    "rto_us": (8, "I"),
    "snd_mss": (16, "I"),
    "unacked": (24, "I"),
    "sacked": (28, "I"),
    "lost": (32, "I"),
    "retrans": (36, "I"),
    "last_data_sent_ms": (44, "I"),
    "last_data_recv_ms": (52, "I"),
    "last_ack_recv_ms": (56, "I"),
    "pmtu": (60, "I"),
    "rtt_us": (68, "I"),
    "rttvar_us": (72, "I"),
    "snd_cwnd": (80, "I"),
    "total_retrans": (100, "I"),
    "bytes_acked": (120, "Q"),
    "bytes_received": (128, "Q"),
    "notsent_bytes": (144, "I"),
    "min_rtt_us": (148, "I"),
    "delivery_rate": (160, "Q"),
    "busy_time_us": (168, "Q"),
    "rwnd_limited_us": (176, "Q"),
    "sndbuf_limited_us": (184, "Q"),
    "bytes_sent": (200, "Q"),
    "bytes_retrans": (208, "Q"),
    "snd_wnd": (228, "I"),
}
_LARGEST: Final = 512


def unpack(raw: bytes) -> dict[str, int]:
    """Read the fields that are there."""
    return {
        name: struct.unpack_from("=" + code, raw, offset)[0]
        for name, (offset, code) in _FIELDS.items()
        if offset + struct.calcsize(code) <= len(raw)
    }


def tcp_info(connected: socket.socket) -> dict[str, int]:
    """Ask the kernel; nothing where it isn't Linux's, or where the connection isn't TCP or is gone."""
    if sys.platform != "linux":
        return {}
    try:
        return unpack(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LARGEST))
    except OSError:
        return {}


def send_queue(connected: socket.socket) -> int | None:
    """Ask how many octets the kernel holds that the peer hasn't acknowledged (SIOCOUTQ)."""
    try:
        answer = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    except (OSError, ValueError):
        # A closed socket has -1 for a descriptor.
        return None
    return int(struct.unpack("i", answer)[0])
