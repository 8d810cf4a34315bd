"""The reorder window: the last packets of every track by sequence number, in columns.

Each track has a ring of `WINDOW_PACKETS` entries, indexed by the extended sequence number. It answers two questions:
has this sequence number come before (duplicate), and which of the packets behind a hole comes next.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

WINDOW_PACKETS = 256
_MASK = WINDOW_PACKETS - 1
_NONE = -(1 << 62)
_FAR = 1 << 62


class Window:
    """Columns of shape (capacity, WINDOW_PACKETS), one entry per packet.

    Attributes:
        sequence: int64, extended sequence number that the entry holds.
        position: int64, samples; only kept for packets that had to wait.
        length: int64, samples; likewise.
        arrival_ns: int64, likewise.
        is_audio: bool, likewise.
    """

    def __init__(self, capacity: int) -> None:
        """Allocate rings for `capacity` slots; `clear` makes one ready. What no track uses takes no memory."""
        shape = (capacity, WINDOW_PACKETS)
        self.sequence = np.zeros(shape, np.int64)
        self.position = np.zeros(shape, np.int64)
        self.arrival_ns = np.zeros(shape, np.int64)
        self.length = np.zeros(shape, np.int32)
        self.is_audio = np.zeros(shape, np.bool_)

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` slots, keeping what is there."""
        fresh = Window(capacity)
        for name, column in vars(self).items():
            getattr(fresh, name)[: len(column)] = column
        self.__dict__.update(fresh.__dict__)

    def clear(self, slot: int) -> None:
        """Forget everything about `slot`."""
        self.sequence[slot] = _NONE

    def holds(self, slot: Int64, sequence: Int64) -> NDArray[np.bool_]:
        """Return whether each sequence number is in its slot's ring."""
        held: NDArray[np.bool_] = self.sequence[slot, sequence & _MASK] == sequence
        return held

    def mark(self, slot: Int64, sequence: Int64) -> None:
        """Remember sequence numbers that need not wait."""
        self.sequence[slot, sequence & _MASK] = sequence

    def mark_run(self, slot: Int64, first: Int64, end: Int64) -> None:
        """Remember all sequence numbers from `first` to `end`, exclusive, of each of the distinct `slot`s."""
        first = np.maximum(first, end - WINDOW_PACKETS)  # what came before would be overwritten
        count = end - first
        step = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        self.mark(np.repeat(slot, count), np.repeat(first, count) + step)

    def remember(self, slot: int, sequence: int) -> None:
        """Mark one sequence number of the past, unless a later one has its entry."""
        index = sequence & _MASK
        self.sequence[slot, index] = max(int(self.sequence[slot, index]), sequence)

    def put(
        self,
        slot: Int64,
        sequence: Int64,
        position: Int64,
        length: Int64,
        arrival_ns: Int64,
        is_audio: NDArray[np.bool_],
    ) -> None:
        """Remember packets that wait behind a hole, with all that is needed to let them go later."""
        index = sequence & _MASK
        self.sequence[slot, index] = sequence
        self.position[slot, index] = position
        self.length[slot, index] = length
        self.arrival_ns[slot, index] = arrival_ns
        self.is_audio[slot, index] = is_audio

    def entry(self, slot: Int64, sequence: Int64) -> tuple[Int64, Int64, Int64, NDArray[np.bool_]]:
        """Return (position, length, arrival_ns, is_audio) of packets that are there."""
        index = sequence & _MASK
        return (
            self.position[slot, index],
            self.length[slot, index].astype(np.int64),
            self.arrival_ns[slot, index],
            self.is_audio[slot, index],
        )

    def first_waiting(self, slot: Int64, sequence: Int64) -> Int64:
        """Return the lowest sequence number >= `sequence` in each slot's ring, an impossibly high one if none is."""
        rows = self.sequence[slot]
        waiting: Int64 = np.where(rows >= sequence[:, None], rows, _FAR).min(axis=1)
        return waiting

    def first_arrival_ns(self, slot: Int64, sequence: Int64) -> Int64:
        """Return when the first of the packets >= `sequence` arrived, per slot; one must be there."""
        is_waiting = self.sequence[slot] >= sequence[:, None]
        arrival_ns: Int64 = np.where(is_waiting, self.arrival_ns[slot], _FAR).min(axis=1)
        return arrival_ns

    def waiting(self, slot: int, sequence: int) -> Int64:
        """Return all sequence numbers >= `sequence` in the ring of `slot`, ascending."""
        row = self.sequence[slot]
        return np.sort(row[row >= sequence])

    def move(self, slot: int, sequence: Int64, shift_samples: int) -> None:
        """Add `shift_samples` to the positions of the given packets."""
        self.position[slot, sequence & _MASK] += shift_samples
