"""Shell: a WebSocket as the carrier's client, for hundreds of calls: no task and no future per message.

The opening, closing, pings and everything unusual are `websockets`' business (its Sans-I/O client). What comes often,
an unfragmented text frame either way, is read and written here (RFC 6455 section 5.2)::

     0                   1                   2
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 ...
    |F|R S V| opcode|M|  length     | 2 or 8 bytes if length is 126 or 127, 4 bytes of mask if M, payload
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from random import Random
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event, State
from websockets.uri import parse_uri

try:
    from websockets.speedups import apply_mask
except ImportError:  # no C compiler where it was built
    from websockets.utils import apply_mask

OnMessage = Callable[[str | bytes], None]

_DATA = (Opcode.CONT, Opcode.TEXT, Opcode.BINARY)
_SWITCHING = b"HTTP/1.1 101 "
_BLANK_LINE = b"\r\n\r\n"
_FINAL_TEXT, _FINAL_BINARY = 0x81, 0x82
_MASKED = 0x80
_LARGE, _LONG, _HUGE = 125, 126, 127
_MAX_MESSAGE_BYTES = 16 << 20
_OPEN_SECONDS = 30
_CLOSE_SECONDS = 60
"""A far end that is behind reads what was sent before the goodbye first."""


class Link(asyncio.Protocol):
    """One socket, from the upgrade on.

    Args:
        url: ws or wss.
        headers: of the upgrade request, besides those of WebSocket.
        on_message: called with every message of the far end, text as str.
        on_end: called once when the socket is gone.

    Attributes:
        is_writable: nothing keeps the far end from reading. What is sent in spite of it is kept.
        is_open: the far end has agreed, and nobody has hung up.
    """

    def __init__(self, url: str, headers: dict[str, str], on_message: OnMessage, on_end: Callable[[], None]) -> None:
        self._url = parse_uri(url)
        self._headers, self._on_message, self._on_end = headers, on_message, on_end
        self._protocol = ClientProtocol(self._url, max_size=_MAX_MESSAGE_BYTES)
        self._buffer = b""
        self._pieces: list[bytes] = []
        self._pieces_opcode = Opcode.TEXT
        self._random = Random()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self.is_open = False
        self.is_writable = True
        self.on_writable: Callable[[], None] = lambda: None

    @staticmethod
    def check(url: str) -> None:
        """See that this is a WebSocket's URL.

        Raises:
            ValueError: it is not; the text says what is wrong.
        """
        try:
            parse_uri(url)
        except InvalidURI as error:
            raise ValueError(str(error)) from error

    async def dial(self) -> None:
        """Connect and upgrade.

        Raises:
            OSError, WebSocketException: nobody answers, or not as they should.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_OPEN_SECONDS):
            await loop.create_connection(lambda: self, self._url.host, self._url.port, ssl=self._url.secure or None)
            await self._opened

    def send(self, message: str | bytes) -> None:
        """Send a message; on a socket that is closed nothing happens."""
        if not self.is_open or self._transport is None:
            return
        is_text = isinstance(message, str)
        data = message.encode() if isinstance(message, str) else message
        first, length = _FINAL_TEXT if is_text else _FINAL_BINARY, len(data)
        mask = self._random.randbytes(4)
        if length <= _LARGE:
            head = bytes((first, _MASKED | length))
        elif length < 1 << 16:
            head = struct.pack("!BBH", first, _MASKED | _LONG, length)
        else:
            head = struct.pack("!BBQ", first, _MASKED | _HUGE, length)
        self._transport.write(head + mask + apply_mask(data, mask))

    def hang_up(self) -> None:
        """End the connection below WebSocket: what was sent arrives, a close frame does not."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    async def close(self) -> None:
        """Say goodbye, and wait for the far end to do so, though not for ever."""
        if self.is_open:
            self.is_open = False
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await asyncio.shield(self._gone)
        except TimeoutError:
            self.abort()

    @property
    def farewell(self) -> tuple[int, str]:
        """Code and reason of the far end's close frame; 1006 if there was none (yet)."""
        close = self._protocol.close_rcvd
        return (CloseCode.ABNORMAL_CLOSURE.value, "") if close is None else (int(close.code), close.reason)

    @property
    def is_gone(self) -> bool:
        """Whether the connection is no more."""
        return self._gone.done()

    async def wait_gone(self) -> None:
        """Return when the socket is gone."""
        await asyncio.shield(self._gone)

    def abort(self) -> None:
        """Drop the connection."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        request = self._protocol.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take what the far end sent."""
        data = self._buffer + data if self._buffer else data
        if not self._opened.done():
            answer, blank, data = data.partition(_BLANK_LINE)
            self._buffer = b"" if blank else answer
            # A refusal has a body, which belongs to the library's explanation.
            is_granted = answer.startswith(_SWITCHING)
            if not blank or not self._upgrade(answer + blank + (b"" if is_granted else data)):
                return
        place, end = 0, len(data)
        while end - place >= 2:
            length, head = data[place + 1], 2
            if length >= _LONG:
                head = 4 if length == _LONG else 10
                if end - place < head:
                    break
                length = int.from_bytes(data[place + 2 : place + head])
            stop = place + head + length
            if stop > end and length <= _MAX_MESSAGE_BYTES:
                break
            if data[place] == _FINAL_TEXT and not self._pieces and stop <= end:
                self._text(data[place + head : stop])
            else:
                self._unusual(data[place:stop])
            place = stop
        self._buffer = data[place:]

    def eof_received(self) -> None:
        """Let the transport close itself."""
        self.is_open = False
        if not self._opened.done():
            self._protocol.receive_eof()
            self._refused()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell everybody."""
        self.is_open = False
        if not self._opened.done():
            self._opened.set_exception(error or ConnectionError("the far end closed before it answered"))
        if not self._gone.done():
            self._gone.set_result(None)
        self._on_end()

    def pause_writing(self) -> None:
        """The far end does not read."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """It does again."""
        self.is_writable = True
        self.on_writable()

    def _upgrade(self, head: bytes) -> bool:
        """Take the answer to the request; return whether it was yes."""
        self._protocol.receive_data(head)
        self._protocol.events_received()
        self.is_open = self._protocol.handshake_exc is None and self._protocol.state is State.OPEN
        if self.is_open:
            self._opened.set_result(None)
        else:
            self._refused()
        return self.is_open

    def _refused(self) -> None:
        if self._protocol.handshake_exc is not None and not self._opened.done():
            self._opened.set_exception(self._protocol.handshake_exc)
            self.abort()

    def _text(self, payload: bytes) -> None:
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA)
            self._flush()
            return
        self._on_message(text)

    def _unusual(self, data: bytes) -> None:
        """Let the library look at a frame that is not a message of one text frame."""
        self._protocol.receive_data(data)
        for frame in self._protocol.events_received():
            self._frame(frame)
        self.is_open = self.is_open and self._protocol.state is State.OPEN
        self._flush()

    def _frame(self, frame: Event) -> None:
        if not isinstance(frame, Frame) or frame.opcode not in _DATA:
            return
        if frame.opcode is not Opcode.CONT:
            self._pieces_opcode = frame.opcode
        self._pieces.append(bytes(frame.data))
        if frame.fin:
            payload = b"".join(self._pieces)
            self._pieces.clear()
            if self._pieces_opcode is Opcode.TEXT:
                self._text(payload)
            else:
                self._on_message(payload)

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:  # the library's way to say: end of what we send
                self.is_open = False
                self._transport.close()
