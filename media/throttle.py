"""`ThrottledLog`: a thing that may go wrong a thousand times a second makes one log line a second, or a minute."""

from __future__ import annotations

import logging

from strep.clock import NS_PER_SECOND, Clock


class ThrottledLog:
    """Warnings of one source; those that were not printed are counted in the next that is."""

    def __init__(
        self, logger: logging.Logger, clock: Clock, level: int = logging.WARNING, *, every_ns: int = NS_PER_SECOND
    ) -> None:
        self._logger, self._level, self._every_ns = logger, level, every_ns
        self._clock = clock
        self._next_ns: int | None = None
        self._suppressed = 0

    def warning(self, text: str, *, exc_info: BaseException | None = None) -> None:
        """Print `text`, unless a line was printed less than `every_ns` ago."""
        now_ns = self._clock.now_ns()
        if self._next_ns is not None and now_ns < self._next_ns:
            self._suppressed += 1
            return
        if self._suppressed:
            text += f" (and {self._suppressed} more since the last line)"
        self._next_ns = now_ns + self._every_ns
        self._suppressed = 0
        self._logger.log(self._level, "%s", text, exc_info=exc_info)
