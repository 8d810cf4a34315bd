"""Reading sources to their end, and files of audio made by libsndfile."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from media.talk.contract import Pcm, PcmSource
from media.talk.sources import open_source
from media.talk.sources.ahead import DecodedAhead


async def rest(source: PcmSource, block_samples: int = 1000, most_samples: int = 10**9) -> Pcm:
    """Return everything that is still to come, as a player that is always in time would get it."""
    heard = [np.zeros(0, np.int16)]
    while not source.has_ended and sum(map(len, heard)) < most_samples:
        heard.append(source.read(block_samples))
        assert len(heard[-1]) <= block_samples
        if not len(heard[-1]):
            await more(source)
    return np.concatenate(heard)


async def more(source: PcmSource) -> None:
    """Wait until there may be more: for the worker that decodes, or a turn of the loop for an iterator."""
    source = getattr(source, "_source", source)  # of a filter
    job = source.job if isinstance(source, DecodedAhead) else None
    await (asyncio.sleep(0) if job is None else asyncio.wrap_future(job))


async def whole(source: Any, sample_rate_hz: int, **settings: Any) -> Pcm:
    """Open, read and close; there is no error."""
    opened = await open_source(source, sample_rate_hz, **settings)
    try:
        heard = await rest(opened)
        assert opened.error is None
        assert opened.length_samples == len(heard)
        return heard
    finally:
        opened.close()


def file_of(pcm: NDArray[Any], rate_hz: int, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """Return an audio file's bytes."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate_hz, format=kind, subtype=subtype)
    return buffer.getvalue()


def hum(rate_hz: int, seconds: float = 1.0, frequency_hz: float = 440.0) -> Pcm:
    """Return a sine at half of full scale."""
    return (16_000 * np.sin(2 * np.pi * frequency_hz * np.arange(round(rate_hz * seconds)) / rate_hz)).astype(
        np.int16
    )


def level_db(heard: Pcm, ideal: Pcm) -> float:
    """Return the level of the difference beside the ideal, without the first and last twentieth."""
    edge = len(ideal) // 20
    difference = heard[edge:-edge].astype(float) - ideal[edge:-edge]
    return float(20 * np.log10(difference.std() / ideal.std() + 1e-9))
