"""Packets that would have come too late: what jitter buffers of several depths would have had to do without.

A jitter buffer of d milliseconds plays a packet that much after the earliest possible moment. So the *lateness* of a
packet is its transit time less the least transit time there was of late; what is later than d would have been lost to
that buffer. The least one is that of the last 10 to 20 s, so that it follows the drift between the sender's clock
and ours and, after that time, a new way through the network: every 10 s it becomes that of these 10 s.

A packet that is neither later than the least depth nor the earliest costs one look at `Tracks.delay_base`: seen as an
unsigned integer a negative lateness is bigger than any positive one, so that one comparison finds both. The span is
filled by those earliest ones, exactly, and once a second by the last packet of each track.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.tracks import Tracks

Int64 = NDArray[np.int64]
Float64 = NDArray[np.floating[Any]]

DEPTHS_MS = (20, 40, 60, 100, 200)
"""Of the jitter buffers that are simulated."""
TOLERANCE_MS = 1
"""Only what is so much earlier than the earliest one is news: else there would be one in nearly every batch."""
SPAN_TURNS = 10
"""Seconds of a span."""
_DEPTH = np.arange(len(DEPTHS_MS))
HOLE_PACKETS = 16
"""Where more in a row are missing between late packets, some came in time; lost ones make lesser holes."""


class Delays:
    """Looks at the packets of one sample rate; what it finds is in the columns of `Tracks`."""

    def __init__(self, sample_rate_hz: int) -> None:
        """Simulate buffers of `DEPTHS_MS`."""
        self._depths = np.array(DEPTHS_MS) * (sample_rate_hz / 1000)
        self._tolerance = TOLERANCE_MS * sample_rate_hz / 1000
        self._least = (self._depths[:1] + self._tolerance).view(np.uint64)[0]
        self._turn = 0

    def look(self, tracks: Tracks, slot: Int64, transit: Float64, position: Int64, length: Int64) -> None:
        """Take one packet of each of the distinct `slot`s.

        Args:
            tracks: whose columns are brought up to date.
            slot: (n,) int64.
            transit: (n,) float64, arrival less position, in samples.
            position, length: (n,) int64, where they lie on their tapes.
        """
        lateness = transit - tracks.delay_base[slot]
        odd = lateness.view(np.uint64) > self._least
        if odd.any():
            index = np.flatnonzero(odd)
            self._note(tracks, slot[index], transit[index], position[index], length[index])

    def _note(self, tracks: Tracks, slot: Int64, transit: Float64, position: Int64, length: Int64) -> None:
        lateness = transit - tracks.delay_base[slot] - self._tolerance
        early = lateness < -self._tolerance
        which = slot[early]
        tracks.delay_base[which] = transit[early] - self._tolerance
        tracks.delay_recent[which] = np.minimum(tracks.delay_recent[which], transit[early])
        tracks.late_since[which] = tracks.late_runs_since[which] = 0
        late = ~early
        if late.any():
            self._count(tracks, slot[late], lateness[late], position[late], length[late])

    def _count(self, tracks: Tracks, slot: Int64, lateness: Float64, position: Int64, length: Int64) -> None:
        exceeds = lateness[:, None] > self._depths
        behind = position - tracks.late_end[slot]
        begins = exceeds & ~((behind == 0)[:, None] & (tracks.late_depths[slot, None] > _DEPTH))
        tracks.late_packets[slot] += exceeds
        tracks.late_runs[slot] += begins
        # A pause that nobody counted makes all that follows late for every depth: it is longer than the deepest.
        deepest = exceeds[:, -1]
        if deepest.any() or tracks.late_since[slot].any():
            goes_on = deepest & (behind <= HOLE_PACKETS * length)
            tracks.late_since[slot] = tracks.late_since[slot] * goes_on + deepest
            tracks.late_runs_since[slot] = tracks.late_runs_since[slot] * goes_on[:, None] + begins * deepest[:, None]
        tracks.late_depths[slot] = exceeds.sum(axis=1)
        tracks.late_end[slot] = np.maximum(tracks.late_end[slot], position + length)

    def turn(self, tracks: Tracks, transit: Float64) -> None:
        """Let a second pass; `transit` is (tracks.count,) float64, of each track's last packet, inf if not known."""
        n = tracks.count
        recent = tracks.delay_recent[:n]
        np.minimum(recent, transit, out=recent)
        self._turn += 1
        if self._turn % SPAN_TURNS:
            return
        np.copyto(tracks.delay_base[:n], recent - self._tolerance, where=np.isfinite(recent))
        recent[:] = np.inf


def forget_delays(tracks: Tracks, slot: Int64 | int) -> None:
    """Begin anew with what transit times are: positions of `slot` have another meaning from here on."""
    tracks.delay_base[slot] = tracks.delay_recent[slot] = np.inf
    tracks.late_since[slot] = tracks.late_runs_since[slot] = tracks.late_depths[slot] = 0
    tracks.late_end[slot] = -1


def forgive_delays(tracks: Tracks, slot: int) -> None:
    """What is late since the last packet in time was not: its sender had paused without counting it.

    To be called before the pause is in the columns. Packets that are lost or overtaken meanwhile change nothing, up
    to `HOLE_PACKETS` of them in a row; nor do so many that came in time.
    """
    if tracks.highest_end[slot] - tracks.late_end[slot] <= HOLE_PACKETS * tracks.longest[slot]:
        tracks.late_packets[slot] -= tracks.late_since[slot]
        tracks.late_runs[slot] -= tracks.late_runs_since[slot]
    forget_delays(tracks, slot)  # a pause is known only as well as jitter lets it be
