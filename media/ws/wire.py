"""The way back: messages to the carrier, handed over without waiting, and bounded."""

from __future__ import annotations

from typing import Protocol

from media.ws.closing import Close


class Wire(Protocol):
    """A socket as `MediaStreamConnection` sees it. Nothing here waits, and nothing raises.

    What is sent goes out in order. What the peer has not taken waits in this process, without a bound: that is
    `MediaStreamConnection`'s to keep. After `close`, or when the socket is gone, what is sent is dropped.
    """

    @property
    def buffered_bytes(self) -> int:
        """Bytes that wait in this process because the kernel's buffer is full; 0 nearly always."""

    def send(self, text: str | bytes) -> None:
        """Send a text message; bytes are UTF-8 already."""

    def send_binary(self, data: bytes) -> None:
        """Send a binary message."""

    def close(self, close: Close) -> None:
        """Begin the closing handshake."""


class Outgoing(Protocol):
    """A connection as the host sees it; valid from ``stream_started`` until the stream has stopped or is detached.

    ``send`` and ``send_binary`` return whether the message is on its way: it is not when the connection is closing.
    One whose peer has left more than `ConnectionOptions.max_unsent_bytes` unread is closed instead.
    """

    @property
    def buffered_bytes(self) -> int:
        """Bytes that the peer has not read and the kernel does not hold."""

    def send(self, text: str | bytes) -> bool:
        """Send a text message, of str or of UTF-8; never waits."""

    def send_binary(self, data: bytes) -> bool:
        """Send a binary message; never waits."""

    def close(self, close: Close) -> None:
        """Begin the closing handshake; a connection that is closing already keeps its reason."""


class NoWire:
    """Goes nowhere."""

    buffered_bytes = 0

    def send(self, text: str | bytes) -> None:
        """Drop it."""

    def send_binary(self, data: bytes) -> None:
        """Drop it."""

    def close(self, close: Close) -> None:
        """Do nothing."""
