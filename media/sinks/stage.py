"""`Stage`: about a second of audio of every recorded call, in one array, between the blocks and the files.

Rows of many tracks arrive together and leave by call, a second at a time. All calls share one array, so that
the rows of a batch are put in place by one scatter, whatever their number. Frames are stored interleaved, as
the file wants them: what is taken out goes to the disk without another copy.

Per call (a *slot*), `base` is the position of the first staged frame and ``end[channel]`` the position behind
the last staged sample; ``base <= end``. What lies behind an end is rubbish from an earlier second until
`place` or `frames` makes it silence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

CHANNELS = 2
_FIRST_CAPACITY = 16


class Stage:
    """Staged frames and where they belong; does no input or output and raises nothing.

    Attributes:
        length_samples: room per call.
        base: (capacity,) int64, position of the first staged frame.
        end: (capacity, 2) int64, position behind the last staged sample of each channel.
        since_ns: (capacity,) int64, when the oldest staged sample came; only where something is staged.
        silence: (capacity,) of the dtype, what a hole holds.
    """

    def __init__(self, dtype: np.dtype[Any], length_samples: int) -> None:
        self.length_samples = length_samples
        self._frames = np.empty((_FIRST_CAPACITY, length_samples, CHANNELS), dtype)
        self.base = np.zeros(_FIRST_CAPACITY, np.int64)
        self.end = np.zeros((_FIRST_CAPACITY, CHANNELS), np.int64)
        self.since_ns = np.zeros(_FIRST_CAPACITY, np.int64)
        self.silence = np.zeros(_FIRST_CAPACITY, dtype)
        self._free = list(range(_FIRST_CAPACITY - 1, -1, -1))
        self._windows: dict[int, NDArray[Any]] = {}

    @property
    def capacity(self) -> int:
        """Number of slots; it doubles when they run out, and slots of ended calls are used again."""
        return len(self.base)

    @property
    def size_bytes(self) -> int:
        """Memory reserved for frames; pages that were never touched cost nothing."""
        return int(self._frames.nbytes)

    def claim(self, silence: int) -> int:
        """Return a slot for a new call, empty at position 0."""
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self.base[slot] = self.end[slot] = 0
        self.silence[slot] = silence
        return slot

    def release(self, slot: int) -> None:
        """Give the slot back; what is staged in it is forgotten."""
        self.end[slot] = self.base[slot]
        self._free.append(slot)

    def head(self, slot: int) -> int:
        """Return the position behind everything staged."""
        return int(self.end[slot].max())

    def accepts(
        self, slots: NDArray[np.int32], channels: NDArray[np.uint8], positions: NDArray[np.int64], width: int
    ) -> NDArray[np.bool_]:
        """Tell which whole rows continue their track and fit, so that `scatter` may take them: (n,) bool.

        Args:
            slots: (n,) per row; a negative slot is never accepted.
            channels: (n,) 0 or 1.
            positions: (n,) of each row's column 0.
            width: columns of a row.
        """
        room = self.length_samples - width
        accepted: NDArray[np.bool_] = positions - self.base[slots] <= room
        accepted &= positions == self.end[slots, channels]
        accepted &= slots >= 0
        return accepted

    def scatter(
        self,
        slots: NDArray[np.int32],
        channels: NDArray[np.uint8],
        positions: NDArray[np.int64],
        rows: NDArray[Any],
        now_ns: int,
    ) -> None:
        """Put `rows`, (n, width) of the dtype, in their places; `accepts` said yes to every one."""
        base = self.base[slots]
        empty = slots[np.maximum(self.end[slots, 0], self.end[slots, 1]) == base]
        first = (slots * np.int64(self.length_samples) + (positions - base)) * CHANNELS + channels
        width = rows.shape[1]
        self._window(width)[first] = rows
        self.end[slots, channels] = positions + width
        self.since_ns[empty] = now_ns

    def fits(self, slot: int, position: int, count: int) -> bool:
        """Tell whether `place` may be called: nothing lies before the base or behind the room."""
        return 0 <= position - int(self.base[slot]) <= self.length_samples - count

    def place(self, slot: int, channel: int, position: int, samples: NDArray[Any], now_ns: int) -> None:
        """Put the samples of one track in place, over what is there; a hole before them becomes silence."""
        base, end = int(self.base[slot]), int(self.end[slot, channel])
        if self.head(slot) == base:
            self.since_ns[slot] = now_ns
        track = self._frames[slot, :, channel]
        if position > end:
            track[end - base : position - base] = self.silence[slot]
        behind = position + len(samples)
        track[position - base : behind - base] = samples
        self.end[slot, channel] = max(end, behind)

    def full(self, enough: int, lag: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the slots with `enough` frames staged, and up to where each should be taken.

        That is as far as both channels have come, or `lag` behind the further one if that is more. A channel
        that brought nothing since the last time is not waited for.
        """
        head, tail = self._head_and_tail()
        slots = np.flatnonzero(head - self.base >= enough)
        head, tail = head[slots], tail[slots]
        both = np.maximum(tail, head - lag)
        return slots, np.where(tail > self.base[slots], both, head)

    def aged(self, before_ns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the slots that have held something since `before_ns` or longer, and their heads."""
        head, _ = self._head_and_tail()
        slots = np.flatnonzero((head > self.base) & (self.since_ns <= before_ns))
        return slots, head[slots]

    def frames(self, slots: NDArray[np.int64], until: NDArray[np.int64]) -> list[tuple[int, int, NDArray[Any]]]:
        """Return slot, base and the frames before ``until[i]``, (n, 2), of each slot; views, until `consume`.

        A channel that ends before that is silent from its end on.
        """
        bases = self.base[slots]
        rows, channels = np.nonzero(self.end[slots] < until[:, None])
        for row, channel in zip(rows.tolist(), channels.tolist(), strict=True):
            slot, base = slots[row], bases[row]
            gap = slice(self.end[slot, channel] - base, until[row] - base)
            self._frames[slot, gap, channel] = self.silence[slot]
        places = zip(slots.tolist(), bases.tolist(), (until - bases).tolist(), strict=True)
        return [(slot, base, self._frames[slot, :count]) for slot, base, count in places]

    def consume(self, slots: NDArray[np.int64], until: NDArray[np.int64], now_ns: int) -> None:
        """Forget the frames before ``until[i]``, at most the head; the rest moves to the front."""
        bases, heads = self.base[slots], self.end[slots].max(axis=1)
        for row in np.flatnonzero(heads > until).tolist():
            frames, base, end = self._frames[slots[row]], bases[row], until[row]
            frames[: heads[row] - end] = frames[end - base : heads[row] - base]
        self.base[slots] = until
        self.end[slots] = np.maximum(self.end[slots], until[:, None])
        self.since_ns[slots] = now_ns

    def rebase(self, slot: int, position: int) -> None:
        """Let an empty slot begin at `position`."""
        self.base[slot] = self.end[slot] = position

    def _head_and_tail(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        left, right = self.end[:, 0], self.end[:, 1]
        return np.maximum(left, right), np.minimum(left, right)

    def _window(self, width: int) -> NDArray[Any]:
        """Return every run of `width` samples of one channel as a row: (places, width), overlapping."""
        view = self._windows.get(width)
        if view is None:
            flat = self._frames.reshape(-1)
            item = flat.itemsize
            places = flat.size - CHANNELS * (width - 1)
            view = as_strided(flat, (places, width), (item, CHANNELS * item))
            self._windows[width] = view
        return view

    def _grow(self) -> None:
        """Double the slots; only what is staged is copied, so pages that were never used stay unused."""
        old = self.capacity
        frames = np.empty((2 * old, *self._frames.shape[1:]), self._frames.dtype)
        for slot, count in enumerate((self.end.max(axis=1) - self.base).tolist()):
            frames[slot, :count] = self._frames[slot, :count]
        self._frames = frames
        self._windows.clear()
        self.base = _doubled(self.base)
        self.end = _doubled(self.end)
        self.since_ns = _doubled(self.since_ns)
        self.silence = _doubled(self.silence)
        self._free.extend(range(2 * old - 1, old - 1, -1))


def _doubled(column: NDArray[Any]) -> NDArray[Any]:
    larger = np.zeros((2 * len(column), *column.shape[1:]), column.dtype)
    larger[: len(column)] = column
    return larger
