"""Lateness at several depths against the definition, packet by packet."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.quality.delays import DEPTHS_MS, Delays, forgive_delays
from strep.tracks import Tracks

FRAME = 160


def fed(delays_ms: list[float], tracks: Tracks, slot: int) -> None:
    delays = Delays(8000)
    for number, delay_ms in enumerate(delays_ms):
        which, position = np.array([slot]), np.array([number * FRAME])
        delays.look(tracks, which, np.array([delay_ms * 8]), position, np.array([FRAME]))


@given(st.lists(st.integers(0, 150).map(lambda n: 2 * n), min_size=1, max_size=100))
def test_packets_and_stretches_are_those_later_than_the_earliest_so_far(delays_ms: list[int]) -> None:
    tracks = Tracks(4)
    slot = tracks.allocate()
    fed([float(delay) for delay in delays_ms], tracks, slot)
    late = np.array(delays_ms)[:, None] - np.minimum.accumulate(delays_ms)[:, None] > np.array(DEPTHS_MS)
    begins = late & ~np.concatenate([np.zeros((1, 5), bool), late[:-1]])
    assert tracks.late_packets[slot].tolist() == late.sum(axis=0).tolist()
    assert tracks.late_runs[slot].tolist() == begins.sum(axis=0).tolist()


def test_what_was_late_for_a_pause_of_its_sender_is_forgiven() -> None:
    tracks = Tracks(4)
    slot = tracks.allocate()
    fed([0, 250, 0, 2000, 2000, 2000], tracks, slot)
    forgive_delays(tracks, slot)
    assert tracks.late_packets[slot].tolist() == tracks.late_runs[slot].tolist() == [1] * 5


def test_the_earliest_is_forgotten_after_two_spans() -> None:
    tracks, delays = Tracks(4), Delays(8000)
    slot = tracks.allocate()
    delays.look(tracks, np.array([slot]), np.array([0.0]), np.array([0]), np.array([FRAME]))
    for _ in range(20):
        delays.turn(tracks, np.array([800.0]))
    assert tracks.delay_base[slot] == 800 - 8  # less the tolerance
