"""What the kernel is asked for and what it tells: cores, receive buffers, queues and drops of UDP sockets."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

RECEIVE_BUFFER_BYTES = 16 << 20
"""Asked for by every contender."""
SO_RCVBUFFORCE = 33  # asm-generic/socket.h: as SO_RCVBUF, beyond net.core.rmem_max; root only

RECEIVER_CPU, SENDER_CPU = 0, 1


def pin(cpu: int) -> bool:
    """Keep this process on one core; return whether that was possible."""
    if (os.cpu_count() or 1) < 2:
        return False
    try:
        os.sched_setaffinity(0, {cpu})
    except (AttributeError, OSError):  # not Linux; or a container that was given other cores
        return False
    return True


@contextlib.contextmanager
def pinned(cpu: int) -> Iterator[bool]:
    """As `pin`, for a while."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    is_pinned = pin(cpu)
    try:
        yield is_pinned
    finally:
        if is_pinned and before:
            os.sched_setaffinity(0, before)


class Buffer(NamedTuple):
    """A socket's receive buffer.

    Attributes:
        size_bytes: what the kernel gave, in the units of SO_RCVBUF (half of what it reports).
        forced: by SO_RCVBUFFORCE.
    """

    size_bytes: int
    forced: bool


def ask_for_buffer(sock: socket.socket, wanted_bytes: int = RECEIVE_BUFFER_BYTES) -> Buffer:
    """Set the receive buffer, by force where that is allowed."""
    forced = True
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, wanted_bytes)
    except OSError:
        forced = False
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted_bytes)
    return Buffer(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2, forced)


def bound_socket() -> socket.socket:
    """Return a non-blocking UDP socket at a free port of loopback, its buffer asked for."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    ask_for_buffer(sock)
    return sock


def own_buffer(port: int) -> Buffer:
    """Ask for the buffers of this process's UDP sockets at `port`, whoever opened them.

    The server asks with SO_RCVBUF alone; so that all contenders have the same, root helps it here.

    Raises:
        LookupError: there is none.
    """
    buffers = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            duplicate = socket.socket(fileno=os.dup(int(name)))
            with duplicate:
                if duplicate.type == socket.SOCK_DGRAM and duplicate.getsockname()[1] == port:
                    buffers.append(ask_for_buffer(duplicate))
    if not buffers:
        raise LookupError(f"no UDP socket at port {port}")
    return min(buffers)


class Queue(NamedTuple):
    """Sockets as /proc/net/udp shows them.

    Attributes:
        waiting_bytes: memory of what has not been read.
        drops: datagrams that found no room.
    """

    waiting_bytes: int
    drops: int


def queue(port: int) -> Queue:
    """Return the receive queues of the UDP sockets at `port`, as one.

    Raises:
        LookupError: there is none.
    """
    # sl local_address rem_address st tx_queue:rx_queue tr:when retrnsmt uid timeout inode ref pointer drops
    lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    found = [fields for fields in lines if int(fields[1].split(":")[1], 16) == port]
    if not found:
        raise LookupError(f"no UDP socket at port {port}")
    return Queue(sum(int(fields[4].split(":")[1], 16) for fields in found), sum(int(fields[-1]) for fields in found))
