"""Shell: `SinkWatch`, a thread that looks for sinks that hang; they could not say so themselves."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from media.sinks.runner import SinkRunner

LOOK_EVERY_S = 1.0


class SinkWatch:
    """Lets runners look after their sinks."""

    def __init__(self, runners: Sequence[SinkRunner], every_s: float = LOOK_EVERY_S) -> None:
        """Prepare; `start` begins."""
        self._runners, self._every_s = runners, every_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sink-watch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let it end; does not wait."""
        self._ending.set()

    def _run(self) -> None:
        while not self._ending.wait(self._every_s):
            for runner in self._runners:
                runner.look()
