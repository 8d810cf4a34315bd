"""What the simulated caller heard and what else came, with times: kept per call, written as JSON."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from strep.clock import NS_PER_MS

MAX_ENTRIES = 65_536
"""Of each kind that is kept per call; what comes beyond is counted."""
_NOT_YET = -1


class Fate(StrEnum):
    """Why a mark came back, or did not."""

    QUEUED = "queued"
    PLAYED = "played"
    AT_ONCE = "at-once"
    """Nothing played and nothing was queued."""
    CLEARED = "cleared"
    LOST = "lost"
    """The call was over, or the socket gone and the queue forgotten, before it was due."""


@dataclass(slots=True)
class MarkHeard:
    """A mark, when it came, and when and why it was returned."""

    name: str
    came_ns: int
    returned_ns: int = _NOT_YET
    fate: Fate = Fate.QUEUED


@dataclass(frozen=True, slots=True)
class ClearHeard:
    """A clear: when it came, where silence began, and how much that was queued was not played."""

    came_ns: int
    position_samples: int
    cut_samples: int


@dataclass(frozen=True, slots=True)
class RefusalHeard:
    """A message that was not taken."""

    came_ns: int
    code: int
    detail: str


@dataclass(slots=True)
class Heard:
    """The story of one call's way back.

    Attributes:
        start_ns: the call's beginning, sample 0.
        rate_hz: of the samples.
        messages: media messages that were taken to be played.
        message_bytes: of them, without base64.
        samples: of them that were played, and not cut off.
        cut_samples: that were not.
        refusals: messages not taken, by code.
        ignored: messages dropped without a word.
        underruns: how often the queue ran dry inside a talk spurt, and for how many samples in all.
        end_samples: where the call ended.
    """

    start_ns: int
    rate_hz: int
    messages: int = 0
    message_bytes: int = 0
    samples: int = 0
    cut_samples: int = 0
    refusals: Counter[int] = field(default_factory=Counter)
    ignored: int = 0
    underruns: int = 0
    underrun_samples: int = 0
    marks: int = 0
    clears: int = 0
    digits: str = ""
    end_samples: int = 0
    _came_ns: array[int] = field(default_factory=lambda: array("q"), repr=False)
    _positions: array[int] = field(default_factory=lambda: array("q"), repr=False)
    _lengths: array[int] = field(default_factory=lambda: array("q"), repr=False)
    mark_list: list[MarkHeard] = field(default_factory=list, repr=False)
    clear_list: list[ClearHeard] = field(default_factory=list, repr=False)
    refusal_list: list[RefusalHeard] = field(default_factory=list, repr=False)

    def message(self, now_ns: int, size_bytes: int, position: int, samples: int) -> None:
        """A media message was taken, and begins to play at `position`."""
        self.messages += 1
        self.message_bytes += size_bytes
        self.samples += samples
        if self.messages <= MAX_ENTRIES:
            self._came_ns.append(now_ns - self.start_ns)
            self._positions.append(position)
            self._lengths.append(samples)

    def cut(self, position: int, samples: int) -> None:
        """`samples` from `position` on will not be played."""
        self.cut_samples += samples
        self.samples -= samples
        row = len(self._positions) - 1
        while row >= 0 and self._positions[row] + self._lengths[row] > position:
            self._lengths[row] = max(0, position - self._positions[row])
            row -= 1

    def underrun(self, samples: int) -> None:
        """The queue was dry for this long inside a talk spurt."""
        self.underruns += 1
        self.underrun_samples += samples

    def mark(self, name: str, now_ns: int) -> MarkHeard:
        """A mark came."""
        self.marks += 1
        mark = MarkHeard(name, now_ns)
        if self.marks <= MAX_ENTRIES:
            self.mark_list.append(mark)
        return mark

    def clear(self, now_ns: int, position: int, samples: int) -> None:
        """A clear came."""
        self.clears += 1
        if self.clears <= MAX_ENTRIES:
            self.clear_list.append(ClearHeard(now_ns, position, samples))

    def digit(self, digit: str, now_ns: int) -> None:
        """The carrier was asked to press keys."""
        del now_ns
        self.digits = (self.digits + digit)[:MAX_ENTRIES]

    def refuse(self, code: int, detail: str, now_ns: int) -> None:
        """A message was not taken."""
        self.refusals[code] += 1
        if self.refusals.total() <= MAX_ENTRIES:
            self.refusal_list.append(RefusalHeard(now_ns, code, detail))

    def finish(self, position: int) -> None:
        """The call is over."""
        self.end_samples = position

    def counters(self) -> dict[str, int]:
        """Return what can be added up over calls."""
        return {
            "messages": self.messages,
            "message_bytes": self.message_bytes,
            "samples": self.samples,
            "cut_samples": self.cut_samples,
            "refused": self.refusals.total(),
            "ignored": self.ignored,
            "underruns": self.underruns,
            "underrun_samples": self.underrun_samples,
            "marks": self.marks,
            "clears": self.clears,
        }

    def spurts(self) -> list[tuple[int, int, int]]:
        """Return what was heard without a gap: (position, samples, messages) of each stretch."""
        found: list[tuple[int, int, int]] = []
        for position, samples in zip(self._positions, self._lengths, strict=True):
            if not samples:
                continue
            if found and sum(found[-1][:2]) == position:
                begin, length, count = found[-1]
                found[-1] = (begin, length + samples, count + 1)
            else:
                found.append((position, samples, 1))
        return found

    def describe(self) -> dict[str, Any]:
        """Return everything as plain data; times in milliseconds of the call, positions in samples."""
        return {
            **self.counters(),
            "sample_rate_hz": self.rate_hz,
            "end_samples": self.end_samples,
            "refusals": {str(code): count for code, count in sorted(self.refusals.items())},
            "digits": self.digits,
            "spurts": [dict(zip(("position", "samples", "messages"), spurt, strict=True)) for spurt in self.spurts()],
            "came": [
                {"at_ms": came_ns / NS_PER_MS, "position": position, "samples": samples}
                for came_ns, position, samples in zip(self._came_ns, self._positions, self._lengths, strict=True)
            ],
            "mark_list": [self._mark(mark) for mark in self.mark_list],
            "clear_list": [
                {"at_ms": self._ms(c.came_ns), "position": c.position_samples, "cut_samples": c.cut_samples}
                for c in self.clear_list
            ],
            "refusal_list": [
                {"at_ms": self._ms(r.came_ns), "code": r.code, "detail": r.detail} for r in self.refusal_list
            ],
        }

    def _mark(self, mark: MarkHeard) -> dict[str, Any]:
        returned_ms = None if mark.returned_ns == _NOT_YET else self._ms(mark.returned_ns)
        return {
            "name": mark.name,
            "at_ms": self._ms(mark.came_ns),
            "returned_ms": returned_ms,
            "fate": mark.fate.value,
        }

    def _ms(self, time_ns: int) -> float:
        return (time_ns - self.start_ns) / NS_PER_MS
