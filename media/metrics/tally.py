"""`Tally`: what became of calls and tracks that have ended, as counts for metrics, and what this process takes.

Told by the event bus in the thread that ends a call: a few additions for each track.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from typing import Any

from media.events.bus import EventBus, Told
from media.events.calls import CallOver
from media.sinks.contract import CallReport, TrackReport

DURATIONS_S = (1, 10, 30, 60, 300, 900, 3600)
LOSSES = (0.0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Shares of packets."""
JITTERS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
OPINIONS = (2.0, 2.5, 3.0, 3.5, 4.0, 4.3)
"""Mean opinion scores, 1 to 4.5; see docs/quality.md."""
COUNTED = {
    "packets": "received",
    "lost": "never_arrived",
    "late": "late",
    "duplicates": "duplicate",
    "reordered": "reordered",
}
"""Sums of a door, by the name in `TrackReport.statistics`."""


class Distribution:
    """Counts of values up to each of some bounds, as Prometheus has them."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Start empty."""
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def snapshot(self) -> dict[str, Any]:
        """Return ``{"buckets": {bound: values up to it}, "sum"}``."""
        buckets, total = {}, 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            buckets[bound] = total
        return {"buckets": buckets, "sum": self._sum}


class Tally:
    """Counts ends of calls."""

    name = "tally"

    def __init__(self, bus: EventBus) -> None:
        """Subscribe."""
        self._reasons: dict[str, int] = {}
        self._one_way = 0
        self._doors: dict[str, dict[str, int]] = {}
        self._durations, self._losses = Distribution(DURATIONS_S), Distribution(LOSSES)
        self._jitters, self._opinions = Distribution(JITTERS_S), Distribution(OPINIONS)
        bus.subscribe(self.put)

    def put(self, told: Told) -> None:
        """Count a call, if it has ended."""
        event = told.event
        if isinstance(event, CallOver) and event.report is not None:
            self._count(told.call.door, event.report, told.call.sample_rate_hz)

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {
            "reasons": dict(self._reasons),
            "one_way": self._one_way,
            "doors": {door: dict(sums) for door, sums in self._doors.items()},
            "duration": self._durations.snapshot(),
            "loss": self._losses.snapshot(),
            "jitter": self._jitters.snapshot(),
            "mos": self._opinions.snapshot(),
            "process": usage(),
        }

    def _count(self, door: str, report: CallReport, sample_rate_hz: int) -> None:
        self._reasons[report.reason] = self._reasons.get(report.reason, 0) + 1
        self._one_way += sum(track.codec is not None and not track.is_played for track in report.tracks) == 1
        self._durations.add(report.length_samples / sample_rate_hz)
        sums = self._doors.setdefault(door, dict.fromkeys(COUNTED, 0))
        for track in report.tracks:
            for name, field in COUNTED.items():
                sums[name] += int(track.statistics.get(field, 0))
            self._rate(track)

    def _rate(self, track: TrackReport) -> None:
        quality = track.quality
        if quality is None or not quality["expected_packets"]:
            return
        self._losses.add(quality["loss_percent"] / 100)
        self._jitters.add(quality["jitter_mean_ms"] / 1000)
        if quality["mos"] is not None:
            self._opinions.add(quality["mos"])


def usage() -> dict[str, Any]:
    """Return what this process has used of the CPU, and holds of memory as far as the system says so."""
    spent = os.times()
    said: dict[str, Any] = {"cpu_seconds": spent.user + spent.system}
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            said["resident_bytes"] = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):  # no Linux
        pass
    return said
