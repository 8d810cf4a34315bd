"""Placing frames: in order, behind a hole, late, or contradicting what their stream did so far.

One *round* of frames, in which every track appears once, is judged as a whole; what fits is placed by columns. Only
a packet that contradicts its stream takes Python of its own, in `strep.epochs`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.clock import NS_PER_SECOND
from strep.epochs import MAX_MISORDER, as_batch, held_frame, hold_or_begin, start_tracks, write_late
from strep.frames import FrameBatch
from strep.quality.misses import note_missed
from strep.release import release_blocks
from strep.resolve import advance, resolve_all, skip_gap
from strep.serial import signed_differences_16, signed_differences_32
from strep.statistics import update_jitter
from strep.table import HeldFrame, TrackTable
from strep.window import WINDOW_PACKETS

Int64 = NDArray[np.int64]


def receive_round(table: TrackTable, frames: FrameBatch) -> None:
    """Take frames, each track at most once, whatever they are."""
    tracks, slot = table.tracks, frames.slot
    is_first = ~tracks.started[slot]
    if is_first.any():
        start_tracks(table, frames.take(np.flatnonzero(is_first)))
    highest = tracks.highest_sequence[slot]
    steps = signed_differences_16(frames.sequence_number, highest)
    sequence = highest + steps
    last_timestamp = tracks.highest_timestamp[slot]
    duration = signed_differences_32(frames.timestamp, last_timestamp)
    timestamp = last_timestamp + duration
    position = timestamp + tracks.offset[slot]
    tracks.received[slot] += 1
    known = frames.ssrc == tracks.ssrc[slot]
    in_order = (
        known
        & (steps == 1)
        & (sequence == tracks.next_sequence[slot])
        & (position == tracks.resolved_end[slot])
        & (position + frames.length - tracks.released[slot] <= table.tape.ring_samples)
    )
    if in_order.all():
        _append(table, frames, sequence, timestamp, position)
        return
    index = np.flatnonzero(in_order)
    _append(table, frames.take(index), sequence[index], timestamp[index], position[index])
    rest = ~in_order
    follows = known & (steps > 0) & (steps <= table.settings.max_dropout)
    forward = follows & (duration >= 0)
    missing = np.maximum(steps - 1, 0) * tracks.longest[slot]
    forward[rest] &= table.believable(slot[rest], position[rest], frames.arrival_ns[rest], missing[rest])
    other = rest & follows & ~forward & ~frames.is_audio
    if other.any():  # what is no audio keeps its place in the sequence, whatever its timestamp says
        forward |= other
        timestamp[other] = last_timestamp[other]
        position[other] = timestamp[other] + tracks.offset[slot[other]]
    ring, is_near = table.tape.ring_samples, steps > -MAX_MISORDER
    backward = (position >= tracks.epoch_start[slot]) & (is_near | (duration > -64 * ring))
    backward |= is_near & (duration > -ring)  # overtaken by the epoch's first packet
    fits = rest & (forward | (known & (steps <= 0) & (duration <= 0) & backward))
    index = np.flatnonzero(fits)
    if len(index):
        _place(table, frames.take(index), sequence[index], timestamp[index], position[index])
    for i in np.flatnonzero(rest & ~fits).tolist():
        _receive_odd(table, frames, i)


def _append(table: TrackTable, frames: FrameBatch, sequence: Int64, timestamp: Int64, position: Int64) -> None:
    """Frames that follow their predecessors in sequence and time: nearly all of them, nearly always."""
    if not len(frames):
        return
    tracks, slot = table.tracks, frames.slot
    length = frames.length
    _update_jitter(table, frames, timestamp)
    _look_at_delays(table, frames, position, frames.is_audio)
    table.tape.write(slot, position, frames.table, frames.row, frames.offset, length)
    table.window.mark(slot, sequence)
    end = position + length
    tracks.highest_sequence[slot] = sequence
    tracks.next_sequence[slot] = sequence + 1
    tracks.highest_timestamp[slot] = timestamp
    tracks.resolved_end[slot] = end
    tracks.highest_end[slot] = end
    tracks.highest_arrival_ns[slot] = frames.arrival_ns
    tracks.longest[slot] = np.maximum(tracks.longest[slot], length)
    tracks.audio_samples[slot] += length
    if frames.is_audio.all():
        tracks.delivered[slot] += 1
        tracks.last_delivery_ns[slot] = frames.arrival_ns
    else:
        audio = frames.is_audio
        tracks.delivered[slot] += audio
        tracks.invalid[slot] += ~audio
        tracks.last_delivery_ns[slot[audio]] = frames.arrival_ns[audio]


def _update_jitter(table: TrackTable, frames: FrameBatch, timestamp: Int64) -> None:
    slot, arrival_ns = frames.slot, frames.arrival_ns
    if not frames.is_audio.all():  # the timestamps of events stand still (RFC 4733) and are no clock
        audio = frames.is_audio
        slot, arrival_ns, timestamp = slot[audio], arrival_ns[audio], timestamp[audio]
    arrival_samples = arrival_ns.astype(np.float64) * (table.settings.sample_rate_hz / NS_PER_SECOND)
    update_jitter(table.tracks, slot, arrival_samples, timestamp)


def _look_at_delays(table: TrackTable, frames: FrameBatch, position: Int64, which: NDArray[np.bool_]) -> None:
    index = np.flatnonzero(which)
    transit = frames.arrival_ns[index] * (table.settings.sample_rate_hz / NS_PER_SECOND) - position[index]
    table.delays.look(table.tracks, frames.slot[index], transit, position[index], frames.length[index])


def _place(table: TrackTable, frames: FrameBatch, sequence: Int64, timestamp: Int64, position: Int64) -> None:
    """Frames that are known to be of their stream but out of order, or behind a gap."""
    tracks, slot = table.tracks, frames.slot
    _update_jitter(table, frames, timestamp)
    duplicate = table.window.holds(slot, sequence)
    tracks.duplicate[slot] += duplicate
    _look_at_delays(table, frames, position, frames.is_audio & ~duplicate)
    overtaken = ~duplicate & (sequence < tracks.highest_sequence[slot])
    tracks.reordered[slot] += overtaken
    early = position < tracks.epoch_start[slot]
    late = ~duplicate & (early | (sequence < tracks.next_sequence[slot]))
    for i in np.flatnonzero(late).tolist():
        _place_late(table, frames, i, int(sequence[i]), int(position[i]))
    index = np.flatnonzero(~duplicate & ~late)
    if len(index):
        _wait(table, frames.take(index), sequence[index], timestamp[index], position[index])


def _place_late(table: TrackTable, frames: FrameBatch, index: int, sequence: int, position: int) -> None:
    tracks, slot = table.tracks, int(frames.slot[index])
    tracks.late[slot] += 1
    if frames.is_audio[index]:
        tracks.last_delivery_ns[slot] = frames.arrival_ns[index]
    if sequence >= tracks.next_sequence[slot]:
        return
    table.window.remember(slot, sequence)
    if sequence <= tracks.pause_sequence[slot]:  # its place is before a pause that its timestamp does not know of
        position -= int(tracks.pause_samples[slot])
    was_lost = tracks.base_sequence[slot] <= sequence
    is_remembered = sequence > tracks.highest_sequence[slot] - WINDOW_PACKETS
    if frames.is_audio[index] and position >= tracks.epoch_start[slot]:
        was_lost &= write_late(table, slot, position, frames.payload(index)) > 0 or is_remembered
    tracks.lost[slot] -= was_lost and tracks.lost[slot] > 0


def _wait(table: TrackTable, frames: FrameBatch, sequence: Int64, timestamp: Int64, position: Int64) -> None:
    """Put frames on the tape and into the window, then advance as far as there is no hole."""
    tracks, slot = table.tracks, frames.slot
    ring, ahead = table.tape.ring_samples, sequence > tracks.highest_sequence[slot]
    tight = position + frames.length - tracks.released[slot] > ring
    tight |= sequence - tracks.next_sequence[slot] >= WINDOW_PACKETS
    tight &= ahead
    if tight.any():
        _make_room(table, slot[tight], sequence[tight], timestamp[tight], frames.length[tight])
        position = timestamp + tracks.offset[slot]  # an epoch whose start ended by that has moved
    room = tracks.released[slot] + ring - position
    length = np.where(room <= ring, np.clip(room, 0, frames.length), 0)
    table.tape.write(slot, position, frames.table, frames.row, frames.offset, length)
    table.window.put(slot, sequence, position, length, frames.arrival_ns, frames.is_audio)
    tracks.in_flight[slot] += 1
    tracks.longest[slot] = np.maximum(tracks.longest[slot], length)
    tracks.audio_samples[slot] += length
    tracks.highest_end[slot] = np.maximum(tracks.highest_end[slot], position + length)
    tracks.last_delivery_ns[slot[frames.is_audio]] = frames.arrival_ns[frames.is_audio]
    tracks.base_sequence[slot] = np.minimum(tracks.base_sequence[slot], sequence)
    leaders = slot[ahead]
    tracks.highest_sequence[leaders] = sequence[ahead]
    tracks.highest_timestamp[leaders] = timestamp[ahead]
    tracks.highest_arrival_ns[leaders] = frames.arrival_ns[ahead]
    advance(table, slot)


def _make_room(table: TrackTable, slot: Int64, sequence: Int64, timestamp: Int64, length: Int64) -> None:
    """The ring of tape or window is full: what waits is given up now, and a long gap is skipped."""
    tracks = table.tracks
    missing = sequence - tracks.highest_sequence[slot] - 1
    resolve_all(table, slot)
    release_blocks(table, slot)
    position = timestamp + tracks.offset[slot]
    full = sequence - tracks.next_sequence[slot] >= WINDOW_PACKETS
    full |= position + length - tracks.released[slot] > table.tape.ring_samples
    slot, sequence, position, missing = slot[full], sequence[full], position[full], missing[full]
    tracks.lost[slot] += missing
    note_missed(tracks, slot, sequence - missing, missing)
    skip_gap(table, slot, position, missing)
    tracks.next_sequence[slot] = sequence


def _receive_odd(table: TrackTable, frames: FrameBatch, index: int) -> None:
    """A packet that contradicts its stream: see `strep.epochs`."""
    slot = int(frames.slot[index])
    frame = held_frame(frames, index)
    held = hold_or_begin(table, slot, frame)
    if held is not None:
        _receive_again(table, slot, held)
        _receive_again(table, slot, frame)


def _receive_again(table: TrackTable, slot: int, frame: HeldFrame) -> None:
    table.tracks.received[slot] -= 1
    receive_round(table, as_batch(slot, frame))
