"""Bursts of loss as they happen, in columns: `strep.quality.bursts.bursts_of` for all tracks at once.

What counts is what was not there in time, as RFC 3611 has it: lost, or come after its place was given up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.quality.bursts import GMIN, Bursts
from strep.tracks import Tracks

Int64 = NDArray[np.int64]


def note_missed(tracks: Tracks, slot: Int64, start: Int64, length: Int64) -> None:
    """Take one stretch of each of the distinct `slot`s: `length` packets from extended sequence number `start` on."""
    missing = length > 0
    if not missing.all():
        slot, start, length = slot[missing], start[missing], length[missing]
    end, within = tracks.burst_end[slot], tracks.burst_open[slot]
    between = start - end
    goes_on = (within > 0) & (between >= 0) & (between < GMIN)
    tracks.missed[slot] += length
    tracks.missed_runs[slot] += 1
    tracks.longest_miss[slot] = np.maximum(tracks.longest_miss[slot], length)
    over = ~goes_on & (within > 1)
    tracks.bursts[slot] += over
    tracks.burst_packets[slot] += over * (end - tracks.burst_start[slot])
    tracks.burst_missed[slot] += over * within
    tracks.burst_start[slot] = np.where(goes_on, tracks.burst_start[slot], start)
    tracks.burst_open[slot] = np.where(goes_on, within, 0) + length
    tracks.burst_end[slot] = start + length


def bursts_so_far(tracks: Tracks, slot: int, packets: int) -> Bursts:
    """Return how the loss of one track is spread, of `packets` that were expected."""
    within = int(tracks.burst_open[slot])
    is_burst = within > 1
    span = int(tracks.burst_end[slot] - tracks.burst_start[slot])
    return Bursts(
        packets,
        lost=int(tracks.missed[slot]),
        runs=int(tracks.missed_runs[slot]),
        longest_run=int(tracks.longest_miss[slot]),
        bursts=int(tracks.bursts[slot]) + is_burst,
        burst_packets=int(tracks.burst_packets[slot]) + is_burst * span,
        burst_lost=int(tracks.burst_missed[slot]) + is_burst * within,
    )
