"""`NatsConfig`: what `strep serve` may be told about publishing on NATS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from media.feed.selection import Selection


@dataclass(frozen=True, slots=True)
class NatsConfig:
    """Where to, what, and how much of it may wait; see ``docs/nats.md``."""

    urls: tuple[str, ...] = ()
    """Servers of one cluster; none: nothing is published."""
    credentials: Path | None = None
    """A ``.creds`` file; read at every connect."""
    prefix: str = "strep"
    """What all subjects begin with."""
    partitions: int = 16
    """How many parts the calls are divided into by their subjects."""
    select: Selection = field(default_factory=Selection)
    """Which calls and tracks, at which rate and in which format."""
    message_ms: int = 200
    """Audio in a message, about."""
    stream: str = "STREP"
    """Its name."""
    max_age_s: float = 3600.0
    """How long the stream keeps a message."""
    max_bytes: int = 10 << 30
    """How much the stream keeps; beyond it the oldest go."""
    replicas: int = 1
    """Servers that keep it."""
    memory_bytes: int = 64 << 20
    """How much may wait in memory."""
    spool: Path | None = None
    """Where more of it waits, on disk; None: nowhere."""
    spool_bytes: int = 1 << 30
    """How much may wait there, of each process."""
    required: Literal["off", "on"] = "off"
    """Do not start without a server whose stream fits."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Which server.

    Attributes:
        urls: of the servers of a cluster, ``nats://[user:password@]host[:port]`` or ``tls://``.
        credentials: a ``.creds`` file of a user's JWT and key, None for none.
    """

    urls: tuple[str, ...]
    credentials: Path | None = None


def places(urls: Sequence[str]) -> str:
    """Return where servers are, without users and passwords."""
    return ", ".join(url.rpartition("@")[2].rpartition("//")[2] for url in urls)
