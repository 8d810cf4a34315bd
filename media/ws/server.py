"""The WebSocket door: listens, and lets a `Desk` look after the sockets that come."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from socket import socket as Listener
from typing import Any

from media.repeat import Repeater
from media.ws.desk import Desk
from media.ws.host import StreamHost
from media.ws.opening import Opening
from media.ws.options import WsServerOptions
from media.ws.tls import REFRESH_EVERY_S
from media.ws.totals import WsServerSnapshot
from strep.clock import Clock, SystemClock

logger = logging.getLogger(__name__)

BACKLOG = 1024
"""Connections that may wait to be accepted: all calls of a carrier that reconnects at once."""


class MediaWebSocketServer:
    """Listens for carriers; `start`, then `close`."""

    def __init__(self, host: StreamHost, options: WsServerOptions | None = None, clock: Clock | None = None) -> None:
        self._options = options or WsServerOptions()
        self._desk = Desk(host, self._options, clock or SystemClock())
        self._server: asyncio.Server | None = None
        self._renewal: Repeater | None = None

    async def start(self, sock: Listener | None = None) -> tuple[str, int]:
        """Listen, on `sock` if it is given, and return the address and port that it is on.

        Raises:
            OSError: the address cannot be bound.
        """
        where: dict[str, Any] = {"sock": sock} if sock else {"host": self._options.host, "port": self._options.port}
        loop, certificate = asyncio.get_running_loop(), self._options.certificate
        if certificate is not None:
            where |= {"ssl": certificate.context, "ssl_handshake_timeout": self._options.open_timeout_s}
            self._renewal = Repeater(REFRESH_EVERY_S, certificate.refresh)
            self._renewal.start()
        self._server = await loop.create_server(partial(Opening, self._desk), **where, backlog=BACKLOG)
        address, port = next(iter(self._server.sockets)).getsockname()[:2]
        logger.info("media WebSocket on %s port %d", address, port)
        return address, port

    def listener(self) -> Listener:
        """Return the listening socket, as one more descriptor of it."""
        assert self._server is not None
        return Listener(fileno=os.dup(next(iter(self._server.sockets)).fileno()))

    def stop_listening(self) -> None:
        """Take no more connections; those that there are go on."""
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """Stop listening, close every connection with 1001, and wait until their streams are detached."""
        if self._renewal is not None:
            self._renewal.stop()
        if self._server is not None:
            self._server.close()
            await self._desk.close()

    def snapshot(self) -> WsServerSnapshot:
        """Return a frozen copy of the counters, those of open connections included."""
        return self._desk.snapshot()
