"""`Announced`: the legs that may begin, each until a time of its own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from media.admission.quarantine import Leg
from strep.clock import NS_PER_SECOND

GOOD_FOR_S = 14_400.0
"""So long an announcement is good unless it says otherwise: as long as Telnyx lets a call last (time_limit_secs)."""
GOOD_FOR_NS = round(GOOD_FOR_S * NS_PER_SECOND)
MOST = 100_000
"""Beyond it the oldest is forgotten."""


class Announced:
    """Who may begin, bounded in number and time.

    Attributes:
        forgotten: announcements that had to make room.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.forgotten = 0
        self._until_ns: OrderedDict[Leg, int] = OrderedDict()

    def __len__(self) -> int:
        """Return how many there are; some of them may be over."""
        return len(self._until_ns)

    def add(self, leg: Leg, now_ns: int, good_for_ns: int) -> None:
        """Let `leg` begin until `good_for_ns` from now; the last word counts."""
        self._until_ns[leg] = now_ns + good_for_ns
        self._until_ns.move_to_end(leg)
        while len(self._until_ns) > MOST or next(iter(self._until_ns.values())) < now_ns:
            _, until_ns = self._until_ns.popitem(last=False)
            self.forgotten += until_ns >= now_ns

    def clear(self) -> None:
        """Let none begin."""
        self._until_ns.clear()

    def discard(self, leg: Leg) -> bool:
        """Let `leg` begin no more; return whether it might have."""
        return self._until_ns.pop(leg, None) is not None

    def has(self, leg: Leg, now_ns: int) -> bool:
        """Tell whether `leg` may begin."""
        return self._until_ns.get(leg, now_ns - 1) >= now_ns

    def left(self, now_ns: int) -> Iterator[tuple[Leg, float]]:
        """Yield all that may begin, with how long, in seconds."""
        for leg, until_ns in self._until_ns.items():
            if until_ns >= now_ns:
                yield leg, (until_ns - now_ns) / NS_PER_SECOND
