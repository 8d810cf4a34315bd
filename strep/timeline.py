"""The timeline: every packet in its place on its track's tape, addressed in samples of media time.

A packet is written where its RTP timestamp says, not where it arrived. In-order audio waits for nothing; a
hole is given up by deadline, never by count; silence is told from loss; a sender that starts anew begins a
new epoch. See `strep.resolve` for the order, `strep.epochs` for beginnings, `strep.release` for the way out.

The caller's duty: `receive` what arrived, then `poll`, then take ``blocks`` and ``patches``; call `poll`
again at `deadline`. No method looks at a clock.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from strep.clock import NEVER_NS, NS_PER_SECOND
from strep.epochs import (
    MAX_MISORDER,
    as_batch,
    held_frame,
    hold_or_begin,
    start_track,
    write_late,
)
from strep.frames import FrameBatch
from strep.g711 import Codec
from strep.ledger import Kind, Ledger
from strep.realign import realign
from strep.release import flush, release_blocks
from strep.resolve import advance, give_up, relocate, resolve_all, skip_gap
from strep.serial import signed_difference_16, signed_differences_16, signed_differences_32
from strep.statistics import TrackStatistics, snapshot, update_jitter
from strep.table import HeldFrame, TimelineSettings, TrackBlocks, TrackTable
from strep.window import WINDOW_PACKETS

Int64 = NDArray[np.int64]


class Timeline:
    """All tracks of one sample rate."""

    def __init__(self, settings: TimelineSettings | None = None) -> None:
        """Start without a track."""
        self.settings = settings or TimelineSettings()
        self._table = TrackTable(self.settings)
        self._rank_scratch = np.zeros(0, np.int64)

    @property
    def table(self) -> TrackTable:
        """The state, to be read only."""
        return self._table

    def open(self, codec: Codec) -> int:
        """Return the slot of a new track whose tape holds `codec`."""
        table = self._table
        slot = table.tracks.allocate()
        if table.tracks.capacity > len(table.tape.silence):
            table.tape.grow(table.tracks.capacity)
            table.window.grow(table.tracks.capacity)
        table.tracks.codec[slot] = codec
        table.tape.clear(slot, codec.silence)
        table.window.clear(slot)
        table.ledgers[slot] = Ledger()
        return slot

    def set_codec(self, slot: int, codec: Codec) -> bool:
        """Let the tape of `slot` hold `codec` if no audio is on it yet; return whether it does now."""
        table = self._table
        if table.tracks.longest[slot] or table.tracks.epochs[slot]:
            return bool(table.tracks.codec[slot] == codec)
        table.tracks.codec[slot] = codec
        table.tape.clear(slot, codec.silence)
        return True

    def finish(self, slot: int) -> None:
        """Resolve and release all that a track still holds; its report is due then, and `close`."""
        table = self._table
        if table.tracks.started[slot]:
            which = np.array([slot])
            resolve_all(table, which)
            flush(table, which)

    def close(self, slot: int) -> None:
        """Give the slot back."""
        table = self._table
        table.tracks.free(slot)
        del table.ledgers[slot]
        table.previous.pop(slot, None)
        table.held.pop(slot, None)

    def statistics(self, slot: int) -> TrackStatistics:
        """Return a frozen copy of the counters of `slot`."""
        return snapshot(self._table.tracks, slot, self.settings.sample_rate_hz)

    def length(self, slot: int) -> int:
        """Return the samples from the track's first to where it is resolved."""
        tracks = self._table.tracks
        return int(tracks.resolved_end[slot] - tracks.origin[slot]) if not self._is_empty(slot) else 0

    def _is_empty(self, slot: int) -> bool:
        tracks = self._table.tracks
        return not tracks.started[slot] or (bool(tracks.starting[slot]) and not tracks.epochs[slot])

    def ledger_totals(self, slot: int) -> dict[Kind, int]:
        """Return samples per kind; they add up to `length`."""
        return self._table.ledgers[slot].total(self.length(slot))

    def take_blocks(self) -> list[TrackBlocks]:
        """Return what was released since the last call, in order per track."""
        taken = list(self._table.blocks)
        self._table.blocks.clear()
        return taken

    def take_patches(self) -> list[TrackBlocks]:
        """Return late packets for blocks that `take_blocks` returned before."""
        taken = list(self._table.patches)
        self._table.patches.clear()
        return taken

    def deadline(self) -> int:
        """Return when `poll` has something to do, in ns; `NEVER_NS` if nothing waits."""
        tracks = self._table.tracks
        return int(tracks.deadline_ns[: tracks.count].min(initial=NEVER_NS))

    def poll(self, now_ns: int, *, release: bool = True) -> None:
        """Give up every hole whose deadline has come, and release what is complete unless told to keep it yet."""
        tracks = self._table.tracks
        while True:
            expired = np.flatnonzero(tracks.deadline_ns[: tracks.count] <= now_ns)
            if not len(expired):
                break
            give_up(self._table, expired)
        if release:
            release_blocks(self._table)

    def realign(self) -> list[int]:
        """Mend the tapes of senders whose timestamps stood still in a pause; see `strep.realign`. Once a second."""
        return realign(self._table)

    def receive(self, frames: FrameBatch) -> None:
        """Take frames in the order of their arrival."""
        for round_of_frames in self._rounds(frames):
            self._receive_round(round_of_frames)

    def shift_waiting(self, slot: int, sequence_number: int, shift_samples: int) -> None:
        """Move waiting frames from `sequence_number` on: their places were estimates, now they are known.

        Later frames are expected to come with timestamps that are shifted already (media frames over
        WebSocket, see `media.ws.chunks`). What does not fit on the tape any more stays where it is.
        """
        tracks, window = self._table.tracks, self._table.window
        highest = int(tracks.highest_sequence[slot])
        sequence = highest + signed_difference_16(sequence_number, highest & 0xFFFF)
        room = tracks.released[slot] + self._table.tape.ring_samples - tracks.highest_end[slot]
        moving = window.waiting(slot, max(sequence, int(tracks.next_sequence[slot])))
        first = int(window.entry(np.full(len(moving), slot), moving)[0].min(initial=NEVER_NS))
        if sequence > highest or shift_samples > room or first + shift_samples < tracks.resolved_end[slot]:
            return
        relocate(self._table, slot, sequence, shift_samples)
        tracks.highest_timestamp[slot] += shift_samples

    def _rounds(self, frames: FrameBatch) -> Iterator[FrameBatch]:
        """Yield batches in which each track has at most one frame, keeping every track's order."""
        n, slot = len(frames), frames.slot
        if len(self._rank_scratch) < self._table.tracks.capacity:
            self._rank_scratch = np.zeros(self._table.tracks.capacity, np.int64)
        index = np.arange(n)
        self._rank_scratch[slot] = index
        if (self._rank_scratch[slot] == index).all():
            if n:
                yield frames
            return
        order = np.argsort(slot, kind="stable")
        sorted_slot = slot[order]
        is_first = np.concatenate(([True], sorted_slot[1:] != sorted_slot[:-1]))
        rank = index - np.maximum.accumulate(np.where(is_first, index, 0))
        for r in range(int(rank.max()) + 1):
            yield frames.take(order[rank == r])

    def _receive_round(self, frames: FrameBatch) -> None:
        tracks, slot = self._table.tracks, frames.slot
        highest = tracks.highest_sequence[slot]
        steps = signed_differences_16(frames.sequence_number, highest)
        sequence = highest + steps
        last_timestamp = tracks.highest_timestamp[slot]
        duration = signed_differences_32(frames.timestamp, last_timestamp)
        timestamp = last_timestamp + duration
        position = timestamp + tracks.offset[slot]
        tracks.received[slot] += 1
        known = tracks.started[slot] & (frames.ssrc == tracks.ssrc[slot])
        in_order = (
            known
            & (steps == 1)
            & (sequence == tracks.next_sequence[slot])
            & (position == tracks.resolved_end[slot])
            & (position + frames.length - tracks.released[slot] <= self._table.tape.ring_samples)
        )
        if in_order.all():
            self._append(frames, sequence, timestamp, position)
            return
        index = np.flatnonzero(in_order)
        self._append(frames.take(index), sequence[index], timestamp[index], position[index])
        rest = ~in_order
        follows = known & (steps > 0) & (steps <= self.settings.max_dropout)
        forward = follows & (duration >= 0)
        forward[rest] &= self._table.believable(slot[rest], position[rest], frames.arrival_ns[rest])
        other = rest & follows & ~forward & ~frames.is_audio
        if other.any():  # what is no audio keeps its place in the sequence, whatever its timestamp says
            forward |= other
            timestamp[other] = last_timestamp[other]
            position[other] = timestamp[other] + tracks.offset[slot[other]]
        ring, is_near = self._table.tape.ring_samples, steps > -MAX_MISORDER
        backward = (position >= tracks.epoch_start[slot]) & (is_near | (duration > -64 * ring))
        backward |= is_near & (duration > -ring)  # overtaken by the epoch's first packet
        fits = rest & (forward | (known & (steps <= 0) & (duration <= 0) & backward))
        index = np.flatnonzero(fits)
        if len(index):
            self._place(frames.take(index), sequence[index], timestamp[index], position[index])
        for i in np.flatnonzero(rest & ~fits).tolist():
            self._receive_odd(frames, i)

    def _append(self, frames: FrameBatch, sequence: Int64, timestamp: Int64, position: Int64) -> None:
        """Frames that follow their predecessors in sequence and time: nearly all of them, nearly always."""
        if not len(frames):
            return
        tracks, slot = self._table.tracks, frames.slot
        length = frames.length
        self._update_jitter(frames, timestamp)
        self._table.tape.write(slot, position, frames.table, frames.row, frames.offset, length)
        self._table.window.mark(slot, sequence)
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

    def _update_jitter(self, frames: FrameBatch, timestamp: Int64) -> None:
        slot, arrival_ns = frames.slot, frames.arrival_ns
        if not frames.is_audio.all():  # the timestamps of events stand still (RFC 4733) and are no clock
            audio = frames.is_audio
            slot, arrival_ns, timestamp = slot[audio], arrival_ns[audio], timestamp[audio]
        arrival_samples = arrival_ns.astype(np.float64) * (self.settings.sample_rate_hz / NS_PER_SECOND)
        update_jitter(self._table.tracks, slot, arrival_samples, timestamp)

    def _place(self, frames: FrameBatch, sequence: Int64, timestamp: Int64, position: Int64) -> None:
        """Frames that are known to be of their stream but out of order, or behind a gap."""
        tracks, slot = self._table.tracks, frames.slot
        self._update_jitter(frames, timestamp)
        duplicate = self._table.window.holds(slot, sequence)
        tracks.duplicate[slot] += duplicate
        overtaken = ~duplicate & (sequence < tracks.highest_sequence[slot])
        tracks.reordered[slot] += overtaken
        early = position < tracks.epoch_start[slot]
        late = ~duplicate & (early | (sequence < tracks.next_sequence[slot]))
        for i in np.flatnonzero(late).tolist():
            self._place_late(frames, i, int(sequence[i]), int(position[i]))
        index = np.flatnonzero(~duplicate & ~late)
        if len(index):
            self._wait(frames.take(index), sequence[index], timestamp[index], position[index])

    def _place_late(self, frames: FrameBatch, index: int, sequence: int, position: int) -> None:
        tracks, slot = self._table.tracks, int(frames.slot[index])
        tracks.late[slot] += 1
        if frames.is_audio[index]:
            tracks.last_delivery_ns[slot] = frames.arrival_ns[index]
        if sequence >= tracks.next_sequence[slot]:
            return
        self._table.window.remember(slot, sequence)
        was_lost = tracks.base_sequence[slot] <= sequence
        is_remembered = sequence > tracks.highest_sequence[slot] - WINDOW_PACKETS
        if frames.is_audio[index] and position >= tracks.epoch_start[slot]:
            was_lost &= write_late(self._table, slot, position, frames.payload(index)) > 0 or is_remembered
        tracks.lost[slot] -= was_lost and tracks.lost[slot] > 0

    def _wait(self, frames: FrameBatch, sequence: Int64, timestamp: Int64, position: Int64) -> None:
        """Put frames on the tape and into the window, then advance as far as there is no hole."""
        table, tracks, slot = self._table, self._table.tracks, frames.slot
        ring, ahead = table.tape.ring_samples, sequence > tracks.highest_sequence[slot]
        tight = position + frames.length - tracks.released[slot] > ring
        tight |= sequence - tracks.next_sequence[slot] >= WINDOW_PACKETS
        tight &= ahead
        if tight.any():
            self._make_room(slot[tight], sequence[tight], timestamp[tight], frames.length[tight])
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

    def _make_room(self, slot: Int64, sequence: Int64, timestamp: Int64, length: Int64) -> None:
        """The ring of tape or window is full: what waits is given up now, and a long gap is skipped."""
        table, tracks = self._table, self._table.tracks
        missing = sequence - tracks.highest_sequence[slot] - 1
        resolve_all(table, slot)
        release_blocks(table, slot)
        position = timestamp + tracks.offset[slot]
        full = sequence - tracks.next_sequence[slot] >= WINDOW_PACKETS
        full |= position + length - tracks.released[slot] > table.tape.ring_samples
        slot, sequence, position, missing = slot[full], sequence[full], position[full], missing[full]
        tracks.lost[slot] += missing
        skip_gap(table, slot, position, missing)
        tracks.next_sequence[slot] = sequence

    def _receive_odd(self, frames: FrameBatch, index: int) -> None:
        """A first packet, or one that contradicts its stream: see `strep.epochs`."""
        table, slot = self._table, int(frames.slot[index])
        frame = held_frame(frames, index)
        if not table.tracks.started[slot]:
            start_track(table, slot, frame)
            self._receive_again(slot, frame)
            return
        held = hold_or_begin(table, slot, frame)
        if held is not None:
            self._receive_again(slot, held)
            self._receive_again(slot, frame)

    def _receive_again(self, slot: int, frame: HeldFrame) -> None:
        self._table.tracks.received[slot] -= 1
        self._receive_round(as_batch(slot, frame))
