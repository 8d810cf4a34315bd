"""`Line`: the connection of one request, through all its redirects: it has to bring something, and it can be cut.

A timeout of a socket is about one `recv`: a server that sends a byte every few seconds never runs into it, be it in
the middle of a header. So what comes is measured here, below HTTP.
"""

from __future__ import annotations

import io
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from media.talk.contract import PlaybackError
from strep.clock import NS_PER_SECOND, Clock, SystemClock

if TYPE_CHECKING:  # the type of what a `memoryview` can be made of has a name since 3.12
    from _typeshed import WriteableBuffer

SLOWEST_BYTES_PER_S = 500
"""Slower than any codec of speech: what comes like this cannot be listened to."""
_BUFFER_BYTES = 2**14


class Line(io.RawIOBase):
    """What `http.client` takes for its socket. All but `cut` belongs to one worker."""

    def __init__(self, what: str, stall_s: float, clock: Clock | None = None) -> None:
        """Prepare.

        Args:
            what: the URL in errors.
            stall_s: how long nothing may come, and the span over which what comes is measured.
            clock: the machine's, unless given.
        """
        self._what = what
        self._stall_s, self._stall_ns = stall_s, round(stall_s * NS_PER_SECOND)
        self._now_ns = (clock or SystemClock()).now_ns
        self._socket: socket.socket | None = None
        self._is_cut = False
        self._waited_ns = self._came_bytes = 0

    def check(self) -> None:
        """Go no further where nobody waits any more.

        Raises:
            PlaybackError: it was cut.
        """
        if self._is_cut:
            raise PlaybackError(f"{self._what}: given up")

    def take(self, connected: socket.socket) -> None:
        """Go on with this socket.

        Raises:
            PlaybackError: as `check`.
        """
        self.hang_up()
        self._socket = connected
        connected.settimeout(self._stall_s)
        self._waited_ns = self._came_bytes = 0
        self.check()

    def cut(self) -> None:
        """Wake whoever waits for the server; it gets an end or an error. Any thread may."""
        self._is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def hang_up(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()

    # -- socket, as `http.client` knows one ------------------------------------------------------------

    def sendall(self, data: bytes) -> None:
        """Send a request."""
        assert self._socket is not None
        self._socket.sendall(data)

    def makefile(self, *_: Any) -> io.BufferedReader:
        """Return the file that an answer is read from."""
        return io.BufferedReader(self, _BUFFER_BYTES)

    def close(self) -> None:
        """Do nothing: who asks is through with a request, or an answer, and not with the line."""

    # -- io.RawIOBase ----------------------------------------------------------------------------------

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Wait for some bytes; 0 is the end.

        Raises:
            OSError: nothing came for too long (TimeoutError), or the connection broke.
            PlaybackError: what came is too little.
        """
        assert self._socket is not None
        began_ns = self._now_ns()
        size_bytes = self._socket.recv_into(buffer)
        if self._came_bytes:  # for the first byte the timeout is all there is
            self._waited_ns += self._now_ns() - began_ns
        self._came_bytes += size_bytes
        if self._waited_ns >= self._stall_ns:
            if size_bytes and self._came_bytes < SLOWEST_BYTES_PER_S * self._stall_s:
                rate = self._came_bytes * NS_PER_SECOND / self._waited_ns
                slow = f"{self._what} comes too slowly to be played, {rate:.3g} bytes/s"
                raise PlaybackError(f"{slow}; fetch it first, and play the file")
            self._waited_ns, self._came_bytes = 0, 1
        return size_bytes
