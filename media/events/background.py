"""`Background`: a subscriber of events with a thread of its own, for whatever may take its time: files, networks."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from media.events.bus import Told
from media.throttle import ThrottledLog
from strep.clock import Clock

_LOG = logging.getLogger("strep.events")
MAX_WAITING = 100_000
"""Events; at most 100 MB."""

Take = Callable[[list[Told]], object]


class Background:
    """Hands events on in its thread, all that wait at once and in order; beyond a bound the oldest are dropped.

    Attributes:
        name: for logs.
        dropped: events that nobody was told of.
        failed: events of which the taking raised.
    """

    def __init__(self, name: str, take: Take, clock: Clock, max_waiting: int = MAX_WAITING) -> None:
        """Prepare; nothing is taken before `start`."""
        self.name, self.dropped, self.failed = name, 0, 0
        self._take, self._max_waiting = take, max_waiting
        self._waiting: deque[Told] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._log = ThrottledLog(_LOG, clock)
        self._thread = threading.Thread(target=self._run, name=f"events-{name}", daemon=True)

    def put(self, told: Told) -> None:
        """Queue an event; never waits."""
        with self._changed:
            if len(self._waiting) >= self._max_waiting:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(told)
            self._changed.notify()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Take what waits, and end; return whether that was done within `timeout_s`."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        self.step()
        return True

    def step(self) -> int:
        """Hand on what waits; return how many that were. The whole of the thread's work."""
        with self._changed:
            batch = list(self._waiting)
            self._waiting.clear()
        if batch:
            try:
                self._take(batch)
            except Exception as error:
                self.failed += len(batch)
                self._log.warning(f"{self.name}: {len(batch)} events lost: {error!r}", exc_info=error)
        return len(batch)

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {"waiting": len(self._waiting), "dropped": self.dropped, "failed": self.failed}

    def _run(self) -> None:
        while True:
            if self.step():
                continue
            with self._changed:
                if self._waiting:
                    continue
                if self._stopping:
                    return
                self._changed.wait()
