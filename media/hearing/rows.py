"""From the blocks of a tick to slices of 5 ms in columns: what is audio, what is lost, what follows on what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

SLICE_MS = 5
"""The grid of digits."""
FRAME_MS = 20
FRAME_SLICES = FRAME_MS // SLICE_MS
"""The grid of voices and tones; a block is a whole number of them."""
CHANNELS = 2


@dataclass(frozen=True, slots=True)
class Rows:
    """A block of each of n tracks, cut into k slices of `SLICE_MS`, of h samples.

    Attributes:
        key: (n,) int64, ``call * CHANNELS + channel``: which track, distinct.
        position: (n,) int64, samples since the call's origin of the first slice.
        begin, end: (n,) int64, the part that is audio, samples since the call's origin.
        audio: (n, k, h) float32, of 16-bit PCM; 0 where there is none.
        known: (n, k) float32, samples of each slice that are audio and were not lost.
        sample_rate_hz: of all of them.
        is_linear: it was 16-bit PCM, not G.711.
    """

    key: Int64
    position: Int64
    begin: Int64
    end: Int64
    audio: Float32
    known: Float32
    sample_rate_hz: int
    is_linear: bool

    def __len__(self) -> int:
        """Return n."""
        return len(self.key)


def can_be_heard(sample_rate_hz: int) -> bool:
    """Whether there is a whole number of samples in a slice, and room for the tones of digits."""
    return sample_rate_hz >= 8000 and sample_rate_hz * SLICE_MS % 1000 == 0


def rows_of(batch: PcmBatch) -> Iterator[Rows]:
    """Cut a batch; where a track has several blocks in it they come one after another.

    Raises:
        ValueError: its blocks are no whole number of frames.
    """
    slice_samples = batch.sample_rate_hz * SLICE_MS // 1000
    block_samples = batch.encoded.shape[1]
    if block_samples % (FRAME_SLICES * slice_samples):
        raise ValueError(f"{block_samples} samples at {batch.sample_rate_hz} Hz are no whole number of {FRAME_MS} ms")
    row = np.flatnonzero(batch.first < batch.last)
    key = batch.call.astype(np.int64)[row] * CHANNELS + batch.channel[row]
    while len(row):
        _, earliest = np.unique(key, return_index=True)
        yield _cut(batch, row[earliest], key[earliest], slice_samples)
        if len(earliest) == len(row):
            return
        row, key = np.delete(row, earliest), np.delete(key, earliest)


def _cut(batch: PcmBatch, row: Int64, key: Int64, slice_samples: int) -> Rows:
    n, block_samples = len(row), batch.encoded.shape[1]
    is_whole = n == len(batch) and bool((row == np.arange(n)).all())
    audio = (batch.pcm if is_whole else batch.pcm[row]).astype(np.float32)
    known = np.full((n, block_samples // slice_samples), slice_samples, np.float32)
    first, last = batch.first[row], batch.last[row]
    partial = (first > 0) | (last < block_samples)
    place = np.full(len(batch), -1)
    place[row] = np.arange(n)
    holes = batch.lost[place[batch.lost[:, 0]] >= 0]
    places = place[holes[:, 0]]
    partial[places] = True
    odd = np.flatnonzero(partial)
    if len(odd):
        column = np.arange(block_samples)
        usable = (column >= first[odd, None]) & (column < last[odd, None])
        within = np.searchsorted(odd, places)
        for i, start, end in zip(within.tolist(), holes[:, 1].tolist(), holes[:, 2].tolist(), strict=True):
            usable[i, start:end] = False
        audio[odd] *= usable
        known[odd] = usable.reshape(len(odd), -1, slice_samples).sum(axis=2)
    position = batch.positions[row]
    sliced = audio.reshape(n, -1, slice_samples)
    return Rows(
        key, position, position + first, position + last, sliced, known, batch.sample_rate_hz, batch.is_linear
    )
