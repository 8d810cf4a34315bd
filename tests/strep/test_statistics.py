"""RFC 3550 figures: the example of appendix A.8 in a second form, intervals, and packets that are no clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.statistics import TrackStatistics, fraction_lost, update_jitter
from strep.tracks import Tracks

NOTHING = TrackStatistics(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0)


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 480)), min_size=1, max_size=50))
def test_jitter_is_the_recurrence_of_the_rfc(packets: list[tuple[int, int]]) -> None:
    tracks = Tracks(4)
    slot = tracks.allocate()
    arrival = timestamp = 0
    transit: int | None = None
    jitter, estimates = 0.0, []
    for pause, step in packets:
        arrival, timestamp = arrival + pause, timestamp + step
        update_jitter(tracks, np.array([slot]), np.array([float(arrival)]), np.array([timestamp]))
        if transit is not None:
            jitter += (abs(arrival - timestamp - transit) - jitter) / 16
            estimates.append(jitter)
        transit = arrival - timestamp
    assert tracks.jitter[slot] == pytest.approx(jitter)
    assert tracks.jitter_sum[slot] == pytest.approx(sum(estimates))
    assert tracks.jitter_max[slot] == pytest.approx(max(estimates, default=0))
    assert tracks.jitter_count[slot] == len(estimates)


class TestFractionLost:
    """Appendix A.3: over an interval, never negative, no division by nothing."""

    def test_of_an_interval(self) -> None:
        earlier = replace(NOTHING, expected=100, received=100)
        later = replace(NOTHING, expected=200, received=175)
        assert fraction_lost(earlier, later) == 0.25

    def test_duplicates_do_not_make_it_negative(self) -> None:
        assert fraction_lost(NOTHING, replace(NOTHING, expected=10, received=15)) == 0

    def test_an_empty_interval_twice(self) -> None:
        assert fraction_lost(NOTHING, NOTHING) == fraction_lost(NOTHING, NOTHING) == 0


def test_conservation_notices_a_difference_of_one() -> None:
    assert replace(NOTHING, received=7, delivered=4, duplicate=1, late=1, in_flight=1).conserved
    assert not replace(NOTHING, received=8, delivered=4, duplicate=1, late=1, in_flight=1).conserved
