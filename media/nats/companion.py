"""`NatsCompanion`: the life of the process that publishes, and what it reports."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
import threading
from concurrent.futures import Future
from typing import Any, BinaryIO, cast

import msgspec

from media.events.background import Background
from media.events.bus import EventBus
from media.events.publishing import AudioUnpublished
from media.metrics.totals import added, without_gauges
from media.nats.config import NatsConfig
from media.nats.connection import check_installed
from media.nats.pipe import Stop, write
from media.nats.sink import NatsSink
from media.nats.spool import probe
from strep.clock import Clock

_LOG = logging.getLogger("strep.nats")
CLOSE_TIMEOUT_S = 15.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""Before another process is started: doubled each time, until one works."""
BEAT_S = 1.0
SILENT_BEATS = 20
"""A process that has reported nothing for so many seconds is stuck; it reports twice a second."""


class NatsCompanion:
    """Keeps a process that publishes what the sink and the event bus have.

    Attributes:
        name: for logs and metrics.
        restarts: so often the process had to be started again.
    """

    name = "nats"

    def __init__(self, config: NatsConfig, sink: NatsSink, bus: EventBus, clock: Clock) -> None:
        """Prepare; nothing is published before `start`."""
        self._config, self._sink, self._bus = config, sink, bus
        self._events = Background("nats", sink.tell, clock)
        self._unsubscribe = bus.subscribe(self._events.put)
        self.restarts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._first: Future[str] = Future()
        self._snapshot: dict[str, Any] = {}
        self._counted: dict[str, Any] = {}
        """By processes that have died."""
        self._pause_s = FIRST_PAUSE_S
        self._silent_beats = 0
        self._keeper = threading.Thread(target=self._keep, name="nats", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="nats-watch", daemon=True)

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the process; with ``required`` wait until a server has let us in.

        Raises:
            OSError: the spool cannot be written to, or a server is required and does not do.
            ConfigurationError: nats-py is not installed.
        """
        check_installed()
        if self._config.spool is not None:
            try:
                await asyncio.to_thread(probe, self._config.spool)
            except OSError as error:
                raise OSError(error.errno, f"nats: the spool cannot be used: {error}") from error
        self._events.start()
        self._keeper.start()
        self._watcher.start()
        if self._config.required == "on":
            trouble = await asyncio.wrap_future(self._first)
            if trouble:
                await self.close()
                raise OSError(f"nats: {trouble}")

    def _keep(self) -> None:
        """Run the process, and another one when it dies: whatever happens, calls go on and it is tried again."""
        while True:
            try:
                trouble = f"the process that publishes on NATS has died ({self._run()})"
            except Exception as error:  # no memory for another process, say
                trouble = f"the process that publishes on NATS cannot be run: {error!r}"
            if self._stopping.is_set():
                return
            _LOG.error("%s; starting another in %g s", trouble, self._pause_s)
            counted = {name: value for name, value in self._snapshot.items() if not isinstance(value, str)}
            self._counted = added([self._counted, without_gauges(counted)])
            self._snapshot = {"connected": False, "trouble": self._snapshot.get("failed", trouble)}
            self._note_first(trouble)
            self.restarts += 1
            pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
            if self._stopping.wait(pause_s):
                return

    def _run(self) -> int:
        """Run a process until it dies, and read what it reports; return its exit status."""
        self._silent_beats = 0
        command = [sys.executable, "-m", "media.nats.process"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._process = process
        pipe, reports = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        try:
            write(pipe, self._config)
            self._sink.connect(pipe)
            for line in reports:
                self._read(line)
        except BaseException:
            process.kill()
            raise
        finally:
            status = process.wait()
            self._sink.connect(None)
            reports.close()
            with contextlib.suppress(OSError):  # what was not written yet
                pipe.close()
        return status

    def _watch(self) -> None:
        while not self._stopping.wait(BEAT_S):
            self._beat()

    def _beat(self) -> None:
        """Kill a process that has not reported for long: it reads nothing either, and who writes to it waits.

        Beats are counted, not time: where this process stood still as well, the other one is not to blame.
        """
        process = self._process
        self._silent_beats += 1
        if self._silent_beats >= SILENT_BEATS and process is not None and process.poll() is None:
            _LOG.error("the process that publishes on NATS is stuck and is killed")
            self._silent_beats = 0
            process.kill()

    def _read(self, line: bytes) -> None:
        self._silent_beats = 0
        try:
            self._take(msgspec.json.decode(line))
        except Exception as error:  # cut short, or not what we know
            _LOG.error("a report of the process that publishes on NATS is lost: %r", error)

    def _take(self, report: dict[str, Any]) -> None:
        match report:
            case {"snapshot": snapshot}:
                self._snapshot = snapshot
                self._pause_s = FIRST_PAUSE_S
            case {"log": {"level": level, "text": text}}:
                _LOG.log(level, "%s", text)
            case {"first": trouble}:
                self._note_first(trouble)
            case {"failed": trouble}:
                _LOG.error("nats: %s", trouble)
                self._snapshot = {"failed": trouble}
                self._note_first(trouble)
            case {"gap": gap}:
                call = self._sink.call_of(gap.pop("call_id"))
                if call is not None:
                    self._bus.publish(call, AudioUnpublished(**gap))

    def _note_first(self, trouble: str) -> None:
        if not self._first.done():
            self._first.set_result(trouble)

    async def close(self) -> None:
        """Let the process send what waits, and put the rest into the spool."""
        self._unsubscribe()
        if self._keeper.ident is not None:
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        killing = threading.Timer(CLOSE_TIMEOUT_S, self._kill)  # which frees whoever waits to write to it
        killing.daemon = True
        killing.start()
        self._events.stop(CLOSE_TIMEOUT_S)
        self._stopping.set()
        self._sink.end(Stop())
        self._keeper.join(2 * CLOSE_TIMEOUT_S)
        killing.cancel()

    def _kill(self) -> None:
        _LOG.error("the process that publishes on NATS did not end within %g s and is killed", CLOSE_TIMEOUT_S)
        self._stopping.set()  # no other one
        if self._process is not None:
            self._process.kill()

    def snapshot(self) -> dict[str, Any]:
        """Return what the process last reported, counters with those of its predecessors.

        See `media.nats.publisher.Publisher.snapshot`.
        """
        now = added([self._counted, self._snapshot])
        return now | {"restarts": self.restarts, "events": self._events.snapshot()}
