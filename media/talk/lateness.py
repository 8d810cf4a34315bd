"""`Lateness`: how late messages went out against their deadline, as a histogram of fixed size."""

from __future__ import annotations

from array import array

from strep.clock import NS_PER_MS

BUCKET_NS = 250_000
BUCKETS = 2000
"""Half a second; what is later is in the last one."""


class Lateness:
    """Counts in buckets of a quarter of a millisecond; what went out early counts as on time.

    Attributes:
        max_ns: the latest of all.
    """

    __slots__ = ("_counts", "max_ns")

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * BUCKETS))
        self.max_ns = 0

    def add(self, late_ns: int) -> None:
        """Count one message."""
        if late_ns <= 0:
            self._counts[0] += 1
            return
        self.max_ns = max(self.max_ns, late_ns)
        self._counts[min(late_ns // BUCKET_NS, BUCKETS - 1)] += 1

    def since(self, earlier: Lateness) -> Lateness:
        """Return what was counted after `earlier`, a `copy`; its `max_ns` is the upper edge of a bucket."""
        later = Lateness()
        later._counts = array("Q", map(int.__sub__, self._counts, earlier._counts))
        last = max((index for index, count in enumerate(later._counts) if count), default=-1)
        later.max_ns = min((last + 1) * BUCKET_NS, self.max_ns) if last < BUCKETS - 1 else self.max_ns
        return later

    def copy(self) -> Lateness:
        """Return it as it is now."""
        same = Lateness()
        same._counts, same.max_ns = self._counts[:], self.max_ns
        return same

    def in_ms(self) -> dict[str, float]:
        """Return p50, p99 and max."""
        return {"p50": self.quantile_ms(0.5), "p99": self.quantile_ms(0.99), "max": self.max_ns / NS_PER_MS}

    @property
    def count(self) -> int:
        """Messages counted."""
        return sum(self._counts)

    def quantile_ms(self, q: float) -> float:
        """Return the upper edge of the bucket in which the quantile `q` lies, 0 without messages."""
        wanted, seen = q * self.count, 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= wanted and seen:
                return min((index + 1) * BUCKET_NS, max(self.max_ns, 0)) / NS_PER_MS
        return 0.0
