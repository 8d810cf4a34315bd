"""The Linux receiver: many datagrams per system call, stamped by the kernel."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from media.config import Endpoint
from strep.clock import Clock
from strep.datagrams import DatagramBatch
from strep.mmsg import BatchSocket

_LOG = logging.getLogger("strep.receivers")

_DATAGRAM_BYTES = 1024
"""Of the kernel's memory, for a datagram of usual size and its bookkeeping, amply."""


class BatchedReceiver:
    """`BatchSocket` on an event loop; see `Receiver`."""

    name = "recvmmsg"

    def __init__(self, sock: socket.socket, clock: Clock, loop: asyncio.AbstractEventLoop, most: int) -> None:
        """Take over the bound `sock`; `most` datagrams make a full batch."""
        self.errors = 0
        self._socket = BatchSocket(sock, clock, most)
        self._loop = loop
        host, port = sock.getsockname()[:2]
        self._address = Endpoint(host, port)
        self._room = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // _DATAGRAM_BYTES

    @property
    def most(self) -> int:
        """Datagrams of a full batch."""
        return self._socket.rows

    @property
    def room(self) -> int:
        """Datagrams that the kernel keeps for us; one of 20 ms takes about 830 bytes of its memory."""
        return self._room

    @property
    def address(self) -> Endpoint:
        """Where it is bound."""
        return self._address

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel dropped at this socket (SO_RXQ_OVFL)."""
        return self._socket.kernel_drops

    def drain(self) -> DatagramBatch | None:
        """Return what waits, at most `most` datagrams, or None."""
        try:
            return self._socket.drain()
        except OSError as error:
            self.errors += 1
            if self.errors.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...: never a flood of log lines
                _LOG.error("receiving failed: %s", error, extra={"endpoint": str(self._address)})
            return None

    def call_when_readable(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when a datagram is there."""

        def once() -> None:
            self._loop.remove_reader(self._socket.fileno())
            callback()

        self._loop.add_reader(self._socket.fileno(), once)

    async def settle(self) -> None:
        """Do nothing: `drain` asks the kernel itself."""

    async def close(self) -> None:
        """Close the socket."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
