"""Where a call is at the moment of a command, as an interval: its tracks arrive late, and not equally late.

A command - pause, resume, start a take, stop it - comes at a moment of the clock and means a place on the timeline.
Per track it is known how far its tape is resolved (its head), and where the end of its newest packet would be by now
if the sender went on (its place by the clock; the newest packet's, so that clocks that differ do not add up).

* `earliest` is the least head of all tracks: whatever arrives from now on lies behind it. But it is no more than
  `MAX_BACK_MS` before the least place by the clock: a track whose sender is silent, or whose network stalls, has not
  moved for long, and what comes of it later than that was said before the command.
* `latest` is the greatest place by the clock: whatever has arrived lies before it. If the newest packet was late, by
  what the track's first one says, that is made up for, up to `MAX_BACK_MS`: what is on its way lies before it, too.

Pauses go from `earliest` to `latest` and so do takes: who pauses loses a fraction of a second too much and never
one too little, who records has one too much and never one too little. Beyond that a pause holds for all that
arrives after it, however far back it lies: senders whose timestamps do not count a hold go on where they stopped, and
are put in their place seconds later (`strep.realign`).
"""

from __future__ import annotations

from typing import NamedTuple

from media.calls import Call, Track
from media.reels import Reels
from strep.clock import NS_PER_SECOND

MAX_BACK_MS = 200
"""Reordering (60 ms) and jitter that is common; a stall that is longer is no reason to take back more."""


class Whereabouts(NamedTuple):
    """Positions on the call's timeline, both 0 for a call of which nothing has come."""

    earliest: int
    latest: int


def whereabouts(call: Call, reels: Reels, now_ns: int) -> Whereabouts:
    """Return where `call` is at `now_ns`."""
    rate_hz = call.info.sample_rate_hz
    placed = [track for track in call.tracks if track.offset_samples is not None]
    if not placed:
        begun_ns = min((track.first_arrival_ns for track in call.tracks), default=now_ns)
        begun_ns = begun_ns if call.origin_ns is None else call.origin_ns
        return Whereabouts(0, max((now_ns - begun_ns) * rate_hz // NS_PER_SECOND, 0))
    heads, places, clocks = zip(*(_of_track(track, reels, now_ns) for track in placed), strict=True)
    back = MAX_BACK_MS * rate_hz // 1000
    latest = max(max(place, min(clock, place + back)) for place, clock in zip(places, clocks, strict=True))
    return Whereabouts(max(min(heads), min(places) - back, 0), latest)


def _of_track(track: Track, reels: Reels, now_ns: int) -> tuple[int, int, int]:
    """Return the head of a track, where it is by the clock of its newest packet, and by that of its first."""
    table = reels.of(track).timeline.table_for(track.slot)
    columns, slot, offset = table.tracks, track.slot, track.offset_samples or 0
    head, end = int(columns.resolved_end[slot]), int(columns.highest_end[slot])
    clock = table.position_by_arrival(slot, now_ns)
    if columns.starting[slot]:  # where a new epoch lies is not settled; it is placed by its arrival
        place = clock
    else:
        since_ns = max(now_ns - int(columns.highest_arrival_ns[slot]), 0)
        place = end + since_ns * table.settings.sample_rate_hz // NS_PER_SECOND
    return min(head, place) + offset, place + offset, clock + offset


def head_of(track: Track, reels: Reels) -> int:
    """Return up to where a placed track is resolved: what comes from now on, but for late patches, lies behind it."""
    table = reels.of(track).timeline.table_for(track.slot)
    return int(table.tracks.resolved_end[track.slot]) + (track.offset_samples or 0)


def released_end(track: Track, reels: Reels) -> int:
    """Return up to where a placed track has been handed to the sinks, on the call's timeline."""
    table = reels.of(track).timeline.table_for(track.slot)
    return int(table.tracks.released[track.slot]) + (track.offset_samples or 0)
