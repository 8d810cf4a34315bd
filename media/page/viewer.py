"""`Viewer`: somebody who looks at some calls, and what there is to tell of them. Bounded: the oldest makes room."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.events.bus import Told
from media.page.levels import LEVEL, levels_of
from media.sinks.contract import CallInfo

MAX_VISIBLE = 64
"""Calls that one viewer has in sight."""
MAX_LEVELS = 16_384
"""Records that wait for a viewer, 256 KB: ten seconds of 40 calls."""
MAX_EVENTS = 1000


class Viewer:
    """One page that is open.

    `receive` is for the feed's thread, `hear` for any that publishes events, the others for that of the HTTP door.

    Attributes:
        dropped: records of levels and events that were not taken in time.
    """

    def __init__(self, is_live: Callable[[CallInfo], bool]) -> None:
        """Look at nothing yet; `is_live` tells whether a call still has its number."""
        self.dropped = 0
        self._is_live, self._lock = is_live, threading.Lock()
        self._visible: dict[int, CallInfo] = {}
        self._levels: deque[NDArray[Any]] = deque()
        self._waiting = 0
        self._events: deque[Told] = deque()

    @property
    def visible(self) -> list[CallInfo]:
        """The calls in sight."""
        return list(self._visible.values())

    def look_at(self, calls: Iterable[CallInfo]) -> None:
        """Have these in sight from now on, and no others."""
        self._visible = {call.index: call for call in list(calls)[:MAX_VISIBLE]}

    def receive(self, batch: PcmBatch) -> None:
        """Measure what is in sight."""
        visible = [call.index for call in self._visible.values() if self._is_live(call)]
        if not visible or not len(batch):
            return
        wanted = np.isin(batch.call, np.array(visible, np.int32))
        if not wanted.any():
            return
        found = levels_of(batch if wanted.all() else batch.take(wanted))
        with self._lock:
            self._levels.append(found)
            self._waiting += len(found)
            while self._waiting > MAX_LEVELS:
                gone = len(self._levels.popleft())
                self._waiting -= gone
                self.dropped += gone

    def hear(self, told: Told) -> None:
        """Keep an event of a call in sight."""
        if self._visible.get(told.call.index) is not told.call:
            return
        with self._lock:
            self._events.append(told)
            if len(self._events) > MAX_EVENTS:
                self._events.popleft()
                self.dropped += 1

    def take_levels(self) -> bytes:
        """Return what waits, as it is sent; no bytes if nothing does."""
        with self._lock:
            levels, self._waiting = list(self._levels), 0
            self._levels.clear()
        return np.concatenate(levels).astype(LEVEL, copy=False).tobytes() if levels else b""

    def take_events(self) -> list[Told]:
        """Return what waits."""
        with self._lock:
            events = list(self._events)
            self._events.clear()
        return events
