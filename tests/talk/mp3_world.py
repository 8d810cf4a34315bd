"""A carrier that takes MP3s, and an encoder that takes its time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from media.talk.contract import Pcm
from media.talk.mp3_mode import SHORTEST_SAMPLES, Mp3Playout
from media.talk.player import Player
from strep.clock import NS_PER_SECOND, ManualClock
from tests.talk.model_carrier import (
    RATE_HZ,
    JsonFrames,
    ModelCarrier,
    World,
)


class Later(Future[bytes]):
    """A file that is made by a given time."""

    def __init__(self, file: bytes, clock: ManualClock, made_ns: int) -> None:
        super().__init__()
        self._file, self._clock, self._made_ns = file, clock, made_ns

    def done(self) -> bool:
        if self._clock.now_ns() >= self._made_ns and not super().done():
            self.set_result(self._file)
        return super().done()


class Samples:
    """An encoder whose files are the samples, made after a while; it sees that what is to follow does follow."""

    def __init__(self, clock: ManualClock, made_in_ns: Callable[[], int] = lambda: 0) -> None:
        self._expected: Pcm | None = None
        self._expected_before: Pcm | None = None
        self._clock, self._made_in_ns = clock, made_in_ns
        self.files: list[Later] = []
        self.due_in_s: list[float] = []
        self.failures: list[Exception | None] = []

    def encode(self, pcm: Pcm, following: Pcm | None = None, *, due_ns: int = 0) -> Future[bytes]:
        self.due_in_s.append((due_ns - self._clock.now_ns()) / NS_PER_SECOND)
        if self._expected is not None:
            n = min(len(pcm), len(self._expected))
            assert np.array_equal(pcm[:n], self._expected[:n])
        self._expected, self._expected_before = following, self._expected
        assert len(pcm) >= SHORTEST_SAMPLES
        file = Later(pcm.astype("<i2").tobytes(), self._clock, self._clock.now_ns() + self._made_in_ns())
        if self.failures and (failure := self.failures.pop(0)) is not None:
            file.set_exception(failure)
        self.files.append(file)
        return file

    def take_back(self) -> None:
        self._expected = self._expected_before

    def reset(self) -> None:
        self._expected = None


def world(made_in_ns: Callable[[], int] = lambda: 0) -> World:
    clock = ManualClock(10 * NS_PER_SECOND)
    carrier = ModelCarrier(clock, min_interval_ns=NS_PER_SECOND)
    return World(Mp3Playout(Player(RATE_HZ), JsonFrames(), Samples(clock, made_in_ns)), carrier, clock)


def maker(here: World) -> Samples:
    assert isinstance(here.playout, Mp3Playout)
    assert isinstance(here.playout._encoder, Samples)
    return here.playout._encoder


def clear_of(here: World) -> Callable[[], object]:
    return lambda: here.playout.clear(here.clock.now_ns())


def reconnect_of(here: World) -> Callable[[], object]:
    """Break the socket; the carrier forgets what it had, and there is another."""

    def reconnect() -> None:
        here.carrier.send(str(here.playout._frames.clear()))
        here.carrier.replies.clear()
        here.playout.attach(here.carrier, here.clock.now_ns())

    return reconnect
