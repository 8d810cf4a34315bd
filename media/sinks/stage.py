"""`Stage`: about a second of audio of every recorded call, in one array, between the blocks and the files.

Rows of many tracks arrive together and leave by call, a second at a time. All calls share one array, so that
the rows of a batch are put in place by one scatter, whatever their number. It holds code bytes, half the
memory of PCM, and holds them interleaved, as a file wants them: see `media.sinks.interleave`.

Per call (a *slot*), `base` is the position of the first staged sample and ``end[channel]`` the position behind
the last one; ``base <= end``. A channel has no hole between the two. What lies behind its end is rubbish.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from media.sinks.interleave import decode_frames
from strep.g711 import Codec

CHANNELS = 2
_FIRST_CAPACITY = 16
_CODECS = {int(codec): codec for codec in Codec}

Slots = NDArray[np.int32]
Positions = NDArray[np.int64]


class Stage:
    """Staged code bytes and where they belong; does no input or output and raises nothing.

    Attributes:
        length_samples: room per channel and call.
        base: (capacity,) int64, position of the first staged sample.
        end: (capacity, 2) int64, position behind the last staged sample of each channel.
        law: (capacity, 2) uint8, the `Codec` of what is staged; a channel's changes only while it has nothing.
        since_ns: (capacity,) int64, when the oldest staged sample came; only where something is staged.
    """

    def __init__(self, length_samples: int, *, decode: bool) -> None:
        """Begin with room for a few calls.

        Args:
            length_samples: room per channel and call.
            decode: let `frames` return PCM instead of code bytes.
        """
        self.length_samples = length_samples
        self._decode = decode
        self._codes = np.empty((_FIRST_CAPACITY, length_samples, CHANNELS), np.uint8)
        self._decoded = np.empty(length_samples, np.uint32)
        self.base = np.zeros(_FIRST_CAPACITY, np.int64)
        self.end = np.zeros((_FIRST_CAPACITY, CHANNELS), np.int64)
        self.law = np.zeros((_FIRST_CAPACITY, CHANNELS), np.uint8)
        self.since_ns = np.zeros(_FIRST_CAPACITY, np.int64)
        self._free = list(range(_FIRST_CAPACITY - 1, -1, -1))
        self._windows: dict[int, NDArray[np.uint8]] = {}

    @property
    def size_bytes(self) -> int:
        """Memory reserved for audio; pages that were never touched cost nothing."""
        return int(self._codes.nbytes)

    def claim(self) -> int:
        """Return a slot for a new call, empty at position 0, law PCMU; the capacity doubles when none is free."""
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self.base[slot] = self.end[slot] = 0
        self.law[slot] = Codec.PCMU
        return slot

    def release(self, slot: int) -> None:
        """Give the slot back; what is staged in it is forgotten."""
        self.end[slot] = self.base[slot]
        self._free.append(slot)

    def head(self, slot: int) -> int:
        """Return the position behind everything staged."""
        return int(self.end[slot].max())

    def adopt(self, slots: Slots, channels: NDArray[np.uint8], codecs: NDArray[np.uint8]) -> None:
        """Let each track that has nothing staged be of its row's law; arguments as for `accepts`."""
        other = np.flatnonzero(self.law[slots, channels] != codecs)
        if len(other):
            slots, channels = slots[other], channels[other]
            empty = (slots >= 0) & (self.end[slots, channels] == self.base[slots])
            self.law[slots[empty], channels[empty]] = codecs[other][empty]

    def accepts(
        self,
        slots: Slots,
        channels: NDArray[np.uint8],
        positions: Positions,
        codecs: NDArray[np.uint8],
        width: int,
    ) -> NDArray[np.bool_]:
        """Tell which whole rows continue their track and fit, so that `scatter` may take them: (n,) bool.

        Args:
            slots: (n,) per row; a negative slot is never accepted.
            channels: (n,) 0 or 1.
            positions: (n,) of each row's column 0.
            codecs: (n,) `Codec` of each row.
            width: columns of a row.
        """
        room = self.length_samples - width
        accepted: NDArray[np.bool_] = positions - self.base[slots] <= room
        accepted &= positions == self.end[slots, channels]
        accepted &= codecs == self.law[slots, channels]
        accepted &= slots >= 0
        return accepted

    def scatter(
        self,
        slots: Slots,
        channels: NDArray[np.uint8],
        positions: Positions,
        rows: NDArray[np.uint8],
        now_ns: int,
    ) -> None:
        """Put `rows`, (n, width) code bytes, in their places; `accepts` said yes to every one."""
        base = self.base[slots]
        empty = slots[np.maximum(self.end[slots, 0], self.end[slots, 1]) == base]
        first = (slots * np.int64(self.length_samples) + (positions - base)) * CHANNELS + channels
        width = rows.shape[1]
        self._window(width)[first] = rows
        self.end[slots, channels] = positions + width
        self.since_ns[empty] = now_ns

    def fits(self, slot: int, channel: int, position: int, count: int) -> bool:
        """Tell whether `place` may be called: within the room, and no hole before it."""
        base = int(self.base[slot])
        return base <= position <= self.end[slot, channel] and position - base <= self.length_samples - count

    def place(self, slot: int, channel: int, position: int, codes: NDArray[np.uint8], now_ns: int) -> None:
        """Put the code bytes of one track in their place, over what is there."""
        base, behind = int(self.base[slot]), position + len(codes)
        if self.head(slot) == base:
            self.since_ns[slot] = now_ns
        self._codes[slot, position - base : behind - base, channel] = codes
        self.end[slot, channel] = max(int(self.end[slot, channel]), behind)

    def full(self, enough: int, lag: int) -> tuple[Slots, Positions]:
        """Return the slots with `enough` samples staged, and up to where each should be taken.

        That is as far as both channels have come, or `lag` behind the further one if that is more. A channel
        that brought nothing since the last time is not waited for.
        """
        head, tail = self._head_and_tail()
        slots = np.flatnonzero(head - self.base >= enough).astype(np.int32)
        head, tail = head[slots], tail[slots]
        both = np.maximum(tail, head - lag)
        return slots, np.where(tail > self.base[slots], both, head)

    def aged(self, before_ns: int) -> tuple[Slots, Positions]:
        """Return the slots that have held something since `before_ns` or longer, and their heads."""
        head, _ = self._head_and_tail()
        slots = np.flatnonzero((head > self.base) & (self.since_ns <= before_ns)).astype(np.int32)
        return slots, head[slots]

    def frames(self, slot: int, until: int) -> NDArray[Any]:
        """Return the frames from the base to `until`, (n, 2), valid until the next call of any method.

        They are little-endian int16, or code bytes, see `decode`. A channel that ends before `until` is silent
        from its end on: 0, or the law's silence.
        """
        base = int(self.base[slot])
        codes = self._codes[slot, : until - base]
        left, right = map(_CODECS.__getitem__, self.law[slot].tolist())
        frames = decode_frames(codes, left, right, self._decoded) if self._decode else codes
        for channel, end in enumerate(self.end[slot].tolist()):
            if end < until:
                frames[end - base :, channel] = 0 if self._decode else (left, right)[channel].silence
        return frames

    def consume(self, slots: Slots, until: Positions, now_ns: int) -> None:
        """Forget the samples before ``until[i]``, at most the head; the rest moves to the front."""
        bases, heads = self.base[slots], self.end[slots].max(axis=1)
        for row in np.flatnonzero(heads > until).tolist():
            codes, base, end = self._codes[slots[row]], bases[row], until[row]
            codes[: heads[row] - end] = codes[end - base : heads[row] - base]
        self.base[slots] = until
        self.end[slots] = np.maximum(self.end[slots], until[:, None])
        self.since_ns[slots] = now_ns

    def rebase(self, slot: int, position: int) -> None:
        """Let an empty slot begin at `position`."""
        self.base[slot] = self.end[slot] = position

    def _head_and_tail(self) -> tuple[Positions, Positions]:
        left, right = self.end[:, 0], self.end[:, 1]
        return np.maximum(left, right), np.minimum(left, right)

    def _window(self, width: int) -> NDArray[np.uint8]:
        """Return every run of `width` bytes of one channel as a row: (places, width), overlapping."""
        view = self._windows.get(width)
        if view is None:
            flat = self._codes.reshape(-1)
            view = as_strided(flat, (flat.size - CHANNELS * (width - 1), width), (1, CHANNELS))
            self._windows[width] = view
        return view

    def _grow(self) -> None:
        """Double the slots; only what is staged is copied, so pages that were never used stay unused."""
        old = len(self.base)
        codes = np.empty((2 * old, *self._codes.shape[1:]), np.uint8)
        for slot, count in enumerate((self.end.max(axis=1) - self.base).tolist()):
            codes[slot, :count] = self._codes[slot, :count]
        self._codes = codes
        self._windows.clear()
        self.base, self.end = _doubled(self.base), _doubled(self.end)
        self.law, self.since_ns = _doubled(self.law), _doubled(self.since_ns)
        self._free.extend(range(2 * old - 1, old - 1, -1))


def _doubled(column: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([column, np.zeros_like(column)])
