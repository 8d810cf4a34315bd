"""The histogram against sorting."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from media.alarms.lag import BOUNDS_MS, WINDOW, LagMeter
from strep.clock import NS_PER_MS, NS_PER_SECOND


@given(st.lists(st.integers(-NS_PER_MS, 4 * NS_PER_SECOND), min_size=1, max_size=300), st.sampled_from([50, 99, 100]))
def test_percentiles_are_the_bound_above(late_ns: list[int], percent: int) -> None:
    meter = LagMeter()
    for one in late_ns:
        meter.add(one)
    exact = int(np.percentile(np.maximum(late_ns, 0), percent, method="inverted_cdf"))
    assert meter.percentile_ns(percent) == min(ms * NS_PER_MS for ms in BOUNDS_MS if ms * NS_PER_MS >= exact)
    assert meter.longest_ns == max(*late_ns, 0)
    buckets = meter.snapshot()["buckets"]
    assert [buckets[str(ms / 1000)] for ms in BOUNDS_MS] == [
        sum(one <= ms * NS_PER_MS for one in late_ns) for ms in BOUNDS_MS
    ]
    assert buckets["+Inf"] == len(late_ns)


def test_one_that_is_late_among_few_is_not_the_usual() -> None:
    meter = LagMeter()
    for late_ms in (0, 0, 0, 120, 0, 0):
        meter.add(late_ms * NS_PER_MS)
    assert (meter.snapshot()["p99_ns"], meter.snapshot()["usual_ns"]) == (200 * NS_PER_MS, NS_PER_MS)
    meter.add(120 * NS_PER_MS)
    assert meter.snapshot()["usual_ns"] == 200 * NS_PER_MS


def test_what_is_long_ago_is_forgotten() -> None:
    meter = LagMeter()
    assert meter.percentile_ns(99) == 0
    meter.add(70 * NS_PER_SECOND)
    assert meter.percentile_ns(99) == meter.longest_ns == 70 * NS_PER_SECOND
    meter.mark()
    assert meter.longest_ns == 70 * NS_PER_SECOND
    meter.mark()
    assert meter.longest_ns == 0
    for _ in range(WINDOW):
        meter.add(NS_PER_MS)
        meter.mark()
    assert meter.percentile_ns(99) == NS_PER_MS
    assert meter.snapshot()["sum_seconds"] == 70 + WINDOW / 1000
