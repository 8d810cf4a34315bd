"""Sockets that came and went without an opening handshake: counted, and one log line a second.

The library says nothing of a TLS hello on this plain port, of random bytes or of a request that is no proper
handshake: such a socket never reaches `process_request`, or is answered with an error there. So the bookkeeping
is by socket: what has neither been opened nor turned away when it is lost, had no good handshake. What is cut
short because this side stops is not counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection

from media.sinks.throttle import ThrottledLog
from strep.clock import Clock

_TLS_HANDSHAKE = b"\x16\x03"
"""RFC 8446 section 5.1: content type handshake, legacy version 3.x."""
_QUOTED_BYTES = 16


class OpeningConnection(ServerConnection):
    """A connection that remembers how it began.

    Attributes:
        first_bytes: what the peer sent first.
        is_accounted: it has been opened or turned away, both are counted elsewhere.
    """

    first_bytes = b""
    is_accounted = False

    def data_received(self, data: bytes) -> None:
        """Pass on what came from the socket."""
        if not self.first_bytes:
            self.first_bytes = bytes(data[:_QUOTED_BYTES])
        super().data_received(data)


def account(socket: ServerConnection) -> None:
    """Write down that `socket` is counted as opened or turned away."""
    assert isinstance(socket, OpeningConnection)
    socket.is_accounted = True


def connection_class(on_bad_handshake: Callable[[OpeningConnection], None]) -> type[OpeningConnection]:
    """Return a class for ``serve(create_connection=...)`` whose sockets report a handshake that never was."""

    class Reporting(OpeningConnection):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if not self.is_accounted and self.server.is_serving():
                on_bad_handshake(self)

    return Reporting


class BadHandshakes:
    """The counter, and the line that tells of it.

    Attributes:
        count: sockets without a good opening handshake.
    """

    def __init__(self, logger: logging.Logger, clock: Clock) -> None:
        self.count = 0
        self._log = ThrottledLog(logger, clock)

    def add(self, socket: OpeningConnection) -> None:
        """Count `socket`; a probe that sent nothing is counted only."""
        self.count += 1
        if socket.first_bytes:
            host, port = (socket.remote_address or ("unknown", 0))[:2]
            self._log.warning(f"connection from {host} port {port}: no WebSocket handshake, {describe(socket)}")


def describe(socket: OpeningConnection) -> str:
    """Return what the peer did instead of a handshake."""
    if socket.first_bytes.startswith(_TLS_HANDSHAKE):
        return "it speaks TLS: this port is plain ws://, for wss:// put a TLS proxy in front"
    if socket.response is not None and socket.response.status_code >= 400:
        return f"answered with {socket.response.status_code}: {ascii(str(socket.protocol.handshake_exc))[:200]}"
    return f"it began with {socket.first_bytes!r}"
