"""A process that seals what it records, and may die."""

from __future__ import annotations

from pathlib import Path

from media.sinks.recording import RecordingSink
from strep.clock import ManualClock
from tests.sealing.people import FOR_ALICE
from tests.sinks.histories import Format
from tests.sinks.process import Process
from tests.sinks.rows import Row


class SealedProcess(Process):
    """As `Process`, of a server that encrypts."""

    def __init__(self, directory: Path, clock: ManualClock, format: Format = "pcm16", *, seed: int = 0) -> None:
        self.clock, self.seed, self.rows = clock, seed, list[Row]()
        self.sink = RecordingSink(directory, format, clock, recipients=FOR_ALICE)
        self.call = self._call()
        self.sink.call_started(self.call)
