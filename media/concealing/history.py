"""`History`: what was handed on of each track a moment ago.

The batches themselves are kept for a while, not copies of their rows, and of each row where the one before it is.
So a track costs two numbers for each of its blocks, and only one that loses is looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.frames import Samples
from strep.g711 import LINEAR, Codec, decode_table

Int16 = NDArray[np.int16]
Int64 = NDArray[np.int64]

KEPT_NS = 500 * NS_PER_MS
"""A batch is kept for so long, and for two of its blocks: so long a track's next block may take."""
_NOBODY = -1
_ROW_BITS = 32


class _Kept(NamedTuple):
    batch: PcmBatch
    before: Int64
    until_ns: int


class History:
    """The last blocks of all tracks; a track is ``call * CHANNELS + channel``."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._last = np.zeros(0, np.int64)  # by track: number of the batch << 32 | row
        self._kept: dict[int, _Kept] = {}
        self._next = 0

    def reach(self, key: int) -> None:
        """Make room for tracks up to `key`."""
        missing = key + 1 - len(self._last)
        if missing > 0:
            self._last = np.append(self._last, np.full(max(missing, len(self._last), 64), _NOBODY))

    def forget(self, key: Int64) -> None:
        """Take note that nothing follows on what came of tracks."""
        self._last[key] = _NOBODY

    def before(self, key: Int64) -> Int64:
        """Return (n,) where the last block of each track is, for `samples` and `keep`."""
        before: Int64 = self._last[key]
        return before

    def keep(self, batch: PcmBatch, key: Int64, before: Int64) -> None:
        """Keep a batch of which `key` is each row's track; its arrays are not to be written any more."""
        while self._kept and self._kept[oldest := next(iter(self._kept))].until_ns < batch.now_ns:
            del self._kept[oldest]
        block_ns = batch.encoded.shape[1] * NS_PER_SECOND // batch.sample_rate_hz
        self._kept[self._next] = _Kept(batch, before, batch.now_ns + KEPT_NS + 2 * block_ns)
        self._last[key] = (self._next << _ROW_BITS) + np.arange(len(key))
        self._next += 1

    def samples(self, where: int, end: int, most: int) -> Int16:
        """Return at most `most` samples before position `end`, int16, of the track whose last block is at `where`."""
        pieces: list[Int16] = []
        for batch, row, first, last in self._rows(where):
            begin = int(batch.positions[row])
            if most <= 0 or begin + last != end:
                break
            first = max(first, last - most)
            pieces.append(pcm_of(batch.encoded[row, first:last], int(batch.codec[row])))
            end, most = begin + first, most - (last - first)
        return np.concatenate(pieces[::-1]) if pieces else np.empty(0, np.int16)

    def _rows(self, where: int) -> Iterator[tuple[PcmBatch, int, int, int]]:
        while where != _NOBODY and (kept := self._kept.get(where >> _ROW_BITS)) is not None:
            row = where & (1 << _ROW_BITS) - 1
            yield kept.batch, row, int(kept.batch.first[row]), int(kept.batch.last[row])
            where = int(kept.before[row])


def pcm_of(encoded: Samples, codec: int) -> Int16:
    """Return (n,) code bytes or PCM as PCM."""
    if codec == LINEAR:
        pcm: Int16 = encoded.view(np.int16)
        return pcm
    return decode_table(Codec(codec)).take(encoded.view(np.uint8))
