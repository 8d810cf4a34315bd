"""The WebSocket door's shell: sockets to `MediaStreamConnection` and back, on `websockets`.

Compression is off: base64 of noise-like code bytes does not shrink, and every connection would hold 64 KiB for it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from socket import socket as Listener
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from media.ws.closing import Close
from media.ws.host import Handshake, StreamHost
from media.ws.opening import BadHandshakes, account, connection_class
from media.ws.protocol import ConnectionOptions, MediaStreamConnection
from media.ws.totals import WsServerSnapshot, WsTotals
from strep.clock import NEVER_NS, NS_PER_SECOND, Clock, SystemClock

logger = logging.getLogger(__name__)
library_logger = logging.getLogger(f"{__name__}.websockets")
library_logger.setLevel(logging.WARNING)  # its lines on every opening and closing would double ours
# Before websockets 17 a port scanner costs a traceback at level ERROR.
library_logger.addFilter(lambda record: record.msg != "opening handshake failed")

AUTH_HEADER = "x-telnyx-streaming-auth-token"
UPGRADE_TEXT = (
    "This is the media WebSocket of strep. Give its address to the carrier as stream_url\n"
    "(ws:// or wss://); a plain HTTP request has nothing to do here.\n"
)


@dataclass(frozen=True)
class WsServerOptions:
    """Where to listen, and the limits."""

    host: str = "127.0.0.1"
    """Address to bind; "::" is IPv6."""
    port: int = 0
    """TCP port; 0 lets the system choose."""
    max_message_bytes: int = 1 << 20
    """A larger message closes the connection with 1009."""
    max_queue: int = 16
    """Messages of one connection that wait before its socket is read no further."""
    max_connections: int = 4096
    """Connections at a time; further ones are answered with 503."""
    ping_interval_s: float = 20.0
    """Pause between two keepalive pings."""
    ping_timeout_s: float = 20.0
    """A peer that answers no ping for so long is gone."""
    open_timeout_s: float = 10.0
    """Time for the opening handshake."""
    close_timeout_s: float = 5.0
    """Time for the closing handshake."""
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)
    """Limits of the conversation."""


class MediaWebSocketServer:
    """Listens for carriers; `start`, then `close`."""

    def __init__(self, host: StreamHost, options: WsServerOptions | None = None, clock: Clock | None = None) -> None:
        self._host = host
        self._options = options or WsServerOptions()
        self._clock = clock or SystemClock()
        self._server: Server | None = None
        self._open: set[MediaStreamConnection] = set()
        self._totals = WsTotals()
        self._bad_handshakes = BadHandshakes(logger, self._clock)

    async def start(self, sock: Listener | None = None) -> tuple[str, int]:
        """Listen, on `sock` if it is given, and return the address and port that it is on.

        Raises:
            OSError: the address cannot be bound.
        """
        options = self._options
        where: dict[str, Any] = {"sock": sock} if sock else {"host": options.host, "port": options.port}
        self._server = await serve(
            self._handle,
            **where,
            compression=None,
            process_request=self._process_request,
            open_timeout=options.open_timeout_s,
            ping_interval=options.ping_interval_s,
            ping_timeout=options.ping_timeout_s,
            close_timeout=options.close_timeout_s,
            max_size=options.max_message_bytes,
            max_queue=options.max_queue,
            logger=library_logger,
            create_connection=connection_class(self._bad_handshakes.add),
        )
        address, port = next(iter(self._server.sockets)).getsockname()[:2]
        logger.info("media WebSocket on %s port %d", address, port)
        return address, port

    async def close(self) -> None:
        """Stop listening, close every connection with 1001, and wait until their streams are detached."""
        if self._server is None:
            return
        self._server.close(close_connections=False)
        sockets = list(self._server.connections)
        await asyncio.gather(*(socket.close(1001, "server stopping") for socket in sockets))
        await self._server.wait_closed()

    def snapshot(self) -> WsServerSnapshot:
        """Return a frozen copy of the counters, those of open connections included."""
        open_connections = [connection.snapshot() for connection in self._open]
        return self._totals.snapshot(open_connections, bad_handshakes=self._bad_handshakes.count)

    def _process_request(self, socket: ServerConnection, request: Request) -> Response | None:
        if "websocket" not in ",".join(request.headers.get_all("Upgrade")).lower():
            response = socket.respond(HTTPStatus.UPGRADE_REQUIRED, UPGRADE_TEXT)
            response.headers["Upgrade"] = "websocket"
        elif len(self._open) >= self._options.max_connections:
            response = socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections.\n")
        else:
            return None
        account(socket)
        self._totals.turned_away[int(response.status_code)] += 1
        return response

    async def _handle(self, socket: ServerConnection) -> None:
        account(socket)
        handshake = _handshake(socket)
        connection = MediaStreamConnection(self._host, self._clock.now_ns(), handshake, self._options.connection)
        self._open.add(connection)
        self._totals.opened += 1
        logger.info("connection from %s for %.200r", handshake.remote, handshake.path)
        try:
            close = await self._receive(socket, connection)
            await socket.close(close.code, close.reason)
        except ConnectionClosed:
            pass
        except Exception:
            self._totals.failed += 1
            logger.exception("connection from %s failed", handshake.remote)
            await socket.close(1011, "internal error")
        finally:
            connection.closed(self._clock.now_ns())
            self._settle(socket, connection, handshake)

    async def _receive(self, socket: ServerConnection, connection: MediaStreamConnection) -> Close:
        """Move messages until one side has had enough; return how to close."""
        loop = asyncio.get_running_loop()
        clock, receive, deadline_ns = self._clock, connection.receive, -1
        while True:
            try:
                async with asyncio.timeout(None) as timer:
                    while True:
                        if deadline_ns != connection.deadline():
                            deadline_ns = connection.deadline()
                            timer.reschedule(self._loop_time(loop, deadline_ns))
                        # Text as str: decoding ASCII is free, and it tells text from binary.
                        close = receive(await socket.recv(), clock.now_ns())
                        if close is not None:
                            return close
            except TimeoutError:
                deadline_ns = -1
                close = connection.poll(clock.now_ns())
                if close is not None:
                    return close

    def _loop_time(self, loop: asyncio.AbstractEventLoop, deadline_ns: int) -> float | None:
        if deadline_ns == NEVER_NS:
            return None
        return loop.time() + max(deadline_ns - self._clock.now_ns(), 0) / NS_PER_SECOND

    def _settle(self, socket: ServerConnection, connection: MediaStreamConnection, handshake: Handshake) -> None:
        """Add a finished connection to the totals, and log how it ended."""
        counters = connection.snapshot()
        self._open.discard(connection)
        code, reason = _first_close(socket)
        self._totals.settle(counters, code)
        logger.info(
            "connection from %s closed (%d %s): stream %s, %d messages, %d rejected",
            handshake.remote,
            code,
            reason,
            counters.stream_id or "none",
            counters.received,
            counters.received - counters.accepted,
        )


def _handshake(socket: ServerConnection) -> Handshake:
    request = socket.request
    assert request is not None
    host, port = (socket.remote_address or ("unknown", 0))[:2]
    tokens = request.headers.get_all(AUTH_HEADER)
    return Handshake(f"{host} port {port}", request.path, tokens[0] if tokens else None)


def _first_close(socket: ServerConnection) -> tuple[int, str]:
    """Return code and reason of the close frame that came or went first; 1006 if there was none."""
    received, sent = socket.protocol.close_rcvd, socket.protocol.close_sent
    first = received if socket.protocol.close_rcvd_then_sent or sent is None else sent
    return (int(first.code), first.reason) if first is not None else (1006, "")
