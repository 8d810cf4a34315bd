"""Senders whose timestamps do not count a pause: found by the arrival clock, mended by silence.

On hold some senders stop both packets and timestamps, and media frames over WebSocket need not have
timestamps at all. What follows then continues the tape seamlessly, but all of it is as much too early as the
pause was long, and out of step with the other direction. The first packet after the pause cannot tell this
from a stalled network that is about to deliver its backlog. The seconds after it can: a backlog catches up
with the clock, a pause does not.

So the lag of every track behind the arrival clock is looked at about once a second. A lag that has jumped and
then stays where it is, for a few looks in a row, was a pause; it is inserted as silence where the tape is then, two
to three seconds behind its true place. A slow drift between the sender's clock and ours is followed, and never
mended.

How long a lag stays is told by the arrival clock, not by the looks: a sender that stands still again and again, on a
machine that is starved, is looked at many times at the same moment of its own. And if one catches up after all that
was taken for a pause, what it is ahead by is not inserted again: the next pause is that much shorter.
"""

from __future__ import annotations

import numpy as np

from strep.clock import NS_PER_MS
from strep.ledger import Kind
from strep.quality.delays import forgive_delays
from strep.release import release_blocks, skip_to
from strep.resolve import resolve_all
from strep.table import TrackTable

STEADY_MS = 200
"""Looks at a lag that differ by less than this show a lag that stays."""
STAYS_NS = 1800 * NS_PER_MS
"""A lag that stays so long, by the arrival clock, will not be caught up with: three looks."""
LONGEST_LOOK_NS = 1500 * NS_PER_MS
"""Between looks that are further apart, by the arrival clock, the sender may have stood still and caught up."""


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
    stays = np.abs(lag - tracks.last_lag[slot]) < settings.sample_rate_hz * STEADY_MS // 1000
    stays &= arrival_ns[slot] - tracks.lag_arrival_ns[slot] <= LONGEST_LOOK_NS
    changed = slot[~stays]
    tracks.last_lag[changed], tracks.lag_since_ns[changed] = lag[~stays], arrival_ns[changed]
    tracks.lag_arrival_ns[slot] = arrival_ns[slot]
    is_steady = arrival_ns[slot] - tracks.lag_since_ns[slot] >= STAYS_NS
    paused = np.flatnonzero(~is_settled & is_steady & (jump > 0))
    for i in paused.tolist():
        _insert_pause(table, int(slot[i]), int(jump[i]))
    tracks.last_lag[slot[paused]] = tracks.settled_lag[slot[paused]]
    tracks.settled_lag[slot[is_settled]] = lag[is_settled]
    ahead = np.flatnonzero(~is_settled & is_steady & (jump < 0))  # a sender that began late and caught up for good
    early = lag[ahead] + tracks.paused_samples[slot[ahead]]  # or one that had not paused
    tracks.settled_lag[slot[ahead]] = np.minimum(tracks.settled_lag[slot[ahead]], early)
    return [int(s) for s in slot[paused]]


def _insert_pause(table: TrackTable, slot: int, pause_samples: int) -> None:
    tracks = table.tracks
    which = np.array([slot])
    resolve_all(table, which)
    release_blocks(table, which)
    end = int(tracks.resolved_end[slot])
    table.ledgers[slot].add(end, pause_samples, Kind.SILENCE)
    skip_to(table, which, np.array([end + pause_samples]))
    forgive_delays(tracks, slot)
    tracks.pause_sequence[slot] = tracks.highest_sequence[slot]
    tracks.pause_samples[slot] = pause_samples
    tracks.paused_samples[slot] += pause_samples
    tracks.offset[slot] += pause_samples
    tracks.highest_end[slot] += pause_samples
