"""Opinions of all tracks at once are those of each track."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.quality.delays import DEPTHS_MS
from strep.quality.network import headline_scores, network_quality
from strep.tracks import Tracks

COUNTS = st.integers(0, 1000)


@st.composite
def histories(draw: st.DrawFn) -> dict[str, int]:
    """What a track's columns may say: of the packets expected some are lost, in some stretches, and others late."""
    lost = draw(COUNTS)
    missed = lost + draw(st.integers(0, 50))
    late = draw(COUNTS)
    return {
        "started": draw(st.booleans()),
        "base_sequence": draw(st.integers(0, 65_535)),
        "in_epoch": draw(COUNTS) + 1,
        "expected_before": draw(st.sampled_from([0, 0, 500, 1 << 33])),
        "lost": lost,
        "missed": missed,
        "missed_runs": draw(st.integers(min(missed, 1), max(missed, 1))) if missed else 0,
        "late": late,
        "late_runs": draw(st.integers(min(late, 1), max(late, 1))) if late else 0,
    }


@given(st.lists(histories(), min_size=1, max_size=8))
def test_each_is_the_headline_of_its_track(told: list[dict[str, int]]) -> None:
    tracks = Tracks(len(told))
    for slot, one in enumerate(told):
        for name in ("started", "base_sequence", "expected_before", "lost", "missed", "missed_runs"):
            getattr(tracks, name)[slot] = one[name]
        tracks.highest_sequence[slot] = one["base_sequence"] + one["in_epoch"] - 1
        tracks.late_packets[slot] = one["late"] // np.arange(1, len(DEPTHS_MS) + 1)
        tracks.late_runs[slot] = np.minimum(one["late_runs"], tracks.late_packets[slot])
    found = headline_scores(tracks, np.arange(len(told)))
    for slot, score in enumerate(found.tolist()):
        headline = network_quality(tracks, slot, 8000).headline
        if headline is None:
            assert np.isnan(score)
        else:
            assert abs(score - headline.concealed.mos) < 1e-9


def test_of_none() -> None:
    assert headline_scores(Tracks(1), np.empty(0, np.int64)).shape == (0,)
