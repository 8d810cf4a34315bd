"""Three clocks, one file: the only place below the shells that may ask what time it is.

* ``now_ns`` - monotonic nanoseconds: deadlines, pacing, arrival times.
* media time - samples on a track's tape; never read from a clock at all.
* wall time - names, sidecars, log lines.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

NS_PER_MS = 1_000_000
NS_PER_SECOND = 1_000_000_000
NEVER_NS = (1 << 63) - 1
"""A deadline that never comes; the largest int64."""
_EPOCH = datetime(1970, 1, 1)


def iso8601(wall_ns: int) -> str:
    """Return nanoseconds since the Unix epoch as UTC with microseconds, rounded down."""
    moment = _EPOCH + timedelta(microseconds=wall_ns // 1000)
    return moment.isoformat(timespec="microseconds") + "Z"


class Clock(Protocol):
    """What the shells ask for time; cores are given ``now_ns`` instead."""

    def now_ns(self) -> int:
        """Return monotonic nanoseconds."""

    def wall_ns(self) -> int:
        """Return nanoseconds since the Unix epoch."""


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        """Return ``CLOCK_MONOTONIC`` in nanoseconds."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Return ``CLOCK_REALTIME`` in nanoseconds."""
        return time.time_ns()


@dataclass
class ManualClock:
    """A clock that stands still until it is told to move; for tests and replays."""

    monotonic_ns: int = 0
    epoch_ns: int = 1_700_000_000 * NS_PER_SECOND

    def now_ns(self) -> int:
        """Return the monotonic reading in nanoseconds."""
        return self.monotonic_ns

    def wall_ns(self) -> int:
        """Return the wall reading in nanoseconds."""
        return self.epoch_ns + self.monotonic_ns

    def advance(self, delta_ns: int) -> int:
        """Move both readings forward by `delta_ns` and return the new ``now_ns``."""
        self.monotonic_ns += delta_ns
        return self.monotonic_ns
