"""Audio that a worker thread decodes ahead of the player, into a buffer of a few seconds.

No source has a thread to itself while its buffer is full: the reader asks for more, and a job of a shared pool
fills up again. What can stall (a URL) brings an executor of its own, so that it stalls nobody else.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache

from media.talk.contract import Pcm, PlaybackError
from media.talk.sources.buffer import PcmBuffer

AHEAD_S = 4
"""How much is decoded ahead; at half of it, a job is asked for more."""
HEAD_S = 2
"""How much of the beginning is kept, so that playing again begins at once while the decoder is opened anew."""
WORKERS = 4

Begin = Callable[[], Iterator[Pcm]]
"""Opens from the first sample; called and iterated in a worker; raises PlaybackError."""


@cache
def shared_workers() -> Executor:
    """Return the pool of all sources that cannot stall."""
    return ThreadPoolExecutor(WORKERS, thread_name_prefix="decoding")


class DecodedAhead:
    """See `PcmSource`.

    Attributes:
        job: the last that was asked for more; when it is done, there is more to read or it has ended.

    Args:
        begin: makes the blocks, (n,) int16 at `sample_rate_hz`.
        workers: where `begin` and its iterator run, one job at a time.
        length_samples: where it is known beforehand.
        abort: called once at `close`, to wake a job that waits for something.
        release: called by a worker when it is closed and no job runs any more.
    """

    def __init__(
        self,
        begin: Begin,
        sample_rate_hz: int,
        workers: Executor,
        *,
        length_samples: int | None = None,
        abort: Callable[[], None] = lambda: None,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._begin, self._workers, self._abort, self._release = begin, workers, abort, release
        self._ahead_samples, self._head_samples = AHEAD_S * sample_rate_hz, HEAD_S * sample_rate_hz
        self._lock = threading.Lock()
        # Under the lock.
        self._buffer = PcmBuffer()
        self._head: list[Pcm] = []
        self._turn = 0  # how often it was rewound
        self._produced = 0  # samples of this turn
        self._is_filling = self._is_done = self._is_closed = self._is_released = False
        self._error: PlaybackError | None = None
        self._length_samples = length_samples
        # Of the job that runs.
        self._blocks: Iterator[Pcm] | None = None
        self._blocks_turn = 0
        self._skip_samples = 0
        self._first: Future[None] = Future()
        self.job: Future[None] | None = None

    async def opened(self) -> DecodedAhead:
        """Return itself when there is something to read.

        Raises:
            PlaybackError: nothing of it can be played.
        """
        self._first.set_running_or_notify_cancel()  # who waits may give up, but not in the worker's way
        self._ask()
        try:
            await asyncio.wrap_future(self._first)
        except BaseException:
            self.close()
            raise
        return self

    @property
    def has_ended(self) -> bool:
        """See `PcmSource.has_ended`."""
        return self._is_closed or (self._is_done and not self._buffer.samples)

    @property
    def error(self) -> PlaybackError | None:
        """See `PcmSource.error`."""
        return self._error

    @property
    def length_samples(self) -> int | None:
        """See `PcmSource.length_samples`."""
        return self._length_samples

    def read(self, samples: int) -> Pcm:
        """See `PcmSource.read`."""
        with self._lock:
            taken = self._buffer.take(samples)
        self._ask()
        return taken

    def rewind(self) -> bool:
        """See `PcmSource.rewind`."""
        with self._lock:
            if self._is_closed:
                return False
            self._turn += 1
            self._buffer.clear()
            for piece in self._head:
                self._buffer.append(piece)
            self._produced = self._buffer.samples
            self._is_done = self._length_samples == self._produced and self._error is None
            self._error = None
        self._ask()
        return True

    def close(self) -> None:
        """See `PcmSource.close`."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._buffer.clear()
            self._head.clear()
        self._abort()
        self._ask()

    def _ask(self) -> None:
        """Have a job fill up, or clean up, where there is something to do and none is at it."""
        with self._lock:
            is_low = not self._is_done and self._buffer.samples <= self._ahead_samples // 2
            if self._is_filling or self._is_released or not (self._is_closed or is_low):
                return
            self._is_filling = True
        self.job = self._workers.submit(self._fill)

    def _fill(self) -> None:
        while True:
            with self._lock:
                turn = self._turn
                is_full = self._buffer.samples >= self._ahead_samples
                if self._is_closed or self._is_done or is_full:
                    self._is_filling, self._is_released = False, self._is_closed
                    is_last = self._is_released  # from here on, another job may run
                    break
            try:
                block = self._next_block(turn)
                error = None
            except Exception as failure:  # of decoders and users' objects: whatever it is, only this play ends
                block = None
                error = (
                    failure if isinstance(failure, PlaybackError) else PlaybackError(f"cannot be played: {failure!r}")
                )
            with self._lock:
                if turn == self._turn and not self._is_closed:
                    self._take(block, error)
        if is_last:
            with suppress(Exception):  # nobody is left to be told
                self._drop_blocks()
            self._release()

    def _next_block(self, turn: int) -> Pcm | None:
        """Return the next block of `turn`, None at the end."""
        if self._blocks is None or self._blocks_turn != turn:
            self._drop_blocks()
            with self._lock:
                self._skip_samples = self._produced
            self._blocks, self._blocks_turn = self._begin(), turn
        block = next(self._blocks, None)
        if block is None:
            self._drop_blocks()
        elif self._skip_samples:  # the head, which is in the buffer already
            skipped = min(len(block), self._skip_samples)
            self._skip_samples -= skipped
            block = block[skipped:]
        return block

    def _take(self, block: Pcm | None, error: PlaybackError | None) -> None:
        """Enter what a step gave; the lock is held."""
        if block is None:
            self._error, self._is_done = error, True  # in this order: who sees the end sees why
            if error is None:
                self._length_samples = self._produced
        else:
            if self._turn == 0 and self._produced < self._head_samples:
                self._head.append(block[: self._head_samples - self._produced])
            self._produced += len(block)
            self._buffer.append(block)
        if self._first.done() or not (self._is_done or self._produced):
            return
        if self._produced:
            self._first.set_result(None)
        else:
            self._first.set_exception(error or PlaybackError("there is no audio in it"))

    def _drop_blocks(self) -> None:
        close = getattr(self._blocks, "close", None)
        self._blocks = None
        if close is not None:
            close()
