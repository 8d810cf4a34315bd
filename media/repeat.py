"""`Repeater`: something small that is done again and again on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Repeater:
    """Calls `action` at once, then every `interval_s` seconds, until it is stopped."""

    def __init__(self, interval_s: float, action: Callable[[], None]) -> None:
        """Prepare; `start` starts."""
        self._interval_s = interval_s
        self._action = action
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._timer = asyncio.get_running_loop().call_later(self._interval_s, self.start)
        self._action()

    def stop(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
