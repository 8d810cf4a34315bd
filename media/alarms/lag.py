"""`LagMeter`: how late something is that should be on time, as a histogram and a percentile of the last seconds."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import Any

from strep.clock import NS_PER_MS, NS_PER_SECOND

BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_BOUNDS_NS = [bound * NS_PER_MS for bound in BOUNDS_MS]
WINDOW = 10
"""Marks, one a second, that the percentile looks back."""


class LagMeter:
    """Counts by bounds; adding costs a bisection.

    Attributes:
        sum_ns: of all that was added.
        longest_ns: the longest since the mark before the last.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.sum_ns = 0
        self._counts = [0] * (len(BOUNDS_MS) + 1)
        self._marks = deque([list(self._counts)], WINDOW)
        self._longest_ns = deque([0, 0], 2)

    def add(self, late_ns: int) -> None:
        """Count one; what is early is on time."""
        late_ns = max(late_ns, 0)
        self._counts[bisect_left(_BOUNDS_NS, late_ns)] += 1
        self.sum_ns += late_ns
        self._longest_ns[-1] = max(self._longest_ns[-1], late_ns)

    def mark(self) -> None:
        """Let a second be over."""
        self._marks.append(list(self._counts))
        self._longest_ns.append(0)

    @property
    def longest_ns(self) -> int:
        """The longest since the mark before the last."""
        return max(self._longest_ns)

    def percentile_ns(self, percent: float, but: int = 0) -> int:
        """Return what `percent` of the last `WINDOW` seconds', or all `but` some, were not later than.

        It is a bound, or the longest.
        """
        recent = [count - before for count, before in zip(self._counts, self._marks[0], strict=True)]
        count_all, so_far = sum(recent), 0
        wanted = min(count_all * percent / 100, count_all - but)
        for bound_ns, count in zip(_BOUNDS_NS, recent, strict=False):
            so_far += count
            if so_far >= wanted:
                return bound_ns if so_far else 0
        return max(self.longest_ns, _BOUNDS_NS[-1])

    def snapshot(self) -> dict[str, Any]:
        """Return counters by bound, in seconds, each with those before it, and what the last seconds were like."""
        buckets, so_far = {}, 0
        for bound_ms, count in zip(BOUNDS_MS, self._counts, strict=False):
            so_far += count
            buckets[str(bound_ms / 1000)] = so_far
        buckets["+Inf"] = sum(self._counts)
        return {
            "buckets": buckets,
            "sum_seconds": self.sum_ns / NS_PER_SECOND,
            "p99_ns": self.percentile_ns(99),
            # One that is late among few, ten beats of a server without calls, says nothing of the others.
            "usual_ns": self.percentile_ns(99, but=1),
            "longest_ns": self.longest_ns,
        }
