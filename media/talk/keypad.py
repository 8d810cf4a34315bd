"""Keys as tones: dual-tone multi-frequency (ITU-T Q.23)."""

from __future__ import annotations

import numpy as np

from media.hearing.verdict import DIGITS, HIGH_HZ, LOW_HZ
from media.talk.contract import Pcm

PAUSES_MS = {"w": 500, "W": 1000}
MAX_KEYS = 128
SHORTEST_MS, LONGEST_MS = 40, 5000
"""Q.24: nobody has to hear less."""
LOW_AMPLITUDE, HIGH_AMPLITUDE = 8000.0, 10_000.0
"""Of 16-bit PCM, -9 and -7 dBm0: lines weaken what is higher."""
MAX_MS = 60_000
"""Of all keys and pauses together."""
_RAMP_MS = 2
"""Up and down, so that it does not click."""


def key_tones(digits: str, duration_ms: int, pause_ms: int, sample_rate_hz: int) -> Pcm:
    """Return (n,) int16, the tones of keys, each with a pause behind it.

    Raises:
        ValueError: no digits or too many, characters that are no keys, durations out of range, more than a minute.
    """
    strange = set(digits) - set(DIGITS) - set(PAUSES_MS)
    if strange or not 0 < len(digits) <= MAX_KEYS:
        raise ValueError(f"digits={digits!r}: 1 to {MAX_KEYS} of 0-9, *, #, A-D, w, W")
    if not all(SHORTEST_MS <= ms <= LONGEST_MS for ms in (duration_ms, pause_ms)):
        raise ValueError(f"duration_ms={duration_ms}, pause_ms={pause_ms}: {SHORTEST_MS} to {LONGEST_MS}")
    total_ms = sum(PAUSES_MS.get(digit, duration_ms + pause_ms) for digit in digits)
    if total_ms > MAX_MS:
        raise ValueError(f"digits={digits!r} take {total_ms} ms: {MAX_MS} at most")
    pause = np.zeros(pause_ms * sample_rate_hz // 1000, np.int16)
    pieces: list[Pcm] = []
    for digit in digits:
        if digit in PAUSES_MS:
            pieces.append(np.zeros(PAUSES_MS[digit] * sample_rate_hz // 1000, np.int16))
        else:
            pieces += [_tones(digit, duration_ms, sample_rate_hz), pause]
    return np.concatenate(pieces)


def _tones(digit: str, duration_ms: int, sample_rate_hz: int) -> Pcm:
    row, column = divmod(DIGITS.index(digit), 4)
    seconds = np.arange(duration_ms * sample_rate_hz // 1000) / sample_rate_hz
    low, high = (np.sin(2 * np.pi * hz * seconds) for hz in (LOW_HZ[row], HIGH_HZ[column]))
    ramp = np.minimum(np.minimum(seconds, seconds[::-1]) / (_RAMP_MS / 1000), 1)
    return (ramp * (LOW_AMPLITUDE * low + HIGH_AMPLITUDE * high)).astype(np.int16)
