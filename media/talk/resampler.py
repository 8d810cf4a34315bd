"""Resampling of a stream that is still being made: any piece that goes in comes out at once, bar a constant lag.

A polyphase FIR filter (R. E. Crochiere, L. R. Rabiner, "Multirate Digital Signal Processing", chapter 3) with a
Kaiser window. What lies above half of the lower rate is below `STOP_BAND_DB`; what lies below `PASS_BAND` of that
half is untouched: 3,400 Hz, the edge of the telephone band, at 8 kHz.

A group of outputs, as long as the two rates have in common, is one row of inputs times one matrix, and all groups of
a piece are one product: 14 to 25 times as fast as a sum per output. Coefficients are whole multiples of
`COEFFICIENT_STEP`, so that every product and sum is exact in a double: whatever the order in which a library adds,
whatever the pieces in which a stream came, the samples are the same, on every machine.

Where the rates have little in common, 47,951 and 8,000 Hz, a row for each place that an output can have between two
inputs would be a table of many megabytes. There the row of the nearest of `PLACES` is taken, each output a sum.

soxr is sharper but returns nothing for tens of milliseconds and then much at once: right for files only.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from media.talk.contract import Pcm

STOP_BAND_DB = 70.0
"""How far everything that would fold over is pushed down."""
PASS_BAND = 0.85
"""Up to where the filter is flat, as a share of half the lower rate."""
RATES_HZ = range(4_000, 192_001)
PLACES = 4096
"""Between two samples at the lower rate: taking the nearest adds an error of less than `STOP_BAND_DB`."""
MAX_TABLES = 32
"""Tables of filters that are kept, each of a megabyte at most; telephony takes a handful, of 0.1 MB each."""
COEFFICIENT_STEP = 2.0**-22
"""A filter's coefficients in float32 as well as sums of int16 times them in float64 are exact."""
GROUP_SAMPLES = 64
"""About so many inputs or outputs, whichever are more, make a group; of 32 to 192, the fastest on the whole."""
MAX_GROUP_MATRIX = 1 << 17
"""Entries of the matrix of a group, a megabyte; where it would be larger, each output is a sum of its own."""
_BLOCK_SAMPLES = 4096  # output samples computed at a time: bounds the memory of one call


