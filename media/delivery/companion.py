"""`Deliveries`: takes finished recordings from those who record, and watches over the process that delivers them.

Taking one over is writing a small file. A process is started with the first, or at once where there is a store, by
whichever server of the directory has the lock on its folder of jobs: workers share a directory, and one process does
it for all. The lock goes to the process, so that nobody begins before it has ended, however its server ended. A
process that dies is started again.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from media.delivery.jobs import Job, JobFolder
from media.delivery.messages import DRAIN_S, Said, Saved, Status, Trouble, decode
from media.delivery.settings import DeliverySettings
from media.events.bus import EventBus
from media.events.recordings import RecordingFailed, RecordingSaved
from media.sinks.contract import CallInfo
from media.sinks.finished import FinishedRecording
from media.sinks.finisher import telling
from strep.clock import NS_PER_SECOND, Clock, iso8601

_LOG = logging.getLogger("strep.delivery")

CLOSE_S = DRAIN_S + 3.0
"""How long the end of the server waits for the process."""
LOCK_EVERY_S = 2.0
RESTART_S, LONGEST_RESTART_S = 1.0, 60.0
LOCK = "lock"
MAX_CALLS = 10_000
"""Recordings handed over, the calls of which are remembered until they are done: another worker may deliver them."""


class Deliveries:
    """What becomes of the recordings of a directory; a `media.outfit.Companion`."""

    def __init__(self, name: str, settings: DeliverySettings, bus: EventBus, clock: Clock) -> None:
        """Prepare; nothing runs before `start`, but recordings may be handed over."""
        self.name = name
        self._settings, self._bus, self._clock = settings, bus, clock
        self._folder = JobFolder(settings.directory)
        self._status = Status()
        self._calls: OrderedDict[str, CallInfo] = OrderedDict()
        self._taken = self._not_taken = self._restarts = 0
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    @property
    def directory(self) -> Path:
        """Of the recordings."""
        return self._settings.directory

    def take(self, recording: FinishedRecording) -> None:
        """Take a recording over, within what the disk takes to have it; in the thread of who finished it."""
        self._taken += 1
        if not self._is_work(recording):
            telling(self._bus.publish)(recording)
            return
        if recording.error is not None:
            failed = RecordingFailed(
                recording_id=recording.recording_id, error=recording.error, is_take=recording.is_take
            )
            self._bus.publish(recording.call, failed)
        job = Job.of(recording, self._clock.wall_ns())
        self._remember(job, recording.call)
        try:
            self._folder.make()
            if not self._is_known(job):
                self._folder.write(job)
        except OSError as error:
            self._not_taken += 1
            self._calls.pop(job.recording_id, None)
            _LOG.error("recording %s stays as it is, no job could be written for it: %s", job.name, error)
            failed = RecordingFailed(
                recording_id=job.recording_id, error=str(error), step="hand over", is_take=job.is_take
            )
            self._bus.publish(recording.call, failed)
            return
        self._wake.set()

    def _is_known(self, job: Job) -> bool:
        """Return whether a process has taken it over that died before it could say so."""
        with suppress(ValueError):
            known = self._folder.read(job.name)
            return known is not None and known.recording_id == job.recording_id
        return False

    def _remember(self, job: Job, call: CallInfo) -> None:
        self._calls[job.recording_id] = call
        while len(self._calls) > MAX_CALLS:
            self._calls.popitem(last=False)

    def _call_of(self, job: Job, *, is_over: bool) -> CallInfo:
        """Return the call whose recording was handed over here; of another process' what the job says of it."""
        calls = self._calls
        return (calls.pop(job.recording_id, None) if is_over else calls.get(job.recording_id)) or job.call.info()

    def _is_work(self, recording: FinishedRecording) -> bool:
        formats = (recording.format,) if recording.format else self._settings.formats
        return bool(self._settings.url) or formats != ("wav",) or recording.trim_silence

    async def start(self) -> None:
        """Look for jobs that an earlier server left, and begin."""
        if self._settings.url:
            self._folder.make()
        self._wake.set()
        self._thread.start()

    async def close(self) -> None:
        """Let the process do what it can within `CLOSE_S`; the next start goes on with the rest."""
        self._stopping.set()
        self._wake.set()
        self._end_input()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._thread.join, CLOSE_S)
        with self._lock:
            if self._process is not None:
                self._process.kill()
        left = sum(1 for _ in self._folder.names())
        if left:
            _LOG.warning("%d recordings are not delivered yet; the next start goes on with them", left)

    def snapshot(self) -> dict[str, Any]:
        """Return counters; `oldest_ns` is the age of the oldest recording that waits."""
        status = self._status
        oldest_ns = self._clock.wall_ns() - status.oldest_wall_ns if status.oldest_wall_ns else 0
        return {
            "taken": self._taken,
            "not_taken": self._not_taken,
            "waiting": status.waiting,
            "oldest_ns": max(oldest_ns, 0),
            "left_for_later": status.given_up,
            "retries": status.retries,
            "delivered": status.delivered,
            "delivered_bytes": status.delivered_bytes,
            "failed": status.failed,
            "process_restarts": self._restarts,
        }

    # -- in the thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        is_first, pause_s = True, RESTART_S
        while True:
            self._wake.wait()
            self._wake.clear()
            is_last = self._stopping.is_set()
            lock = self._locked() if self._has_work(is_last=is_last) else None
            if lock is not None:
                began_ns = self._clock.now_ns()
                self._deliver(lock, is_first=is_first)
                if not self._stopping.is_set():
                    lasted_s = (self._clock.now_ns() - began_ns) / NS_PER_SECOND
                    pause_s = RESTART_S if lasted_s > LONGEST_RESTART_S else min(2 * pause_s, LONGEST_RESTART_S)
                    _LOG.error("the process that delivers recordings ended; again in %d s", pause_s)
                    self._restarts += 1
                    self._wake_in(pause_s)
                    is_first = False
                else:
                    is_last = True
            elif not is_last and self._has_work(is_last=False):
                self._wake_in(LOCK_EVERY_S)
            if is_last:
                return

    def _has_work(self, *, is_last: bool) -> bool:
        return any(True for _ in self._folder.names()) or bool(self._settings.url and not is_last)

    def _wake_in(self, seconds: float) -> None:
        self._stopping.wait(seconds)
        self._wake.set()

    def _locked(self) -> int | None:
        """Return a descriptor that holds the lock of the folder, or None: somebody else delivers."""
        try:
            self._folder.make()
            fd = os.open(self._folder.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            _LOG.error("recordings are not delivered: %s", error)
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        return fd

    def _deliver(self, lock: int, *, is_first: bool) -> None:
        """Run the process until it ends."""
        settings = msgspec.structs.replace(self._settings, is_first=is_first)
        command = [sys.executable, "-P", "-m", "media.delivery.process"]
        before = self._status
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[lock])
        except OSError as error:
            _LOG.error("the process that delivers recordings cannot be started: %s", error)
            return
        finally:
            os.close(lock)
        assert process.stdin
        assert process.stdout
        with self._lock:
            self._process = process
        with self._lock, suppress(OSError, ValueError):  # it is dead already, or to end: both are seen below
            process.stdin.write(msgspec.json.encode(settings) + b"\n")
            process.stdin.flush()
        if self._stopping.is_set():
            self._end_input()
        for line in process.stdout:
            self._hear(line, before)
        process.wait()
        with self._lock:
            self._process = None
        self._end_input(process)
        process.stdout.close()

    def _end_input(self, process: subprocess.Popen[bytes] | None = None) -> None:
        with self._lock:
            process = process or self._process
            if process is not None and process.stdin is not None:
                with suppress(OSError):  # it was dead
                    process.stdin.close()

    def _hear(self, line: bytes, before: Status) -> None:
        try:
            message = decode(line)
        except ValueError as error:
            _LOG.error("the process that delivers recordings said something strange: %s", error)
            return
        if isinstance(message, Status):
            counted = ("retries", "delivered", "failed", "delivered_bytes")
            sums = {name: getattr(before, name) + getattr(message, name) for name in counted}
            self._status = msgspec.structs.replace(message, **sums)
        elif isinstance(message, Said):
            _LOG.log(message.level, "%s", message.text)
        elif isinstance(message, Saved):
            job = message.job
            self._bus.publish(self._call_of(job, is_over=True), _saved(job, message.path, job.files[0].size_bytes))
        elif isinstance(message, Trouble):
            self._bus.publish(self._call_of(message.job, is_over=not message.will_retry), _failed(message))


def _saved(job: Job, path: str, size_bytes: int) -> RecordingSaved:
    return RecordingSaved(
        position_samples=job.start_samples + job.leading_samples,
        recording_id=job.recording_id,
        started_at=iso8601(job.started_wall_ns),
        ended_at=iso8601(job.ended_wall_ns),
        channels="dual" if job.channels == 2 else "single",
        format=job.files[0].format if job.files else "wav",
        path=path,
        size_bytes=size_bytes,
        duration_samples=job.kept_samples,
        is_take=job.is_take,
        files=tuple(
            {"format": file.format, "url": file.url, "size_bytes": file.size_bytes, "sha256": file.sha256}
            for file in job.files
        ),
    )


def _failed(trouble: Trouble) -> RecordingFailed:
    job = trouble.job
    return RecordingFailed(
        recording_id=job.recording_id,
        error=job.trouble,
        step=trouble.step,
        will_retry=trouble.will_retry,
        is_take=job.is_take,
    )
