"""Receivers: UDP sockets as batches of datagrams, behind one interface.

An I/O shell. `drain` is `recvmmsg` on Linux (`media.receivers.batched`) and a queue filled by asyncio-dgram
elsewhere (`media.receivers.portable`); `open_receiver` chooses.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Protocol

from media.config import Endpoint
from strep.clock import Clock
from strep.datagrams import DatagramBatch
from strep.errors import ConfigurationError
from strep.mmsg import IS_SUPPORTED, SO_RCVBUFFORCE

_LOG = logging.getLogger("strep.receivers")


class Receiver(Protocol):
    """A bound UDP socket.

    Attributes:
        name: which kind it is: "recvmmsg" or "asyncio-dgram".
        errors: system errors met while receiving; none of them ends it.
    """

    name: str
    errors: int

    @property
    def kernel_drops(self) -> int:
        """Datagrams lost because the receive buffer was full, as far as the system tells."""

    @property
    def most(self) -> int:
        """Datagrams of a full batch: there may be more behind it."""

    @property
    def room(self) -> int:
        """Datagrams that may wait until `drain` comes, at most, before one is lost."""

    @property
    def address(self) -> Endpoint:
        """Where it is bound, with the port that the system chose."""

    def drain(self) -> DatagramBatch | None:
        """Return the next waiting datagrams, or None; the batch is valid until the next call."""

    def call_when_readable(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when a datagram is there."""

    async def settle(self) -> None:
        """Let everything that has arrived come within reach of `drain`, at the end of the server."""

    async def close(self) -> None:
        """Close the socket."""


async def open_receiver(
    endpoint: Endpoint,
    clock: Clock,
    *,
    kind: str,
    receive_buffer_bytes: int,
    most: int = 1024,
    sock: socket.socket | None = None,
) -> Receiver:
    """Bind a UDP socket and return a receiver of `kind` ("auto", "recvmmsg" or "asyncio-dgram").

    Args:
        endpoint: where to bind.
        clock: for times of arrival.
        kind: see above.
        receive_buffer_bytes: what to ask the kernel for.
        most: datagrams of a full batch, about half a kilobyte of memory each.
        sock: one from `bind_udp` instead, to be taken over as it is.

    Raises:
        OSError: the address cannot be had.
        ConfigurationError: this system has no recvmmsg.
    """
    # Here, not above: either module is only needed where it is chosen.
    from media.receivers.batched import BatchedReceiver
    from media.receivers.portable import PortableReceiver

    if kind == "recvmmsg" and not IS_SUPPORTED:
        raise ConfigurationError("receiver: recvmmsg needs 64-bit Linux; use 'auto' or 'asyncio-dgram'")
    sock = sock or bind_udp(endpoint, receive_buffer_bytes)
    if kind == "asyncio-dgram" or not IS_SUPPORTED:
        return await PortableReceiver.create(sock, clock)
    return BatchedReceiver(sock, clock, asyncio.get_running_loop(), most)


def bind_udp(endpoint: Endpoint, receive_buffer_bytes: int, *, joins_group: bool = False) -> socket.socket:
    """Return a UDP socket on `endpoint`, with as much buffer as the kernel gives.

    Args:
        endpoint: where to bind.
        receive_buffer_bytes: what to ask the kernel for.
        joins_group: share the port with others that do (SO_REUSEPORT); the first of them has warned of its buffer.

    Raises:
        OSError: the address cannot be had.
    """
    sock = _bind(endpoint, joins_group=joins_group)
    _ask_for_buffer(sock, endpoint, receive_buffer_bytes, warns=not joins_group)
    return sock


def bind_pair(rx: Endpoint, tx: Endpoint, receive_buffer_bytes: int) -> tuple[socket.socket, socket.socket]:
    """Return a socket on each of two endpoints; see `bind_udp`."""
    first = bind_udp(rx, receive_buffer_bytes)
    try:
        return first, bind_udp(tx, receive_buffer_bytes)
    except BaseException:
        first.close()
        raise


def _bind(endpoint: Endpoint, *, joins_group: bool) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        endpoint.host, endpoint.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        if joins_group:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot receive UDP on {endpoint}: {error.strerror}") from error
    sock.setblocking(False)
    return sock


def ask_for_buffer(sock: socket.socket, wanted_bytes: int) -> tuple[int, bool]:
    """Set the receive buffer; return what the kernel gives, and whether it had to be forced (root may do that)."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, wanted_bytes)  # may be more than rmem_max
        is_forced = True
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted_bytes)
        is_forced = False
    given_bytes = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return given_bytes // 2 if IS_SUPPORTED else given_bytes, is_forced  # Linux doubles the value: socket(7)


def _ask_for_buffer(sock: socket.socket, endpoint: Endpoint, wanted_bytes: int, *, warns: bool) -> None:
    """Set the receive buffer and warn if the kernel gives less: a full buffer is lost audio."""
    given_bytes, _ = ask_for_buffer(sock, wanted_bytes)
    if warns and given_bytes < wanted_bytes:
        _LOG.warning(
            "the kernel gives a receive buffer of %d bytes where %d were asked for; bursts may be lost. "
            "Set it right with: sysctl -w net.core.rmem_max=%d",
            given_bytes,
            wanted_bytes,
            wanted_bytes,
            extra={"endpoint": str(endpoint)},
        )
