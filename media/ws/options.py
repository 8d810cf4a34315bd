"""What the WebSocket door may be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from media.ws.protocol import ConnectionOptions


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
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)
    """Limits of the conversation."""
