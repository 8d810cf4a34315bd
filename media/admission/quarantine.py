"""`Quarantine`: datagrams of legs that nobody has announced, kept for a moment in case somebody does."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from strep.clock import NS_PER_SECOND

KEEP_NS = 3 * NS_PER_SECOND
"""So long a leg may wait for its announcement, which comes by another way than its audio."""
MOST_LEGS = 2000
MOST_DATAGRAMS = 200
"""Of one leg: 1 s of both directions."""
MOST_BYTES = 8 << 20
"""Of all legs; beyond it those that have waited longest are dropped."""
OVERHEAD_BYTES = 256
"""Of a datagram: its objects in Python, and its sender's address."""

Leg = tuple[int, int]
"""The halves of a call_leg_id."""


class Held(NamedTuple):
    """A datagram that waits: its bytes, its arrival in ns, and the sender's 28 bytes of sockaddr."""

    data: bytes
    arrival_ns: int
    source: bytes


@dataclass(slots=True)
class _Waiting:
    since_ns: int
    datagrams: list[Held] = field(default_factory=list)
    size_bytes: int = 0


class Quarantine:
    """What waits, bounded in legs, datagrams, bytes and time.

    Attributes:
        dropped: datagrams that nobody asked for.
        held: datagrams that wait.
    """

    def __init__(self, keep_ns: int = KEEP_NS) -> None:
        """Start empty; what waits is kept for `keep_ns`."""
        self._keep_ns = keep_ns
        self.dropped = self.held = 0
        self._legs: OrderedDict[Leg, _Waiting] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        """Return how many legs wait."""
        return len(self._legs)

    def hold(self, leg: Leg, datagram: Held) -> None:
        """Keep a datagram of `leg`, or drop it: a leg has room for `MOST_DATAGRAMS`."""
        waiting = self._legs.setdefault(leg, _Waiting(datagram.arrival_ns))
        if len(waiting.datagrams) >= MOST_DATAGRAMS:
            self.dropped += 1
            return
        waiting.datagrams.append(datagram)
        size_bytes = len(datagram.data) + OVERHEAD_BYTES
        waiting.size_bytes += size_bytes
        self._bytes += size_bytes
        self.held += 1
        while len(self._legs) > MOST_LEGS or self._bytes > MOST_BYTES:
            self._drop_oldest()

    def waiting(self, leg: Leg) -> list[Held]:
        """Return what waits of `leg`."""
        found = self._legs.get(leg)
        return found.datagrams if found is not None else []

    def oldest(self, most: int) -> list[tuple[Leg, int, int]]:
        """Return up to `most` legs that wait: leg, datagrams, since when in ns."""
        found = islice(self._legs.items(), most)
        return [(leg, len(waiting.datagrams), waiting.since_ns) for leg, waiting in found]

    def release(self, leg: Leg) -> list[Held]:
        """Give back what waits of `leg`, in the order of its arrival, and keep it no more."""
        found = self._legs.pop(leg, None)
        if found is None:
            return []
        self._bytes -= found.size_bytes
        self.held -= len(found.datagrams)
        return found.datagrams

    def release_all(self) -> list[tuple[Leg, Held]]:
        """Give back all that waits, in the order of its arrival per leg, and keep it no more."""
        return [(leg, datagram) for leg in list(self._legs) for datagram in self.release(leg)]

    def expire(self, now_ns: int) -> None:
        """Drop the legs that have waited for too long."""
        while self._legs and now_ns - next(iter(self._legs.values())).since_ns > self._keep_ns:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        leg = next(iter(self._legs))
        self.dropped += len(self.release(leg))
