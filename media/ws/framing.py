"""Bytes of a WebSocket as messages, and messages as bytes: RFC 6455 section 5, the server's side; no I/O.

What carriers send is, but for a few frames a minute, a whole text message in one frame, most often alone in its
segment. That is taken apart here. Everything else - control frames, fragments, closing, violations - is handed frame
by frame to the protocol of `websockets`, which knows all of the RFC.
"""

from __future__ import annotations

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from media.ws.closing import Close, close_with

try:
    from websockets.speedups import apply_mask
except ImportError:  # a system that there is no wheel for
    from websockets.utils import apply_mask

Message = str | bytes
"""Text as str, binary as bytes."""

_FINAL = 0x80
_TEXT, _BINARY = _FINAL | Opcode.TEXT, _FINAL | Opcode.BINARY
_PONG = _FINAL | Opcode.PONG
_OPCODE, _OPCODES = 0x0F, frozenset(Opcode)
_MASKED, _LENGTH, _MASK_BYTES = 0x80, 0x7F, 4
_LONE_HEAD, _LONE_BYTES = bytes((_TEXT, _MASKED | 126)), 8
_TWO_BYTES, _EIGHT_BYTES = 126, 127  # RFC 6455 section 5.2: "Payload length" that says where the length is


def serialize(message: Message) -> bytes:
    """Return a message as a server sends it: in one frame, and not masked."""
    first, payload = (_TEXT, message.encode()) if isinstance(message, str) else (_BINARY, message)
    length = len(payload)
    if length < _TWO_BYTES:
        return bytes((first, length)) + payload
    if length < 1 << 16:
        return bytes((first, _TWO_BYTES)) + length.to_bytes(2, "big") + payload
    return bytes((first, _EIGHT_BYTES)) + length.to_bytes(8, "big") + payload


