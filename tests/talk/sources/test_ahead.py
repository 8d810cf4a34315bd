"""Decoding ahead, with its jobs run when the test says so: whatever comes between, it is let go of once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import pytest

from media.talk.contract import Pcm
from media.talk.sources.ahead import AHEAD_S, DecodedAhead

RATE_HZ = 8000


class AtOnce(Executor):
    """Runs every job within `submit`."""

    def submit(self, job: Callable[..., Any], /, *arguments: Any, **settings: Any) -> Future[Any]:
        made: Future[Any] = Future()
        made.set_result(job(*arguments, **settings))
        return made


class Queued(AtOnce):
    """Runs jobs when it is told to."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], Any]] = []

    def submit(self, job: Callable[..., Any], /, *_: Any, **__: Any) -> Future[Any]:
        self.jobs.append(job)
        return Future()

    def run(self) -> None:
        while self.jobs:
            self.jobs.pop(0)()


class Preempted:
    """A lock, and what another thread does as soon as it is let go of."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._lock, self._then = threading.Lock(), then

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        self._then()


def seconds_of_silence() -> Iterator[Pcm]:
    for _ in range(100):
        yield np.zeros(RATE_HZ, np.int16)


async def test_closed_just_as_a_job_ends_it_is_released_once() -> None:
    released: list[None] = []
    source = DecodedAhead(seconds_of_silence, RATE_HZ, AtOnce(), release=lambda: released.append(None))

    def close_when_full() -> None:
        if source._buffer.samples >= AHEAD_S * RATE_HZ and not source._is_filling:
            source.close()

    source._lock = Preempted(close_when_full)  # type: ignore[assignment]
    await source.opened()
    assert source.has_ended
    assert len(released) == 1


async def test_a_decoder_that_fails_when_it_is_closed_is_released_all_the_same() -> None:
    def begin() -> Iterator[Pcm]:
        try:
            yield from seconds_of_silence()
        finally:
            raise OSError("cannot be closed")

    released: list[None] = []
    source = DecodedAhead(begin, RATE_HZ, AtOnce(), release=lambda: released.append(None))
    await source.opened()
    source.close()
    assert len(released) == 1


async def test_given_up_just_as_it_can_be_played_it_is_released() -> None:
    class JustThen(Future[None]):
        """Whoever waits gives up right after it was asked."""

        def done(self) -> bool:
            was_done = super().done()
            self.cancel()
            return was_done

    released: list[None] = []
    workers = Queued()
    source = DecodedAhead(seconds_of_silence, RATE_HZ, workers, release=lambda: released.append(None))
    source._first = JustThen()
    opening = asyncio.ensure_future(source.opened())
    await asyncio.sleep(0)
    workers.run()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    workers.run()
    assert len(released) == 1
