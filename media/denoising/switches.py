"""`Switches`: for which tracks of which calls noise suppression is on, set in any thread and read in a sink's."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from media.hearing.rows import CHANNELS
from media.sinks.contract import CallInfo
from strep.header import Direction


@dataclass(slots=True)
class _Early:
    """What was set of a call that the sink has not heard of yet."""

    call: CallInfo
    on: dict[Direction, bool] = field(default_factory=dict)


class Switches:
    """One per sink.

    Attributes:
        on: (capacity,) bool, by ``CallInfo.index * CHANNELS + Direction``; of calls that have begun and not ended.
    """

    def __init__(self, on: Collection[Direction] = ()) -> None:
        """Let every call begin with the directions `on`."""
        self.on: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._at_start = frozenset(on)
        self._changes: deque[tuple[CallInfo, Direction, bool]] = deque()
        self._live: dict[int, CallInfo] = {}
        # By index: the start of a call that has not begun here by the time another one of its index does never comes.
        self._early: dict[int, _Early] = {}

    def set(self, call: CallInfo, direction: Direction, *, on: bool) -> None:
        """Switch a track of a call that has not ended; from any thread."""
        self._changes.append((call, direction, on))

    def catch_up(self) -> None:
        """Do what was set since the last time."""
        while self._changes:
            call, direction, on = self._changes.popleft()
            if self._live.get(call.index) is call:
                self.on[call.index * CHANNELS + direction] = on
                continue
            early = self._early.get(call.index)
            if early is None or early.call is not call:
                early = self._early[call.index] = _Early(call)
            early.on[direction] = on

    def begin(self, call: CallInfo) -> None:
        """A call begins."""
        self.catch_up()
        self._live[call.index] = call
        first = call.index * CHANNELS
        if first + CHANNELS > len(self.on):
            self.on = np.concatenate([self.on, np.zeros(first + 64, np.bool_)])
        early = self._early.pop(call.index, None)
        wanted = early.on if early is not None and early.call is call else {}
        for direction in Direction:
            self.on[first + direction] = wanted.get(direction, direction in self._at_start)

    def end(self, call: CallInfo) -> None:
        """A call has ended."""
        self.catch_up()
        if self._live.pop(call.index, None) is not None:
            self.on[call.index * CHANNELS : (call.index + 1) * CHANNELS] = False
