"""Which stretches of what is handed on were lost: spans on the call's timeline that wait for their audio."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch

Int64 = NDArray[np.int64]


class LostSpans:
    """Spans by track, (k, 3) int64: key, begin and end (exclusive) in samples since the call's origin."""

    def __init__(self) -> None:
        self._waiting = np.empty((0, 3), np.int64)

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def add(self, batch: PcmBatch, key: Int64) -> None:
        """Remember what is lost in a batch; `key` is of each row."""
        if len(batch.lost):
            row, place = batch.lost[:, 0], batch.positions[batch.lost[:, 0]]
            spans = np.stack([key[row], place + batch.lost[:, 1], place + batch.lost[:, 2]], axis=1)
            self._waiting = np.concatenate([self._waiting, spans])

    def forget(self, *keys: int) -> None:
        """Drop those of tracks that are over."""
        if len(self._waiting):
            self._waiting = self._waiting[~np.isin(self._waiting[:, 0], keys)]

    def take(self, key: Int64, position: Int64, first: Int64, last: Int64) -> Int64:
        """Return what is lost within rows, as `PcmBatch.lost` has it; what lies behind goes on waiting.

        Args:
            key: (n,) distinct, of each row.
            position: (n,) where each row's column 0 lies.
            first, last: (n,) the columns that are used.
        """
        waiting = self._waiting
        if not len(waiting) or not len(key):
            return np.empty((0, 3), np.int64)
        order = np.argsort(key)
        row = order[np.searchsorted(key, waiting[:, 0], sorter=order).clip(max=len(key) - 1)]
        is_here = key[row] == waiting[:, 0]
        begin = np.maximum(waiting[:, 1] - position[row], first[row])
        end = np.minimum(waiting[:, 2] - position[row], last[row])
        found = is_here & (begin < end)
        self._waiting = waiting[~is_here | (waiting[:, 2] > position[row] + last[row])]
        return np.stack([row[found], begin[found], end[found]], axis=1)
