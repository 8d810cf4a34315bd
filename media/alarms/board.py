"""`AlarmBoard`: raises and clears alarms, each with patience on both sides. Sans-I/O: it is given snapshots."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

Snapshot = dict[str, Any]
Severity = Literal["warning", "critical"]
Measured = tuple[float, str] | None
"""How bad it is, and what it is about, for people; None: there is nothing of the kind, or nobody can tell now."""
_LOG = logging.getLogger("strep.alarms")


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to see, this time and the last time."""

    now: Snapshot
    before: Snapshot

    def grown(self, *names: str, within: Callable[[Snapshot], Iterable[Snapshot]] = lambda whole: (whole,)) -> int:
        """Return by how much counters have grown since the last look, those of `names` in all parts of the whole."""
        return max(_total(names, within(self.now)) - _total(names, within(self.before)), 0) if self.before else 0


def _total(names: Iterable[str], parts: Iterable[Snapshot]) -> int:
    parts = list(parts)
    return sum(part.get(name, 0) for name in names for part in parts)


@dataclass(frozen=True, slots=True)
class Rule:
    """An alarm that there may be.

    Attributes:
        name: in metrics, replies and logs.
        severity: critical: audio is, or is about to be, lost.
        meaning: what is the matter.
        remedy: what to do about it.
        measure: how bad it is.
        raise_at: it is raised when it is as bad as that,
        raise_after: for so many looks in a row;
        clear_below: and cleared when it is less bad than that,
        clear_after: for so many looks in a row. A look is a second.
        threshold: the same in words.
        is_total: what is measured does not go back: it is as bad as what has come since it was said last.
    """

    name: str
    severity: Severity
    meaning: str
    remedy: str
    measure: Callable[[Look], Measured]
    threshold: str
    raise_at: float = 1
    raise_after: int = 1
    clear_below: float = 1
    clear_after: int = 60
    is_total: bool = False


@dataclass(slots=True)
class Alarm:
    """The state of a rule.

    Attributes:
        rule: whose.
        since_ns: when it was raised, by the monotonic clock; None: it is not.
        raised: how often it was.
        detail: what it is about, for people.
    """

    rule: Rule
    since_ns: int | None = None
    raised: int = 0
    detail: str = ""
    _in_a_row: int = 0
    _said: float = 0
    _is_broken: bool = False

    @property
    def is_raised(self) -> bool:
        """Whether it is."""
        return self.since_ns is not None

    def measure(self, look: Look) -> Measured:
        """Measure; a mistake in that is said once, and costs no other alarm anything."""
        try:
            return self.rule.measure(look)
        except Exception:
            if not self._is_broken:
                _LOG.exception("alarm %s cannot be measured", self.rule.name)
            self._is_broken = True
            return None

    def take(self, measured: Measured, now_ns: int) -> bool:
        """Take what was measured, and return whether it was raised or cleared by that; None changes nothing."""
        if measured is None:
            return False
        (value, detail), rule = measured, self.rule
        if rule.is_total:
            self._said = min(self._said, value)
            total, value = value, value - self._said
            if self.is_raised or (value >= rule.raise_at and self._in_a_row + 1 >= rule.raise_after):
                self._said = total
        if not self.is_raised:
            self._in_a_row = self._in_a_row + 1 if value >= rule.raise_at else 0
            if self._in_a_row < rule.raise_after:
                return False
            self.since_ns, self.raised = now_ns, self.raised + 1
            self.detail, self._in_a_row = detail, 0
            return True
        self._in_a_row = self._in_a_row + 1 if value < rule.clear_below else 0
        if value >= rule.clear_below:
            self.detail = detail
        if self._in_a_row < rule.clear_after:
            return False
        self.since_ns, self._in_a_row = None, 0
        return True


class AlarmBoard:
    """All alarms of a process."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Begin with nothing raised."""
        self._alarms = [Alarm(rule) for rule in rules]
        self._before: Snapshot = {}

    def look(self, snapshot: Snapshot, now_ns: int) -> list[Alarm]:
        """Take a snapshot, once a second; return the alarms that were raised or cleared by it."""
        look, self._before = Look(snapshot, self._before), snapshot
        return [alarm for alarm in self._alarms if alarm.take(alarm.measure(look), now_ns)]

    def snapshot(self, now_ns: int) -> list[Snapshot]:
        """Return all alarms, whether raised and for how long, to be added up over processes by their names."""
        return [
            {
                "name": alarm.rule.name,
                "severity": alarm.rule.severity,
                "is_raised": since_ns is not None,
                "raised": alarm.raised,
                **({"age_ns": now_ns - since_ns, "detail": alarm.detail} if since_ns is not None else {}),
            }
            for alarm in self._alarms
            for since_ns in [alarm.since_ns]
        ]