class Resampler:
    """One stream from `from_hz` to `to_hz`, int16 mono; its state is its own.

    Args:
        from_hz, to_hz: of `RATES_HZ`.
        delayed: False: sample 0 out is at the time of sample 0 in, so the first `lag_samples` in give nothing yet.
            True: the output starts at once, `lag_samples` (of the input) late, and n samples in give n * ratio out
            from the first call on where that is whole: for a decoder, which owes a frame for each frame.

    Raises:
        ValueError: a rate out of range.
    """

    def __init__(self, from_hz: int, to_hz: int, *, delayed: bool = False) -> None:
        for rate_hz in (from_hz, to_hz):
            if rate_hz not in RATES_HZ:
                raise ValueError(f"{rate_hz} Hz is out of range: {RATES_HZ[0]} to {RATES_HZ[-1]} Hz")
        divisor = math.gcd(from_hz, to_hz)
        self._up, self._down = to_hz // divisor, from_hz // divisor
        self._filters = _filters(self._up, self._down)
        self._taps = int(self._filters.shape[1])
        self._group = _group_matrix(self._up, self._down)
        self._offset = 1 - (self._taps if delayed else self._taps // 2)  # the input sample that output 0 begins with
        self.reset()

    @property
    def lag_samples(self) -> int:
        """Input samples that a sample waits for those behind it: half of the filter."""
        return 0 if self._up == self._down else self._taps // 2

    def reset(self) -> None:
        """Forget the past: the next sample is the first of a stream."""
        self._taken = 0  # input samples received
        self._given = 0  # output samples returned
        # Input that later outputs need; its first sample is number `_first` of the input, silence before 0.
        self._kept: NDArray[np.float64] = np.zeros(-self._offset)
        self._first = self._offset

    def process(self, pcm: Pcm) -> Pcm:
        """Take (n,) int16 and return what can be told by now, about n * ratio of int16."""
        self._taken += len(pcm)
        if self._up == self._down:
            self._given += len(pcm)
            return pcm
        self._kept = np.concatenate((self._kept, pcm), dtype=np.float64)
        return self._produce(self._producible())

    def flush(self) -> Pcm:
        """Return what is still owed, so that round(samples in * ratio) came out in all, and `reset`.

        A stream that is `delayed` gives up its last `lag_samples` instead.
        """
        owed = (2 * self._taken * self._up + self._down) // (2 * self._down) - self._given
        if self._up == self._down or owed <= 0:
            self.reset()
            return np.zeros(0, np.int16)
        self._kept = np.concatenate((self._kept, np.zeros(self._taps + self._down)))
        rest = self._produce(min(owed, self._producible()))
        self.reset()
        return rest

    def _producible(self) -> int:
        """Return how many outputs have all their inputs: output k needs those from k * down // up on."""
        starts = len(self._kept) + self._first - (self._taps - 1) - self._offset
        return max(0, -(-starts * self._up // self._down) - self._given)

    def _produce(self, count: int) -> Pcm:
        out = np.empty(count, np.int16)
        compute = self._sums if self._group is None else self._products
        for begin in range(0, count, _BLOCK_SAMPLES):
            piece = out[begin : begin + _BLOCK_SAMPLES]
            np.clip(np.rint(compute(self._given + begin, len(piece))), -32768, 32767, out=piece, casting="unsafe")
        self._given += count
        # A group is computed again, in part, when the rest of its outputs can be.
        step = self._up if self._group is None else self._group.shape[1]
        next_start = self._given // step * step * self._down // self._up + self._offset
        self._kept = self._kept[max(0, next_start - self._first) :]
        self._first = max(self._first, next_start)
        return out

    def _products(self, given: int, count: int) -> NDArray[np.float64]:
        """Return `count` outputs from number `given` on, by whole groups."""
        assert self._group is not None
        width, outputs = self._group.shape
        inputs = outputs * self._down // self._up
        first, groups = given // outputs, (given + count - 1) // outputs - given // outputs + 1
        begin, needed = first * inputs + self._offset - self._first, (groups - 1) * inputs + width
        kept = self._kept[begin : begin + needed]
        if len(kept) < needed:  # these belong to outputs of the last group that nobody asked for
            kept = np.concatenate((kept, np.zeros(needed - len(kept))))
        windows = np.lib.stride_tricks.sliding_window_view(kept, width)[::inputs]
        skipped = given - first * outputs
        products: NDArray[np.float64] = (windows @ self._group).reshape(-1)[skipped : skipped + count]
        return products

    def _sums(self, given: int, count: int) -> NDArray[np.float64]:
        """Return the same, one by one, each with the filter nearest to its place."""
        numbers = np.arange(given, given + count) * self._down
        starts = numbers // self._up + self._offset - self._first
        windows = np.lib.stride_tricks.sliding_window_view(self._kept, self._taps)[starts]
        rows = numbers % self._up
        if len(self._filters) < self._up:
            rows = rows * len(self._filters) // self._up
        sums: NDArray[np.float64] = np.einsum("ij,ij->i", windows, self._filters[rows])
        return sums


@lru_cache(MAX_TABLES)
def _filters(up: int, down: int) -> NDArray[np.float32]:
    """Return (rows, taps) float32, taps even: row p yields the output that lies p / rows behind an input sample.

    There are `up` rows; where these are too many, fewer, each for the middle of what is rounded down to it. Each row
    sums to one, so that a constant stays what it is.
    """
    if up == down:
        return np.ones((1, 2), np.float32)
    # In units of the input rate: half of the lower rate, and the distance from the flat to the silent.
    edge = 0.5 * min(1.0, up / down)
    width = edge * (1 - PASS_BAND)
    taps = 2 * math.ceil((STOP_BAND_DB - 7.95) / (2.285 * 2 * math.pi * width) / 2)
    beta = 0.1102 * (STOP_BAND_DB - 8.7)
    # Distance, in input samples, of each tap from the place of the output.
    rows = min(up, max(round(PLACES * 2 * edge), 1))
    places = (np.arange(rows) + 0.5 * (rows < up)) / rows
    distance = np.arange(taps)[None, :] - (taps // 2 - 1) - places[:, None]
    window = np.i0(beta * np.sqrt(np.clip(1 - (distance / (taps / 2)) ** 2, 0, None))) / np.i0(beta)
    filters = 2 * (edge - width / 2) * np.sinc(2 * (edge - width / 2) * distance) * window
    filters = np.rint(filters / filters.sum(1, keepdims=True) / COEFFICIENT_STEP) * COEFFICIENT_STEP
    filters[np.arange(rows), filters.argmax(1)] += 1 - filters.sum(1)
    return np.ascontiguousarray(filters.astype(np.float32))


@lru_cache(MAX_TABLES)
def _group_matrix(up: int, down: int) -> NDArray[np.float64] | None:
    """Return (inputs, outputs) float64 of a whole number of times `down` inputs and `up` outputs, and what overlaps.

    None if it would be larger than `MAX_GROUP_MATRIX`.
    """
    filters = _filters(up, down)
    times = -(-GROUP_SAMPLES // max(up, down))
    taps, outputs = filters.shape[1], times * up
    width = (outputs - 1) * down // up + taps
    if len(filters) < up or width * outputs > MAX_GROUP_MATRIX:
        return None
    matrix = np.zeros((width, outputs))
    for output in range(outputs):
        start = output * down // up
        matrix[start : start + taps, output] = filters[output * down % up]
    return matrix
