"""Senders whose timestamps do not count a pause: found by the arrival clock, mended by silence.

On hold some senders stop both packets and timestamps, and media frames over WebSocket need not have
timestamps at all. What follows then continues the tape seamlessly, but all of it is as much too early as the
pause was long, and out of step with the other direction. The first packet after the pause cannot tell this
from a stalled network that is about to deliver its backlog. The seconds after it can: a backlog catches up
with the clock, a pause does not.

So the lag of every track behind the arrival clock is looked at about once a second. A lag that has jumped and
then stays where it is was a pause; it is inserted as silence where the tape is then, a second or two behind its
true place. A slow drift between the sender's clock and ours is followed, and never mended.
"""

from __future__ import annotations

import numpy as np

from strep.ledger import Kind
from strep.release import release_blocks, skip_to
from strep.resolve import resolve_all
from strep.table import TrackTable

STEADY_MS = 200
"""Two looks at a lag that differ by less than this show a lag that stays."""


def realign(table: TrackTable) -> list[int]:
    """Insert the pauses that the timestamps did not count; return the slots where that was done.

    To be called about once a second; only tracks that received something since the last call are looked at.
    """
    tracks, settings, n = table.tracks, table.settings, table.tracks.count
    arrival_ns = tracks.highest_arrival_ns[:n]
    has_news = tracks.in_use[:n] & tracks.started[:n] & ~tracks.starting[:n]
    has_news &= arrival_ns > tracks.lag_arrival_ns[:n]
    slot = np.flatnonzero(has_news)
    if not len(slot):
        return []
    elapsed = settings.samples(arrival_ns[slot] - tracks.anchor_ns[slot])
    lag = tracks.anchor_position[slot] + elapsed - tracks.highest_end[slot]
    jump = lag - tracks.settled_lag[slot]
    is_settled = np.abs(jump) < settings.jump_tolerance_samples
    is_steady = np.abs(lag - tracks.last_lag[slot]) < settings.sample_rate_hz * STEADY_MS // 1000
    paused = np.flatnonzero(~is_settled & is_steady & (jump > 0))
    for i in paused.tolist():
        _insert_pause(table, int(slot[i]), int(jump[i]))
    tracks.last_lag[slot] = lag
    tracks.lag_arrival_ns[slot] = arrival_ns[slot]
    ahead = ~is_settled & is_steady & (jump < 0)  # a sender that began late and caught up for good
    tracks.settled_lag[slot[is_settled | ahead]] = lag[is_settled | ahead]
    tracks.last_lag[slot[paused]] = tracks.settled_lag[slot[paused]]
    return [int(s) for s in slot[paused]]


def _insert_pause(table: TrackTable, slot: int, pause_samples: int) -> None:
    tracks = table.tracks
    which = np.array([slot])
    resolve_all(table, which)
    release_blocks(table, which)
    end = int(tracks.resolved_end[slot])
    table.ledgers[slot].add(end, pause_samples, Kind.SILENCE)
    skip_to(table, which, np.array([end + pause_samples]))
    tracks.pause_sequence[slot] = tracks.highest_sequence[slot]
    tracks.pause_samples[slot] = pause_samples
    tracks.offset[slot] += pause_samples
    tracks.highest_end[slot] += pause_samples
