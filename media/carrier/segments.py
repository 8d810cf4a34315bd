"""Which rows of a table may leave as one message, which the kernel cuts up: UDP_SEGMENT (udp(7), Linux 4.18).

The kernel is given many payloads end to end and the size of one. Its network stack is then walked once for the
whole message instead of once per datagram; cutting comes last, in the network card or just before the far socket.
What arrives are the same datagrams in the same order. Some things change for the receiver. Those of a message arrive
at one moment and carry one time stamp of the kernel's. Each takes a quarter more of the receive buffer (1,028 bytes
instead of 832 for one of 196, over loopback). If the receiver is on the same machine, the cutting is done by the
sender's processor, and a message finds its socket before it is cut: receivers that share a port and are steered by
what is in a datagram (SO_REUSEPORT with a program) get all of it where the first one belongs, so this is not for
them. A receiver that sets UDP_GRO, and none but that, gets messages uncut.

The control message that says the size::

    struct cmsghdr { size_t len; int level; int type; }  uint16_t size;  padding to 8 bytes
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.carrier.datagrams import DatagramTable

Int64 = NDArray[np.int64]

MAX_SEGMENTS = 64
"""UDP_MAX_SEGMENTS; newer kernels take 128."""
MAX_MESSAGE_BYTES = 65_507
"""What one IPv4 datagram takes, and so what the kernel takes before it cuts."""

_SOL_UDP, _UDP_SEGMENT = 17, 103  # linux/udp.h
_CONTROL_BYTES = 24
_CONTROL = np.dtype(
    {
        "names": ["len", "level", "type", "size"],
        "formats": ["u8", "i4", "i4", "u2"],
        "offsets": [0, 8, 12, 16],
        "itemsize": _CONTROL_BYTES,
    }
)
_IOVEC = np.dtype([("base", "u8"), ("len", "u8")])
MESSAGE = np.dtype(
    {
        "names": ["iov", "iovlen", "control", "controllen"],
        "formats": ["u8", "u8", "u8", "u8"],
        "offsets": [16, 24, 32, 40],
        "itemsize": 64,
    }
)
"""struct mmsghdr of 64-bit Linux, without what we leave at 0."""


def can_segment(udp_socket: socket.socket) -> bool:
    """Say whether the kernel knows UDP_SEGMENT. One that does not would send a whole message as one datagram."""
    try:
        udp_socket.getsockopt(_SOL_UDP, _UDP_SEGMENT)
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Messages:
    """A table as sendmmsg(2) wants it.

    Attributes:
        headers: (m,) MESSAGE.
        rows_before: (m + 1,) int64, rows of the table in front of each message, and their total.
        is_segmented: some message holds more than one row.
    """

    headers: NDArray[Any]
    rows_before: Int64
    is_segmented: bool
    _memory: tuple[Any, ...]
    """What the headers point to."""

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self.headers)


def one_each(table: DatagramTable) -> Messages:
    """Return a message per row."""
    vectors = _vectors(table)
    headers = np.zeros(len(vectors), MESSAGE)
    headers["iov"] = vectors.ctypes.data + np.arange(len(vectors)) * _IOVEC.itemsize
    headers["iovlen"] = 1
    return Messages(headers, np.arange(len(vectors) + 1), False, (vectors, table))


def segmented(table: DatagramTable) -> Messages:
    """Return a message per stretch of rows that are equally long, as long as the kernel allows."""
    lengths, stride = table.lengths, table.rows.strides[0]
    if lengths[0] == stride and (lengths == stride).all():  # all rows lie end to end
        starts = np.arange(0, len(lengths), _most_rows(stride))
        edges = np.append(starts, len(lengths))
        counts, control, which = np.diff(edges), _control(lengths[:1]), np.zeros_like(starts)
        vectors = np.empty(len(starts), _IOVEC)
        vectors["base"], vectors["len"] = table.rows.ctypes.data + starts * stride, counts * stride
        vector, vectors_each = np.arange(len(starts)), np.ones_like(starts)
    else:
        starts = segment_starts(lengths)
        edges = np.append(starts, len(lengths))
        counts, control, which = np.diff(edges), _control(lengths[starts]), np.arange(len(starts))
        vectors, vector, vectors_each = _vectors(table), starts, counts
    headers = np.zeros(len(starts), MESSAGE)
    headers["iov"] = vectors.ctypes.data + vector * _IOVEC.itemsize
    headers["iovlen"] = vectors_each
    headers["control"] = control.ctypes.data + which * _CONTROL_BYTES
    headers["controllen"] = (counts > 1) * _CONTROL_BYTES
    return Messages(headers, edges, len(starts) < len(lengths), (vectors, control, table))


def segment_starts(lengths: Int64) -> Int64:
    """Return the first row of every message for rows of `lengths`, (n,) int64, at least one.

    A row of no bytes is a message of its own.
    """
    runs = np.flatnonzero(np.diff(lengths, prepend=-1))
    run_lengths = np.diff(np.append(runs, len(lengths)))
    most = np.array([_most_rows(length) for length in lengths[runs].tolist()])
    within = np.arange(len(lengths)) - np.repeat(runs, run_lengths)
    starts: Int64 = np.flatnonzero(within % np.repeat(most, run_lengths) == 0)
    return starts


def _most_rows(length: int) -> int:
    """Return how many rows of `length` bytes a message may hold."""
    return min(MAX_MESSAGE_BYTES // length, MAX_SEGMENTS) if length else 1


def _control(sizes: Int64) -> NDArray[Any]:
    control = np.zeros(len(sizes), _CONTROL)
    control["len"], control["level"], control["type"], control["size"] = 18, _SOL_UDP, _UDP_SEGMENT, sizes
    return control


def _vectors(table: DatagramTable) -> NDArray[Any]:
    vectors = np.empty(len(table.lengths), _IOVEC)
    vectors["base"] = table.rows.ctypes.data + np.arange(len(vectors)) * table.rows.strides[0]
    vectors["len"] = table.lengths
    return vectors
