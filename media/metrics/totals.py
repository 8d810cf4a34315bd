"""`Totals`: the snapshots of several processes become one, in the form of `Server.snapshot`.

What counts is added up, and what a dead process had counted stays in the sum. What says how things are at
the moment is added up over those that live (`GAUGES`), or the worst of them is taken (`WORST`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

Snapshot = dict[str, Any]

REPORT_INTERVAL_S = 1.0
"""How old a snapshot may be."""
GAUGES = frozenset(
    {"calls", "tracks", "connections", "queued_items", "queued_bytes", "live", "stage_bytes"}
    | {"abandoned", "waiting", "waiting_bytes", "in_flight", "held", "left_for_later"}
    | {"workers", "streams", "backlog_seconds"}
    | {"under_way", "spool_bytes", "spool_unread_bytes", "intake_bytes", "subscriptions", "readers", "resident_bytes"}
)
"""Names, at any depth, of what goes up and down."""
WORST = frozenset(
    {"lag_ns", "oldest_ns", "oldest_ms", "backlog_age_seconds", "age_ns", "p99_ns", "usual_ns", "longest_ns"}
)
"""Of these, a sum would say nothing."""


class Totals:
    """What every process said last, and what the dead ones of it had counted.

    Attributes:
        restarts: by process, how often it was replaced.
        is_up: by process, whether it is there and works.
        measured: values that are known better than by adding up: name, and how to ask.
        others: snapshots of what is counted beside the processes, to be added.
    """

    def __init__(self, processes: int = 1) -> None:
        """Begin with `processes` that are not up yet and have counted nothing."""
        self.restarts = [0] * processes
        self.is_up = [False] * processes
        self.measured: dict[str, Callable[[], Any]] = {}
        self.others: list[Callable[[], Snapshot]] = []
        self._last: list[Snapshot] = [{} for _ in range(processes)]
        self._before: list[Snapshot] = [{} for _ in range(processes)]

    def report(self, index: int, snapshot: Snapshot) -> None:
        """Take what process `index` says of itself."""
        self._last[index] = snapshot

    def bury(self, index: int) -> None:
        """Process `index` has ended: keep what it counted, its successor begins at 0."""
        self._before[index] = added([self._before[index], without_gauges(self._last[index])])
        self._last[index] = {}
        self.is_up[index] = False

    def snapshot(self) -> Snapshot:
        """Return the sum, a copy."""
        measured = {name: measure() for name, measure in self.measured.items()}
        return added([*self._before, *self._last, *(other() for other in self.others)]) | measured

    def part(self, name: str) -> Snapshot:
        """Return what `snapshot` has of `name`, without adding up anything else, or measuring."""
        counted = [*self._before, *self._last, *(other() for other in self.others)]
        return added({name: snapshot[name]} for snapshot in counted if name in snapshot)


def added(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return the sum of `snapshots`; lists are matched by the ``name`` of their items, texts are the last one's."""
    total: Snapshot = {}
    for snapshot in snapshots:
        _add(total, snapshot)
    return total


def _add(total: Snapshot, more: Snapshot) -> None:
    for name, value in more.items():
        if type(total.get(name)) is not type(value) and not _are_numbers(total.get(name), value):
            total[name] = deepcopy(value)  # there is none, or nothing that could be added
        elif isinstance(value, dict):
            _add(total[name], value)
        elif isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value):
            _add_items(total[name], value)
        elif isinstance(value, bool):
            total[name] = total[name] or value
        elif isinstance(value, int | float):
            total[name] = max(total[name], value) if name in WORST else total[name] + value
        else:
            total[name] = value


def _are_numbers(one: Any, other: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))


def _add_items(total: list[Snapshot], more: list[Snapshot]) -> None:
    by_name = {item["name"]: item for item in total}
    for item in more:
        if item["name"] in by_name:
            _add(by_name[item["name"]], item)
        else:
            total.append(deepcopy(item))


def without_gauges(snapshot: Snapshot) -> Snapshot:
    """Return what of a snapshot counts: what its process leaves behind."""
    kept: Snapshot = {}
    for name, value in snapshot.items():
        if isinstance(value, dict):
            kept[name] = without_gauges(value)
        elif isinstance(value, list):
            kept[name] = [without_gauges(item) for item in value if isinstance(item, dict)]
        elif name not in GAUGES | WORST and not isinstance(value, bool):
            kept[name] = value
    return kept
