"""Many datagrams per system call: ``recvmmsg`` into one numpy table (Linux; recvmmsg(2)).

An I/O shell. The message headers, I/O vectors, addresses and ancillary data of a batch are numpy columns
whose memory the kernel fills; nothing is copied or created per datagram.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys

import numpy as np
from numpy.typing import NDArray

from strep.clock import NS_PER_SECOND, Clock
from strep.datagrams import MAX_DATAGRAM_BYTES, SOURCE_BYTES, DatagramBatch
from strep.serial import signed_difference_32

IS_SUPPORTED = sys.platform == "linux" and sys.maxsize > 2**32 and sys.byteorder == "little"

MESSAGES_PER_CALL = 1024
"""Most messages that one recvmmsg takes (UIO_MAXIOV)."""
ROW_BYTES = 384
"""Width of the table; longer datagrams overflow into a second, wide table and are joined."""
CONTROL_BYTES = 64

# asm-generic/socket.h
SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40
SO_RCVBUFFORCE = 33
SO_MEMINFO = 55
_MEMINFO_DROPS = 8
MSG_TRUNC = 0x20
MSG_DONTWAIT = 0x40

# struct iovec, struct mmsghdr and the two control messages on 64-bit Linux
_IOVEC = np.dtype([("base", "u8"), ("length", "u8")])
_MMSGHDR = np.dtype(
    [
        ("name", "u8"),
        ("name_length", "u4"),
        ("pad_1", "u4"),
        ("iov", "u8"),
        ("iov_length", "u8"),
        ("control", "u8"),
        ("control_length", "u8"),
        ("flags", "u4"),
        ("pad_2", "u4"),
        ("length", "u4"),
        ("pad_3", "u4"),
    ]
)
_CONTROL = np.dtype(
    [
        ("stamp_length", "u8"),
        ("stamp_level", "i4"),
        ("stamp_type", "i4"),
        ("seconds", "i8"),
        ("nanoseconds", "i8"),
        ("drops_length", "u8"),
        ("drops_level", "i4"),
        ("drops_type", "i4"),
        ("drops", "u4"),
        ("pad", "u4"),
        ("rest", "V8"),
    ]
)
assert _CONTROL.itemsize == CONTROL_BYTES
_STAMP_END = _CONTROL.fields["drops_length"][1] if _CONTROL.fields else 0


class BatchSocket:
    """A bound UDP socket that is drained by `recvmmsg`.

    Attributes:
        rows: most datagrams of a batch.
        kernel_drops: datagrams that the kernel dropped because the receive buffer was full (SO_RXQ_OVFL), since this
            receiver has the socket, which another process may have had before.
    """

    def __init__(self, sock: socket.socket, clock: Clock, rows: int = MESSAGES_PER_CALL) -> None:
        """Take over `sock`, a bound datagram socket, and allocate memory for batches.

        Args:
            sock: the socket.
            clock: arrival times are on its monotonic scale.
            rows: most datagrams of a batch.
        """
        self._socket = sock
        self.rows = rows
        self._clock = clock
        self.kernel_drops = 0
        self._drops_before = _drops(sock)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        self._table = np.zeros((rows, ROW_BYTES), np.uint8)
        self._overflow = np.zeros((rows, MAX_DATAGRAM_BYTES - ROW_BYTES), np.uint8)
        self._names = np.zeros((rows, SOURCE_BYTES), np.uint8)
        self._control = np.zeros(rows, _CONTROL)
        self._vectors = np.zeros((rows, 2), _IOVEC)
        self._headers = np.zeros(rows, _MMSGHDR)
        self._wire()
        # The call never waits, so it keeps the interpreter's lock (PyDLL): if it let it go, the threads of the sinks
        # would come in between the calls of every beat, each time with cold caches.
        self._recvmmsg = ctypes.PyDLL(None, use_errno=True).recvmmsg
        self._recvmmsg.argtypes = [
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_void_p,
        ]

    def _wire(self) -> None:
        row = np.arange(self.rows, dtype=np.uint64)
        for i, buffer in enumerate((self._table, self._overflow)):
            self._vectors["base"][:, i] = buffer.ctypes.data + row * np.uint64(buffer.shape[1])
            self._vectors["length"][:, i] = buffer.shape[1]
        self._headers["iov"] = self._vectors.ctypes.data + row * np.uint64(2 * _IOVEC.itemsize)
        self._headers["iov_length"] = 2
        self._headers["name"] = self._names.ctypes.data + row * np.uint64(SOURCE_BYTES)
        self._headers["control"] = self._control.ctypes.data + row * np.uint64(CONTROL_BYTES)
        self._headers["name_length"] = SOURCE_BYTES
        self._headers["control_length"] = CONTROL_BYTES
        self._address = self._headers.ctypes.data

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def drain(self) -> DatagramBatch | None:
        """Return up to `rows` waiting datagrams, or None if there is none.

        The batch's memory is used again by the next call.

        Raises:
            OSError: what the kernel says, except that nothing waits or that a signal came.
        """
        count = self._receive()
        if not count:
            return None
        length = self._headers["length"][:count].astype(np.int64)
        arrival_ns = self._arrivals(count)
        table = self._table
        if int(length.max()) > ROW_BYTES:
            table = np.concatenate((self._table[:count], self._overflow[:count]), axis=1)
        self._headers["name_length"][:count] = SOURCE_BYTES
        self._headers["control_length"][:count] = CONTROL_BYTES
        return DatagramBatch(table, length, arrival_ns, self._names[:count])

    def _receive(self) -> int:
        """Fill the table from the first row on, with as many calls as it takes, and return the number of rows."""
        count, descriptor = 0, self._socket.fileno()
        while count < self.rows:
            room = min(self.rows - count, MESSAGES_PER_CALL)
            address = self._address + count * _MMSGHDR.itemsize
            taken = self._recvmmsg(descriptor, address, room, MSG_DONTWAIT | MSG_TRUNC, None)
            if taken < 0 and not count:
                _raise_if_serious(ctypes.get_errno())
            count += max(taken, 0)
            if taken < room:
                break
        return count

    def _arrivals(self, count: int) -> NDArray[np.int64]:
        """Return the kernel's stamps, moved from the wall clock to the monotonic one."""
        now_ns, wall_ns = self._clock.now_ns(), self._clock.wall_ns()
        control, size = self._control[:count], self._headers["control_length"][:count]
        arrival_ns: NDArray[np.int64] = control["seconds"] * NS_PER_SECOND
        arrival_ns += control["nanoseconds"]
        arrival_ns -= wall_ns - now_ns
        shortest, longest = int(size.min()), int(size.max())
        if shortest < _STAMP_END:
            arrival_ns[size < _STAMP_END] = now_ns
        if longest > _STAMP_END:
            dropped = (size > _STAMP_END) & (control["drops_type"] == SO_RXQ_OVFL)
            if dropped.any():
                drops = int(control["drops"][np.flatnonzero(dropped)[-1]])
                # What waited when we came knows of fewer than there were by then: a difference below 0.
                self.kernel_drops = max(self.kernel_drops, signed_difference_32(drops, self._drops_before))
        # A wall clock that was stepped between stamp and now must not move packets by hours.
        np.minimum(arrival_ns, now_ns, out=arrival_ns)
        np.maximum(arrival_ns, now_ns - 10 * NS_PER_SECOND, out=arrival_ns)
        return arrival_ns


_EAGAIN, _EINTR, _ECONNREFUSED = 11, 4, 111
"""errno.h on Linux; ECONNREFUSED is an ICMP answer to something we sent, not a fault of receiving."""


def _drops(sock: socket.socket) -> int:
    """Return how many datagrams a socket has lost since it was made (sock_diag(7), SK_MEMINFO_DROPS).

    0 where the kernel does not say: before Linux 4.12, or one that only behaves like it.
    """
    size = 4 * (_MEMINFO_DROPS + 1)
    try:
        counters = sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, size)
    except OSError:
        return 0
    return int.from_bytes(counters[size - 4 : size], sys.byteorder)


def _raise_if_serious(error: int) -> None:
    if error not in (0, _EAGAIN, _EINTR, _ECONNREFUSED):
        raise OSError(error, os.strerror(error))
