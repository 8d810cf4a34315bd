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

from strep.clock import NEVER_NS
from strep.express import ExpressLane
from strep.frames import FrameBatch
from strep.g711 import LINEAR, Codec
from strep.ledger import Kind, Ledger
from strep.moving import MovedTracks, copy_out, put_in
from strep.placing import receive_round
from strep.quality.network import NetworkQuality, network_quality
from strep.realign import realign
from strep.release import flush, release_blocks
from strep.resolve import give_up, relocate, resolve_all
from strep.serial import signed_difference_16
from strep.statistics import TrackStatistics, snapshot
from strep.table import TimelineSettings, TrackBlocks, TrackTable

Int64 = NDArray[np.int64]


class Timeline:
    """All tracks of one sample rate, and of one way to write a sample: a code byte or an int16."""

    def __init__(self, settings: TimelineSettings | None = None, capacity: int = 64) -> None:
        """Start without a track.

        Args:
            settings: see there.
            capacity: tracks for which there is address space from the start. More are possible, but to move all that
                is there takes a third of a second with 4,000 tracks; what is reserved and not used costs nothing.
        """
        self.settings = settings or TimelineSettings()
        self._table = TrackTable(self.settings, capacity)
        self._lane = ExpressLane(self._table)
        self._rank_scratch = np.zeros(0, np.int64)

    @property
    def table(self) -> TrackTable:
        """The state up to now, to be read only."""
        self._lane.settle()
        return self._table

    def table_for(self, slot: int) -> TrackTable:
        """Return the state, to be read only, which is up to now for `slot` and may be behind for others."""
        self._lane.settle_one(slot)
        return self._table

    @property
    def capacity(self) -> int:
        """Slots that there is room for; grows with `open`."""
        return self._table.tracks.capacity

    @property
    def ledgers(self) -> dict[int, Ledger]:
        """By slot; to be read only."""
        return self._table.ledgers

    @property
    def changed(self) -> set[int]:
        """Slots of ledgers that have changed; who looks takes them out."""
        return self._table.changed

    @property
    def codec(self) -> NDArray[np.uint8]:
        """(capacity,) uint8, the `strep.g711.Codec` of each slot's tape; to be read only."""
        return self._table.tracks.codec

    def open(self, codec: Codec | None) -> int:
        """Return the slot of a new track whose tape holds `codec`; None for PCM, where the settings say so."""
        table = self._table
        slot = table.tracks.allocate()
        if table.tracks.capacity > len(table.tape.silence):
            table.tape.grow(table.tracks.capacity)
            table.window.grow(table.tracks.capacity)
            self._lane.grow()
        table.tracks.codec[slot] = LINEAR if codec is None else codec
        table.tape.clear(slot, 0 if codec is None else codec.silence)
        table.window.clear(slot)
        table.ledgers[slot] = Ledger(slot, table.changed)
        return slot

    def set_codec(self, slot: int, codec: Codec) -> bool:
        """Let the tape of `slot` hold `codec` if no audio is on it yet; return whether it does now."""
        table = self._table
        if table.tracks.longest[slot] or table.tracks.epochs[slot]:
            return bool(table.tracks.codec[slot] == codec)
        table.tracks.codec[slot] = codec
        table.tape.clear(slot, codec.silence)
        return True

    def finish(self, *slots: int) -> None:
        """Resolve and release all that distinct tracks still hold; their reports are due then, and `close`."""
        which = np.array(slots, np.int64)
        which = which[self._table.tracks.started[which]]
        if len(which):
            self._lane.leave(which)
            resolve_all(self._table, which)
            flush(self._table, which)

    def close(self, slot: int) -> None:
        """Give the slot back."""
        table = self._table
        self._lane.leave(np.array([slot]))
        table.tracks.free(slot)
        del table.ledgers[slot]
        table.changed.discard(slot)
        table.previous.pop(slot, None)
        table.held.pop(slot, None)
        table.lost.pop(slot, None)

    def copy_out(self, *slots: int) -> MovedTracks:
        """Return distinct tracks whole, to go on elsewhere; what was released must have been taken. Then `close`."""
        which = np.array(slots, np.int64)
        self._lane.leave(which)
        return copy_out(self._table, which)

    def put_in(self, moved: MovedTracks) -> list[int]:
        """Return the slots of tracks that go on here as they were elsewhere.

        Raises:
            ValueError: they come from another version, or do not fit on the tapes here; none is taken in.
        """
        codecs = [None if codec == LINEAR else Codec(codec) for codec in moved.column("codec").tolist()]
        slots = [self.open(codec) for codec in codecs]
        try:
            put_in(self._table, np.array(slots, np.int64), moved)
        except BaseException:
            for slot in slots:
                self.close(slot)
            raise
        return slots

    def statistics(self, slot: int) -> TrackStatistics:
        """Return a frozen copy of the counters of `slot`."""
        return snapshot(self.table_for(slot).tracks, slot, self.settings.sample_rate_hz)

    def quality(self, slot: int) -> NetworkQuality:
        """Return what the network did to `slot`, frozen."""
        return network_quality(self.table_for(slot).tracks, slot, self.settings.sample_rate_hz)

    def last_delivery_ns(self, slot: int) -> int:
        """Return when the last packet arrived that found its place, 0 if none has."""
        return max(int(self._table.tracks.last_delivery_ns[slot]), self._lane.arrival_ns(slot))

    def length(self, slot: int) -> int:
        """Return the samples from the track's first to where it is resolved."""
        tracks = self.table_for(slot).tracks
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
            self._lane.resolve_blocks()
            release_blocks(self._table)

    def realign(self) -> list[int]:
        """Mend the tapes of senders whose timestamps stood still in a pause; see `strep.realign`. Once a second."""
        self._table.delays.turn(self._table.tracks, self._lane.transits())
        slots = realign(self.table)
        self._lane.drop(np.array(slots, np.int64))
        return slots

    def receive(self, frames: FrameBatch) -> None:
        """Take frames in the order of their arrival."""
        for round_of_frames in self._rounds(frames):
            index = self._lane.take(round_of_frames)
            if index is not None:
                self._receive_others(round_of_frames.take(index))

    def _receive_others(self, frames: FrameBatch) -> None:
        self._lane.leave(frames.slot)
        receive_round(self._table, frames)
        self._lane.enter(frames)

    def shift_waiting(self, slot: int, sequence_number: int, shift_samples: int) -> None:
        """Move waiting frames from `sequence_number` on: their places were estimates, now they are known.

        Later frames are expected to come with timestamps that are shifted already (media frames over
        WebSocket, see `media.ws.chunks`). What does not fit on the tape any more stays where it is.
        """
        self._lane.leave(np.array([slot]))
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
