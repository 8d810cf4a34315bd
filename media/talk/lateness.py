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
