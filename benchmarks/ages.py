"""Ages of blocks, as `benchmarks.probe` noted them, in figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import Latency
from strep.clock import NS_PER_MS, NS_PER_SECOND


def latency_of(path: Path, first_ns: int, last_ns: int) -> Latency | None:
    """Return the figures of what was handed over from `first_ns` to `last_ns`; None if nothing was."""
    moments_ns, ages_ns = np.load(path)
    on_plateau = (moments_ns >= first_ns) & (moments_ns < last_ns)
    moments_ns, ages_ms, whole_ms = moments_ns[on_plateau], ages_ns[on_plateau] / NS_PER_MS, ages_ns / NS_PER_MS
    if not len(ages_ms):
        return None
    p50, p99 = np.percentile(ages_ms, (50, 99))
    return Latency(
        blocks=len(ages_ms),
        p50_ms=float(p50),
        p99_ms=float(p99),
        max_ms=float(ages_ms.max()),
        whole_max_ms=float(whole_ms.max()),
        seconds_p99_ms=_by_second((moments_ns - first_ns) // NS_PER_SECOND, ages_ms),
    )


def _by_second(second: NDArray[np.int64], ages_ms: NDArray[np.float64]) -> list[float]:
    return [float(np.percentile(ages_ms[second == number], 99)) for number in np.unique(second)]
