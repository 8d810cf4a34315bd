"""What codecs are tested with: the shipped conversation, and how well something matches it."""

from __future__ import annotations

from functools import cache

import numpy as np
import soxr
from numpy.typing import NDArray

from media.carrier.audio import CONVERSATION, load
from media.talk.contract import Pcm


@cache
def speech(sample_rate_hz: int, seconds: int = 4) -> Pcm:
    """Return a voice, (seconds * sample_rate_hz,) int16, whole frames of 20 ms."""
    voice = load(CONVERSATION)[0, : 8000 * seconds]
    return np.asarray(soxr.resample(voice, 8000, sample_rate_hz) if sample_rate_hz != 8000 else voice, np.int16)


def likeness(heard: Pcm, said: Pcm, most_lag_samples: int) -> tuple[float, int]:
    """Return the correlation coefficient at the best lag of `heard` behind `said`, and that lag in samples."""
    size = 1 << (len(said) + len(heard)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size))
    lag = int(np.fft.irfft(spectrum)[: most_lag_samples + 1].argmax())
    one: NDArray[np.float64] = heard[lag:].astype(float)
    other = said[: len(one)].astype(float)
    one = one[: len(other)]
    return float((one @ other) / np.sqrt((one @ one) * (other @ other))), lag
