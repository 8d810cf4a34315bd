"""Noise suppression of what is played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from media.talk.contract import PlaybackError
from media.talk.sources import open_source
from tests.denoising.sounds import as_pcm, denoised, hiss, level_db
from tests.talk.sources.listening import file_of, rest, whole

NOISE = as_pcm(hiss(3, 1000))


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 48000])
async def test_every_sample_is_where_it_was(rate_hz: int) -> None:
    noise = as_pcm(hiss(3.0017, 1000, rate_hz))
    heard = await whole(noise, rate_hz, rate_hz=rate_hz, denoise=True)
    assert len(heard) == len(noise)
    np.testing.assert_allclose(heard, denoised(noise.astype(float), rate_hz), atol=0.6)
    assert level_db(heard[2 * rate_hz :]) < 60 - 12


@pytest.mark.parametrize("samples", [1, 10, 160, 700])
async def test_less_than_a_frame(samples: int) -> None:
    """As long as nothing is known of the noise, nothing is done."""
    heard = await whole(NOISE[:samples], 8000, rate_hz=8000, denoise=True)
    assert np.abs(heard.astype(int) - NOISE[:samples]).max() <= 1


async def test_a_file() -> None:
    heard = await whole(file_of(NOISE, 8000), 8000, denoise=True)
    np.testing.assert_allclose(heard, denoised(NOISE.astype(float)), atol=0.6)


async def test_what_is_still_being_made() -> None:
    """It is read as it comes: what is ready is given, and the last of it too."""

    async def pieces() -> AsyncIterator[np.ndarray]:
        for start in range(0, len(NOISE), 700):
            yield NOISE[start : start + 700]
            await asyncio.sleep(0)

    source = await open_source(pieces(), 8000, rate_hz=8000, denoise=True)
    assert not len(source.read(160))
    heard = await rest(source)
    np.testing.assert_allclose(heard, denoised(NOISE.astype(float)), atol=0.6)


async def test_again_it_is_quiet_from_the_beginning() -> None:
    source = await open_source(NOISE, 8000, rate_hz=8000, denoise=True)
    first = await rest(source)
    assert source.rewind()
    again = await rest(source)
    assert len(again) == len(first) == len(NOISE)
    assert level_db(again[320:2400]) < level_db(first[320:2400]) - 9
    source.close()
    source.close()
    assert source.has_ended
    assert not len(source.read(100))
    assert not source.rewind()


async def test_what_fails_says_why() -> None:
    with pytest.raises(PlaybackError, match="no regular file"):
        await open_source("/dev/null", 8000, denoise=True)
