"""MP3s are made in worker threads, beside the event loop, and one that was made before is not made again.

Shared by all calls of the process. LAME does not hold the interpreter while it works, so packets are received
meanwhile. A piece is asked for seconds before the carrier runs dry, so nobody waits for it; but for the first one, a
caller waits. So what is due first is made first.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import cache, partial
from queue import PriorityQueue
from typing import Protocol

from media.talk.contract import Pcm
from media.talk.mp3 import Mp3Job, Mp3PieceEncoder

WORKERS = max(1, min(4, (os.cpu_count() or 1) - 1))
"""One processor is left to the event loop."""
NICE = 5
"""On the processor that they share with the event loop, if they do, that one goes first."""
CACHE_BYTES = 16 << 20
"""Of MP3s that are kept: an hour of telephone audio. A greeting is the same in every call."""


class Makers(Protocol):
    """Where MP3s are made."""

    def submit(self, make: Callable[[], bytes], due_ns: int) -> Future[bytes]:
        """Have `make` called, by `due_ns` if possible."""


class MakerThreads:
    """A few threads, which begin with what is due first. Nothing starves: what is asked for later is due later."""

    def __init__(self, threads: int = WORKERS) -> None:
        self._queue: PriorityQueue[tuple[int, int, Future[bytes], Callable[[], bytes]]] = PriorityQueue()
        self._numbers = itertools.count()
        for _ in range(threads):
            threading.Thread(target=self._work, name="mp3", daemon=True).start()

    def submit(self, make: Callable[[], bytes], due_ns: int) -> Future[bytes]:
        """See `Makers.submit`."""
        made: Future[bytes] = Future()
        self._queue.put((due_ns, next(self._numbers), made, make))
        return made

    def _work(self) -> None:
        with suppress(AttributeError, OSError):  # of this thread, on Linux
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + NICE)
        while True:
            *_, made, make = self._queue.get()
            if made.set_running_or_notify_cancel():
                try:
                    made.set_result(make())
                except BaseException as error:
                    made.set_exception(error)
            del made, make  # nothing is kept while there is nothing to do


@cache
def shared_makers() -> Makers:
    """Return the threads of all calls."""
    return MakerThreads()


class MadeBefore:
    """The latest MP3s, `CACHE_BYTES` of them; any thread may ask.

    Attributes:
        hits: how often one was there.
    """

    def __init__(self, size_bytes: int = CACHE_BYTES) -> None:
        self.hits = 0
        self._most_bytes, self._kept_bytes = size_bytes, 0
        self._files: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def make(self, job: Mp3Job) -> bytes:
        """Return the MP3 of a job. Two threads that are asked for the same at once may both make it."""
        key = job.key
        with self._lock:
            if (found := self._files.get(key)) is not None:
                self.hits += 1
                self._files.move_to_end(key)
                return found
        made = job.make()
        with self._lock:
            if key not in self._files:
                self._files[key] = made
                self._kept_bytes += len(made)
            while self._kept_bytes > self._most_bytes:
                self._kept_bytes -= len(self._files.popitem(last=False)[1])
        return made


_MADE_BEFORE = MadeBefore()


class PieceMaker:
    """`media.talk.mp3_mode.PieceEncoder` of one stream.

    Args:
        sample_rate_hz: see `Mp3PieceEncoder`.
        makers: where MP3s are made.
    """

    def __init__(self, sample_rate_hz: int, makers: Makers | None = None) -> None:
        self._encoder = Mp3PieceEncoder(sample_rate_hz)
        self._makers = makers or shared_makers()
        self.take_back, self.reset = self._encoder.take_back, self._encoder.reset

    def encode(self, pcm: Pcm, following: Pcm | None = None, *, due_ns: int = 0) -> Future[bytes]:
        """See `PieceEncoder.encode`."""
        make = partial(_MADE_BEFORE.make, self._encoder.prepare(pcm, following))
        return self._makers.submit(make, due_ns)
