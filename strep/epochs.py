"""Beginnings: the first packet of a track, and packets that contradict the stream they claim to be of.

A new SSRC, a jump of the sequence number or a timestamp that the arrival clock does not confirm may be a
sender that started anew, or a stray. So such a packet is held, and when a second one agrees with it
(RFC 3550 A.1: MIN_SEQUENTIAL = 2) both begin a new *epoch*; nothing of it is lost. A stray stays quarantined.
These are rare events and handled one at a time; only tracks begin many at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.clock import NS_PER_MS
from strep.frames import FrameBatch, Samples
from strep.ledger import Kind
from strep.quality.delays import forget_delays
from strep.release import forget_loss, patch, release_blocks, skip_to
from strep.resolve import resolve_all
from strep.serial import SEQUENCE_MODULUS, TIMESTAMP_MODULUS, signed_difference_16, signed_difference_32
from strep.table import HeldFrame, Mapping, TrackTable

Int64 = NDArray[np.int64]

MAX_MISORDER = 100
"""RFC 3550 A.1: a sequence number so little behind the highest is a straggler, not a restart."""
START_LOOKBACK = 32
"""How many packets may have been overtaken by the first one to arrive."""
AGREEMENT_PACKETS = 3
"""A held packet is confirmed by another one at most so many sequence numbers away."""


def start_tracks(table: TrackTable, frames: FrameBatch) -> None:
    """Anchor tracks at their first packets, which are to be placed after that."""
    tracks, slot = table.tracks, frames.slot
    position = table.start_position
    tracks.started[slot] = True
    tracks.anchor_position[slot] = tracks.origin[slot] = position
    tracks.anchor_ns[slot] = frames.arrival_ns
    tracks.highest_end[slot] = position
    tracks.released[slot] = tracks.resolved_end[slot] = position - table.lookback_samples
    tracks.epoch_start[slot] = position - table.lookback_samples
    _map(table, frames, SEQUENCE_MODULUS | frames.sequence_number, position)


def _map(table: TrackTable, frames: FrameBatch, sequence: Int64 | int, position: int) -> None:
    """Let `frames`, of extended `sequence`, lie at `position`, and wait for what they may have overtaken."""
    tracks, slot = table.tracks, frames.slot
    timestamp = TIMESTAMP_MODULUS + frames.timestamp
    tracks.ssrc[slot] = frames.ssrc
    tracks.base_sequence[slot] = sequence
    tracks.highest_sequence[slot] = sequence - 1
    tracks.next_sequence[slot] = sequence - START_LOOKBACK
    tracks.highest_timestamp[slot] = timestamp
    tracks.offset[slot] = position - timestamp
    tracks.highest_arrival_ns[slot] = frames.arrival_ns
    tracks.starting[slot] = True
    tracks.has_transit[slot] = False
    forget_delays(tracks, slot)


def begin_epoch(table: TrackTable, slot: int, frame: HeldFrame) -> None:
    """Close the epoch of `slot` and begin the next one with `frame`."""
    tracks = table.tracks
    which = np.array([slot])
    resolve_all(table, which)
    release_blocks(table, which)
    table.previous[slot] = mapping = Mapping(
        ssrc=int(tracks.ssrc[slot]),
        highest_sequence=int(tracks.highest_sequence[slot]),
        highest_timestamp=int(tracks.highest_timestamp[slot]),
        offset=int(tracks.offset[slot]),
        epoch_start=int(tracks.epoch_start[slot]),
    )
    tracks.expected_before[slot] += mapping.highest_sequence - tracks.base_sequence[slot] + 1
    tracks.epochs[slot] += 1
    tracks.longest[slot] = max(len(frame.payload), 1)
    end = int(tracks.resolved_end[slot])
    sequence = (mapping.highest_sequence // SEQUENCE_MODULUS + 2) * SEQUENCE_MODULUS + frame.sequence_number
    continued = _continued_position(table, slot, frame, mapping)
    position = end + table.lookback_samples if continued is None else continued
    if position - table.lookback_samples > end:
        table.ledgers[slot].add(end, position - table.lookback_samples - end, Kind.RESTART)
        end = position - table.lookback_samples
        skip_to(table, which, np.array([end]))
    tracks.floating[slot] = continued is None
    tracks.epoch_anchor_position[slot] = position
    tracks.epoch_anchor_ns[slot] = frame.arrival_ns
    tracks.highest_end[slot] = max(position, end)
    tracks.epoch_start[slot] = end
    _map(table, as_batch(slot, frame), sequence, position)


def _continued_position(table: TrackTable, slot: int, frame: HeldFrame, mapping: Mapping) -> int | None:
    """Return where the old mapping puts `frame` if only its sequence number started anew, else None."""
    if frame.ssrc != mapping.ssrc:
        return None
    timestamp = mapping.highest_timestamp + signed_difference_32(frame.timestamp, mapping.highest_timestamp)
    position = timestamp + mapping.offset
    which = np.array([slot])
    if position < table.tracks.resolved_end[slot]:
        return None
    believed = table.believable(which, np.array([position]), np.array([frame.arrival_ns]))[0]
    return position if believed else None


def hold_or_begin(table: TrackTable, slot: int, frame: HeldFrame) -> HeldFrame | None:
    """Decide about a packet that contradicts its stream.

    Returns:
        The packet held before, if `frame` agrees with it: a new epoch has begun with that one, and both
        are to be received again, the held one first. None if `frame` itself was put aside, for good or to wait.
    """
    held = table.held.get(slot)
    if held is not None and _agree(held, frame):
        del table.held[slot]
        table.tracks.quarantined[slot] -= 1
        begin_epoch(table, slot, held)
        return held
    table.tracks.quarantined[slot] += 1
    if not _place_straggler(table, slot, frame) and not _is_unwelcome(table, slot, frame):
        table.held[slot] = frame
    return None


def _agree(held: HeldFrame, frame: HeldFrame) -> bool:
    steps = signed_difference_16(frame.sequence_number, held.sequence_number)
    duration = signed_difference_32(frame.timestamp, held.timestamp)
    return (
        frame.ssrc == held.ssrc
        and 0 < abs(steps) <= AGREEMENT_PACKETS
        and duration * steps >= 0
        and abs(duration) <= TIMESTAMP_MODULUS // 4
    )


def _place_straggler(table: TrackTable, slot: int, frame: HeldFrame) -> bool:
    """Patch a packet of the epoch before into its place; true if that is what it was."""
    mapping = table.previous.get(slot)
    if mapping is None or frame.ssrc != mapping.ssrc or not len(frame.payload) or not frame.is_audio:
        return False
    steps = signed_difference_16(frame.sequence_number, mapping.highest_sequence & 0xFFFF)
    duration = signed_difference_32(frame.timestamp, mapping.highest_timestamp & 0xFFFF_FFFF)
    position = mapping.highest_timestamp + duration + mapping.offset
    inside = mapping.epoch_start <= position < table.tracks.epoch_start[slot]
    if not (-MAX_MISORDER <= steps < 0 and duration <= 0 and inside):
        return False
    which = np.array([slot])
    sequence = np.array([mapping.highest_sequence + steps])
    table.tracks.quarantined[slot] -= 1
    if table.window.holds(which, sequence)[0]:
        table.tracks.duplicate[slot] += 1
        return True
    table.window.remember(slot, int(sequence[0]))
    table.tracks.late[slot] += 1
    was_lost = write_late(table, slot, position, frame.payload) > 0
    table.tracks.lost[slot] -= was_lost and table.tracks.lost[slot] > 0
    return True


def _is_unwelcome(table: TrackTable, slot: int, frame: HeldFrame) -> bool:
    """Whether the earlier SSRC goes on beside the new one: two senders, and the newer one has the track."""
    mapping = table.previous.get(slot)
    if mapping is None or frame.ssrc != mapping.ssrc or frame.ssrc == table.tracks.ssrc[slot]:
        return False
    quiet_ns = frame.arrival_ns - int(table.tracks.highest_arrival_ns[slot])
    return quiet_ns < table.settings.takeover_ms * NS_PER_MS


def write_late(table: TrackTable, slot: int, position: int, payload: Samples) -> int:
    """Put a late packet into its place, onto the tape if that is still here, else as a patch.

    Returns how many samples of it had been filled with silence.
    Its place ends where something else has been delivered meanwhile or where the tape is not resolved yet.
    """
    tracks = table.tracks
    end = min(position + len(payload), int(tracks.resolved_end[slot]))
    start = max(position, int(tracks.origin[slot]))
    if start >= end:
        return 0
    piece = payload[start - position : end - position]
    patched = table.ledgers[slot].patch(start, end - start)
    released = min(max(int(tracks.released[slot]), start), end)
    if released > start:
        patch(table, slot, start, piece[: released - start])
    if released < end:
        table.tape.write_one(slot, released, piece[released - start :])
        forget_loss(table, slot, released, end)
    return patched


def held_frame(frames: FrameBatch, index: int) -> HeldFrame:
    """Return one row of `frames` as a record with a payload of its own."""
    return HeldFrame(
        int(frames.sequence_number[index]),
        int(frames.timestamp[index]),
        int(frames.ssrc[index]),
        int(frames.arrival_ns[index]),
        bool(frames.is_audio[index]),
        frames.payload(index).copy(),
    )


def as_batch(slot: int, frame: HeldFrame) -> FrameBatch:
    """Return `frame` as a batch of one."""

    def one(value: int) -> NDArray[np.int64]:
        return np.array([value], np.int64)

    return FrameBatch(
        slot=one(slot),
        sequence_number=one(frame.sequence_number),
        timestamp=one(frame.timestamp),
        ssrc=one(frame.ssrc),
        arrival_ns=one(frame.arrival_ns),
        is_audio=np.array([frame.is_audio]),
        table=frame.payload[None, :],
        row=one(0),
        offset=one(0),
        length=one(len(frame.payload)),
    )
