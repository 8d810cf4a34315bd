"""`FrameBatch`: what both front doors hand to the timeline, one row per packet or media frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Samples = NDArray[Any]
"""Code bytes, uint8, or linear PCM, int16, as the timeline has it (`strep.table.TimelineSettings`)."""


@dataclass(slots=True)
class FrameBatch:
    """Frames in the order of their arrival; a track may appear any number of times.

    Attributes:
        slot: (n,) int64, the track's slot in the timeline.
        sequence_number: (n,) int64, modulo 2**16 (RFC 3550), or a chunk number modulo 2**16.
        timestamp: (n,) int64, modulo 2**32, in samples.
        ssrc: (n,) int64; 0 for media frames, which have none.
        arrival_ns: (n,) int64, monotonic, when the kernel had it.
        is_audio: (n,) bool, false for payload types that are no audio we know: they keep their place in
            the sequence, and that is all.
        table: (rows, width) uint8 or int16, where the payloads lie.
        row, offset, length: (n,) int64, in samples: the payload is ``table[row, offset : offset + length]``.
    """

    slot: Int64
    sequence_number: Int64
    timestamp: Int64
    ssrc: Int64
    arrival_ns: Int64
    is_audio: NDArray[np.bool_]
    table: Samples
    row: Int64
    offset: Int64
    length: Int64

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.slot)

    def take(self, index: NDArray[np.intp]) -> FrameBatch:
        """Return the frames at `index`, sharing the payload table."""
        return FrameBatch(
            self.slot[index],
            self.sequence_number[index],
            self.timestamp[index],
            self.ssrc[index],
            self.arrival_ns[index],
            self.is_audio[index],
            self.table,
            self.row[index],
            self.offset[index],
            self.length[index],
        )

    def payload(self, index: int) -> Samples:
        """Return one frame's payload as a view into the table."""
        start = self.offset[index]
        view: Samples = self.table[self.row[index], start : start + self.length[index]]
        return view
