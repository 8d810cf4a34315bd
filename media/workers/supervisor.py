"""`Supervisor`: opens the doors, keeps a worker at each of them, and knows what they counted.

A worker that dies is replaced at once by a spare process that has everything imported, and by further ones with
growing pauses if they die young. Its legs cannot go elsewhere: see `media.workers`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Self

from media.alarms.reconciliation import reconcile
from media.alarms.watch import Alarms, report_of
from media.cli import FAILED
from media.config import LogConfig, ServerConfig
from media.limits import raise_descriptor_limit
from media.metrics.totals import REPORT_INTERVAL_S, Totals
from media.outfit import closing_s, syncer_of
from media.repeat import Repeater
from media.server import SALVAGE_STOP_TIMEOUT_S, SINK_STOP_TIMEOUT_S
from media.workers.control import MAX_SOCKETS, Answer, Assignment, Ended, Failed, Happened, Message, Order, Ready
from media.workers.front import FrontDesk
from media.workers.opening import WorkerDoors
from media.workers.process import WorkerProcess
from media.workers.steering import is_supported
from strep.clock import SystemClock
from strep.errors import ConfigurationError

_LOG = logging.getLogger("strep.workers")

YOUNG_S = 10.0
"""A worker that did not live so long gives reason to wait before the next one."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
SILENT_S = 30.0
"""A worker that reports nothing for so long hangs: it is killed and replaced."""
DOORS_TIMEOUT_S = 15.0
"""How long a worker may take to close its doors and to end its applications."""


