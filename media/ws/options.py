"""What the WebSocket door may be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from strep.clock import NS_PER_SECOND


@dataclass(frozen=True)
class ConnectionOptions:
    """Limits of one connection."""

    start_timeout_ns: int = 10 * NS_PER_SECOND
    """Time from opening until the start frame."""
    linger_ns: int = 5 * NS_PER_SECOND
    """Time from the stop frame until this side closes, if the carrier does not."""
    max_malformed: int = 100
    """So many malformed messages in a row end the connection."""
    tap_track: str = "inbound"
    """Which track a tap is that does not say."""
    l16_is_big_endian: bool = False
    """Byte order of L16 payloads, which no document tells."""
    max_unsent_bytes: int = 256 << 10
    """A peer that leaves more than that unread, beyond what the kernel holds, is closed; 13 s of mu-law."""


@dataclass(frozen=True)
class WsServerOptions:
    """Where to listen, and the limits."""

    host: str = "127.0.0.1"
    """Address to bind; "::" is IPv6."""
    port: int = 0
    """TCP port; 0 lets the system choose."""
    max_message_bytes: int = 1 << 20
    """A larger message closes the connection with 1009."""
    max_connections: int = 4096
    """Connections at a time; further ones are answered with 503."""
    ping_interval_s: float = 20.0
    """From one keepalive ping to the next."""
    ping_timeout_s: float = 20.0
    """A peer that does not answer a ping for so long is gone."""
    open_timeout_s: float = 10.0
    """Time for the opening handshake."""
    close_timeout_s: float = 5.0
    """Time for the closing handshake."""
    patience_ms: float = 0.0
    """How long frames may wait for company: who is in no hurry takes many of them for the price of a few."""
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)
    """Limits of the conversation."""
