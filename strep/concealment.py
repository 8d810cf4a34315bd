"""Concealment of lost audio: what was said before a hole, and after it, goes on into it.

A hole is known to be lost only when a later packet has come (`strep.resolve`), so both of its edges are there, and
nobody waits for the second. From each edge the waveform is continued, pitch cycle by pitch cycle as in ITU-T G.711
Appendix I, one forwards, one backwards in time, and between the two is a cross-fade. What is made up fades out within
`MOST_MS` of its edge: a longer hole is silent in its middle, for nobody said anything there that we know of.

Many holes are filled at once, in columns. Never for what is kept as evidence: a recording holds what was received.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Int16 = NDArray[np.int16]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]

MOST_MS = 60
"""How far from an edge audio is made up."""
FULL_MS = 10
"""How far it is as loud as at the edge; from there on it fades."""
SHORTEST_PITCH_MS, LONGEST_PITCH_MS = 2.5, 15.0
"""400 and 66 Hz, as in G.711 Appendix I."""
MATCHED_MS = 20
"""What is compared to find the pitch."""
EDGE_MS = 35
"""What `conceal` wants to know of either side: `LONGEST_PITCH_MS` and `MATCHED_MS`."""
JOINED_MS = 2
"""A step from an edge to what is made up is spread over so much of it."""
_AT_ONCE = 64
"""Holes: what is worked on stays in the cache of the processor, whatever one that is long asks for."""


def edge_samples(sample_rate_hz: int) -> int:
    """Return the samples of `EDGE_MS`."""
    return sample_rate_hz * EDGE_MS // 1000


def conceal(
    before: Int16, before_known: Int64, length: Int64, after: Int16, after_known: Int64, sample_rate_hz: int
) -> Int16:
    """Return samples for m holes.

    Args:
        before: (m, h) int16, what ends where each hole begins, h being `edge_samples`.
        before_known: (m,) how many of its columns are known, those at its end; the rest is 0. None is possible.
        length: (m,) of each hole, samples.
        after: (m, h) int16, what begins where each hole ends.
        after_known: (m,) how many of its columns are known, those at its beginning.
        sample_rate_hz: of all of it.

    Returns:
        (m, longest) int16; 0 behind each hole's length.
    """
    made = np.zeros((len(length), int(length.max(initial=0))), np.int16)
    for start in range(0, len(length), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        filled = _fill(
            before[part].astype(np.float32),
            before_known[part],
            length[part],
            after[part, ::-1].astype(np.float32),
            after_known[part],
            sample_rate_hz,
        )
        made[part, : filled.shape[1]] = np.rint(filled).clip(-32768, 32767)
    return made


def _fill(
    before: Float32, before_known: Int64, length: Int64, after: Float32, after_known: Int64, sample_rate_hz: int
) -> Float32:
    """Fill holes; `after` is mirrored, so that it ends where the hole ends."""
    most, width = sample_rate_hz * MOST_MS // 1000, int(length.max(initial=0))
    column = np.arange(width)
    ahead = _continued(before, before_known, min(width, most), sample_rate_hz)
    back = _continued(after, after_known, min(width, most), sample_rate_hz)
    share = (column + np.float32(0.5)) / np.maximum(length, 1).astype(np.float32)[:, None]
    share[before_known == 0] = 1
    share[after_known == 0] = 0
    share = share.astype(np.float32)
    made = np.zeros((len(length), width), np.float32)
    made[:, :most] = ahead * (1 - share[:, :most])
    distance = length[:, None] - 1 - column
    near = (distance >= 0) & (distance < back.shape[1])
    made += np.where(near, np.take_along_axis(back, distance.clip(0, back.shape[1] - 1), 1), 0) * share
    made *= column < length[:, None]
    return made


def _continued(known: Float32, count: Int64, width: int, sample_rate_hz: int) -> Float32:
    """Return (m, width), how `known` may go on, fading; silence where too little is known."""
    cycle = pitch_samples(known, count, sample_rate_hz)
    last, end = np.maximum(cycle, 1)[:, None], known.shape[1]
    column = np.arange(width) % last
    made = np.take_along_axis(known, end - last + column, 1)
    # The end of a cycle goes over into what came before it, so that it can be repeated.
    seam = np.minimum(last // 4, count[:, None] - last).clip(min=0)
    share = ((column - (last - seam) + np.float32(0.5)) / np.maximum(seam, 1)).clip(0, 1)
    before = np.take_along_axis(known, (end - 2 * last + column).clip(min=0), 1)
    made += (before - made) * share
    joined = min(sample_rate_hz * JOINED_MS // 1000, width)
    step = np.take_along_axis(known, np.concatenate([end - last - 1, np.full_like(last, end - 1)], 1), 1)
    made[:, :joined] += (step[:, 1:] - step[:, :1]) * (1 - (np.arange(joined) + 1) / (joined + 1))
    made *= _fading(width, sample_rate_hz)
    made *= (cycle > 0)[:, None]
    bound = np.abs(known).max(axis=1, initial=0)[:, None]
    faded: Float32 = made.clip(-bound, bound).astype(np.float32)
    return faded


def pitch_samples(known: Float32, count: Int64, sample_rate_hz: int) -> Int64:
    """Return the period of the end of each row by normalized correlation; 0 if too little is known.

    Args:
        known: (m, h), h being `edge_samples`.
        count: (m,) known columns, the last ones; the others are 0.
        sample_rate_hz: of them.
    """
    end = known.shape[1]
    shortest = round(sample_rate_hz * SHORTEST_PITCH_MS / 1000)
    longest, matched = end - sample_rate_hz * MATCHED_MS // 1000, sample_rate_hz * MATCHED_MS // 1000
    most = np.minimum(longest, count // 2)[:, None]
    compared = np.minimum(matched, count[:, None] - most)
    template = np.where(np.arange(matched) >= matched - compared, known[:, -matched:], 0)
    spectrum = np.fft.rfft(known, end) * np.fft.rfft(template, end).conj()
    lag = np.arange(shortest, longest + 1)
    alike = np.fft.irfft(spectrum, end)[:, end - matched - lag]
    energy = np.zeros((len(known), end + 1))
    np.cumsum(known.astype(np.float64) ** 2, axis=1, out=energy[:, 1:])
    energy = energy[:, end - lag] - np.take_along_axis(energy, (end - lag - compared).clip(min=0), 1)
    likeness = np.where(lag <= most, alike / np.sqrt(energy + 1.0), -np.inf)
    found = shortest + np.argmax(likeness, axis=1)
    return np.where(most[:, 0] < shortest, 0, found)


def _fading(length: int, sample_rate_hz: int) -> Float32:
    """Return the loudness of what is made up, by the distance from its edge."""
    full, most = sample_rate_hz * FULL_MS // 1000, sample_rate_hz * MOST_MS // 1000
    distance = np.arange(length, dtype=np.float32)
    return np.clip((most - distance) / (most - full), 0.0, 1.0)
