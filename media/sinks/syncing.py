"""`Syncer`: what was written is on the disk a moment later, so that lost power costs hardly more than a lost process.

A process that is killed leaves what it wrote to the kernel; a machine that loses its power loses what the kernel had
not put on the disk, which is half a minute of it. So once an interval each file system with files of ours is synced,
by one system call (syncfs(2), Linux) for all that was written: audio, headers, sidecars, notes, spools. A call of
fsync(2) a file would be thousands a second. It waits for the disk in a thread of its own, and nobody waits for it.

How old what is not on the disk may be: the interval, and as long as the disk takes.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from media.throttle import ThrottledLog
from strep.clock import NS_PER_SECOND, Clock

_LOG = logging.getLogger(__name__)
_LEAST_PAUSE = 4
"""At least the interval by this lies between two calls, however slow the disk is."""
CLOSE_TIMEOUT_S = 30.0
Sync = Callable[[int], None]
"""Puts everything on the disk that was written to the file system of a descriptor; raises `OSError`."""


def is_supported() -> bool:
    """Whether one file system can be synced here."""
    return sys.platform == "linux"


def sync_file_system(descriptor: int) -> None:
    """Wait until everything that was written to the file system of `descriptor` is on the disk.

    Raises:
        OSError: the disk failed, now or since the last call; something may be lost.
    """
    if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):  # others run meanwhile: it lets go of the GIL
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class Syncer:
    """Syncs the file systems of some directories, in a thread.

    Attributes:
        syncs: calls that came back.
        errors: calls that failed, of which the log tells.
        slow: calls that took longer than the interval.
        took_ns: how long all of them took.
        longest_ns: the longest.
    """

    name = "sync"

    def __init__(
        self, directories: Iterable[Path], interval_ns: int, clock: Clock, sync: Sync = sync_file_system
    ) -> None:
        """Prepare.

        Args:
            directories: where files are written; one that is not there yet is passed over.
            interval_ns: from one beginning to the next.
            clock: to measure by.
            sync: the system call.
        """
        self.syncs = self.errors = self.slow = self.took_ns = self.longest_ns = 0
        self._directories = list(dict.fromkeys(directories))
        self._interval_ns, self._clock, self._sync = interval_ns, clock, sync
        self._synced_ns = clock.now_ns()
        self._stopping, self._log = threading.Event(), ThrottledLog(_LOG, clock, logging.ERROR)
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)

    async def start(self) -> None:
        """Start the thread."""
        self._synced_ns = self._clock.now_ns()
        self._thread.start()

    async def close(self) -> None:
        """Sync a last time: all files are closed now."""
        self._stopping.set()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)

    async def once(self) -> None:
        """Sync what others wrote, who have closed all their files now."""
        await self.start()
        await self.close()

    def snapshot(self) -> dict[str, Any]:
        """Return counters; ``oldest_ns``: for how long what is not on the disk may have been there."""
        return {
            "syncs": self.syncs,
            "errors": self.errors,
            "slow": self.slow,
            "took_ns": self.took_ns,
            "longest_ns": self.longest_ns,
            "oldest_ns": self._clock.now_ns() - self._synced_ns,
        }

    def _run(self) -> None:
        pause_ns = self._interval_ns
        while not self._stopping.wait(pause_ns / NS_PER_SECOND):
            pause_ns = self.step()
        self.step()

    def step(self) -> int:
        """Sync each file system once; return how long to wait then, in ns. The whole of the thread's work."""
        began_ns, errors = self._clock.now_ns(), self.errors
        seen: set[int] = set()
        for directory in self._directories:
            try:
                self._sync_one(directory, seen)
            except FileNotFoundError:
                pass
            except OSError as error:
                self._log.warning(f"what was written to {directory} may not be on the disk: {error}")
                self.errors += 1
        took_ns = self._clock.now_ns() - began_ns
        if self.errors == errors:
            self._synced_ns = began_ns
        self.took_ns += took_ns
        self.longest_ns = max(self.longest_ns, took_ns)
        if took_ns > self._interval_ns:
            if not self.slow:
                _LOG.warning("the disk took %d ms for what was written in %d", *self._in_ms(took_ns))
            self.slow += 1
        return max(self._interval_ns - took_ns, self._interval_ns // _LEAST_PAUSE)

    def _in_ms(self, took_ns: int) -> tuple[int, int]:
        return took_ns // 1_000_000, self._interval_ns // 1_000_000

    def _sync_one(self, directory: Path, seen: set[int]) -> None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if (device := os.fstat(descriptor).st_dev) not in seen:
                seen.add(device)
                self._sync(descriptor)
                self.syncs += 1
        finally:
            os.close(descriptor)
