"""`PlayedTape`: what was sent to a caller, kept until it was heard, then given out with the time at which it sounded.

What was called back before it sounded is given to nobody. A *run* is what a carrier plays without a pause: its time
is that at which it can have begun at the earliest, by our clock, and as much later as marks have shown so far
(`CarrierClock.delay_ns`), which is decided when it begins, and anew behind a silence: no sound is torn. Sans-I/O.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from media.talk.contract import Pcm
from strep.clock import NS_PER_SECOND


class Listener(Protocol):
    """Who is given what was heard."""

    def heard(self, at_ns: int, pcm: Pcm, earliest_ns: int) -> None:
        """Take the next that was heard, from `at_ns` on: mono int16 at the rate of the output.

        That is when it sounded most likely; before `earliest_ns` it cannot have.
        """

    def fell_silent(self) -> None:
        """Take note that nothing that was sent is still to be heard."""


class _Run:
    """What was sent for a carrier to play without a pause, by output positions."""

    __slots__ = ("delay_ns", "end", "start", "start_ns")

    def __init__(self, start: int, end: int, start_ns: int) -> None:
        self.start, self.end, self.start_ns = start, end, start_ns
        self.delay_ns: int | None = None


class PlayedTape:
    """The output of one call that was pulled, and is not known to be heard yet."""

    def __init__(self, sample_rate_hz: int, listener: Listener) -> None:
        """Give what was heard to `listener`."""
        self.listener = listener
        self._rate_hz = sample_rate_hz
        self._parts: deque[tuple[int, Pcm]] = deque()
        self._runs: deque[_Run] = deque()
        self._given = 0  # output before it was given out, or was silence

    def pulled(self, position: int, pcm: Pcm) -> None:
        """Keep output from `position` on; what lies between two such parts is silence."""
        if len(pcm):
            self._parts.append((position, pcm))

    def sent(self, start: int, end: int, start_ns: int) -> None:
        """Take note that output from `start` to `end` was sent, and sounds from `start_ns` on at the earliest."""
        self._cut_runs(start)  # of what was refused, and is sent again
        run = self._runs[-1] if self._runs else None
        if run is not None and run.end == start and self._is_near(self._time(run, start), start_ns):
            run.end = end
        else:
            self._runs.append(_Run(start, end, start_ns))

    def cut(self, position: int) -> None:
        """Forget all from `position` on: it will not be heard, or be pulled and sent again."""
        while self._parts and self._parts[-1][0] + len(self._parts[-1][1]) > position:
            start, pcm = self._parts.pop()
            if start < position:
                self._parts.append((start, pcm[: position - start]))
        self._cut_runs(position)

    def _cut_runs(self, position: int) -> None:
        while self._runs and self._runs[-1].end > position:
            if self._runs[-1].start < position:
                self._runs[-1].end = position
            else:
                self._runs.pop()

    def advance(self, position: int, delay_ns: int) -> None:
        """Give out what lies before `position`, which was heard; `delay_ns` holds for runs that begin."""
        gave = False
        while self._parts and self._parts[0][0] < position:
            start, pcm = self._parts.popleft()
            while self._runs and self._runs[0].end <= start:
                self._runs.popleft()
            if not self._runs:  # never sent: it is pulled, and taken back
                self._parts.appendleft((start, pcm))
                return
            run = self._runs[0]
            if run.delay_ns is None or start != self._given:  # in silence nothing is torn
                run.delay_ns = delay_ns
            end = min(start + len(pcm), position, run.end)
            if end < start + len(pcm):
                self._parts.appendleft((end, pcm[end - start :]))
            if end <= start:
                return
            earliest_ns, self._given = self._time(run, start), end
            self.listener.heard(earliest_ns + run.delay_ns, pcm[: end - start], earliest_ns)
            gave = True
        if gave and not self._parts:
            self.listener.fell_silent()

    def _is_near(self, one_ns: int, other_ns: int) -> bool:
        """Return whether two times are the same but for rounding."""
        return abs(one_ns - other_ns) * self._rate_hz <= NS_PER_SECOND

    def _time(self, run: _Run, position: int) -> int:
        return run.start_ns + (position - run.start) * NS_PER_SECOND // self._rate_hz
