"""Shell: `TalkTimer`, the one timer of all calls that talk.

A heap of absolute deadlines. When the first is due, everything that is due then is polled in one go, and what is due
within `EARLY_NS` as well: hundreds of calls cost a few hundred wake-ups a second, not one per message.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Protocol

from media.talk.playout import EARLY_NS
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND, Clock

SOONEST_NS = NS_PER_MS
"""Something that is always due is polled no more often than that."""


class Timed(Protocol):
    """What has deadlines."""

    def poll(self, now_ns: int) -> None:
        """Do what is due."""

    def deadline(self) -> int:
        """Return when `poll` is due; `NEVER_NS` if there is nothing to do."""


class TalkTimer:
    """Polls each of its things at its deadline, on the running event loop.

    Attributes:
        wakes: times that the event loop woke it.
        polls: polls of a thing.
        failures: things that raised; they are polled no more.
    """

    def __init__(self, clock: Clock, on_failure: Callable[[Timed, Exception], None]) -> None:
        """Start with nothing; `on_failure` is told what raised, and why."""
        self.wakes = self.polls = self.failures = 0
        self._clock, self._on_failure = clock, on_failure
        self._heap: list[tuple[int, int, Timed]] = []
        self._due_ns: dict[Timed, int] = {}
        self._numbers = itertools.count()
        self._armed: asyncio.TimerHandle | None = None
        self._armed_ns = NEVER_NS
        self._is_polling = False

    def touch(self, thing: Timed) -> None:
        """Take note that the deadline of `thing` may have changed, or that it is new."""
        deadline_ns = thing.deadline()
        if deadline_ns != self._due_ns.get(thing, NEVER_NS):
            self._push(thing, deadline_ns)
            if not self._is_polling:
                self._arm()

    def remove(self, thing: Timed) -> None:
        """Poll `thing` no more."""
        self._due_ns.pop(thing, None)

    def stop(self) -> None:
        """Poll nothing any more."""
        self._due_ns.clear()
        self._heap.clear()
        self._arm()

    def _push(self, thing: Timed, deadline_ns: int) -> None:
        if deadline_ns == NEVER_NS:
            self._due_ns.pop(thing, None)
            return
        self._due_ns[thing] = deadline_ns
        heapq.heappush(self._heap, (deadline_ns, next(self._numbers), thing))

    def _arm(self) -> None:
        """Have the event loop wake us at the first deadline."""
        heap = self._heap
        while heap and self._due_ns.get(heap[0][2]) != heap[0][0]:  # its deadline has changed since
            heapq.heappop(heap)
        first_ns = heap[0][0] if heap else NEVER_NS
        if first_ns == self._armed_ns:
            return
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
        self._armed_ns = first_ns
        if heap:
            delay_ns = max(first_ns - self._clock.now_ns(), 0)
            self._armed = asyncio.get_running_loop().call_later(delay_ns / NS_PER_SECOND, self.tick)

    def tick(self) -> None:
        """Poll everything that is due."""
        self.wakes += 1
        self._armed, self._armed_ns = None, NEVER_NS
        now_ns = self._clock.now_ns()
        heap, due_ns, horizon_ns = self._heap, self._due_ns, now_ns + EARLY_NS
        self._is_polling = True
        try:
            while heap and heap[0][0] <= horizon_ns:
                deadline_ns, _, thing = heapq.heappop(heap)
                if due_ns.get(thing) == deadline_ns:
                    self._poll(thing, horizon_ns + SOONEST_NS)
        finally:
            self._is_polling = False
            self._arm()

    def _poll(self, thing: Timed, soonest_ns: int) -> None:
        """Poll one thing, whose faults are its own."""
        self.polls += 1
        try:
            thing.poll(self._clock.now_ns())
            self._push(thing, max(thing.deadline(), soonest_ns))
        except Exception as error:
            self.failures += 1
            self.remove(thing)
            self._on_failure(thing, error)
