"""Columns by `CallInfo.index` that grow with the calls there are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def lengthened(column: NDArray[Any], length: int, fill: int = 0) -> NDArray[Any]:
    """Return the column with `fill` behind it."""
    longer = np.full(length, fill, column.dtype)
    longer[: len(column)] = column
    return longer
