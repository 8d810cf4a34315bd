"""What the WebSocket door may be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from media.admission.tokens import TokenGate
from media.ws.tls import Certificate
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
    max_early_bytes: int = 64 << 10
    """A peer that has sent so much without a start frame is closed."""
    max_messages_per_s: int = 5000
    """A peer that sends more, on the average between two pings, is closed; a carrier sends 50 to 200."""
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
    certificate: Certificate | None = field(default=None, repr=False)
    """Speaks TLS with it; every frame then comes by itself, see `media.ws.drain`."""
    gate: TokenGate | None = field(default=None, repr=False)
    """Judges tokens; None lets everybody in."""
    twilio_auth_token: str = field(default="", repr=False)
    """Also lets in requests that Twilio has signed with it."""
    public_url: str = ""
    """What carriers were told this door is, such as wss://media.example.com; else the request's Host is believed."""
    max_strangers: int = 1000
    """Sockets that have not begun a stream; beyond it one of the address that has most of them is closed."""
    max_connections_per_address: int = 0
    """Connections of one address at a time; 0 is any number, for carriers have few addresses."""
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