class WorkerError(Exception):
    """A worker that cannot begin; one line, and the exit code for it."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class Supervisor:
    """As `Server`, with processes behind it: ``async with``, `stop`, `wait_closed`.

    Attributes:
        totals: what all workers counted.
        unfinished_sinks: as `Server.unfinished_sinks`.
        broken: workers that died while they were to end.
        missing_recordings: of calls of workers that ended as they should.
    """

    def __init__(
        self,
        config: ServerConfig,
        log: LogConfig,
        workers: int,
        given: Mapping[str, Sequence[socket.socket]] | None = None,
    ) -> None:
        """Prepare; `start` opens the doors, but those that are `given` by systemd, see `media.handover.activation`.

        Raises:
            ConfigurationError: this system cannot, or these doors cannot be shared.
        """
        if not is_supported():
            raise ConfigurationError(
                "workers: only Linux steers datagrams to processes by call_leg_id (SO_ATTACH_REUSEPORT_CBPF); "
                "run one process here (workers 1), or several with a port each and share the calls among the ports"
            )
        if len(config.rtp) * 2 > MAX_SOCKETS * workers:
            raise ConfigurationError(f"rtp: {len(config.rtp)} pairs of ports are too many for {workers} workers")
        self.totals = Totals(workers)
        self.unfinished_sinks: list[str] = []
        self.broken: list[str] = []
        self._config, self._log, self._count = config, log, workers
        self._given = given or {}
        self._live: dict[int, WorkerProcess] = {}
        self._spare: WorkerProcess | None = None
        self._ready = [asyncio.Event() for _ in range(workers)]
        self._failures: dict[int, Failed] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._began: set[int] = set()
        self._last_words: set[int] = set()
        self._heard: dict[int, float] = {}
        self._watch = Repeater(REPORT_INTERVAL_S, self._kill_the_silent)
        self._desk = FrontDesk(config, workers, self._send, self.alarms_report)
        self.totals.others.append(self._desk.snapshot)
        self._alarms = Alarms(self._about_workers, SystemClock())
        self.totals.others.append(lambda: {"alarms": self._alarms.snapshot()})
        self.missing_recordings = self.unaccounted_calls = 0  # by workers that have ended as they should
        self._drops = self._restarts = self._unseen_drops = 0
        self._counts_drops = False

    # -- life ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the doors and start the workers; return when all can receive.

        Raises:
            OSError: an address cannot be had.
            WorkerError: a worker cannot begin.
        """
        raise_descriptor_limit()
        self._desk.prepare()
        try:
            inner = self._desk.inner.sockets if self._desk.inner is not None else ()
            self._doors = WorkerDoors(self._desk.config, self._count, self._given, inner)
        except BaseException:
            await self._desk.close()
            raise
        self._counts_drops = self._config.receiver != "asyncio-dgram"
        if self._counts_drops:
            # The kernel's own count: it goes on where a worker is missing, and no successor counts it again.
            self.totals.measured["kernel_drops"] = self._doors.kernel_drops
        self._keepers = [asyncio.create_task(self._keep(index)) for index in range(self._count)]
        ready = asyncio.create_task(self._wait_ready())
        await asyncio.wait([ready, *self._keepers], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        failure = next(iter(self._failures.values()), None)
        if failure is not None:
            await self.close()
            raise WorkerError(failure.text, failure.exit_code)
        self._prepare_spare()
        self._watch.start()
        try:
            await self._desk.open()
        except BaseException:
            await self.close()
            raise
        self._alarms.start()
        _LOG.info("receiving", extra={"workers": self._count, "addresses": self.addresses})

    async def _wait_ready(self) -> None:
        for event in self._ready:
            await event.wait()

    def stop(self) -> None:
        """Ask for the end, `wait_closed` returns then; a second time: let calls end at once."""
        if self._stopping.is_set():
            for worker in self._live.values():
                worker.signal(signal.SIGTERM)
        self._stopping.set()

    async def wait_closed(self) -> None:
        """Wait until `stop` is called, then let all workers end their calls and finish their files."""
        await self._stopping.wait()
        await self.close()

    async def close(self) -> None:
        """End the workers; a second call does nothing."""
        self._stopping.set()
        self._desk.end()
        self._watch.stop()
        self._alarms.stop()
        self._dismiss_spare()
        self._doors.close_listeners()
        for worker in self._live.values():
            worker.signal(signal.SIGTERM)
        if self._keepers:
            _, late = await asyncio.wait(self._keepers, timeout=stop_timeout_s(self._config))
            if late:
                self.abandon()
                await asyncio.wait(late)
        has_written, self._keepers = bool(self._keepers), []
        if has_written and (syncer := syncer_of(self._config, SystemClock())) is not None:
            await syncer.once()
        self._doors.close()
        await self._desk.close()

    def abandon(self) -> None:
        """Kill all workers: what they have not written is lost."""
        self._dismiss_spare()
        for worker in self._live.values():
            worker.signal(signal.SIGKILL)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Close."""
        await self.close()

    # -- looking at it ---------------------------------------------------------------------------------

    @property
    def addresses(self) -> dict[str, Any]:
        """Where it listens, as `Server.addresses`."""
        return self._doors.addresses | self._desk.addresses

    # -- workers ---------------------------------------------------------------------------------------

    async def _keep(self, index: int) -> None:
        """Let there be a worker `index`, until the end."""
        loop, pause_s = asyncio.get_running_loop(), 0.0
        while not self._stopping.is_set():
            born = loop.time()
            try:
                code = await self._employ(index)
            except Exception:  # a worker too few would be a part of the calls lost for good
                _LOG.exception("worker cannot be kept", extra={"worker": index})
                code = FAILED
            if self._stopping.is_set():
                self._note_end(index, code)
                return
            if not self._ready[index].is_set():  # and it will not be better the next time
                text = f"worker {index} cannot begin: {_how(code)}"
                self._failures.setdefault(index, Failed(text, FAILED))
                return
            self.totals.restarts[index] += 1
            pause_s = 0.0 if loop.time() - born >= YOUNG_S else min(max(2 * pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
            if self.totals.restarts[index] == 1:
                pause_s = 0.0
            _LOG.error(
                "worker ended, its calls go on in a new one",
                extra={
                    "worker": index,
                    "how": _how(code),
                    "restarts": self.totals.restarts[index],
                    "pause_s": pause_s,
                },
            )
            if pause_s:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause_s)

    async def _employ(self, index: int) -> int:
        """Start worker `index`, and wait for its end; return its exit code."""
        worker = self._take_spare() or WorkerProcess()
        self._live[index] = worker
        self._began.discard(index)
        self._last_words.discard(index)
        sockets = self._doors.sockets[index]
        names = [name for name, _ in sockets.named()]
        assignment = Assignment(index, self._doors.configs[index], self._log, names)
        _LOG.debug("worker begins", extra={"worker": index, "pid": worker.pid})
        self._heard[index] = asyncio.get_running_loop().time()
        worker.assign(assignment, sockets, lambda message: self._take(index, message))
        code = await worker.ended
        del self._live[index]
        self._heard.pop(index, None)
        self.totals.bury(index)
        self._desk.bury(index)
        return code

    def _take(self, index: int, message: Message) -> None:
        """Take what worker `index` says."""
        self._heard[index] = asyncio.get_running_loop().time()
        if isinstance(message, Ready):
            self._began.add(index)
            self.totals.is_up[index] = True
            self._desk.welcome(index)
            if self._ready[index].is_set():
                self._prepare_spare()  # this one took the place of the last
            self._ready[index].set()
        elif isinstance(message, Answer):
            self._desk.take(message)
        elif isinstance(message, Happened):
            self._desk.relay(message)
        elif isinstance(message, Failed):
            self._failures[index] = message
            if self._ready[index].is_set():
                _LOG.error("worker cannot go on: %s", message.text, extra={"worker": index})
        else:
            self.totals.report(index, message.snapshot)
            if isinstance(message, Ended):
                self._last_words.add(index)
                self.unfinished_sinks += message.unfinished_sinks
                books = reconcile(message.snapshot)
                self.missing_recordings += books.missing
                self.unaccounted_calls += books.unaccounted

    def _send(self, index: int, order: Order) -> bool:
        """Tell worker `index` something, if it works; else it is told when it begins."""
        if index not in self._began or index not in self._live:
            return False
        self._live[index].send(order)
        return True

    def _kill_the_silent(self) -> None:
        oldest = asyncio.get_running_loop().time() - SILENT_S
        for index in [index for index, heard in self._heard.items() if heard < oldest]:
            _LOG.error("worker hangs and is killed", extra={"worker": index, "silent_s": SILENT_S})
            del self._heard[index]
            self._live[index].signal(signal.SIGKILL)

    def _note_end(self, index: int, code: int) -> None:
        if index in self._began and index not in self._last_words:  # before, it had nothing to lose
            self.broken.append(f"worker {index} ({_how(code)})")

    def alarms_report(self) -> dict[str, Any]:
        """Return what is raised in any of the processes."""
        report = report_of(self.totals.part("alarms").get("alarms", ()), SystemClock().wall_ns())
        return report | {"age_s": self._alarms.age_s}

    def _about_workers(self) -> dict[str, Any]:
        down = [index for index, is_up in enumerate(self.totals.is_up) if not is_up]
        drops, restarts = self._doors.kernel_drops() if self._counts_drops else 0, sum(self.totals.restarts)
        if down or restarts != self._restarts:  # else a worker has seen them
            self._unseen_drops += drops - self._drops
        self._drops, self._restarts = drops, restarts
        return {"worker_restarts": restarts, "workers_down": down, "kernel_drops": self._unseen_drops}

    def _prepare_spare(self) -> None:
        if self._spare is None and not self._stopping.is_set():
            with contextlib.suppress(OSError):  # whoever needs one will try again, and say so
                self._spare = WorkerProcess()

    def _take_spare(self) -> WorkerProcess | None:
        spare, self._spare = self._spare, None
        return spare if spare is not None and not spare.ended.done() else None

    def _dismiss_spare(self) -> None:
        spare = self._take_spare()
        if spare is not None:
            spare.signal(signal.SIGKILL)  # it has nothing to lose
            spare.dismiss()


def stop_timeout_s(config: ServerConfig) -> float:
    """Return when a worker that has not ended is killed: when all that it closes has taken as long as it may."""
    before_s = config.drain_timeout_s + DOORS_TIMEOUT_S
    return before_s + SINK_STOP_TIMEOUT_S + 2 * SALVAGE_STOP_TIMEOUT_S + closing_s(config)


def _how(code: int) -> str:
    """Return how a process with this exit code ended."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
