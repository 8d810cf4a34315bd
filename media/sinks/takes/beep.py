"""The beep that says that a recording begins."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

FREQUENCY_HZ = 1000.0
LENGTH_MS, FADE_MS = 250, 10
AMPLITUDE = 5800.0
"""-12 dBm0: a little above speech."""


@cache
def beep(sample_rate_hz: int) -> NDArray[np.int16]:
    """Return the beep, (n,) int16, at a rate; not to be written to."""
    count, fade = sample_rate_hz * LENGTH_MS // 1000, sample_rate_hz * FADE_MS // 1000
    moments = np.arange(count)
    edge = np.minimum(np.minimum(moments, count - 1 - moments) / fade, 1.0)
    sound = AMPLITUDE * edge * np.sin(2 * np.pi * FREQUENCY_HZ * moments / sample_rate_hz)
    return np.asarray(np.round(sound).astype(np.int16))
