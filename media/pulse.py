"""The pulse: the one timer of the receive path.

While traffic flows, all sockets are drained on a short clock: a receiver woken for every datagram would make batches
of one and pay the whole price of a batch for each. The clock goes slower where all sinks have patience, as long as
what comes until the next beat fills but a part of the kernel's buffers and is not enough for a cheap batch. When
nothing has come for a while the pulse sleeps until a socket is readable, and beats once a second for housekeeping.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from media.alarms.lag import LagMeter
from media.engine import Engine
from media.receivers import Receiver
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND, Clock
from strep.datagrams import DatagramBatch

_LOG = logging.getLogger("strep.pulse")

IDLE_BEATS = 40
"""Beats without a datagram or frame after which the pulse sleeps."""
BATCHES_PER_BEAT = 8
"""A socket gives way to the others, and to the rest of the event loop, after so many batches."""

SAFE_FILL = 0.25
"""The part of a receive buffer that may fill between two beats: the rest is for beats that come late."""
ENOUGH = 4096
"""Datagrams and frames of a beat; with more of them in it none gets cheaper."""
Take = Callable[[DatagramBatch, int], None]
"""What a door does with a batch: (batch, now_ns)."""


class Timer(Protocol):
    """What `Timers.call_later` returns."""

    def cancel(self) -> None:
        """Forget the call."""


class Timers(Protocol):
    """The part of an event loop that the pulse needs."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` after `delay` seconds."""


class Pulse:
    """Drains receivers into doors and polls the engine.

    Attributes:
        beats: beats so far.
        lag: how late they were.
        failures: beats in which something raised that should not have; logged, and the next beat comes.
    """

    def __init__(self, engine: Engine, clock: Clock, *, interval_ms: float, patience_ms: float = 0) -> None:
        """Prepare to beat every `interval_ms`, or as seldom as every `patience_ms` if that is longer."""
        self.beats = self.failures = 0
        self.lag = LagMeter()
        self._engine = engine
        self._clock = clock
        self._interval_ns = self._shortest_ns = round(interval_ms * NS_PER_MS)
        self._longest_ns = max(self._shortest_ns, round(patience_ms * NS_PER_MS))
        self._feeds: list[tuple[Receiver, Take]] = []
        self._before_poll: list[Callable[[int], int]] = []
        self._timer: Timer | None = None
        self._quiet_beats = 0
        self._is_asleep = False
        self._next_ns = self._last_ns = self._due_ns = 0

    def add(self, receiver: Receiver, take: Take) -> None:
        """Let `take` have what `receiver` drains."""
        self._feeds.append((receiver, take))

    def detach(self) -> Callable[[], None]:
        """Drain no receiver any more: what comes waits in the kernel; return what takes that back."""
        feeds, self._feeds = self._feeds, []

        def attach() -> None:
            self._feeds = feeds
            self.wake()

        return attach

    def add_source(self, deliver: Callable[[int], int]) -> None:
        """Call `deliver(now_ns)` every beat: it hands frames to the engine and returns how many."""
        self._before_poll.append(deliver)

    def start(self, loop: Timers | None = None) -> None:
        """Begin, on the running event loop unless another one is given."""
        self._loop = loop or asyncio.get_running_loop()
        self._next_ns = self._last_ns = self._clock.now_ns()
        self._schedule(0)

    def stop(self) -> None:
        """Beat once more, so that what has arrived is not left behind, and stop."""
        if self._timer is not None:
            self._timer.cancel()
        self._drain_safely(self._clock.now_ns())
        self._is_asleep, self._timer = False, None

    def wake(self) -> None:
        """Beat at the pace of traffic again; free of charge while it does."""
        if self._is_asleep:
            self._is_asleep = False
            self._quiet_beats = 0
            if self._timer is not None:
                self._timer.cancel()
            self._next_ns = self._last_ns = self._clock.now_ns()
            self._schedule(0)

    def _schedule(self, delay_ns: int) -> None:
        self._due_ns = self._clock.now_ns() + delay_ns
        self._timer = self._loop.call_later(delay_ns / NS_PER_SECOND, self._beat)

    def _beat(self) -> None:
        now_ns = self._clock.now_ns()
        self.lag.add(now_ns - self._due_ns)
        taken, has_backlog = self._drain_safely(now_ns)
        self._quiet_beats = 0 if taken else self._quiet_beats + 1
        if self._quiet_beats > IDLE_BEATS and self._engine.audio_deadline() == NEVER_NS:
            self._sleep()
            return
        self._next_ns += self._interval_ns
        late_ns = self._clock.now_ns() - self._next_ns
        if late_ns > 0:
            self._next_ns += late_ns
        self._schedule(0 if has_backlog else max(-late_ns, 0))

    def _drain_safely(self, now_ns: int) -> tuple[int, bool]:
        self.beats += 1
        try:
            return self._drain_all(now_ns)
        except Exception:
            # Network input must not end reception, whatever a bug makes of it: say so and go on.
            self.failures += 1
            if self.failures.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...: not 200 tracebacks a second
                _LOG.exception("a beat of the receive path failed", extra={"failures": self.failures})
            return 1, False

    def _drain_all(self, now_ns: int) -> tuple[int, bool]:
        """Return how many datagrams and frames came, and whether more are waiting."""
        taken, horizon_ns, has_backlog = 0, now_ns, False
        fill, drained_ns = 0.0, now_ns
        for receiver, take in self._feeds:
            before = taken
            for _ in range(BATCHES_PER_BEAT):
                batch = receiver.drain()
                drained_ns = self._clock.now_ns()
                if batch is None:
                    break
                taken += len(batch)
                take(batch, now_ns)
                last_arrival_ns = int(batch.arrival_ns[-1])
                if len(batch) < receiver.most:  # the few that came meanwhile are cheaper with the next beat
                    break
            else:
                # What the kernel still holds came after this: no deadline beyond it may expire yet.
                has_backlog, horizon_ns = True, min(horizon_ns, last_arrival_ns)
            fill = max(fill, (taken - before) / (SAFE_FILL * receiver.room))
        for deliver in self._before_poll:
            taken += deliver(now_ns)
        self._engine.poll(horizon_ns)
        self._set_interval(drained_ns, max(fill, taken / ENOUGH))
        return taken, has_backlog

    def _set_interval(self, drained_ns: int, fill: float) -> None:
        """Choose the next interval; since the last `drained_ns`, `fill` of what is safe or of what is enough came.

        Not since that beat began: a long one leaves little in the sockets, which says nothing of the load.
        """
        elapsed_ns, self._last_ns = drained_ns - self._last_ns, drained_ns
        until_full_ns = elapsed_ns / fill if fill else self._longest_ns
        self._interval_ns = round(min(max(until_full_ns, self._shortest_ns), self._longest_ns))

    def _sleep(self) -> None:
        self._is_asleep = True
        for receiver, _ in self._feeds:
            receiver.call_when_readable(self.wake)
        self._rest()

    def _rest(self) -> None:
        self._due_ns = self._clock.now_ns() + NS_PER_SECOND
        self._timer = self._loop.call_later(1.0, self._beat_asleep)

    def _beat_asleep(self) -> None:
        if self._is_asleep:
            now_ns = self._clock.now_ns()
            self.lag.add(now_ns - self._due_ns)
            taken, _ = self._drain_safely(now_ns)
            if taken:
                self.wake()
            else:
                self._rest()
