"""The measured process: one contender on one core, and a meter that is read on request.

As a program: ``python -m benchmarks.receiver CONTENDER DIRECTORY [OPTIONS]``; see `benchmarks.child` for how it is
spoken to. The thread that answers waits in a read and costs nothing in between.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
import threading
import time
from pathlib import Path

import msgspec

from benchmarks.child import answer
from benchmarks.contenders import Contender, create
from benchmarks.kernel import RECEIVER_CPU, own_buffer, pin

OBSERVED = "observed"
"""Our server once more, with questions that may be put to it; see `benchmarks.observed`."""

WORKERS = "workers"
"""A supervisor and its workers, see `benchmarks.supervised`; the option is their number."""


class Mark(msgspec.Struct, frozen=True):
    """What the meter showed at one moment.

    Attributes:
        now_ns: monotonic.
        received: datagrams taken from the kernel.
        cpu_ns: processor time of the process, user and system, from getrusage(2); children that live only where the
            contender adds them.
            (The kernel guesses by samples how it divides into the two, and badly where short work runs on a clock.)
        threads_ns: processor time of each thread, by name.
    """

    now_ns: int
    received: int
    cpu_ns: int
    threads_ns: dict[str, int]


def take_mark(contender: Contender) -> Mark:
    """Read the meter."""
    usage, children = resource.getrusage(resource.RUSAGE_SELF), getattr(contender, "cpu_ns", int)
    return Mark(
        now_ns=time.monotonic_ns(),
        received=contender.received(),
        cpu_ns=round((usage.ru_utime + usage.ru_stime) * 1e9) + children(),
        threads_ns={thread.name: _cpu_ns(thread) for thread in threading.enumerate()},
    )


def _cpu_ns(thread: threading.Thread) -> int:
    try:
        return time.clock_gettime_ns(time.pthread_getcpuclockid(thread.ident or 0))
    except OSError:  # it has just ended
        return 0


def serve(contender: Contender) -> None:
    """Answer marks until told to stop, or until the asking process is gone."""
    for line in sys.stdin.buffer:
        command = msgspec.json.decode(line)["command"]
        if command == "stop":
            break
        if command == "status":
            status = getattr(contender, "status", dict)
            answer(status())
        elif command == "trim":
            answer(_trim())
        else:
            answer(take_mark(contender))
    contender.stop()


def _trim() -> int:
    """Let Python and the C library give back what they hold in reserve; return what malloc_trim(3) says."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # another C library has none
        return int(ctypes.CDLL(None).malloc_trim(0))
    return 0


def _contender(name: str, directory: Path, options: str = "{}") -> Contender:
    # Not above: the others are measured without these.
    if name == OBSERVED:
        from benchmarks.observed import Observed

        return Observed(options, directory)
    if name == WORKERS:
        from benchmarks.supervised import Supervised

        return Supervised(msgspec.json.decode(options, type=int), directory)
    return create(name, directory)


def main() -> None:
    """Run the contender of the arguments."""
    pinned = pin(RECEIVER_CPU)
    contender = _contender(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])

    def ready(port: int) -> None:
        buffer = own_buffer(port)
        answer({"port": port, "pinned": pinned, "buffer_bytes": buffer.size_bytes, "forced": buffer.forced})
        threading.Thread(target=serve, args=(contender,), name="meter", daemon=True).start()

    contender.run(ready)
    answer(take_mark(contender))
    answer(contender.evidence())


if __name__ == "__main__":
    main()
