"""`Capacity`: whether one more call may begin. The newest are refused first: what runs is never touched.

Looked at once a second, so that a call's beginning costs nothing; the answer is a text that says what is short.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from media.throttle import ThrottledLog
from strep.clock import NS_PER_SECOND, Clock

_LOG = logging.getLogger("strep.admission")
LINES_EVERY_NS = 60 * NS_PER_SECOND
"""A server may be at its limit all day, and come and go there; the alarm says how it is now."""
SPARE_DESCRIPTORS = 200
"""Kept for files of calls that run, for applications and for whoever looks in."""


@dataclass(frozen=True, slots=True)
class CapacityLimits:
    """What there must be for one more call; 0 is no limit.

    Attributes:
        calls: that may live at once.
        packets_per_s: that may come, of all calls.
        free_bytes: that the disk of the recordings must have left.
    """

    calls: int = 0
    packets_per_s: int = 0
    free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What is used at one moment; None is unknown.

    Attributes:
        calls: live ones.
        packets: taken so far, at all doors.
        free_bytes: of the disk.
        free_descriptors: that this process may still open.
    """

    calls: int
    packets: int
    free_bytes: int | None = None
    free_descriptors: int | None = None


class Capacity:
    """Judges usage against limits.

    Attributes:
        shortage: why no call may begin, "" if one may.
        usage: as it was at the last look.
    """

    def __init__(self, limits: CapacityLimits, usage: Callable[[], Usage], clock: Clock) -> None:
        """Judge what `usage` returns."""
        self.shortage = ""
        self.usage: Usage | None = None
        self._limits, self._usage, self._clock = limits, usage, clock
        self._short = ThrottledLog(_LOG, clock, every_ns=LINES_EVERY_NS)
        self._over = ThrottledLog(_LOG, clock, every_ns=LINES_EVERY_NS)
        self._last: tuple[int, int] | None = None  # when it was looked at, and packets then

    def look(self) -> None:
        """Look again."""
        self.usage = self._usage()
        before, self.shortage = self.shortage, self._judge(self.usage, self._clock.now_ns())
        if self.shortage:
            self._short.warning(f"no call may begin: {self.shortage}")
        elif before:
            self._over.warning("calls may begin again")

    def _judge(self, usage: Usage, now_ns: int) -> str:
        limits, rate = self._limits, self._rate(usage.packets, now_ns)
        if 0 < limits.calls <= usage.calls:
            return f"{usage.calls} {'call is' if usage.calls == 1 else 'calls are'} live, at most {limits.calls}"
        if 0 < limits.packets_per_s <= rate:
            return f"{rate:.0f} packets a second, at most {limits.packets_per_s}"
        if usage.free_bytes is not None and usage.free_bytes < limits.free_bytes:
            return f"the disk has {usage.free_bytes >> 20} MiB left, at least {limits.free_bytes >> 20}"
        if usage.free_descriptors is not None and usage.free_descriptors < SPARE_DESCRIPTORS:
            return f"{usage.free_descriptors} more files may be opened; raise the limit (ulimit -n)"
        return ""

    def _rate(self, packets: int, now_ns: int) -> float:
        last, self._last = self._last, (now_ns, packets)
        if last is None or now_ns <= last[0]:
            return 0.0
        return (packets - last[1]) * NS_PER_SECOND / (now_ns - last[0])


def free_bytes(directory: Path | None) -> int | None:
    """Return what unprivileged users may still write to the disk of `directory`; None if nobody knows."""
    if directory is None:
        return None
    try:
        disk = os.statvfs(directory)
    except FileNotFoundError:  # it is made when it is needed
        return free_bytes(directory.parent) if directory.parent != directory else None
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def free_descriptors() -> int | None:
    """Return how many more files this process may open: descriptors are given out from the lowest up."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit == resource.RLIM_INFINITY:
            return None
        descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except ImportError:
        return None
    except OSError:
        return 0
    os.close(descriptor)
    return limit - descriptor
