"""`CarrierClock`: how far the carrier has played what it got, by its marks where they come back, else by the clock.

The carrier plays what it gets one after another and without a pause, from the moment it has something. So two
things are known of output position p, both in ns:

* the *earliest* time at which it can have been played: sent, and all before it played. Pacing goes by this, it
  depends on nothing but our own clock;
* the *likely* time: the same, moved by the last mark that came back. It includes the way of the mark, so it is late
  rather than early by the network's delay, and what is reported as heard is rather too little.
"""

from __future__ import annotations

from collections import deque

from strep.clock import NS_PER_SECOND

FEW = 8
"""Marks of which the one that came back soonest counts."""


class CarrierClock:
    """Positions are samples of the output at `sample_rate_hz`.

    Attributes:
        sent: the position up to which the carrier has everything.
        run_ns: when it began to play what it has been playing without a pause since.
        ends_ns: the earliest time at which it has played it all.
        delay_ns: how much later than at the earliest marks have come back, the least of the last few: the way there,
            the carrier's own, and the way back. 0 while none has.
        proven: the position up to which it is certain: a mark says so, or the carrier has nothing behind it.
    """

    __slots__ = (
        "_anchor",
        "_anchor_ns",
        "_delays",
        "_rate",
        "_run",
        "delay_ns",
        "ends_ns",
        "proven",
        "run_ns",
        "sent",
    )

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate = sample_rate_hz
        self.sent = self.proven = self._run = self._anchor = 0
        self.ends_ns = self.run_ns = self._anchor_ns = self.delay_ns = 0
        self._delays: deque[int] = deque(maxlen=FEW)

    def is_dry(self, now_ns: int) -> bool:
        """Whether the carrier has nothing left to play."""
        return now_ns >= self.ends_ns

    def send(self, samples: int, now_ns: int) -> None:
        """Take note that the next `samples` of the output were sent."""
        if now_ns >= self.ends_ns:
            self._anchor_ns = max(now_ns, self.likely_ns(self.sent))
            self._run = self._anchor = self.sent
            self.run_ns = now_ns
        self.sent += samples
        self.ends_ns = self.run_ns + (self.sent - self._run) * NS_PER_SECOND // self._rate

    def cut(self, position: int, now_ns: int) -> None:
        """Take note that the carrier has nothing behind `position`: it has refused it."""
        self.sent = min(self.sent, position)
        if position <= self._run:
            self._run = self._anchor = position
            self.run_ns = self._anchor_ns = min(self.run_ns, now_ns)
        self.ends_ns = self.run_ns + (self.sent - self._run) * NS_PER_SECOND // self._rate

    def restart(self, position: int, now_ns: int) -> None:
        """Go on at `position` with a carrier that has nothing."""
        self.sent = self.proven = self._run = self._anchor = position
        self.ends_ns = self.run_ns = self._anchor_ns = now_ns

    def earliest_ns(self, position: int) -> int:
        """Return before when `position` cannot have been played."""
        return self.run_ns + max(position - self._run, 0) * NS_PER_SECOND // self._rate

    def likely_ns(self, position: int) -> int:
        """Return when `position` is played, most likely."""
        return self._anchor_ns + (position - self._anchor) * NS_PER_SECOND // self._rate

    def heard(self, now_ns: int) -> int:
        """Return up to where the carrier has played, most likely."""
        elapsed = self._anchor + (now_ns - self._anchor_ns) * self._rate // NS_PER_SECOND
        return max(min(elapsed, self.sent), min(self._anchor, self.sent))

    def confirm(self, position: int, now_ns: int) -> None:
        """Take note that everything before `position` has been played, as a mark says."""
        self.proven = max(self.proven, position)
        if self._run < position <= self.sent:
            self._delays.append(max(now_ns - self.earliest_ns(position), 0))
            self.delay_ns = min(self._delays)
        if position >= self._anchor:
            self._anchor, self._anchor_ns = position, max(now_ns, self.earliest_ns(position))
