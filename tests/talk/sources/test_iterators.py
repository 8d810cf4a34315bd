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
