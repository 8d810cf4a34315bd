"""Resolving the order: advancing over what has come, giving up what has not.

``next_sequence`` is the first sequence number whose fate is open. `advance` moves it over packets that are
there, `give_up` over packets that are not. Either way the tape is resolved further and the ledger learns
what the gaps were: missing sequence numbers are loss, a timestamp jump over consecutive ones is silence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.clock import NEVER_NS
from strep.ledger import Kind
from strep.quality.delays import forget_delays
from strep.quality.misses import note_missed
from strep.release import flush, skip_to
from strep.table import TrackTable

Int64 = NDArray[np.int64]


def advance(table: TrackTable, slot: Int64) -> None:
    """Deliver every packet that follows without a hole, for distinct `slot`s, and set the next deadlines."""
    tracks, window = table.tracks, table.window
    pending = slot[~tracks.starting[slot]]
    while len(pending):
        sequence = tracks.next_sequence[pending]
        here = window.holds(pending, sequence) & (sequence <= tracks.highest_sequence[pending])
        pending, sequence = pending[here], sequence[here]
        if not len(pending):
            break
        position, length, _, is_audio = window.entry(pending, sequence)
        end = tracks.resolved_end[pending]
        gap = np.where(length > 0, position - end, 0)
        for i in np.flatnonzero(gap > 0).tolist():
            table.ledgers[int(pending[i])].add(int(end[i]), int(gap[i]), Kind.SILENCE)
        tracks.resolved_end[pending] = np.where(length > 0, np.maximum(end, position + length), end)
        tracks.next_sequence[pending] = sequence + 1
        tracks.in_flight[pending] -= 1
        tracks.delivered[pending] += is_audio
        tracks.invalid[pending] += ~is_audio
    _set_deadlines(table, slot)


def _set_deadlines(table: TrackTable, slot: Int64) -> None:
    tracks = table.tracks
    tracks.deadline_ns[slot] = NEVER_NS
    waiting = slot[tracks.next_sequence[slot] <= tracks.highest_sequence[slot]]
    if len(waiting):
        arrival_ns = table.window.first_arrival_ns(waiting, tracks.next_sequence[waiting])
        tracks.deadline_ns[waiting] = arrival_ns + table.settings.reorder_wait_ns


def give_up(table: TrackTable, slot: Int64) -> None:
    """Close the first hole of each of the distinct `slot`s: what is missing there is lost from now on.

    At a beginning, the first hole is what the first packet to arrive may have overtaken; that is no loss.
    """
    tracks = table.tracks
    is_young = tracks.starting[slot]
    if is_young.any():
        _end_starts(table, slot[is_young])
    slot = slot[~is_young]
    if not len(slot):
        return
    behind = table.window.first_waiting(slot, tracks.next_sequence[slot])
    missing = behind - tracks.next_sequence[slot]
    position, length, _, _ = table.window.entry(slot, behind)
    end = tracks.resolved_end[slot]
    gap = np.where(length > 0, position - end, 0)
    lost_samples = np.clip(np.minimum(gap, missing * tracks.longest[slot]), 0, None)
    for i in np.flatnonzero(lost_samples).tolist():
        s, start, samples = int(slot[i]), int(end[i]), int(lost_samples[i])
        table.ledgers[s].add(start, samples, Kind.LOST)
        table.lost.setdefault(s, []).append((start, start + samples))
    tracks.resolved_end[slot] = end + lost_samples
    tracks.lost[slot] += missing
    note_missed(tracks, slot, behind - missing, missing)
    tracks.next_sequence[slot] = behind
    advance(table, slot)


def resolve_all(table: TrackTable, slot: Int64) -> None:
    """Give up every hole of the distinct `slot`s, so that nothing of them waits any longer."""
    tracks = table.tracks
    while len(slot):
        slot = slot[tracks.next_sequence[slot] <= tracks.highest_sequence[slot]]
        give_up(table, slot)


def skip_gap(table: TrackTable, slot: Int64, position: Int64, missing: Int64) -> None:
    """Continue tapes at `position`, behind gaps in which `missing` packets are lost; nothing may wait."""
    tracks = table.tracks
    end = tracks.resolved_end[slot]
    gap = np.maximum(position - end, 0)
    lost = np.minimum(gap, missing * tracks.longest[slot])
    for s, a, n, lost_samples in zip(slot.tolist(), end.tolist(), gap.tolist(), lost.tolist(), strict=True):
        table.ledgers[s].add(a, lost_samples, Kind.LOST)
        table.ledgers[s].add(a + lost_samples, n - lost_samples, Kind.SILENCE)
    ahead = gap > 0
    skip_to(table, slot[ahead], position[ahead])


def _end_starts(table: TrackTable, slot: Int64) -> None:
    """The reorder waits of new tracks or epochs are over: their first packets are the lowest that have come."""
    tracks = table.tracks
    tracks.starting[slot] = False
    first = table.window.first_waiting(slot, tracks.next_sequence[slot])
    nothing = first > tracks.highest_sequence[slot]  # the first packet does not fit on the tape before there is room
    tracks.next_sequence[slot[nothing]] = tracks.highest_sequence[slot[nothing]] + 1
    slot, first = slot[~nothing], first[~nothing]
    tracks.next_sequence[slot] = tracks.base_sequence[slot] = first
    position, _, _, _ = table.window.entry(slot, first)
    is_new = tracks.epochs[slot] == 0
    new = slot[is_new]
    tracks.origin[new] = tracks.released[new] = tracks.resolved_end[new] = position[is_new]
    for i in np.flatnonzero(~is_new).tolist():
        _join_epochs(table, int(slot[i]), int(first[i]), int(position[i]))
    tracks.epoch_start[slot] = tracks.resolved_end[slot]
    advance(table, slot)


def _join_epochs(table: TrackTable, slot: int, first: int, position: int) -> None:
    """Put a new epoch behind the old one: where the arrival clock says, or seamlessly if that is near."""
    tracks = table.tracks
    end = int(tracks.resolved_end[slot])
    if tracks.floating[slot]:
        tracks.floating[slot] = False
        forget_delays(tracks, slot)
        ahead = position - int(tracks.epoch_anchor_position[slot])
        target = table.position_by_arrival(slot, int(tracks.epoch_anchor_ns[slot])) + ahead
        if target - end <= tracks.longest[slot]:
            target = end
        relocate(table, slot, first, target - position)
        tracks.offset[slot] += target - position
        position = target
    if position > end:
        table.ledgers[slot].add(end, position - end, Kind.RESTART)
        tracks.resolved_end[slot] = position


def relocate(table: TrackTable, slot: int, sequence: int, shift_samples: int) -> None:
    """Move all waiting packets of `slot` from extended `sequence` on by `shift_samples` along the tape.

    If they leave the ring by that, the tape is let go up to where it is resolved and continues at the
    first of them; the caller accounts for the gap.
    """
    tracks, window, tape = table.tracks, table.window, table.tape
    moving = window.waiting(slot, max(sequence, int(tracks.next_sequence[slot])))
    if not shift_samples or not len(moving):
        return
    position, length, _, _ = window.entry(np.full(len(moving), slot), moving)
    frames = list(zip(position.tolist(), length.tolist(), strict=True))
    payloads = [tape.read_one(slot, p, n) for p, n in frames]
    for p, n in frames:
        tape.erase_one(slot, p, n)
    window.move(slot, moving, shift_samples)
    tracks.highest_end[slot] += shift_samples
    if int((position + length).max()) + shift_samples > tracks.released[slot] + tape.ring_samples:
        flush(table, np.array([slot]))
        tracks.released[slot] = int(position.min()) + shift_samples
    for (p, _), payload in zip(frames, payloads, strict=True):
        tape.write_one(slot, p + shift_samples, payload)
