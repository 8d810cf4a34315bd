"""Threads that make MP3s: the order, what is made once, what goes wrong, what is taken back."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest

from media.talk.contract import Pcm
from media.talk.mp3 import Mp3Job, Mp3PieceEncoder
from media.talk.mp3_maker import MadeBefore, MakerThreads, PieceMaker

SAID: Pcm = np.random.default_rng(3).integers(-9000, 9000, 30_000).astype(np.int16)


def job(start: int, end: int) -> Mp3Job:
    return Mp3PieceEncoder(8000).prepare(SAID[start:end], SAID[end:])


class TestThreads:
    def test_what_is_due_first_is_made_first_and_what_is_not_wanted_any_more_never(self) -> None:
        makers, begun, go = MakerThreads(1), threading.Event(), threading.Event()
        order: list[tuple[int, int]] = []

        def hold() -> bytes:
            begun.set()
            go.wait()
            return b""

        def make(number: int, due_ns: int) -> bytes:
            order.append((due_ns, number))
            return bytes([number])

        makers.submit(hold, 0)
        begun.wait()
        dues_ns = [5, 1, 9, 5, 3, 1]
        made = [makers.submit(partial(make, number, due_ns), due_ns) for number, due_ns in enumerate(dues_ns)]
        assert made.pop(4).cancel()
        go.set()
        assert [future.result(30) for future in made] == [bytes([number]) for number in (0, 1, 2, 3, 5)]
        assert order == [(1, 1), (1, 5), (5, 0), (5, 3), (9, 2)]

    def test_a_failure_is_told_and_the_thread_goes_on(self) -> None:
        makers = MakerThreads(1)

        def fail() -> bytes:
            raise MemoryError("no room")

        failed = makers.submit(fail, 0)
        assert makers.submit(lambda: b"made", 1).result(30) == b"made"
        with pytest.raises(MemoryError, match="no room"):
            failed.result(0)


class TestMadeBefore:
    def test_the_same_is_made_once_and_what_is_different_is_not_the_same(self) -> None:
        made = MadeBefore()
        jobs = [job(0, 8000), job(0, 8000), job(0, 7999), job(1, 8000)]
        files = [made.make(one) for one in jobs]
        assert files == [one.make() for one in jobs]
        assert made.hits == 1

    def test_a_piece_with_another_past_is_another(self) -> None:
        """The same samples, cut in another way."""
        stream: Pcm = SAID[:9000].copy()
        jobs = [Mp3Job(8000, stream, 576, 8000), Mp3Job(8000, stream, 0, 8000), Mp3Job(16000, stream, 576, 8000)]
        assert len({one.key for one in jobs}) == 3

    def test_it_keeps_no_more_than_it_may(self) -> None:
        made = MadeBefore(3 * len(job(0, 8000).make()))
        for start in (0, 1, 2, 3, 0, 3):
            made.make(job(start, start + 8000))
        assert made.hits == 1
        assert sum(map(len, made._files.values())) == made._kept_bytes <= made._most_bytes


def test_a_piece_that_is_taken_back_leaves_no_trace() -> None:
    maker, plain = PieceMaker(8000), Mp3PieceEncoder(8000)
    expected = [plain.encode(SAID[:8000], SAID[8000:]), plain.encode(SAID[8000:16000], SAID[16000:])]
    first = maker.encode(SAID[:8000], SAID[8000:])
    maker.encode(np.zeros(8000, np.int16))
    maker.take_back()
    assert [first.result(30), maker.encode(SAID[8000:16000], SAID[16000:]).result(30)] == expected
