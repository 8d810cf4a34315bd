"""Bursts as they happen, in columns, against those of the whole track."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.quality.bursts import bursts_of
from strep.quality.misses import bursts_so_far, note_missed
from strep.tracks import Tracks

GAPS_AND_RUNS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 6)), max_size=30)


@given(GAPS_AND_RUNS)
def test_columns_say_what_the_whole_track_says(gaps_and_runs: list[tuple[int, int]]) -> None:
    tracks, runs, at = Tracks(4), [], 0
    slot = tracks.allocate()
    for gap, length in gaps_and_runs:
        runs.append((at + gap, length))
        at += gap + length
        note_missed(tracks, np.array([slot]), np.array([runs[-1][0]]), np.array([length]))
    assert bursts_so_far(tracks, slot, at + 10) == bursts_of(runs, at + 10)
