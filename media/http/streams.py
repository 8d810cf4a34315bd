"""A WebSocket to a reader: what is written to it, while what it says is read, and thrown away unless somebody hears.

A writer waits for a peer that does not read. That ends when the peer is lost (`Stream.is_lost`): by its rule, and not
by what the writer would like to do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web

from media.http.access import SUBPROTOCOL
from media.http.api import HEARTBEAT_S, MAX_INPUT_BYTES, ApiError

CLOSE_TIMEOUT_S = 30.0
"""How long a peer may take to read what was written, and to answer that it is closed."""
CUT_OFF_TIMEOUT_S = 2.0
"""How long one may that was too slow before."""
TOO_SLOW = 1008, "too slow: more waited than may wait for a reader"


class Stream:
    """One reader.

    Attributes:
        something: set when there may be something to write; the writer clears it.
        is_lost: tells whether the reader is to be closed, whatever it has not read; asked at each `wake`.
        hear: gets what the reader says, text; else that is thrown away.
    """

    def __init__(self) -> None:
        """Prepare; made in the event loop of the reader."""
        self.something = asyncio.Event()
        self.is_lost: Callable[[], bool] = lambda: False
        self.hear: Callable[[str], object] = lambda said: None
        self._cut_off = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def wake(self) -> None:
        """Let the writer look; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to wake
            self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        self.something.set()
        if self.is_lost():
            self._cut_off.set()

    async def serve(
        self, request: web.Request, write: Callable[[web.WebSocketResponse], Awaitable[tuple[int, str]]]
    ) -> web.WebSocketResponse:
        """Talk to the reader until it leaves, `write` returns a code and a reason to close with, or it is lost.

        Raises:
            ApiError: the request is for no WebSocket.
        """
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S,
            max_msg_size=MAX_INPUT_BYTES,
            compress=False,
            timeout=CLOSE_TIMEOUT_S,
            protocols=(SUBPROTOCOL,),
        )
        if not socket.can_prepare(request).ok:
            raise ApiError(426, "websocket", f"{request.path} is for WebSockets (RFC 6455)")
        await socket.prepare(request)
        reading, writing = asyncio.create_task(_read(socket, self.hear)), asyncio.ensure_future(write(socket))
        cutting = asyncio.create_task(self._cut_off.wait())
        try:
            await asyncio.wait({reading, writing, cutting}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return socket
            code, reason = writing.result() if writing.done() else TOO_SLOW
            writing.cancel()
            await _close(request, socket, code, reason)
        except ConnectionError:
            pass  # it left while it was written to
        finally:
            for task in (reading, writing, cutting):
                task.cancel()
            await asyncio.gather(reading, writing, cutting, return_exceptions=True)
        return socket


async def _read(socket: web.WebSocketResponse, hear: Callable[[str], object]) -> None:
    """Read pongs, the end, and what the reader says; a message that is too long ends it."""
    async for message in socket:
        if message.type is WSMsgType.ERROR:
            return
        if message.type is WSMsgType.TEXT:
            hear(message.data)


async def _close(request: web.Request, socket: web.WebSocketResponse, code: int, reason: str) -> None:
    """Close behind what was written; a peer that has not read it in time has its connection cut."""
    timeout_s = CUT_OFF_TIMEOUT_S if (code, reason) == TOO_SLOW else CLOSE_TIMEOUT_S
    if request.transport is not None:
        asyncio.get_running_loop().call_later(timeout_s, request.transport.abort)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await socket.close(code=code, message=reason.encode())
