"""Blocks of any channels, sample format and rate into mono int16 at the rate that a call wants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.talk.contract import Pcm, PlaybackError
from media.talk.resampler import RATES_HZ
from media.talk.sources.buffer import NOTHING

Mono = NDArray[np.float32]
MAX_CHANNELS = 64
LOUDEST = 4.0
"""Floats beyond 1 are clipped; what is beyond this, 12 dB more, was meant as something else."""


def shown(text: str) -> str:
    """Return a name as an error shows it: one line, no control characters, not longer than a line."""
    clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= 100 else f"{clean[:60]}...{clean[-37:]}"


def check_rate(rate_hz: int, what: str) -> None:
    """See that a rate is one of audio.

    Raises:
        PlaybackError: it is not.
    """
    if rate_hz not in RATES_HZ:
        raise PlaybackError(f"{what} has a rate of {rate_hz} Hz; {RATES_HZ[0]} to {RATES_HZ[-1]} Hz can be played")


def scaled(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Return any PCM as float32, full scale 1: signed integers of any width, unsigned bytes, floats."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - np.float32(128)) / np.float32(128)
    scale: NDArray[np.float32] = samples.astype(np.float32)
    scale /= np.float32(-float(np.iinfo(samples.dtype).min))
    return scale


def mono(samples: NDArray[np.float32]) -> Mono:
    """Return (n, channels) mixed down to (n,): the mean, so that it cannot clip."""
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)


def finite(samples: Mono) -> Mono:
    """Return floats of a file, which may hold anything, so that they can be played: NaN is silence, infinity loud."""
    return np.clip(np.nan_to_num(samples, copy=False), -LOUDEST, LOUDEST)


def pcm16(samples: Mono) -> Pcm:
    """Return float32 of full scale 1 as int16, clipped; what was int16 before comes out as it was."""
    return np.rint(np.clip(samples * 32768, -32768, 32767)).astype(np.int16)


def converted(blocks: Iterable[tuple[Mono, int]], sample_rate_hz: int) -> Iterator[Pcm]:
    """Yield `blocks`, each with its rate, as int16 at `sample_rate_hz`; a rate that changes midway is followed."""
    import soxr

    stream, stream_hz = None, sample_rate_hz
    for block, rate_hz in blocks:
        if rate_hz != stream_hz:
            if stream is not None:
                yield pcm16(stream.resample_chunk(block[:0], last=True))
            stream_hz = rate_hz
            stream = soxr.ResampleStream(rate_hz, sample_rate_hz, 1) if rate_hz != sample_rate_hz else None
        yield pcm16(block if stream is None else stream.resample_chunk(block))
    if stream is not None:
        yield pcm16(stream.resample_chunk(NOTHING.astype(np.float32), last=True))
