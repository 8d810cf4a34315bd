"""`Levels`: how loud tracks are and have been, in columns: level, speech, background, silence, clipping.

The active speech level is that of ITU-T P.56, method B, simplified in three ways: its envelope is the RMS level of
frames of 20 ms instead of a smoothed rectified signal, its thresholds are 1 dB apart instead of 6, and its hang-over
is ten frames. What remains is its idea: at every threshold the frames count that are louder, or were within the last
200 ms; the energy of all of the track, spread over these only, is a level; the threshold that this level is 15.9 dB
above is the one. Two counts of frames by level, with and without hang-over, are all that needs to be kept for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.hearing.columns import Columns
from media.hearing.rows import FRAME_MS, FRAME_SLICES, Bool, Float32, Int64, Rows

BINS = 96
"""Of 1 dB: bin 95 is 0 dBFS, bin 0 -95 dBFS and everything below, digital silence among it."""
FULL_SCALE_DB = 20 * math.log10(32768)
MARGIN_DB = 15.9
HANGOVER_FRAMES = 10
SILENT_DBFS = -50.0
NOISE_SHARE = 0.1
CLIPPED_AMPLITUDE, CLIPPED_LINEAR_AMPLITUDE = 32_000, 32_767
"""Mu-law ends at 32,124, A-law at 32,256; 16-bit PCM may well be as loud as that."""

_STATE = np.dtype([("frames", "i8"), ("samples", "i8"), ("energy", "f8"), ("clipped", "i8")])
_COUNTS = np.dtype([("levels", "u4", BINS), ("hung", "u4", BINS), ("recent", "i1", HANGOVER_FRAMES)])


@dataclass(frozen=True, slots=True)
class Loudness:
    """What is known of the loudness of one track; levels are RMS, None where there is none.

    Attributes:
        heard_ms: audio that this is about.
        level_dbfs: mean of all.
        active_level_dbfs: of speech.
        active: share of speech, 0 to 1.
        noise_dbfs: what a tenth of the frames stays below.
        silent: share of frames below `SILENT_DBFS`.
        clipped_samples: at full scale, two and more in a row.
        clipped: their share.
    """

    heard_ms: int
    level_dbfs: float | None
    active_level_dbfs: float | None
    active: float
    noise_dbfs: float | None
    silent: float
    clipped_samples: int
    clipped: float


class Levels:
    """Levels of the tracks of one sample rate, by `media.hearing.rows.Rows.key`.

    Attributes:
        bins: (n, frames) int64, of the rows that were received last: level of each frame by its bin; -1 if it is not
            known.
    """

    bins: Int64

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._state = Columns(np.zeros(1, _STATE))
        self._counts = Columns(np.zeros(1, _COUNTS))

    def reach(self, key: int) -> None:
        """Make room for tracks up to `key`."""
        self._state.reach(key)
        self._counts.reach(key)

    def reset(self, key: Int64) -> None:
        """Forget tracks."""
        self._state.reset(key)
        self._counts.reset(key)

    def receive(self, rows: Rows, energy: Float32) -> None:
        """Take a block of each of some tracks; `energy` is (n, k) float32, of slices."""
        shape = len(rows), energy.shape[1] // FRAME_SLICES, FRAME_SLICES
        known = rows.known.reshape(shape).sum(axis=2)
        power = energy.reshape(shape).sum(axis=2) / np.maximum(known, 1)
        is_known = known >= self._rate_hz * FRAME_MS // 2000
        state, key = self._state.table, rows.key
        state["frames"][key] += is_known.sum(axis=1)
        state["samples"][key] += rows.known.sum(axis=1).astype(np.int64)
        state["energy"][key] += (power * is_known).sum(axis=1)
        state["clipped"][key] += _clipped(rows, energy)
        level = 10 * np.log10(np.maximum(power, 1e-3)) - FULL_SCALE_DB
        bins = np.clip(np.rint(level) + (BINS - 1), 0, BINS - 1).astype(np.int64)
        self._count(key, bins, is_known)
        self.bins = np.where(is_known, bins, -1)

    def _count(self, key: Int64, bins: Int64, is_known: Bool) -> None:
        counts = self._counts.table
        heard = np.where(is_known, bins, 0).astype(np.int8)
        reach = np.concatenate([counts["recent"][key], heard], axis=1)
        counts["recent"][key] = reach[:, -HANGOVER_FRAMES:]
        hung = reach[:, HANGOVER_FRAMES:]
        for behind in range(HANGOVER_FRAMES):
            hung = np.maximum(hung, reach[:, behind : behind + hung.shape[1]])
        for frame in range(bins.shape[1]):
            here = is_known[:, frame]
            counts["levels"][key, bins[:, frame]] += here
            counts["hung"][key, hung[:, frame]] += here

    def of(self, key: int) -> Loudness:
        """Return what is known of one track; from any thread."""
        state, counts = self._state.table[key], self._counts.table[key]
        frames, samples, clipped = int(state["frames"]), int(state["samples"]), int(state["clipped"])
        energy = float(state["energy"])
        levels, hung = counts["levels"].astype(np.int64), counts["hung"].astype(np.int64)
        speech_dbfs, active = active_level(energy, hung)
        some = max(frames, 1)
        return Loudness(
            heard_ms=samples * 1000 // self._rate_hz,
            level_dbfs=_dbfs(energy / some),
            active_level_dbfs=speech_dbfs,
            active=active,
            noise_dbfs=_noise(levels),
            silent=float(levels[: BINS - 1 + round(SILENT_DBFS)].sum()) / some,
            clipped_samples=clipped,
            clipped=clipped / max(samples, 1),
        )


def active_level(energy: float, hung: Int64) -> tuple[float | None, float]:
    """Return the active speech level and the share of the time that it is of; None and 0 if there is no speech.

    Args:
        energy: sum of the mean squares of all frames.
        hung: (BINS,) frames by the highest level of themselves and the `HANGOVER_FRAMES` before.
    """
    frames = int(hung.sum())
    if not frames or energy <= 0:
        return None, 0.0
    active = np.cumsum(hung[::-1])[::-1]  # at the threshold of each bin
    used = np.flatnonzero(active)
    level = 10 * np.log10(energy / active[used]) - FULL_SCALE_DB
    above = level - (used - (BINS - 1))
    below_margin = np.flatnonzero(above <= MARGIN_DB)
    at = int(below_margin[0]) if len(below_margin) else len(used) - 1
    share = float(active[used[at]]) / frames
    found = float(level[at])
    if at and above[at] < MARGIN_DB:
        part = float((above[at - 1] - MARGIN_DB) / (above[at - 1] - above[at]))
        found = float(level[at - 1] + part * (level[at] - level[at - 1]))
        share = float(active[used[at - 1]] + part * (active[used[at]] - active[used[at - 1]])) / frames
    return (found, share) if found >= SILENT_DBFS else (None, 0.0)


def _noise(levels: Int64) -> float | None:
    """Return what `NOISE_SHARE` of the frames do not exceed; None if that is digital silence, or there is none."""
    total = int(levels.sum())
    at = int(np.searchsorted(np.cumsum(levels), NOISE_SHARE * total)) if total else 0
    return float(at - (BINS - 1)) if at else None


def _dbfs(power: float) -> float | None:
    return 10 * math.log10(power) - FULL_SCALE_DB if power >= 1e-3 else None


def _clipped(rows: Rows, energy: Float32) -> NDArray[np.int64]:
    """Return (n,) int64, samples at full scale beside another one of the same sign, in the same slice."""
    most = CLIPPED_LINEAR_AMPLITUDE if rows.is_linear else CLIPPED_AMPLITUDE
    row, slice_ = np.nonzero(energy >= float(most) ** 2)  # in no other slice is there such a sample
    count = np.zeros(len(rows), np.int64)
    if len(row):
        audio = rows.audio[row, slice_]
        at_end = np.abs(audio) >= most
        pair = at_end[:, 1:] & at_end[:, :-1] & ((audio[:, 1:] > 0) == (audio[:, :-1] > 0))
        beside = np.zeros(audio.shape, np.bool_)
        beside[:, 1:] |= pair
        beside[:, :-1] |= pair
        np.add.at(count, row, beside.sum(axis=1))
    return count
