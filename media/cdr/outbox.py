"""`Outbox`: records on their way to one place, bounded, and when that is tried again. Sans-I/O.

`receive` takes records, `poll` at `deadline` returns the oldest, which stay until `settle` says that they are
written; a failure is tried again with back-off. Beyond the bound the oldest go: what is known of calls that have
just ended is worth more than what could not be written for hours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from media.cdr.record import CallRecord
from strep.clock import NEVER_NS, NS_PER_SECOND

MAX_WAITING = 20_000
"""Records, of 2 KB or so."""
MAX_BATCH = 500
"""Records that are written at once."""
FIRST_BACK_OFF_NS, LONGEST_BACK_OFF_NS = NS_PER_SECOND, 60 * NS_PER_SECOND


class Outbox:
    """What waits for one place; whoever calls holds a lock.

    Attributes:
        written: records that are where they are to be.
        refused: records that will never be taken there.
        dropped: records for which there was no room.
        retries: attempts that failed.
    """

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        """Start empty."""
        self.written = self.refused = self.dropped = self.retries = 0
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[CallRecord, int]] = deque()
        self._due_ns = self._failures = self._in_flight = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def receive(self, records: Iterable[CallRecord], now_ns: int) -> None:
        """Take records."""
        for record in records:
            if len(self._waiting) >= self._max_waiting:
                self._waiting.popleft()
                self._in_flight = max(self._in_flight - 1, 0)
                self.dropped += 1
            self._waiting.append((record, now_ns))

    def poll(self, now_ns: int, *, at_once: bool = False) -> list[CallRecord]:
        """Return what is to be written now, the oldest first; `at_once`: without minding the back-off."""
        if now_ns < self._due_ns and not at_once:
            return []
        self._in_flight = min(MAX_BATCH, len(self._waiting))
        return [self._waiting[i][0] for i in range(self._in_flight)]

    def deadline(self) -> int:
        """Return when `poll` has something to return, `NEVER_NS` if not before the next `receive`."""
        return self._due_ns if self._waiting else NEVER_NS

    def settle(self, now_ns: int, *, is_written: bool, refused: int = 0) -> None:
        """Take note of how it went with what `poll` returned, of which so many were `refused` for good."""
        if not is_written:
            self.retries += 1
            self._due_ns = now_ns + min(FIRST_BACK_OFF_NS << min(self._failures, 30), LONGEST_BACK_OFF_NS)
            self._failures += 1
            return
        self._failures = self._due_ns = 0
        self.written += max(self._in_flight - refused, 0)  # of the refused some may have had to make room meanwhile
        self.refused += refused
        for _ in range(self._in_flight):
            self._waiting.popleft()
        self._in_flight = 0

    def snapshot(self, now_ns: int) -> dict[str, Any]:
        """Return counters, and what waits."""
        return {
            "written": self.written,
            "refused": self.refused,
            "dropped": self.dropped,
            "retries": self.retries,
            "waiting": len(self._waiting),
            "oldest_ns": now_ns - self._waiting[0][1] if self._waiting else 0,
        }
