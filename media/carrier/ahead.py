"""Datagrams written a little ahead of the clock: a wake-up for a few of them costs a system call and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from media.carrier.datagrams import DatagramTable
from media.carrier.script import TrackScript
from media.carrier.truth import Truth

Int64 = NDArray[np.int64]


class Timetable(Protocol):
    """A `media.carrier.plan.Plan`, or a `media.carrier.steady.Steady`; `start` and `stop` number deliveries."""

    @property
    def scripts(self) -> Sequence[TrackScript]:
        """The tracks."""

    def __len__(self) -> int:
        """Return the number of deliveries."""

    def destinations(self, start: int, stop: int) -> Int64:
        """Return where they go."""

    def times(self, start: int, stop: int) -> Int64:
        """Return when they are due."""

    def table(self, start: int, stop: int) -> DatagramTable:
        """Return their datagrams."""

    def truth(self) -> Truth:
        """Return what a receiver has to find out."""


class Ahead:
    """A stretch of deliveries in memory; memory does not grow with what is sent.

    Args:
        plan: what is sent.
        rows: of a stretch.

    Attributes:
        start: the first delivery of the stretch.
        stop: the first one behind it.
    """

    def __init__(self, plan: Timetable, rows: int) -> None:
        self._plan, self._rows = plan, rows
        self._fill(0)

    def move_to(self, delivery: int) -> None:
        """Write the stretch that begins with `delivery`, unless that one is there already."""
        if not self.start <= delivery < self.stop:
            self._fill(delivery)

    def due(self, now_ns: int) -> int:
        """Return the first delivery of the stretch that is not due yet, or `stop`."""
        return self.start + int(np.searchsorted(self._times_ns, now_ns, side="right"))

    def moment(self, delivery: int, within_ns: int) -> int:
        """Return when to send `delivery`: with the last of those of the stretch that are due within `within_ns`."""
        first = delivery - self.start
        last = int(np.searchsorted(self._times_ns, self._times_ns[first] + within_ns, side="right")) - 1
        return int(self._times_ns[last])

    def times(self, start: int, stop: int) -> Int64:
        """Return when deliveries `start` to `stop`, all of the stretch, are due."""
        return self._times_ns[start - self.start : stop - self.start]

    def table(self, start: int, stop: int) -> DatagramTable:
        """Return the datagrams of deliveries `start` to `stop`, all of the stretch."""
        rows = slice(start - self.start, stop - self.start)
        return DatagramTable(self._table.rows[rows], self._table.lengths[rows])

    def _fill(self, start: int) -> None:
        self.start, self.stop = start, min(start + self._rows, len(self._plan))
        self._times_ns = self._plan.times(self.start, self.stop)
        self._table = self._plan.table(self.start, self.stop)
