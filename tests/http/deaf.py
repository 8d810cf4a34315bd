"""A reader that does not read, made of the standard library."""

from __future__ import annotations

import contextlib
import socket


class Deaf:
    """A client of the standard library that asks and does not read."""

    def __init__(self, netloc: str, path: str) -> None:
        host, port = netloc.split(":")
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(30)
        self.socket.connect((host, int(port)))
        handshake = (
            f"GET {path} HTTP/1.1\r\nHost: {netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self.socket.sendall(handshake.encode())

    def rest(self) -> list[tuple[int, bytes]]:
        """Return all whole frames that came, by opcode, when the connection has ended."""
        data = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while piece := self.socket.recv(1 << 16):
                data += piece
        data, frames = data.partition(b"\r\n\r\n")[2], list[tuple[int, bytes]]()
        while len(data) >= 4:
            size, at = data[1], 2
            if size == 126:
                size, at = int.from_bytes(data[2:4], "big"), 4
            if len(data) < at + size:
                break
            frames.append((data[0] & 15, bytes(data[at : at + size])))
            del data[: at + size]
        self.socket.close()
        return frames