class Framing:
    """The state of one connection's frames.

    Attributes:
        pong: payload of the newest pong.
    """

    def __init__(self, protocol: ServerProtocol, max_message_bytes: int) -> None:
        """Go on where `protocol` has finished the opening handshake; it has been given nothing beyond it."""
        self.pong = b""
        self._protocol = protocol
        self._max_message_bytes = max_message_bytes
        self._partial, self._wanted = bytearray(), 0  # a frame's beginning, and how much of it must be there
        self._fragments = bytearray()
        self._opcode: Opcode | None = None  # of a message of which the last fragment has not come
        self._has_output = False
        self._is_between = True  # open, and neither within a frame nor between fragments
        self._lone_most = _LONE_BYTES + max_message_bytes

    @property
    def is_open(self) -> bool:
        """Whether neither side has begun to close."""
        return self._protocol.state is OPEN

    @property
    def is_between(self) -> bool:
        """Whether the next byte begins a message, and messages are wanted."""
        return self._is_between

    @property
    def first_close(self) -> Close:
        """Code and reason of the close frame that came or went first; 1006 if there was none (yet)."""
        received, sent = self._protocol.close_rcvd, self._protocol.close_sent
        first = received if self._protocol.close_rcvd_then_sent or sent is None else sent
        return Close(int(first.code), first.reason) if first is not None else Close(1006, "")

    def lone_text(self, data: bytes) -> bytes | None:
        """Return the text that `data` is, if it is one whole frame of ASCII; None, and nothing has happened, if not.

        So nearly all media frames come: of 126 bytes to 64 KiB, and alone in their segment.
        """
        if not self._is_between or data[:2] != _LONE_HEAD or len(data) < _LONE_BYTES + _TWO_BYTES:
            return None
        if len(data) != _LONE_BYTES + (data[2] << 8 | data[3]) or len(data) > self._lone_most:
            return None
        text = apply_mask(data[_LONE_BYTES:], data[4:_LONE_BYTES])
        return text if text.isascii() else None

    def lone_control(self, data: bytes) -> bytes:
        """Take a whole ping or pong that stands between messages; return what is to be written to the socket now."""
        payload = apply_mask(data[2 + _MASK_BYTES :], data[2 : 2 + _MASK_BYTES]) if len(data) > 6 else b""
        if data[0] == _PONG:
            self.pong = payload
            return b""
        return bytes((_PONG, len(payload))) + payload if self.is_open else b""

    def receive(self, data: bytes) -> list[Message]:
        """Take what came from the socket; return the messages that are complete. Afterwards see `take_output`."""
        if self._partial:
            self._partial += data
            if len(self._partial) < self._wanted:
                return []
            data = bytes(self._partial)
            self._partial.clear()
        messages: list[Message] = []
        start, end = 0, len(data)
        while start < end:
            if not self.is_open:
                self._give(data[start:])  # nobody wants messages any more, and only a close frame counts
                break
            size, head = self._measure(data, start, end)
            stop = start + size
            if stop > end:
                self._partial += data[start:]
                self._wanted = size
                break
            if data[start] == _TEXT and size > head and self._opcode is None:
                payload = apply_mask(data[start + head : stop], data[start + head - 4 : start + head])
                self._finish(Opcode.TEXT, payload, messages)
            else:
                for frame in self._give(data[start:stop]):
                    self._take(frame, messages)
            start = stop
        self._is_between = self.is_open and not self._partial and self._opcode is None
        return messages

    def receive_eof(self) -> None:
        """Take note that the peer sends no more."""
        self._protocol.receive_eof()
        self._has_output, self._is_between = True, False

    def take_output(self) -> list[bytes]:
        """Return what is to be written to the socket now; an empty piece at the end means to half-close it."""
        if not self._has_output:
            return []
        self._has_output = False
        return self._protocol.data_to_send()

    def ping(self, payload: bytes) -> None:
        """Put a ping into the output."""
        self._protocol.send_ping(payload)
        self._has_output = True

    def close(self, close: Close) -> None:
        """Put a close frame into the output; a connection that is closing already keeps its reason."""
        if self.is_open:
            self._protocol.send_close(close.code, close.reason)
            self._has_output, self._is_between = True, False

    def fail(self, close: Close) -> None:
        """The same, and listen to the peer no more."""
        if self.is_open:
            self._protocol.fail(close.code, close.reason)
            self._has_output, self._is_between = True, False

    def _measure(self, data: bytes, start: int, end: int) -> tuple[int, int]:
        """Return the size of the frame at `start` and of its head; or twice how much of it is needed to tell.

        What is given away by its head as wrong or too long goes to the protocol without waiting for the rest.
        """
        if end - start < 2:
            return 2, 2
        length, head = data[start + 1] & _LENGTH, 2
        if data[start] & _OPCODE not in _OPCODES or not data[start + 1] & _MASKED:
            return 2, 2
        if length >= _TWO_BYTES:
            head = 4 if length == _TWO_BYTES else 10
            if end - start < head:
                return head, head
            length = int.from_bytes(data[start + 2 : start + head], "big")
        if length > self._max_message_bytes - len(self._fragments):
            return head, head
        return head + _MASK_BYTES + length, head + _MASK_BYTES

    def _give(self, data: bytes) -> list[Frame]:
        self._protocol.receive_data(data)
        self._has_output = True
        return [frame for frame in self._protocol.events_received() if isinstance(frame, Frame)]

    def _take(self, frame: Frame, messages: list[Message]) -> None:
        if frame.opcode is Opcode.PONG:
            self.pong = bytes(frame.data)
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        opcode = frame.opcode if self._opcode is None else self._opcode
        if frame.fin and self._opcode is None:
            self._finish(opcode, bytes(frame.data), messages)
            return
        self._opcode = opcode
        self._fragments += frame.data
        if frame.fin:
            self._opcode = None
            message, self._fragments = bytes(self._fragments), bytearray()
            self._finish(opcode, message, messages)

    def _finish(self, opcode: Opcode, payload: bytes, messages: list[Message]) -> None:
        if opcode is Opcode.BINARY:
            messages.append(payload)
            return
        try:
            messages.append(payload.decode())
        except UnicodeDecodeError as error:
            self.fail(close_with(1007, f"{error.reason} at position {error.start}"))
