"""Counters of the WebSocket door over all its connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from media.ws.reject import WsReject
from media.ws.snapshot import ConnectionSnapshot


@dataclass(frozen=True, slots=True)
class WsServerSnapshot:
    """Counters since the server began; ``received == accepted + sum(rejected.values())``.

    Attributes:
        connections: open now.
        opened: opening handshakes completed.
        turned_away: plain HTTP requests (426) and connections beyond the limit (503), by status.
        bad_handshakes: sockets that were neither opened nor turned away: TLS on this plain port, bytes that are no
            HTTP, a request that is no proper handshake (400, 426), a probe that sent nothing, one that took too long.
        closed: connections closed, by the code of the first close frame, whoever sent it: 1006 is a socket that
            broke without one, 1009 a message too large, 1011 a peer that answered no ping.
        failed: connections that ended, and batches of frames that were not taken, by an exception of ours.
        received: messages; each is accepted or rejected.
    """

    connections: int
    opened: int
    turned_away: dict[int, int]
    bad_handshakes: int
    closed: dict[int, int]
    failed: int
    received: int
    accepted: int
    rejected: dict[WsReject, int]


@dataclass
class WsTotals:
    """The counters while they move; those of open connections are with the connections."""

    opened: int = 0
    failed: int = 0
    accepted: int = 0
    turned_away: Counter[int] = field(default_factory=Counter)
    closed: Counter[int] = field(default_factory=Counter)
    rejected: Counter[WsReject] = field(default_factory=Counter)

    def settle(self, counters: ConnectionSnapshot, close_code: int) -> None:
        """Add a connection that has ended."""
        self.accepted += counters.accepted
        self.rejected.update(counters.rejected)
        self.closed[close_code] += 1

    def snapshot(
        self, open_connections: Iterable[ConnectionSnapshot], *, bad_handshakes: int = 0, failures: int = 0
    ) -> WsServerSnapshot:
        """Return a frozen copy that includes the connections still open, and `failures` of what they share."""
        connections, accepted, rejected = 0, self.accepted, self.rejected.copy()
        for counters in open_connections:
            connections += 1
            accepted += counters.accepted
            rejected.update(counters.rejected)
        return WsServerSnapshot(
            connections=connections,
            opened=self.opened,
            turned_away=dict(self.turned_away),
            bad_handshakes=bad_handshakes,
            closed=dict(self.closed),
            failed=self.failed + failures,
            received=accepted + rejected.total(),
            accepted=accepted,
            rejected=dict(rejected),
        )
