"""`EventCallback`: hands events to a function in the server's event loop, one after another."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from media.events.bus import EventBus, Told
from media.throttle import ThrottledLog
from strep.clock import Clock

_LOG = logging.getLogger("strep.events")
MAX_WAITING = 10_000
"""Events that may wait for a function that takes its time; beyond it the oldest are dropped."""
CLOSE_TIMEOUT_S = 5.0

OnEvent = Callable[[Told], Awaitable[object] | object]
"""What `Server(config, on_event=...)` calls; it is awaited if it wants to be, and may raise."""


class EventCallback:
    """Calls a function with every event.

    Attributes:
        told, failed, dropped: events that it was called with, that it raised for, that it never saw.
    """

    name = "callback"

    def __init__(self, on_event: OnEvent, bus: EventBus, clock: Clock) -> None:
        """Subscribe; nothing is called before `start`."""
        self.told = self.failed = self.dropped = 0
        self._on_event, self._trouble = on_event, ThrottledLog(_LOG, clock)
        self._waiting: deque[Told] = deque()
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False
        bus.subscribe(self.put)

    def put(self, told: Told) -> None:
        """Queue an event; from any thread, without waiting."""
        if len(self._waiting) >= MAX_WAITING:  # the bus has its lock: nobody else puts meanwhile
            with contextlib.suppress(IndexError):
                self._waiting.popleft()
                self.dropped += 1
        self._waiting.append(told)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._changed.set)

    async def start(self) -> None:
        """Begin."""
        self._loop = asyncio.get_running_loop()
        self._changed.set()
        self._task = self._loop.create_task(self._run(), name="events for a function")

    async def close(self) -> None:
        """Let it have what waits, and end."""
        self._is_closing = True
        self._changed.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=CLOSE_TIMEOUT_S)
            self._task.cancel()
        if self._waiting:
            _LOG.error("on_event was not called with %d events: it took too long before", len(self._waiting))

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {"told": self.told, "failed": self.failed, "dropped": self.dropped, "waiting": len(self._waiting)}

    async def _run(self) -> None:
        while self._waiting or not self._is_closing:
            while self._waiting:
                await self._tell(self._waiting.popleft())
                await asyncio.sleep(0)  # a function that never waits must not keep the loop for a thousand events
            self._changed.clear()
            if not self._waiting and not self._is_closing:
                await self._changed.wait()

    async def _tell(self, told: Told) -> None:
        try:
            result = self._on_event(told)
            if inspect.isawaitable(result):
                await result
        except (Exception, asyncio.CancelledError) as error:  # its own business, and no other subscriber's
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # it is we who are to end
            self.failed += 1
            self._trouble.warning(f"on_event raised for {told.event.NAME}: {error!r}", exc_info=error)
        else:
            self.told += 1
