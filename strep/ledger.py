"""The gap ledger: typed spans of a track's tape that add up to its length, to the sample.

Only what is *not* plainly received is stored; "received" is the rest, so the sum holds by construction
and a ledger of a clean call is empty.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import Enum

MAX_SPANS = 20_000
"""Spans kept one by one; beyond it only the totals go on, exactly, and the ledger says so."""


class Kind(Enum):
    """What a span of tape holds."""

    RECEIVED = "received"
    LATE_PATCHED = "late-patched"
    """Given up, then arrived: in the recording, not in what live sinks heard."""
    LOST = "lost"
    """Sequence numbers are missing."""
    SILENCE = "silence"
    """The sender sent nothing: timestamps advance over consecutive sequence numbers (DTX, hold)."""
    RESTART = "restart"
    """Between two epochs; its length is measured by arrival times."""
    PAUSED = "paused"
    """Recording was paused on purpose."""


_NOTHING = dict.fromkeys(Kind, 0)

Span = tuple[int, int, Kind]
"""Start and length in samples, and the kind."""


class Ledger:
    """Spans in ascending order, without overlap.

    Attributes:
        spans, totals: what is in it; samples per kind.
        truncated: there were more spans than are kept.
    """

    def __init__(self, slot: int = 0, changed: set[int] | None = None) -> None:
        """Start empty: everything is received.

        Args:
            slot: whose it is.
            changed: where `slot` is put whenever something changes; whoever takes it out takes the changes.
        """
        self.spans: list[Span] = []
        self.totals = _NOTHING.copy()
        self.truncated = False
        self._slot, self._changed = slot, set[int]() if changed is None else changed
        self._first_changed = 0

    def add(self, start: int, length: int, kind: Kind) -> None:
        """Append a span behind all others; it joins its neighbour if they are of one kind."""
        if length <= 0:
            return
        self.totals[kind] += length
        self._changed.add(self._slot)
        if self.spans and self.spans[-1][2] is kind and sum(self.spans[-1][:2]) == start:
            self.spans[-1] = (self.spans[-1][0], self.spans[-1][1] + length, kind)
            self._first_changed = min(self._first_changed, len(self.spans) - 1)
        elif len(self.spans) < MAX_SPANS:
            self.spans.append((start, length, kind))
        else:
            self.truncated = True

    def patch(self, start: int, length: int) -> int:
        """Turn what was filled within [start, start + length) into late-patched; return how many samples were."""
        end, patched_before = start + length, self.totals[Kind.LATE_PATCHED]
        index = max(bisect_right(self.spans, start, key=lambda span: span[0]) - 1, 0)
        while index < len(self.spans) and self.spans[index][0] < end:
            span_start, span_length, kind = self.spans[index]
            span_end = span_start + span_length
            first, last = max(span_start, start), min(span_end, end)
            if kind is Kind.LATE_PATCHED or first >= last:
                index += 1
                continue
            pieces = [(span_start, first, kind), (first, last, Kind.LATE_PATCHED), (last, span_end, kind)]
            kept = [(a, b - a, piece) for a, b, piece in pieces if b > a]
            self.spans[index : index + 1] = kept
            self._first_changed = min(self._first_changed, index)
            self._changed.add(self._slot)
            self.totals[kind] -= last - first
            self.totals[Kind.LATE_PATCHED] += last - first
            index += len(kept)
        return self.totals[Kind.LATE_PATCHED] - patched_before

    def take_changes(self) -> list[Span]:
        """Return the spans from the first one on that has changed since the last call: they are in place of those."""
        first, self._first_changed = self._first_changed, len(self.spans)
        return self.spans[first:]

    def total(self, length: int) -> dict[Kind, int]:
        """Return samples per kind for a tape of `length` samples; the values add up to `length`."""
        gaps = sum(self.totals.values())
        return {**self.totals, Kind.RECEIVED: length - gaps}
