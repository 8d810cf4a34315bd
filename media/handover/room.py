"""How long a socket's receive buffer lasts while nobody drains it::

    calls x packets per second and call x seconds x kernel memory per packet <= SO_RCVBUF as getsockopt returns it

A STREP or RTP packet of 20 ms of G.711, 196 or 172 bytes, takes `PACKET_BYTES` of the kernel's memory (of 356 bytes:
1,280), and a call sends 50 a second in each direction. Linux doubles what is asked for, so 16 MiB hold some 40,000 of
them: 100 calls for 4 s.
"""

from __future__ import annotations

import logging
import socket

from media.config import ServerConfig
from media.sockets import BoundSockets

_LOG = logging.getLogger("strep.serve")

PACKET_BYTES = 832
PACKETS_PER_CALL = 100
USUAL_CALLS = 100
"""Where nobody said how many there may be."""
RESTART_S = 4.0
"""From the end of one process to the first packet of the next, on a busy machine, with room to spare; and before
it, with ``--hand-over systemd``, `drain_timeout_s` and all that the process has to finish."""


def lasts_s(buffer_bytes: int, packets_per_s: float) -> float:
    """Return how long a buffer of so many bytes, as getsockopt returns them, holds what comes."""
    return buffer_bytes / PACKET_BYTES / packets_per_s


def needed_bytes(seconds: float, packets_per_s: float) -> int:
    """Return what to ask for as SO_RCVBUF, so that the buffer holds what comes for so long."""
    return round(seconds * packets_per_s * PACKET_BYTES / 2)


def warn_of_small_buffers(sockets: BoundSockets, config: ServerConfig) -> None:
    """Say which sockets would overflow during a restart."""
    calls = config.max_calls or USUAL_CALLS
    for name, sock in sockets.named():
        if name == "ws":
            continue
        packets_per_s = config.max_packets_per_s or calls * PACKETS_PER_CALL
        if name != "udp":  # one direction of one tap
            packets_per_s //= 2
        buffer_bytes = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        seconds = lasts_s(buffer_bytes, packets_per_s)
        if seconds < RESTART_S:
            wanted = needed_bytes(RESTART_S, packets_per_s)
            _LOG.warning(
                "the receive buffer of %s holds %.1f s of %d packets/s, and a restart may take %g s, "
                "besides what the process that ends has to finish; let its unit say ReceiveBuffer=%d",
                name,
                seconds,
                packets_per_s,
                RESTART_S,
                wanted,
            )
