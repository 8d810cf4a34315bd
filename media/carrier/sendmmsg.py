"""Many datagrams in one system call: ``sendmmsg(2)`` through ctypes; one ``send`` each where it is missing.

::

    struct iovec   { void *base; size_t len; };
    struct mmsghdr { struct msghdr { void *name; socklen_t namelen; struct iovec *iov; size_t iovlen;
                                     void *control; size_t controllen; int flags; } hdr;
                     unsigned int len; };

Where the kernel cuts messages up (`media.carrier.segments`), neighbours of equal length share one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys

from media.carrier.datagrams import DatagramTable
from media.carrier.segments import MESSAGE, Messages, can_segment, one_each, segmented

MAX_MESSAGES = 1024
"""UIO_MAXIOV: what one system call takes."""

_WORTH_A_BATCH = 6
"""Below this many rows, building the arrays costs more than the system calls that they save."""
_LATER = (errno.EAGAIN, errno.ENOBUFS)
_NO_SEGMENTS = (errno.EIO, errno.EINVAL, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EMSGSIZE)
"""What kernels say if messages cannot be cut on this socket's way out. They say it for other reasons, too: if the
same rows fail one by one, that is raised."""


def _find_sendmmsg() -> ctypes._NamedFuncPointer | None:
    # The layouts above are those of 64-bit Linux, all of its architectures.
    if not sys.platform.startswith("linux") or sys.maxsize < 1 << 32:
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "sendmmsg", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
    return function


class BatchSocket:
    """A connected UDP socket that sends the rows of a table.

    Args:
        udp_socket: to be taken over; non-blocking, unless waiting for the kernel is wanted.
        one_by_one: do without sendmmsg.
        segmented: let the kernel cut up what it can; see `media.carrier.segments` for what that changes.

    Attributes:
        refused: how often the far end said that nobody listens (ICMP port unreachable).
        messages: given to the kernel, each of one datagram or more.
        segmented: whether messages of several datagrams are sent; ends when the kernel refuses one.
    """

    def __init__(self, udp_socket: socket.socket, *, one_by_one: bool = False, segmented: bool = False) -> None:
        self._socket = udp_socket
        self._sendmmsg = None if one_by_one else _find_sendmmsg()
        self.segmented = segmented and self._sendmmsg is not None and can_segment(udp_socket)
        self.refused = self.messages = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def take_refusal(self) -> None:
        """Count the refusal of what was sent last, if it has come; otherwise the next datagram would tell of it."""
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED:
            self.refused += 1

    def send(self, table: DatagramTable) -> int:
        """Send rows from the first on and return how many; fewer than all when the kernel's queue is full."""
        if self._sendmmsg is None or len(table.lengths) < _WORTH_A_BATCH:
            return self._send_one_by_one(table)
        was_segmented = self.segmented
        sent = self._send_messages(segmented(table) if was_segmented else one_each(table))
        if was_segmented and not self.segmented:
            rest = DatagramTable(table.rows[sent:], table.lengths[sent:])
            sent += self._send_messages(one_each(rest))
        return sent

    def _send_messages(self, messages: Messages) -> int:
        """Return the rows sent; fewer than all, too, when it turns out that there is no segmentation."""
        sent, is_interrupted = 0, False
        while sent < len(messages):
            wanted = min(len(messages) - sent, MAX_MESSAGES)
            address = messages.headers.ctypes.data + sent * MESSAGE.itemsize
            result = self._call(address, wanted)
            if result > 0:
                # An error behind the first message ends the call, and its code is lost (sendmmsg(2)).
                # If the next call goes on as if nothing had been, it was a refusal.
                self.refused += is_interrupted
                self.messages += result
                sent, is_interrupted = sent + result, result < wanted
                continue
            code = ctypes.get_errno()
            if messages.is_segmented and code in _NO_SEGMENTS:
                self.segmented = False
                break
            if not self._goes_on(code):
                break
            is_interrupted = False
        return int(messages.rows_before[sent])

    def _call(self, address: int, count: int) -> int:
        assert self._sendmmsg is not None
        return int(self._sendmmsg(self._socket.fileno(), address, count, 0))

    def _send_one_by_one(self, table: DatagramTable) -> int:
        sent = 0
        while sent < len(table.lengths):
            try:
                self._socket.send(table.datagram(sent))
            except OSError as error:
                if not self._goes_on(error.errno or 0):
                    break
            else:
                self.messages += 1
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
