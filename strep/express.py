"""The express lane: packets that are exactly what their tracks expect next, which is nearly all of them.

After a packet in good order the next one is known before it comes: its sequence number, timestamp, SSRC and length
(header prediction, Van Jacobson 1990). So a track without holes keeps one row of 64 bytes, a cache line, with that
prediction and the little that changes with every packet. A packet that matches costs one look at its row, one
update of it and the copy of its payload. Everything else about the track - two dozen columns of `strep.tracks` -
follows from how far the row has come, and is brought up to date by `settle` when somebody wants to know:
per block, not per packet. The reorder window, which only tracks outside the lane are looked up in, learns what has
come when they `leave`.

The duty of `Timeline`: whoever reads or changes columns of a track settles it before; whoever changes what the
prediction rests on lets the track `leave`, and it may `enter` again with its next packet in good order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.clock import NS_PER_SECOND
from strep.frames import FrameBatch
from strep.table import TrackTable

Int64 = NDArray[np.int64]

_EXPECTED = 0
"""Sequence number << 32 | timestamp of the next packet."""
_KIND = 1
"""SSRC << 16 | length in samples of the next packet; `_CLOSED` outside the lane."""
_POSITION = 2
"""Samples: where the next packet lies on the tape, and the end of what has come."""
_ARRIVAL_NS = 3
_TRANSIT, _JITTER, _JITTER_SUM, _JITTER_MAX = 4, 5, 6, 7
"""Samples, as float64: see `strep.tracks`; transit is relative to positions, not to timestamps."""
_FIELDS = 8
_ROW = np.dtype((np.void, 8 * _FIELDS))
_CLOSED = -1
_SEQUENCE_STEP = 1 << 32


class ExpressLane:
    """One row per slot; see the module."""

    def __init__(self, table: TrackTable) -> None:
        """Start with nobody in the lane."""
        self._table = table
        self._samples_per_ns = table.settings.sample_rate_hz / NS_PER_SECOND
        self._allocate(table.tracks.capacity)

    def _allocate(self, capacity: int) -> None:
        self._lane = np.zeros((capacity, _FIELDS), np.int64)
        self._lane[:, _KIND] = _CLOSED
        self._entered = np.zeros(capacity, np.int64)
        """Extended sequence number of the first packet taken; those since then are not in the window."""
        self._estimates = self._lane.view(np.float64)
        self._rows = self._lane.view(_ROW)[:, 0]

    def grow(self) -> None:
        """Make room for as many tracks as the table has."""
        old, entered, capacity = self._lane, self._entered, self._table.tracks.capacity
        if capacity > len(old):
            self._allocate(capacity)
            self._lane[: len(old)], self._entered[: len(old)] = old, entered

    def take(self, frames: FrameBatch) -> Int64 | None:
        """Place the frames that were expected; return the index of those that were not, None if there is none.

        Args:
            frames: each track at most once.
        """
        tracks, tape, slot = self._table.tracks, self._table.tape, frames.slot
        rows = self._rows[slot]
        state = rows.view(np.int64).reshape(-1, _FIELDS)
        position = state[:, _POSITION]
        expected = frames.sequence_number << 32
        expected |= frames.timestamp
        kind = frames.ssrc << 16
        kind |= frames.length
        taken = state[:, _EXPECTED] == expected
        taken &= state[:, _KIND] == kind
        taken &= frames.is_audio
        taken &= position + frames.length <= tracks.released[slot] + tape.ring_samples
        if taken.all():
            self._advance(frames, rows, state)
            return None
        index = np.flatnonzero(taken)
        if len(index):
            rows = rows[index]
            self._advance(frames.take(index), rows, rows.view(np.int64).reshape(-1, _FIELDS))
        return np.flatnonzero(~taken)

    def _advance(self, frames: FrameBatch, rows: NDArray[np.void], state: Int64) -> None:
        """Write the payloads, and move the rows, given with their int64 `state`, one packet on."""
        position = state[:, _POSITION]
        self._table.tape.write(frames.slot, position, frames.table, frames.row, frames.offset, frames.length)
        estimates = state.view(np.float64)
        transit = frames.arrival_ns * self._samples_per_ns
        transit -= position
        self._table.delays.look(self._table.tracks, frames.slot, transit, position, frames.length)
        distance = transit - estimates[:, _TRANSIT]  # RFC 3550 A.8, as in `strep.statistics.update_jitter`
        np.abs(distance, out=distance)
        jitter = estimates[:, _JITTER]
        distance -= jitter
        distance *= 1 / 16
        distance += jitter
        estimates[:, _JITTER] = distance
        estimates[:, _JITTER_SUM] += distance
        np.maximum(estimates[:, _JITTER_MAX], distance, out=estimates[:, _JITTER_MAX])
        estimates[:, _TRANSIT] = transit
        state[:, _ARRIVAL_NS] = frames.arrival_ns
        position += frames.length
        state[:, _EXPECTED] += frames.length + _SEQUENCE_STEP  # at 2**32 it predicts wrongly, and the track leaves
        self._rows[frames.slot] = rows

    def enter(self, frames: FrameBatch) -> None:
        """Let those tracks in for which all is in order up to the given frame, the last that was received of each."""
        tracks, slot = self._table.tracks, frames.slot
        sequence, end = tracks.highest_sequence[slot], tracks.resolved_end[slot]
        timestamp = tracks.highest_timestamp[slot] + frames.length
        fit = tracks.started[slot] & ~tracks.starting[slot] & tracks.has_transit[slot]
        fit &= frames.is_audio & (frames.length > 0) & (frames.ssrc == tracks.ssrc[slot])
        fit &= (sequence & 0xFFFF == frames.sequence_number) & (tracks.next_sequence[slot] == sequence + 1)
        fit &= (tracks.highest_end[slot] == end) & (timestamp + tracks.offset[slot] == end)
        index = np.flatnonzero(fit)
        if not len(index):
            return
        slot = slot[index]
        lane, estimates = self._lane, self._estimates
        self._entered[slot] = sequence[index] + 1
        lane[slot, _EXPECTED] = (sequence[index] + 1 & 0xFFFF) << 32 | timestamp[index] & 0xFFFF_FFFF
        lane[slot, _KIND] = frames.ssrc[index] << 16 | frames.length[index]
        lane[slot, _POSITION] = end[index]
        lane[slot, _ARRIVAL_NS] = tracks.highest_arrival_ns[slot]
        estimates[slot, _TRANSIT] = tracks.transit[slot] - tracks.offset[slot]
        estimates[slot, _JITTER] = tracks.jitter[slot]
        estimates[slot, _JITTER_SUM] = tracks.jitter_sum[slot]
        estimates[slot, _JITTER_MAX] = tracks.jitter_max[slot]

    def transits(self) -> NDArray[np.float64]:
        """Return (count,) float64, samples: arrival less position of tracks' last packets; inf if there is none."""
        tracks, n = self._table.tracks, self._table.tracks.count
        outside = np.where(tracks.has_transit[:n], tracks.transit[:n] - tracks.offset[:n], np.inf)
        return np.where(self._lane[:n, _KIND] != _CLOSED, self._estimates[:n, _TRANSIT], outside)

    def arrival_ns(self, slot: int) -> int:
        """Return when the last packet of `slot` arrived that was taken, 0 outside the lane."""
        return int(self._lane[slot, _ARRIVAL_NS]) if self._lane[slot, _KIND] != _CLOSED else 0

    def leave(self, slot: Int64) -> None:
        """Settle the distinct `slot`s and predict nothing for them any more."""
        slot = slot[self._lane[slot, _KIND] != _CLOSED]
        if len(slot):
            self._settle(slot)
            self.drop(slot)

    def drop(self, slot: Int64) -> None:
        """Predict nothing more for settled tracks, and let the window know what has come."""
        slot = slot[self._lane[slot, _KIND] != _CLOSED]
        self._table.window.mark_run(slot, self._entered[slot], self._table.tracks.next_sequence[slot])
        self._lane[slot, _KIND] = _CLOSED

    def settle_one(self, slot: int) -> None:
        """Bring the columns of one track up to date."""
        if self._lane[slot, _KIND] != _CLOSED and self._lane[slot, _POSITION] != self._table.tracks.highest_end[slot]:
            self._settle(np.array([slot]))

    def settle(self) -> None:
        """Bring the columns of all tracks up to date."""
        tracks = self._table.tracks
        slot = self._where(self._lane[: tracks.count, _POSITION] != tracks.highest_end[: tracks.count])
        if len(slot):
            self._settle(slot)

    def resolve_blocks(self) -> None:
        """Bring `resolved_end` up to date, and nothing else, of those tracks that have a block to release."""
        tracks, size = self._table.tracks, self._table.settings.block_samples
        come = self._lane[: tracks.count, _POSITION] // size
        slot = self._where(come > tracks.released[: tracks.count] // size)
        tracks.resolved_end[slot] = self._lane[slot, _POSITION]

    def _where(self, moved: NDArray[np.bool_]) -> Int64:
        moved &= self._lane[: len(moved), _KIND] != _CLOSED
        return np.flatnonzero(moved)

    def _settle(self, slot: Int64) -> None:
        tracks = self._table.tracks
        state = self._rows[slot].view(np.int64).reshape(-1, _FIELDS)
        estimates = state.view(np.float64)
        position, arrival_ns = state[:, _POSITION], state[:, _ARRIVAL_NS]
        sequence = tracks.next_sequence[slot]
        samples = position - tracks.highest_end[slot]  # resolved_end may be ahead of it
        packets = samples // (state[:, _KIND] & 0xFFFF)  # all of one length
        sequence += packets
        tracks.next_sequence[slot] = sequence
        tracks.highest_sequence[slot] = sequence - 1
        tracks.highest_timestamp[slot] += samples
        tracks.audio_samples[slot] += samples
        tracks.resolved_end[slot] = position
        tracks.highest_end[slot] = position
        tracks.highest_arrival_ns[slot] = arrival_ns
        tracks.last_delivery_ns[slot] = np.maximum(tracks.last_delivery_ns[slot], arrival_ns)
        tracks.received[slot] += packets
        tracks.delivered[slot] += packets
        tracks.jitter_count[slot] += packets
        tracks.transit[slot] = estimates[:, _TRANSIT] + tracks.offset[slot]
        tracks.jitter[slot] = estimates[:, _JITTER]
        tracks.jitter_sum[slot] = estimates[:, _JITTER_SUM]
        tracks.jitter_max[slot] = estimates[:, _JITTER_MAX]
