"""`Records`: call records as configured, beside a server; nothing of it is in the media path."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any, Protocol

from media.cdr.database import RecordDatabase
from media.cdr.file import RecordFile
from media.cdr.gathering import Gathering
from media.cdr.left import describe_left
from media.cdr.record import CallRecord, describe
from media.cdr.writer import Place, Writer
from media.config import ServerConfig
from media.events.bus import EventBus, Told
from media.events.calls import CallOver
from media.events.recordings import RecordingFailed, RecordingStarted
from media.sinks.contract import CallInfo, SinkUse
from media.sinks.finished import FinishedRecording
from media.sinks.finisher import Finisher
from strep.clock import NEVER_NS, NS_PER_SECOND, Clock

_LOG = logging.getLogger("strep.cdr")
CLOSE_TIMEOUT_S = 15.0


class Uses(Protocol):
    """What each sink got of a call; see `media.server.Server.uses_of`."""

    def __call__(self, call: CallInfo) -> list[SinkUse]:
        """Return it, from any thread."""


class Records:
    """Writes a record of every call that has ended."""

    name = "cdr"

    def __init__(self, config: ServerConfig, bus: EventBus, finisher: Finisher, uses: Uses, clock: Clock) -> None:
        """Subscribe; nothing is written before `start`.

        Raises:
            ConfigurationError: a package is missing, or the database's URL is none.
        """
        places: list[Place] = []
        if config.cdr is not None:
            places.append(RecordFile(config.cdr))
        if config.cdr_database:
            places.append(RecordDatabase(config.cdr_database))
        self.writers = [Writer(place, clock) for place in places]
        self._gathering = Gathering(are_recorded=config.record is not None)
        self._uses, self._clock = uses, clock
        self._left: list[CallRecord] = []  # of calls that a dead process had
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="cdr", daemon=True)
        bus.subscribe(self.put)
        finisher.listeners.append(self.recorded)

    def put(self, told: Told) -> None:
        """Take note of an event, if it is of interest; from any thread, without waiting."""
        event = told.event
        if isinstance(event, CallOver) and event.report is not None:
            with self._changed:
                self._gathering.ended(told.call, event.report, self._clock.now_ns())
                self._changed.notify()
        elif isinstance(event, RecordingStarted):
            with self._changed:
                self._gathering.began(told.call, event.recording_id)
        elif isinstance(event, RecordingFailed) and not event.step:
            with self._changed:
                self._gathering.failed(told.call, event.recording_id, is_take=event.is_take)
                self._changed.notify()

    def recorded(self, recording: FinishedRecording) -> None:
        """Take note of a recording that is closed; from any thread, without waiting for anybody."""
        left = _left(recording)
        with self._changed:
            self._gathering.recorded(recording)
            if left is not None:
                self._left.append(left)
            self._changed.notify()

    async def start(self) -> None:
        """Open the places and start the threads.

        Raises:
            OSError: the file's directory cannot be made.
        """
        for writer in self.writers:
            await asyncio.to_thread(writer.start)
        self._thread.start()

    async def close(self) -> None:
        """Write the records of all calls."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)
        left = await asyncio.gather(*(asyncio.to_thread(one.stop, CLOSE_TIMEOUT_S) for one in self.writers))
        for writer, count in zip(self.writers, left, strict=True):
            if count:
                _LOG.error("%d call records are not in the %s: it was away", count, writer.place.name)

    def snapshot(self) -> dict[str, Any]:
        """Return counters: of each place, and of calls whose record waits for their recording."""
        with self._changed:
            gathering = {"waiting": len(self._gathering), "incomplete": self._gathering.incomplete}
        return gathering | {writer.place.name: writer.snapshot() for writer in self.writers}

    def step(self, *, is_over: bool = False) -> bool:
        """Hand on the records that are whole; return whether there were any."""
        with self._changed:
            whole = self._gathering.poll(self._clock.now_ns(), is_over=is_over)
            records, self._left = self._left, []
        for known in whole:
            try:
                if known.report is not None:
                    uses = self._uses(known.call)
                    records.append(describe(known.call, known.report, known.recordings, uses))
            except Exception:  # a mistake of ours must cost no other record
                _LOG.exception("call %s has no record", known.call.call_id)
        for writer in self.writers:
            writer.put(records)
        return bool(whole or records)

    def _run(self) -> None:
        while not self._stopping:
            if not self.step():
                with self._changed:
                    wait_ns = 0 if self._left else self._gathering.deadline() - self._clock.now_ns()
                    if wait_ns > 0 and not self._stopping:
                        self._changed.wait(None if wait_ns > NEVER_NS // 2 else wait_ns / NS_PER_SECOND)
        self.step(is_over=True)


def _left(recording: FinishedRecording) -> CallRecord | None:
    """Return the record of a call that a dead process had; now, for the sidecar may be gone when it is delivered."""
    if recording.call.index >= 0:
        return None
    try:
        return describe_left(recording)
    except (OSError, ValueError) as error:
        _LOG.error("call %s has no record: %s", recording.call.call_id, error)
        return None
