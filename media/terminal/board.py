"""`Board`: what is known of a server's calls, from pages and events as they come; knows no clock and no terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from heapq import nlargest
from typing import Any

from media.terminal.lines import detail_of
from media.terminal.reading import DIRECTIONS, jitter_ms_of, level_db_of, mos_of, seconds_of, total_of

ENDED_SHOWN_S = 5.0
"""So long a call that has ended is still shown."""
MAX_CALLS = 20_000
MAX_EVENTS = 200
"""Of which the last are shown."""
PAGE_CALLS = 250
NEWEST_CALLS = 50
"""Calls that are asked for a second: the server answers in its media loop."""
LEAST_PACKETS = 250
"""Loss is told of at least so many: one packet of the first ten is not 10 %."""


@dataclass
class CallRow:
    """A call.

    Attributes:
        started: when it began, ISO 8601.
        sweep: the last one that has seen it.
        length_s, received, expected, lost, late, jitter_ms, mos, level_db: see `media.terminal.reading`.
        happened: its last event, in words.
        ended_s: when it ended; None: it is live.
    """

    call_id: str
    sweep: int
    started: str = ""
    door: str = ""
    length_s: float = 0.0
    received: int = 0
    expected: int = 0
    lost: int = 0
    late: int = 0
    jitter_ms: float | None = None
    mos: float | None = None
    level_db: dict[str, float | None] = field(default_factory=dict)
    happened: str = ""
    ended_s: float | None = None

    @property
    def loss(self) -> float:
        """Share of packets that did not come, 0 to 1."""
        return self.lost / max(self.expected, LEAST_PACKETS)


SORTS: dict[str, Callable[[CallRow], tuple[Any, ...]]] = {
    "worst": lambda row: (row.ended_s is None, row.loss, row.started),
    "newest": lambda row: (row.started,),
    "longest": lambda row: (row.length_s, row.call_id),
    "jitter": lambda row: (row.jitter_ms or 0.0, row.started),
    "quality": lambda row: (row.mos is not None, -(row.mos or 0.0), row.started),
}
"""What is greatest comes first."""


class Sweep:
    """Which pages to ask for: all calls, a bounded number a second, and the newest each time."""

    def __init__(self) -> None:
        self._offset = self._total = 0

    def pages(self) -> list[tuple[int, int, bool]]:
        """Return offset and limit of what to ask for now, and whether all calls have been asked for behind it."""
        end = self._offset + PAGE_CALLS
        pages = [(self._offset, PAGE_CALLS, end >= self._total)]
        if end < self._total:
            newest = max(self._total - NEWEST_CALLS, end)
            pages.insert(0, (newest, NEWEST_CALLS, False))
        self._offset = 0 if end >= self._total else end
        return pages

    def saw(self, total: int) -> None:
        """Take how many calls there are."""
        self._total = total


class Board:
    """State of a view.

    Attributes:
        total: live calls, as the server says.
        begun, ended, events: since the view began.
        missed: events that the server dropped for us.
        recent: the last events, the newest last.
        alarms: those that are raised, as the server says.
        trouble: why there is no connection, "" if there is one; since `trouble_s`, and tried again at `again_s`.
        notice: something about the connection that people should know.
        sweeps: so often all calls have been seen.
    """

    def __init__(self, pattern: str = "*", kinds: frozenset[str] = frozenset()) -> None:
        """Show calls by pattern, and of the events those of some kinds; all, if there is none."""
        self.total = self.begun = self.ended = self.events = self.missed = self.sweeps = 0
        self.calls: dict[str, CallRow] = {}
        self.recent: deque[dict[str, Any]] = deque(maxlen=MAX_EVENTS)
        self.alarms: list[dict[str, Any]] = []
        self.trouble = self.notice = ""
        self.trouble_s = self.again_s = 0.0
        self._pattern, self._kinds = pattern, kinds

    def take_page(self, total: int, calls: list[dict[str, Any]], *, is_last: bool) -> None:
        """Take a reply about some calls; `is_last` says that with it all have been asked for."""
        self.total = total
        for call in calls:
            row = self._row(str(call.get("call_id", "")))
            if row is None:
                continue
            row.sweep, row.door, row.length_s = self.sweeps, str(call.get("door", "")), seconds_of(call)
            row.started = str(call.get("started_at", row.started))
            row.received, row.expected = total_of(call, "received"), total_of(call, "expected")
            row.lost, row.late = total_of(call, "never_arrived"), total_of(call, "late")
            row.jitter_ms, row.mos = jitter_ms_of(call), mos_of(call)
            row.level_db = {direction: level_db_of(call, direction) for direction in DIRECTIONS}
        if is_last:
            # When calls end during a sweep those behind them move up, and one may be skipped: but not twice.
            gone = [row.call_id for row in self.calls.values() if row.sweep < self.sweeps - 1 and row.ended_s is None]
            for call_id in gone:
                del self.calls[call_id]
            self.sweeps += 1

    def take_event(self, event: dict[str, Any], now_s: float) -> None:
        """Take an event."""
        kind, call_id = event.get("event", ""), str(event.get("call_id", ""))
        if kind == "dropped":
            self.missed += event.get("events", 0)
            return
        self.events += 1
        if not self._kinds or kind in self._kinds:
            self.recent.append(event)
        row = self._row(call_id)
        if row is None:
            return
        row.happened = f"{kind} {detail_of(event)}".strip() if kind != "call_started" else row.happened
        if kind == "call_started":
            self.begun += 1
            row.door = str(event.get("door", row.door))
            row.started = row.started or str(event.get("occurred_at", ""))
        elif kind == "call_ended":
            self.ended += 1
            row.ended_s = now_s

    def take_alarms(self, report: dict[str, Any]) -> None:
        """Take what ``/v1/alarms`` says."""
        self.alarms = list(report.get("alarms", ()))

    def lose(self, reason: str, now_s: float, again_in_s: float) -> None:
        """Take that there is no connection."""
        if not self.trouble:
            self.trouble_s = now_s
        self.trouble, self.again_s = reason, now_s + again_in_s

    def find_again(self, now_s: float) -> None:
        """Take that there is a connection again; nobody knows what has become of the calls."""
        self.notice = f"connected again after {now_s - self.trouble_s:.0f} s; events of that time are missing"
        self.trouble = ""
        self.calls.clear()
        self.alarms.clear()
        self.total = 0

    def rows(self, sort: str, most: int, now_s: float) -> list[CallRow]:
        """Return at most so many calls, what comes first by `SORTS` first; forget those that ended a while ago."""
        for row in [row for row in self.calls.values() if row.ended_s is not None]:
            if now_s - (row.ended_s or 0.0) > ENDED_SHOWN_S:
                del self.calls[row.call_id]
        return nlargest(most, self.calls.values(), key=SORTS[sort])

    @property
    def loss(self) -> float:
        """Share of packets lost over all calls that are known, 0 to 1."""
        expected = sum(row.expected for row in self.calls.values())
        return sum(row.lost for row in self.calls.values()) / expected if expected else 0.0

    def _row(self, call_id: str) -> CallRow | None:
        """Return the row of a call, a new one if need be; None: it is not wanted, or there are too many."""
        row = self.calls.get(call_id)
        if row is None and call_id and len(self.calls) < MAX_CALLS and fnmatchcase(call_id, self._pattern):
            row = self.calls[call_id] = CallRow(call_id, self.sweeps)
        return row
