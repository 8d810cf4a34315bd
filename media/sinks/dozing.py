"""`Doze`: whether a sink needs audio at all. One that is asked for something now and then costs nothing meanwhile.

While a sink's `is_idle` is true it is given starts and ends of calls and a tick a second, and no batch
(`media.sinks.runner`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Doze:
    """Asleep until it is asked for something, and again when nothing of that is left.

    Attributes:
        is_idle: no audio is needed; to be read from any thread.
    """

    def __init__(self, *, is_idle: bool) -> None:
        self.is_idle = is_idle
        self._lock = threading.Lock()

    @contextmanager
    def waking(self) -> Iterator[None]:
        """Put in an order; all audio that is handed out from then on comes. From any thread."""
        with self._lock:
            yield
            self.is_idle = False

    def look(self, is_wanted: Callable[[], object]) -> None:
        """Fall asleep if nothing is wanted, nor ordered; in the sink's thread, when it has obeyed."""
        if not self.is_idle:
            with self._lock:
                self.is_idle = not is_wanted()
