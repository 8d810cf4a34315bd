"""`Announced`: the legs that may begin, each until a time of its own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush

from media.admission.quarantine import Leg
from strep.clock import NS_PER_SECOND

GOOD_FOR_S = 14_400.0
"""So long an announcement is good unless it says otherwise: as long as Telnyx lets a call last (time_limit_secs)."""
GOOD_FOR_NS = round(GOOD_FOR_S * NS_PER_SECOND)
MOST = 100_000
"""Beyond it what is over is forgotten first, and then the oldest."""
EXPIRED_AT_ONCE = 100
"""So many that are over are let go of with each new one: it may cost a file each, in the media loop."""


class Announced:
    """Who may begin, bounded in number and time.

    Attributes:
        forgotten: announcements that had to make room.
        on_gone: told of each leg whose time is over, or that had to make room.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.forgotten = 0
        self.on_gone: Callable[[Leg], object] = _ignore
        self._until_ns: OrderedDict[Leg, int] = OrderedDict()
        self._ends: list[tuple[int, Leg]] = []  # a heap; some are of announcements that are no more

    def __len__(self) -> int:
        """Return how many are remembered; some of them may be over."""
        return len(self._until_ns)

    def count(self, now_ns: int) -> int:
        """Return how many may begin."""
        return sum(until_ns >= now_ns for until_ns in self._until_ns.values())

    def add(self, leg: Leg, now_ns: int, good_for_ns: int) -> None:
        """Let `leg` begin until `good_for_ns` from now; the last word counts.

        Raises:
            ValueError: that is over already.
        """
        if good_for_ns < 0:
            raise ValueError(f"an announcement is good for 0 ns or more, not {good_for_ns}")
        self._until_ns[leg] = now_ns + good_for_ns
        self._until_ns.move_to_end(leg)
        heappush(self._ends, (now_ns + good_for_ns, leg))
        self._expire(now_ns)
        while len(self._until_ns) > MOST:
            oldest, _ = self._until_ns.popitem(last=False)
            self.forgotten += 1
            self.on_gone(oldest)
        if len(self._ends) > 2 * len(self._until_ns) + EXPIRED_AT_ONCE:
            self._ends = [(until_ns, one) for one, until_ns in self._until_ns.items()]
            heapify(self._ends)

    def clear(self) -> None:
        """Let none begin."""
        self._until_ns.clear()
        self._ends.clear()

    def discard(self, leg: Leg, now_ns: int) -> bool:
        """Let `leg` begin no more; return whether it might have."""
        return self._until_ns.pop(leg, now_ns - 1) >= now_ns

    def has(self, leg: Leg, now_ns: int) -> bool:
        """Tell whether `leg` may begin."""
        return self._until_ns.get(leg, now_ns - 1) >= now_ns

    def left(self, now_ns: int) -> Iterator[tuple[Leg, float]]:
        """Yield all that may begin, with how long, in seconds."""
        for leg, until_ns in self._until_ns.items():
            if until_ns >= now_ns:
                yield leg, (until_ns - now_ns) / NS_PER_SECOND

    def _expire(self, now_ns: int) -> None:
        gone = 0
        while self._ends and self._ends[0][0] < now_ns and gone < EXPIRED_AT_ONCE:
            until_ns, leg = heappop(self._ends)
            if self._until_ns.get(leg) == until_ns:
                del self._until_ns[leg]
                self.on_gone(leg)
                gone += 1


def _ignore(leg: Leg) -> None:
    """Do nothing."""
