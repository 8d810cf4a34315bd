"""Voices that are still talking: asked for no more than is wanted, closed in the end, and failing alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from media.talk.contract import PlaybackError
from media.talk.sources import open_source
from media.talk.sources.iterators import LOOK_AHEAD_S
from tests.talk.sources.listening import hum, level_db, rest, whole


async def cut(data: Any, *lengths: int) -> AsyncIterator[Any]:
    """Yield `data` in pieces of `lengths`, over and over."""
    begin, turn = 0, 0
    while begin < len(data):
        yield data[begin : begin + lengths[turn % len(lengths)]]
        begin += lengths[turn % len(lengths)]
        turn += 1


class Endless:
    """A tenth of a second at a time, for ever."""

    def __init__(self) -> None:
        self.asked, self.is_closed = 0, False

    def __aiter__(self) -> Endless:
        return self

    async def __anext__(self) -> bytes:
        self.asked += 1
        return bytes(1600)

    async def aclose(self) -> None:
        self.is_closed = True


async def test_bytes_cut_anywhere_are_what_they_were() -> None:
    said = hum(8000)
    assert np.array_equal(await whole(cut(said.tobytes(), 1, 0, 333, 2048), 8000, rate_hz=8000), said)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
async def test_arrays_are_resampled_across_pieces(dtype: type) -> None:
    said = hum(24_000) if dtype is np.int16 else (hum(24_000) / 32768).astype(dtype)
    heard = await whole(cut(said, 700, 13, 0, 50_000), 8000, rate_hz=24_000)
    assert len(heard) == 8000
    assert level_db(heard, hum(8000)) < -60


async def test_it_is_asked_for_no_more_than_is_wanted() -> None:
    pieces = Endless()
    source = await open_source(pieces, 8000, rate_hz=8000)
    for _ in range(200):
        await asyncio.sleep(0)
    assert pieces.asked == LOOK_AHEAD_S * 10
    assert len(source.read(8000)) == 8000
    for _ in range(200):
        await asyncio.sleep(0)
    assert pieces.asked == LOOK_AHEAD_S * 10 + 10
    assert not source.rewind()
    source.close()
    for _ in range(5):
        await asyncio.sleep(0)
    assert pieces.is_closed
    assert source.has_ended
    assert not len(source.read(100))


async def test_one_piece_of_an_hour_is_not_resampled_at_once() -> None:
    source: Any = await open_source(cut(np.zeros(3600 * 8000, np.int16), 3600 * 8000), 16_000, rate_hz=8000)
    for _ in range(100):
        await asyncio.sleep(0)
    assert source._buffer.samples <= (LOOK_AHEAD_S + 1) * 16_000
    source.close()


@pytest.mark.parametrize(
    ("piece", "says"),
    [
        ("text", "a piece is a str; bytes and arrays"),
        (np.zeros(3, np.int64), "a piece has dtype int64"),
        (np.array([np.nan]), "NaN"),
        (None, "the iterator of PCM failed: ZeroDivisionError"),
    ],
)
async def test_a_failure_is_kept_and_what_came_before_is_heard(piece: Any, says: str) -> None:
    async def pieces() -> AsyncIterator[Any]:
        yield hum(8000)[:400]
        if piece is None:
            raise ZeroDivisionError
        yield piece

    source = await open_source(pieces(), 8000, rate_hz=8000)
    assert np.array_equal(await rest(source), hum(8000)[:400])
    assert isinstance(source.error, PlaybackError)
    assert says in str(source.error)
    assert source.length_samples is None
    source.close()


async def test_it_needs_a_rate() -> None:
    for rate_hz, says in ((None, "needs its sample rate"), (3, "rate of 3 Hz")):
        with pytest.raises(PlaybackError, match=says):
            await open_source(Endless(), 8000, rate_hz=rate_hz)


async def closes(pieces: Any, source: Any) -> bool:
    source.close()
    for _ in range(5):
        await asyncio.sleep(0)
    return bool(pieces.is_closed)


async def test_it_is_closed_even_if_nothing_was_asked_of_it_yet() -> None:
    pieces = Endless()
    assert await closes(pieces, await open_source(pieces, 8000, rate_hz=8000))
    assert not pieces.asked


async def test_what_an_iterable_makes_is_closed() -> None:
    pieces = Endless()

    class Iterable:
        def __aiter__(self) -> Endless:
            return pieces

    source = await open_source(Iterable(), 8000, rate_hz=8000)
    await asyncio.sleep(0)
    assert await closes(pieces, source)


async def test_one_that_will_not_be_cancelled_is_not_asked_for_ever() -> None:
    asked = 0

    async def stubborn() -> AsyncIterator[bytes]:
        nonlocal asked
        while asked < 1000:
            asked += 1
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                yield bytes(160)

    source: Any = await open_source(stubborn(), 8000, rate_hz=8000)
    await asyncio.sleep(0)
    source.close()
    for _ in range(10):
        await asyncio.sleep(0)
    assert source._task.done()
    assert asked == 1


async def test_one_that_was_cancelled_within_has_failed() -> None:
    async def cancelled() -> AsyncIterator[bytes]:
        yield bytes(160)
        raise asyncio.CancelledError

    source = await open_source(cancelled(), 8000, rate_hz=8000)
    assert len(await rest(source)) == 80
    assert "was cancelled" in str(source.error)


async def test_an_array_may_be_filled_anew_for_the_next_piece() -> None:
    said = hum(8000)

    async def reused() -> AsyncIterator[Any]:
        piece = np.zeros(160, np.int16)
        for begin in range(0, 8000, 160):
            piece[:] = said[begin : begin + 160]
            yield piece

    assert np.array_equal(await whole(reused(), 8000, rate_hz=8000), said)


@pytest.mark.parametrize("has_ended", [False, True])
async def test_while_it_closes_itself_it_is_left_alone(has_ended: bool) -> None:
    steps: list[str] = []

    class Slow(Endless):
        async def __anext__(self) -> bytes:
            if has_ended:
                raise StopAsyncIteration
            return await super().__anext__()

        async def aclose(self) -> None:
            steps.append("begun")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            steps.append("done")

    source = await open_source(Slow(), 8000, rate_hz=8000)
    await asyncio.sleep(0)
    for _ in range(10):
        source.close()
        await asyncio.sleep(0)
    assert steps == ["begun", "done"]
