"""The tape: every track's recent audio, addressed in samples of media time: a byte or an int16 each.

Each track has a ring of `rows` blocks. A frame is written where its position says, across block borders,
by one scatter through a view whose rows overlap sample by sample; a block is read as one row of the same
memory. What nobody wrote is the codec's silence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.frames import Samples

Int64 = NDArray[np.int64]


class Tape:
    """Rings of `rows` x `block_samples` samples per slot."""

    def __init__(self, block_samples: int, rows: int, capacity: int, *, is_linear: bool = False) -> None:
        """Allocate rings for `capacity` slots; pages that no track uses are never touched.

        Samples are code bytes, and any byte may be silence, or PCM, whose silence is 0.
        """
        self.dtype: np.dtype[Any] = np.dtype(np.int16 if is_linear else np.uint8)
        self._silence = 0 if is_linear else 0xFF
        self.block_samples = block_samples
        self.rows = rows
        self.ring_samples = block_samples * rows
        self.silence = np.full(capacity, self._silence, np.uint8)
        every_silence = np.arange(1 if is_linear else 256).astype(self.dtype)
        self._block_item = np.dtype((np.void, block_samples * self.dtype.itemsize))
        self._silences = np.repeat(every_silence, block_samples).view(self._block_item)
        self._allocate(capacity)

    def _allocate(self, capacity: int) -> None:
        # One ring of margin behind the last, so that a window may begin at any sample that is in use.
        self._flat: Samples = np.zeros((capacity + 1) * self.ring_samples, self.dtype)
        # A block is one item, which numpy copies whole.
        self._blocks = self._flat.view(self._block_item)

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` slots, keeping what is there."""
        old = self._flat[: len(self.silence) * self.ring_samples]
        silence = np.full(capacity, self._silence, np.uint8)
        silence[: len(self.silence)] = self.silence
        self.silence = silence
        self._allocate(capacity)
        self._flat[: len(old)] = old

    def clear(self, slot: int, silence: int) -> None:
        """Fill the ring of `slot` with `silence`, and use it to fill gaps from now on."""
        self.silence[slot] = silence
        self._flat[slot * self.ring_samples : (slot + 1) * self.ring_samples] = silence

    def write(
        self,
        slot: Int64,
        position: Int64,
        table: Samples,
        row: Int64,
        offset: Int64,
        length: Int64,
    ) -> None:
        """Write ``table[row, offset : offset + length]`` at `position` of each `slot`; all (n,) int64.

        Frames of equal shape are written together: one scatter per distinct (offset, length), and almost
        always there is one.
        """
        table = np.ascontiguousarray(table)
        while len(slot):
            start, size = int(offset[0]), int(length[0])
            same = (offset == start) & (length == size)
            if same.all():
                self._write_uniform(slot, position, table, row, start, size)
                return
            self._write_uniform(slot[same], position[same], table, row[same], start, size)
            rest = ~same
            slot, position, row = slot[rest], position[rest], row[rest]
            offset, length = offset[rest], length[rest]

    def _write_uniform(
        self, slot: Int64, position: Int64, table: Samples, row: Int64, offset: int, length: int
    ) -> None:
        if not length:
            return
        start = position % self.ring_samples
        wraps = start + length > self.ring_samples
        if wraps.any():
            payloads = table[row[wraps], offset : offset + length]
            for s, p, payload in zip(slot[wraps].tolist(), position[wraps].tolist(), payloads, strict=True):
                self.write_one(s, p, payload)
            keep = ~wraps
            slot, start, row = slot[keep], start[keep], row[keep]
        start += slot * self.ring_samples
        # As items of `length` samples, which numpy copies whole; those of the tape begin at every sample.
        size = self.dtype.itemsize
        item = np.dtype((np.void, length * size))
        places = np.ndarray((len(self._flat) - length + 1,), item, self._flat, 0, (size,))
        places[start] = np.ndarray((len(table),), item, table, offset * size, (table.shape[1] * size,))[row]

    def write_one(self, slot: int, position: int, payload: Samples) -> None:
        """Write one `payload` of at most a ring's length at `position`, around the ring's end if need be."""
        ring = self._ring(slot)
        start = position % self.ring_samples
        head = min(len(payload), self.ring_samples - start)
        ring[start : start + head] = payload[:head]
        ring[: len(payload) - head] = payload[head:]

    def read_one(self, slot: int, position: int, length: int) -> Samples:
        """Return a copy of `length` samples from `position` on."""
        index = np.arange(position, position + length) % self.ring_samples
        copy: Samples = self._ring(slot)[index]
        return copy

    def erase_one(self, slot: int, position: int, length: int) -> None:
        """Turn `length` samples from `position` on into silence."""
        self.write_one(slot, position, np.full(length, self.silence[slot], self.dtype))

    def take_blocks(self, slot: Int64, block: Int64) -> Samples:
        """Return a copy of block number `block` of each `slot`, (n, block_samples), and silence the ring there."""
        index = slot * self.rows + block % self.rows
        taken: Samples = self._blocks[index].view(self.dtype).reshape(-1, self.block_samples)
        self._blocks[index] = self._silences[self.silence[slot]]
        return taken

    def _ring(self, slot: int) -> Samples:
        return self._flat[slot * self.ring_samples : (slot + 1) * self.ring_samples]
