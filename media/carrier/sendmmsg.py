"""Many datagrams in one system call: ``sendmmsg(2)`` through ctypes; one ``send`` each where it is missing.

::

    struct iovec   { void *base; size_t len; };
    struct mmsghdr { struct msghdr { void *name; socklen_t namelen; struct iovec *iov; size_t iovlen;
                                     void *control; size_t controllen; int flags; } hdr;
                     unsigned int len; };
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.carrier.datagrams import DatagramTable

MAX_MESSAGES = 1024
"""UIO_MAXIOV: what one system call takes."""

_IOVEC = np.dtype([("base", "u8"), ("len", "u8")])
_MMSGHDR = np.dtype(
    {
        "names": ["iov", "iovlen"],
        "formats": ["u8", "u8"],
        "offsets": [16, 24],
        "itemsize": 64,
    }
)
_WORTH_A_BATCH = 6
"""Below this many rows, building the arrays costs more than the system calls that they save."""
_LATER = (errno.EAGAIN, errno.ENOBUFS)


def _find_sendmmsg() -> ctypes._NamedFuncPointer | None:
    # The offsets above are those of 64-bit Linux, all of its architectures.
    if not sys.platform.startswith("linux") or sys.maxsize < 1 << 32:
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "sendmmsg", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
    return function


class BatchSocket:
    """A connected, non-blocking UDP socket that sends the rows of a table.

    Attributes:
        refused: how often the far end said that nobody listens (ICMP port unreachable).
    """

    def __init__(self, udp_socket: socket.socket, *, one_by_one: bool = False) -> None:
        self._socket = udp_socket
        self._sendmmsg = None if one_by_one else _find_sendmmsg()
        self.refused = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def send(self, table: DatagramTable) -> int:
        """Send rows from the first on and return how many; fewer than all when the kernel's queue is full."""
        if self._sendmmsg is None or len(table.lengths) < _WORTH_A_BATCH:
            return self._send_one_by_one(table)
        count = len(table.lengths)
        vectors = np.empty(count, _IOVEC)
        vectors["base"] = table.rows.ctypes.data + np.arange(count) * table.rows.strides[0]
        vectors["len"] = table.lengths
        messages = np.zeros(count, _MMSGHDR)
        messages["iov"] = vectors.ctypes.data + np.arange(count) * _IOVEC.itemsize
        messages["iovlen"] = 1
        return self._send_messages(messages)

    def _send_messages(self, messages: NDArray[Any]) -> int:
        sent, is_interrupted = 0, False
        while sent < len(messages):
            wanted = min(len(messages) - sent, MAX_MESSAGES)
            address = messages.ctypes.data + sent * _MMSGHDR.itemsize
            assert self._sendmmsg is not None
            result = self._sendmmsg(self._socket.fileno(), address, wanted, 0)
            if result > 0:
                # An error behind the first message ends the call, and its code is lost (sendmmsg(2)).
                # If the next call goes on as if nothing had been, it was a refusal.
                self.refused += is_interrupted
                sent, is_interrupted = sent + result, result < wanted
            elif self._goes_on(ctypes.get_errno()):
                is_interrupted = False
            else:
                break
        return sent

    def _send_one_by_one(self, table: DatagramTable) -> int:
        sent = 0
        while sent < len(table.lengths):
            try:
                self._socket.send(table.datagram(sent))
            except OSError as error:
                if not self._goes_on(error.errno or 0):
                    break
            else:
                sent += 1
        return sent

    def _goes_on(self, code: int) -> bool:
        """Judge an error: try again now (True), later (False), or raise it."""
        if code == errno.ECONNREFUSED:  # about an earlier datagram; this one has not been tried
            self.refused += 1
            return True
        if code in _LATER:
            return False
        if code == errno.EINTR:
            return True
        raise OSError(code, os.strerror(code))
