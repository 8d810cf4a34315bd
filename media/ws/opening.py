"""A socket until the end of its opening handshake (RFC 6455 section 4.2), which is checked by `websockets`.

Sockets that come and go without one are counted, and told of in one log line a second: a TLS hello on this plain
port, random bytes, a request that is no proper handshake. What is cut short because this side stops is not counted.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from media.throttle import ThrottledLog
from media.ws.host import Handshake
from strep.clock import Clock

if TYPE_CHECKING:
    from media.ws.desk import Desk

library_logger = logging.getLogger(f"{__name__}.websockets")
library_logger.setLevel(logging.CRITICAL)  # what it has to say is counted and told here

UPGRADE_TEXT = (
    "This is the media WebSocket of strep. Give its address to the carrier as stream_url\n"
    "(ws:// or wss://); a plain HTTP request has nothing to do here.\n"
)
UNAUTHORIZED_TEXT = (
    "A token is needed: as header x-telnyx-streaming-auth-token or Authorization: Bearer, in the path,\n"
    "as ?token=, or as the custom parameter token of the stream.\n"
)
_TLS_HANDSHAKE = b"\x16\x03"
"""RFC 8446 section 5.1: content type handshake, legacy version 3.x."""
_QUOTED_BYTES = 16
_END_OF_HEAD = b"\r\n\r\n"


class Opening(asyncio.Protocol):
    """One socket, until it is opened, turned away or given up.

    Attributes:
        address, remote: of the peer, and that with its port.
        first_bytes: what it sent first.
        response: what it was answered.
    """

    def __init__(self, desk: Desk) -> None:
        self.address, self.remote, self.first_bytes = "", "", b""
        self.response: Response | None = None
        self._desk = desk
        # No extensions: base64 of noise-like code bytes does not shrink, and deflating takes 64 KiB a connection.
        self._protocol = ServerProtocol(max_size=desk.options.max_message_bytes, logger=library_logger)
        self._head = bytearray()
        self._handshake: Handshake | None = None  # of one that is accepted
        self._is_over = False

    @property
    def fault(self) -> BaseException | None:
        """What was wrong with the request."""
        return self._protocol.handshake_exc

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the peer some time."""
        self._transport = transport = cast(
            "asyncio.Transport", transport
        )  # uvloop's own class does not derive from it
        self.address, port = (transport.get_extra_info("peername") or ("unknown", 0))[:2]
        self.remote = f"{self.address} port {port}"
        self._desk.opening.add(self)
        self._desk.crowd.enter(self, self.address, transport.abort)
        self._timer = asyncio.get_running_loop().call_later(self._desk.options.open_timeout_s, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of a socket that has not been opened."""
        self._timer.cancel()
        self._desk.opening.discard(self)
        self._desk.crowd.leave(self)
        if not self._is_over and self._desk.is_serving:
            self._desk.bad_handshakes.add(self)

    def abort(self) -> None:
        """Break the socket: the server ends."""
        self._is_over = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take a piece of the request's head; what comes behind it is the conversation's."""
        self.first_bytes = self.first_bytes or data[:_QUOTED_BYTES]
        if self._is_over or self.response is not None or self.fault is not None:
            return
        taken = len(self._head)
        self._head += data
        found = self._head.find(_END_OF_HEAD, max(taken - len(_END_OF_HEAD), 0))
        end = len(self._head) if found < 0 else found + len(_END_OF_HEAD)
        self._protocol.receive_data(data[: end - taken])
        for request in self._protocol.events_received():
            assert isinstance(request, Request)
            self._answer(request)
        self._write()
        if self._handshake is not None:
            self._hand_over(self._handshake, bytes(self._head[end:]))

    def _answer(self, request: Request) -> None:
        protocol, desk = self._protocol, self._desk
        if "websocket" not in ",".join(request.headers.get_all("Upgrade")).lower():
            self.response = protocol.reject(HTTPStatus.UPGRADE_REQUIRED, UPGRADE_TEXT)
            self.response.headers["Upgrade"] = "websocket"
        elif desk.is_full(self.address):
            self.response = protocol.reject(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections.\n")
        elif (handshake := desk.door.admit(request, self.remote)) is None:
            self.response = protocol.reject(HTTPStatus.UNAUTHORIZED, UNAUTHORIZED_TEXT)
            self.response.headers["WWW-Authenticate"] = "Bearer"
        else:
            self.response = protocol.accept(request)
            if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
                self._handshake = handshake
            protocol.send_response(self.response)
            return
        self._is_over = True
        desk.totals.turned_away[int(self.response.status_code)] += 1
        protocol.send_response(self.response)

    def _write(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():  # the peer has until the end of the time to close its half
                self._transport.write_eof()
            else:  # TLS has no halves
                self._transport.close()

    def _hand_over(self, handshake: Handshake, rest: bytes) -> None:
        self._is_over = True
        self._timer.cancel()
        self._desk.opening.discard(self)
        self._desk.crowd.leave(self)
        conversation = self._desk.begin(self._transport, self._protocol, handshake, self.address)
        self._transport.set_protocol(conversation)
        if rest:
            conversation.data_received(rest)


class BadHandshakes:
    """The counter, and the line that tells of it.

    Attributes:
        count: sockets without a good opening handshake.
    """

    def __init__(self, logger: logging.Logger, clock: Clock) -> None:
        self.count = 0
        self._log = ThrottledLog(logger, clock)

    def add(self, socket: Opening) -> None:
        """Count `socket`; a probe that sent nothing is counted only."""
        self.count += 1
        if socket.first_bytes:
            self._log.warning(f"connection from {socket.remote}: no WebSocket handshake, {describe(socket)}")


def describe(socket: Opening) -> str:
    """Return what the peer did instead of a handshake."""
    if socket.first_bytes.startswith(_TLS_HANDSHAKE):
        return "it speaks TLS: this port is plain ws://, for wss:// put a TLS proxy in front"
    if socket.response is not None and socket.response.status_code >= HTTPStatus.BAD_REQUEST:
        return f"answered with {socket.response.status_code}: {ascii(str(socket.fault))[:200]}"
    return f"it began with {socket.first_bytes!r}"
