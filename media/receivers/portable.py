"""The receiver for every system: asyncio-dgram fills a bounded queue, `drain` empties it in batches.

It costs a Python step per datagram, so it carries a tenth of what recvmmsg does; the engine behind it
is the same, and so are the tests.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import cast

import asyncio_dgram

from media.config import Endpoint
from media.doors.sources import pack_source
from strep.clock import Clock
from strep.datagrams import DatagramBatch, collect

_LOG = logging.getLogger("strep.receivers")

BATCH = 1024
TURNS_TO_SETTLE = 5
"""Turns of the event loop from a readable socket to our queue, and some more."""
MAX_WAITING = 16 * BATCH
"""Datagrams that may wait between two drains; more are dropped and counted."""


class PortableReceiver:
    """asyncio-dgram behind the `Receiver` interface."""

    name = "asyncio-dgram"

    def __init__(self, stream: asyncio_dgram.aio.DatagramStream, clock: Clock) -> None:
        """Take over a bound stream; use `create`."""
        self.errors = 0
        self._dropped = self._arrived = 0
        self._stream = stream
        self._clock = clock
        self._waiting: deque[tuple[bytes, int, bytes]] = deque()
        self._when_readable: Callable[[], None] | None = None
        host, port = stream.sockname[:2]
        self._address = Endpoint(host, port)
        self._reader = asyncio.create_task(self._read(), name=f"receive {self._address}")

    @classmethod
    async def create(cls, sock: socket.socket, clock: Clock) -> PortableReceiver:
        """Return a receiver that reads `sock`."""
        return cls(await asyncio_dgram.from_socket(sock), clock)

    @property
    def most(self) -> int:
        """Datagrams of a full batch."""
        return BATCH

    @property
    def room(self) -> int:
        """Datagrams that may wait for `drain`."""
        return MAX_WAITING

    @property
    def address(self) -> Endpoint:
        """Where it is bound."""
        return self._address

    @property
    def kernel_drops(self) -> int:
        """Datagrams dropped because the engine did not drain in time; the kernel's own are not known."""
        return self._dropped

    async def _read(self) -> None:
        while True:
            try:
                data, address = await self._stream.recv()
            except asyncio_dgram.TransportClosed:
                return
            except OSError as error:
                self.errors += 1
                if self.errors.bit_count() == 1:
                    _LOG.error("receiving failed: %s", error, extra={"endpoint": str(self._address)})
                continue
            self._arrived += 1
            if len(self._waiting) >= MAX_WAITING:
                self._dropped += 1
                continue
            host, port = cast("tuple[str, int]", address)[:2]
            self._waiting.append((data, self._clock.now_ns(), pack_source(host, port)))
            if self._when_readable is not None:
                callback, self._when_readable = self._when_readable, None
                callback()

    def drain(self) -> DatagramBatch | None:
        """Return up to `BATCH` datagrams, or None."""
        if not self._waiting:
            return None
        return collect([self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))])

    def call_when_readable(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when a datagram is there."""
        if self._waiting:
            callback()
        else:
            self._when_readable = callback

    async def settle(self) -> None:
        """Wait until the event loop has nothing more for us: it reads one datagram per turn."""
        arrived = -1
        while arrived < self._arrived:
            arrived = self._arrived
            for _ in range(TURNS_TO_SETTLE):
                await asyncio.sleep(0)

    async def close(self) -> None:
        """Stop reading and close the socket."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self._stream.close()
