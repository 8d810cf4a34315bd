"""A client that does the opening handshake and then only what it is told: it reads nothing, closes nothing."""

from __future__ import annotations

import asyncio
import base64
import socket
from typing import Self


class RawClient:
    """Bytes, and `text_frame` to make some."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, address: str, port: int, path: str = "/media", *, little: bool = False) -> RawClient:
        """Open a WebSocket; `little` is how much the kernel takes for it, and the reader for us, unread."""
        sock = socket.socket()
        sock.setblocking(False)
        if little:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=1024 if little else 1 << 16)
        key = base64.b64encode(bytes(16)).decode()
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Leave no socket behind, whatever happened."""
        self.writer.transport.abort()
        await asyncio.sleep(0)  # a turn of the loop, in which the transport closes it

    @staticmethod
    def text_frame(text: str) -> bytes:
        """Return a masked text frame of 126 to 65535 bytes (RFC 6455 section 5.2)."""
        payload = text.encode()
        return b"\x81" + bytes([0x80 | 126]) + len(payload).to_bytes(2, "big") + bytes(4) + payload

    async def send_text(self, text: str) -> None:
        self.writer.write(self.text_frame(text))
        await self.writer.drain()

    async def rest(self) -> bytes:
        """Read until the far end closes its half, from now on as fast as others."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        return await self.reader.read()


def close_frame(code: int, reason: str) -> bytes:
    """Return what a server that closes sends last (RFC 6455 section 5.5.1)."""
    payload = code.to_bytes(2, "big") + reason.encode()
    return b"\x88" + bytes([len(payload)]) + payload
