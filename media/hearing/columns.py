"""`Columns`: what is remembered of every track, one row each, found by the track's key."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Columns:
    """A structured array that grows.

    Attributes:
        table: (capacity,) of the dtype that was given, by `media.hearing.rows.Rows.key`.
    """

    def __init__(self, blank: NDArray[Any]) -> None:
        """Start without tracks; each begins as `blank`, (1,) of a structured dtype."""
        self._blank = blank
        self.table: NDArray[Any] = np.repeat(blank, 0)

    def reach(self, key: int) -> None:
        """Make room for tracks up to `key`."""
        missing = key + 1 - len(self.table)
        if missing > 0:
            self.table = np.concatenate([self.table, np.repeat(self._blank, max(missing, len(self.table), 64))])

    def reset(self, key: NDArray[np.int64] | slice) -> None:
        """Let tracks begin anew."""
        self.table[key] = self._blank
