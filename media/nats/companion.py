"""`NatsCompanion`: the life of the process that publishes, and what it reports."""

from __future__ import annotations

import asyncio
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
from media.nats.config import NatsConfig
from media.nats.connection import check_installed
from media.nats.pipe import Stop, write
from media.nats.sink import NatsSink
from strep.clock import Clock

_LOG = logging.getLogger("strep.nats")
CLOSE_TIMEOUT_S = 15.0
RESTART_PAUSE_S = 1.0


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
        self._keeper = threading.Thread(target=self._keep, name="nats", daemon=True)

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
        self._spawn()
        self._events.start()
        self._keeper.start()
        if self._config.required == "on":
            trouble = await asyncio.wrap_future(self._first)
            if trouble:
                await self.close()
                raise OSError(f"nats: {trouble}")

    def _spawn(self) -> None:
        command = [sys.executable, "-m", "media.nats.process"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        pipe = cast(BinaryIO, self._process.stdin)
        write(pipe, self._config)
        self._sink.connect(pipe)

    def _keep(self) -> None:
        """Read what the process reports; start it again if it dies."""
        while True:
            process = self._process
            assert process is not None
            assert process.stdout is not None
            with process.stdout as reports:
                for line in reports:
                    self._take(msgspec.json.decode(line))
            process.wait()
            self._sink.connect(None)
            if self._stopping.is_set():
                return
            _LOG.error("the process that publishes on NATS has died (%s); starting another", process.returncode)
            self._note_first(f"the process that publishes has died ({process.returncode})")
            self.restarts += 1
            if self._stopping.wait(RESTART_PAUSE_S):
                return
            self._spawn()

    def _take(self, report: dict[str, Any]) -> None:
        match report:
            case {"snapshot": snapshot}:
                self._snapshot = snapshot
            case {"log": {"level": level, "text": text}}:
                _LOG.log(level, "%s", text)
            case {"first": trouble} | {"failed": trouble}:
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
        if self._process is not None:
            await asyncio.to_thread(self._close, self._process)

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        self._events.stop(CLOSE_TIMEOUT_S)
        self._stopping.set()
        self._sink.end(Stop())
        try:
            process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            _LOG.error("the process that publishes on NATS did not end within %g s and is killed", CLOSE_TIMEOUT_S)
            process.kill()
        self._keeper.join(CLOSE_TIMEOUT_S)

    def snapshot(self) -> dict[str, Any]:
        """Return what the process last reported; see `media.nats.publisher.Publisher.snapshot`."""
        return self._snapshot | {"restarts": self.restarts, "events": self._events.snapshot()}
