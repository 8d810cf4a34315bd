"""One carrier's socket, without blocking and without a library: what is sent is bytes that were made before."""

from __future__ import annotations

import socket
import struct
import time
from collections import deque

_UPGRADE = (
    "GET /media HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_SWITCHING = b"HTTP/1.1 101 "
_PING, _PONG, _CLOSE = 0x89, 0x8A, 0x88
_MASKED = 0x80
_NO_MASK = b"\0\0\0\0"
_STAMP = struct.Struct("!Q")
_READ_BYTES = 65_536


class Client:
    """A call's connection.

    Whatever cannot be written at once waits here, in order, and is counted: a socket that is full is that of a
    server that does not read.

    Attributes:
        lags_ns: of every ping, when it was sent and the time until its pong: it stands in line behind the frames
            that were sent before it.
        pings: sent.
        stalled: pieces that had to wait because the socket was full.
        is_open: the server has agreed to speak WebSocket.
        is_gone: the server has closed the connection.
        said_close: the server has sent a close frame.
    """

    def __init__(self, port: int, hello: bytes, stuck: set[Client]) -> None:
        """Dial, and ask for the upgrade; `hello` is sent as soon as it is granted.

        While something waits for room in the socket, this is in `stuck`, and `flush` is to be called now and then.
        """
        self.lags_ns: list[tuple[int, int]] = []
        self.pings = self.stalled = 0
        self.is_open = self.is_gone = self.said_close = False
        self._socket = socket.socket()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._socket.connect_ex(("127.0.0.1", port))  # a server that is slow to accept must not hold up the others
        self._write = self._socket.send
        self._waiting: deque[bytes | memoryview] = deque([hello])
        self._stuck = stuck
        self._heard = b""
        self._upgrade = _UPGRADE.format(port=port).encode()
        self.flush()

    def fileno(self) -> int:
        """Return the descriptor, for epoll."""
        return self._socket.fileno()

    def send(self, data: bytes | memoryview) -> None:
        """Send, now or as soon as it is possible."""
        if self._waiting:
            self._waiting.append(data)
            self.stalled += self.is_open
            return
        try:
            count = self._write(data)
        except BlockingIOError:
            count = 0
        except OSError:  # the server hung up; `receive` sees it, too
            self.is_gone = True
            return
        if count != len(data):
            self.stalled += 1
            self._waiting.append(data[count:])
            self._stuck.add(self)

    def ping(self) -> None:
        """Send a ping that carries the time."""
        self.pings += 1
        self.send(bytes((_PING, _MASKED | _STAMP.size)) + _NO_MASK + _STAMP.pack(time.monotonic_ns()))

    def flush(self) -> None:
        """Send what has waited, as far as the socket takes it."""
        if self._upgrade and not self._ask():
            return
        waiting = self._waiting
        while waiting and self.is_open:
            data = waiting[0]
            try:
                count = self._write(data)
            except BlockingIOError:
                self._stuck.add(self)
                return
            except OSError:
                self.is_gone = True
                break
            if count != len(data):
                waiting[0] = data[count:]
                self._stuck.add(self)
                return
            waiting.popleft()
        self._stuck.discard(self)

    def _ask(self) -> bool:
        """Send the request, and return whether the connection was there for it."""
        try:
            self._write(self._upgrade)
        except BlockingIOError:
            self._stuck.add(self)
            return False
        self._upgrade = b""
        return True

    def receive(self) -> None:
        """Read what the server says: its agreement, its pongs, its pings, its end."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.is_gone = True
            return
        self._heard += data
        if not self.is_open:
            head, found, rest = self._heard.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(_SWITCHING):
                raise ConnectionError(f"the server does not speak WebSocket: {head[:200]!r}")
            self._heard, self.is_open = rest, True
            self.flush()
        self._take_frames(time.monotonic_ns())

    def _take_frames(self, now_ns: int) -> None:
        heard = self._heard
        while len(heard) >= 2 and heard[1] <= 125 and len(heard) >= 2 + heard[1]:
            code, body, heard = heard[0], heard[2 : 2 + heard[1]], heard[2 + heard[1] :]
            if code == _PONG and len(body) == _STAMP.size:
                (sent_ns,) = _STAMP.unpack(body)
                self.lags_ns.append((sent_ns, now_ns - sent_ns))
            elif code == _PING:
                self.send(bytes((_PONG, _MASKED | len(body))) + _NO_MASK + body)
            elif code == _CLOSE:
                self.said_close = True
        self._heard = heard

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
