"""`Stage`: about half a second of audio of every recorded call, in one array, between the blocks and the files.

Rows of many tracks arrive together and leave by call, half a second at a time. All calls share one array, so that
the rows of a batch are put in place by one scatter, whatever their number. It holds code bytes, half the
memory of PCM, and holds them interleaved, as a file wants them: see `media.sinks.interleave`.

Per call (a *slot*), `base` is the position of the first staged sample and ``end[channel]`` the position behind
the last one; ``base <= end``. A channel has no hole between the two. What lies behind its end is rubbish. A *track*
is a channel of a slot, as a number: ``2 * slot + channel``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.sinks.interleave import PAIR, decode_frames
from strep.g711 import Codec

CHANNELS = 2
_CODECS = {int(codec): codec for codec in Codec}

Slots = NDArray[np.intp]
Tracks = NDArray[np.intp]
Positions = NDArray[np.int64]


class Stage:
    """Staged code bytes and where they belong; does no input or output and raises nothing.

    Attributes:
        length_samples: room per channel and call.
        base: (capacity,) int64, position of the first staged sample.
        end: (capacity, 2) int64, position behind the last staged sample of each channel.
        law: (capacity, 2) uint8, the `Codec` of what is staged; a channel's changes only while it has nothing.
        due: (capacity,) int64, the position up to which the slot is to be taken next, see `full`.
        since_ns: (capacity,) int64, when the oldest staged sample came; only where something is staged.
    """

    def __init__(
        self, length_samples: int, step_samples: int, *, lead_samples: int, decode: bool, calls: int
    ) -> None:
        """Reserve memory.

        Args:
            length_samples: room per channel and call.
            step_samples: a slot is due at the positions that are multiples of it when `lead_samples` are added.
            lead_samples: see there.
            decode: let `frames` return PCM instead of code bytes.
            calls: for which there is address space from the start. More are possible, but then all that is staged
                is moved; what is reserved and not used costs nothing.
        """
        self.length_samples = length_samples
        self._step_samples, self._lead_samples = step_samples, lead_samples
        self._decode = decode
        self._decoded = np.empty(length_samples, np.uint32)
        self.base = np.zeros(0, np.int64)
        self.end = np.zeros((0, CHANNELS), np.int64)
        self.law = np.zeros((0, CHANNELS), np.uint8)
        self.due = np.zeros(0, np.int64)
        self.since_ns = np.zeros(0, np.int64)
        self._codes = np.empty((0, length_samples, CHANNELS), np.uint8)
        self._free: list[int] = []
        self._used = 0  # slots from here on were never claimed
        self._reserve(calls)

    @property
    def size_bytes(self) -> int:
        """Memory reserved for audio; pages that were never touched cost nothing."""
        return int(self._codes.nbytes)

    def claim(self) -> int:
        """Return a slot for a new call, empty at position 0, law PCMU; the one that was released last, if any."""
        if self._free:
            slot = self._free.pop()
        else:
            slot, self._used = self._used, self._used + 1
            if slot == len(self.base):
                self._reserve(2 * slot)
        self.rebase(slot, 0)
        self.law[slot] = Codec.PCMU
        return slot

    def release(self, slot: int) -> None:
        """Give the slot back; what is staged in it is forgotten."""
        self.end[slot] = self.base[slot]
        self._free.append(slot)

    def head(self, slot: int) -> int:
        """Return the position behind everything staged."""
        return int(self.end[slot].max())

    def accepts(
        self, tracks: Tracks, positions: Positions, codecs: NDArray[np.uint8], width: int
    ) -> NDArray[np.bool_]:
        """Tell which whole rows continue their track and fit, so that `scatter` may take them: (n,) bool.

        A track that has nothing staged becomes one of its row's law.

        Args:
            tracks: (n,) per row; a negative one is never accepted.
            positions: (n,) of each row's column 0.
            codecs: (n,) `Codec` of each row.
            width: columns of a row.
        """
        accepted: NDArray[np.bool_] = self._law.take(tracks) == codecs
        if not accepted.all():
            self._adopt(tracks[~accepted], codecs[~accepted])
            accepted = self._law.take(tracks) == codecs
        accepted &= positions == self._end.take(tracks)
        accepted &= positions - self.base.take(tracks >> 1) <= self.length_samples - width
        accepted &= tracks >= 0
        return accepted

    def _adopt(self, tracks: Tracks, codecs: NDArray[np.uint8]) -> None:
        empty = (tracks >= 0) & (self._end[tracks] == self.base[tracks >> 1])
        self._law[tracks[empty]] = codecs[empty]

    def scatter(self, tracks: Tracks, positions: Positions, rows: NDArray[np.uint8], now_ns: int) -> None:
        """Put `rows`, (n, width) code bytes, in their places; `accepts` said yes to every one."""
        slots = tracks >> 1
        offsets = positions - self.base.take(slots)
        if not offsets.all():
            first = slots[offsets == 0]
            self.since_ns[first[self.end[first].max(axis=1) == self.base[first]]] = now_ns
        width = rows.shape[1]
        places = (slots * self.length_samples + offsets) * CHANNELS + (tracks & 1)
        self._window(np.uint8, width)[places] = rows
        self._end[tracks] = positions + width

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

    def full(self, tracks: Tracks, lag: int) -> tuple[Slots, Positions]:
        """Return the slots of `tracks` that have come to where they are due, and up to where each should be taken.

        That is where it is due, or whole steps further; as far as both channels have come, or `lag` behind the
        further one if that is more. A channel that brought nothing since the last time is not waited for.
        """
        slots = tracks >> 1
        there = self._end.take(tracks) >= self.due.take(slots)
        there &= tracks >= 0
        slots = np.flatnonzero(np.bincount(slots[there]))  # each once
        base, due, end = self.base[slots], self.due[slots], self.end[slots]
        head, tail = end.max(axis=1), end.min(axis=1)
        whole = np.where(tail > base, np.maximum(tail, head - lag), head) - due
        ready = whole >= 0
        return slots[ready], (due + whole // self._step_samples * self._step_samples)[ready]

    def aged(self, before_ns: int) -> tuple[Slots, Positions]:
        """Return the slots that have held something since `before_ns` or longer, and their heads."""
        used = slice(self._used)
        head = self.end[used].max(axis=1)
        slots = np.flatnonzero((head > self.base[used]) & (self.since_ns[used] <= before_ns))
        return slots, head[slots]

    def frames(self, slots: Slots, until: Positions) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Yield slot, base, and the frames from there to ``until[i]``, valid until the next step of any method.

        They are (n,) whole frames: two little-endian int16 as one uint32, or two code bytes as one uint16, see
        `decode`. A channel that ends before that is silent from its end on: 0, or the law's silence.
        """
        short = self.end[slots].min(axis=1) < until
        columns = (slots, self.base[slots], until, self.law[slots], short)
        for slot, base, end, (left, right), is_short in zip(*(column.tolist() for column in columns), strict=True):
            frames: NDArray[Any] = self._pairs[slot, : end - base]
            if self._decode:
                frames = decode_frames(frames, _CODECS[left], _CODECS[right], self._decoded)
            if is_short:
                self._silence(slot, frames)
            yield slot, base, frames

    def _silence(self, slot: int, frames: NDArray[Any]) -> None:
        """Let each channel of `frames` be silent from where it ends."""
        samples = frames.view("<i2" if self._decode else "u1").reshape(-1, CHANNELS)
        for channel, end in enumerate((self.end[slot] - self.base[slot]).tolist()):
            samples[end:, channel] = 0 if self._decode else _CODECS[int(self.law[slot, channel])].silence

    def consume(self, slots: Slots, until: Positions, now_ns: int) -> None:
        """Forget the samples before ``until[i]``, at most the head; the rest moves to the front."""
        bases, heads = self.base[slots], self.end[slots].max(axis=1)
        if width := int((heads - until).max(initial=0)):
            places, moved = slots * self.length_samples, self._window(PAIR, width)
            moved[places] = moved[places + (until - bases)]
        self.base[slots] = until
        self.end[slots] = np.maximum(self.end[slots], until[:, None])
        self.due[slots] = self._next_due(until)
        self.since_ns[slots] = now_ns

    def rebase(self, slot: int, position: int) -> None:
        """Let an empty slot begin at `position`."""
        self.base[slot] = self.end[slot] = position
        self.due[slot] = self._next_due(position)

    def _next_due(self, position: Any) -> Any:
        """Return the first place behind `position`, a number or many, where a slot is due."""
        step, lead = self._step_samples, self._lead_samples
        return (position + lead) // step * step + step - lead

    def _window(self, dtype: Any, width: int) -> NDArray[Any]:
        """Return every run of `width` pairs, or of a channel's code bytes, as a row: (places, width), overlapping."""
        size = np.dtype(dtype).itemsize
        count = (self._codes.nbytes - CHANNELS * (width - 1)) // size
        return np.ndarray((count, width), dtype, self._codes.data, strides=(size, CHANNELS))

    def _reserve(self, capacity: int) -> None:
        """Make room for `capacity` slots; only what is staged is copied: pages that were never used stay unused."""
        # One slot of margin behind the last, so that a row may begin at any place that is in use.
        codes = np.empty((capacity + 1, *self._codes.shape[1:]), np.uint8)
        for slot, count in enumerate((self.end.max(axis=1) - self.base).tolist()):
            codes[slot, :count] = self._codes[slot, :count]
        self._codes, self._pairs = codes, codes.view(PAIR)[:, :, 0]
        self.base, self.end = _lengthened(self.base, capacity), _lengthened(self.end, capacity)
        self.law, self.due = _lengthened(self.law, capacity), _lengthened(self.due, capacity)
        self.since_ns = _lengthened(self.since_ns, capacity)
        self._end, self._law = self.end.reshape(-1), self.law.reshape(-1)  # by track


def _lengthened(column: NDArray[Any], length: int) -> NDArray[Any]:
    longer = np.zeros((length, *column.shape[1:]), column.dtype)
    longer[: len(column)] = column
    return longer
