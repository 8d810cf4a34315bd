"""Absolute deadlines: waiting for them, and measuring by how much they were missed.

A sender that sleeps "20 ms" per packet drifts; one that waits for a packet's own deadline, computed from
the beginning, does not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from strep.clock import NS_PER_MS, NS_PER_SECOND, Clock, SystemClock

_BIN_NS = 10_000
_BINS = 100_000  # 10 us each: up to one second


class Pacer(Protocol):
    """A clock that can be waited for."""

    def now_ns(self) -> int:
        """Return monotonic nanoseconds."""

    async def sleep_until(self, deadline_ns: int) -> None:
        """Return once `now_ns` is at or past `deadline_ns`; let others run in any case."""


class RealTime:
    """The machine's clock; the event loop's timers make it about a millisecond late."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def now_ns(self) -> int:
        """Return monotonic nanoseconds."""
        return self._clock.now_ns()

    async def sleep_until(self, deadline_ns: int) -> None:
        """Sleep until `deadline_ns`."""
        await asyncio.sleep(max(0, deadline_ns - self.now_ns()) / NS_PER_SECOND)


@dataclass
class Instant:
    """A clock that jumps to every deadline: everything is sent at once, in order. For tests."""

    reading_ns: int = 0

    def now_ns(self) -> int:
        """Return the last deadline."""
        return self.reading_ns

    async def sleep_until(self, deadline_ns: int) -> None:
        """Jump to `deadline_ns`."""
        self.reading_ns = max(self.reading_ns, deadline_ns)
        await asyncio.sleep(0)


@dataclass
class Lateness:
    """By how much deadlines were missed: a histogram of 10 us, so its size does not depend on the count."""

    _counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64), repr=False)
    max_ns: int = 0

    def record(self, lateness_ns: NDArray[np.int64]) -> None:
        """Add (n,) int64 measurements."""
        if len(lateness_ns):
            bins = np.clip(lateness_ns // _BIN_NS, 0, _BINS - 1)
            low = int(bins.min())
            self._counts[low : int(bins.max()) + 1] += np.bincount(bins - low)
            self.max_ns = max(self.max_ns, int(lateness_ns.max()))

    def percentile_ms(self, percent: float) -> float:
        """Return the lateness that `percent` of the measurements do not exceed, in ms; 0 without any."""
        total = int(self._counts.sum())
        if not total:
            return 0.0
        rank = max(1, int(np.ceil(total * percent / 100)))
        upper_ns = (int(np.searchsorted(np.cumsum(self._counts), rank)) + 1) * _BIN_NS
        return min(upper_ns, self.max_ns) / NS_PER_MS

    def summary(self) -> dict[str, float]:
        """Return p50, p99 and max in milliseconds."""
        return {
            "p50_ms": self.percentile_ms(50),
            "p99_ms": self.percentile_ms(99),
            "max_ms": self.max_ns / NS_PER_MS,
        }
