"""Deadlines and how they were kept."""

from __future__ import annotations

import numpy as np
import pytest

from media.carrier.pacing import Instant, Lateness, RealTime
from strep.clock import NS_PER_MS, ManualClock


class TestLateness:
    def test_percentiles(self) -> None:
        lateness = Lateness()
        lateness.record(np.arange(1, 101) * NS_PER_MS)
        assert lateness.percentile_ms(50) == pytest.approx(50, abs=0.011)
        assert lateness.percentile_ms(99) == pytest.approx(99, abs=0.011)
        assert lateness.summary()["max_ms"] == 100

    def test_nothing_yet(self) -> None:
        lateness = Lateness()
        lateness.record(np.empty(0, np.int64))
        assert lateness.summary() == {"p50_ms": 0, "p99_ms": 0, "max_ms": 0}

    def test_early_and_very_late(self) -> None:
        lateness = Lateness()
        lateness.record(np.array([-5, 10**11]))
        assert lateness.percentile_ms(50) == pytest.approx(0.01)
        assert lateness.max_ns == 10**11

    def test_never_above_the_maximum(self) -> None:
        lateness = Lateness()
        lateness.record(np.array([3]))
        assert lateness.percentile_ms(99) == 3 / NS_PER_MS


class TestPacers:
    async def test_instant_jumps_and_never_goes_back(self) -> None:
        pacer = Instant()
        await pacer.sleep_until(500)
        await pacer.sleep_until(100)
        assert pacer.now_ns() == 500

    async def test_real_time_does_not_wait_for_the_past(self) -> None:
        pacer = RealTime(ManualClock(1_000))
        await pacer.sleep_until(1_000)
        assert pacer.now_ns() == 1_000
