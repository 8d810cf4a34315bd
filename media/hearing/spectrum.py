"""`Spectrum`: the Goertzel frequencies of every window of every track as one matrix product.

A window is three slices of 5 ms, and there is one at every slice. The product of a slice with the first, second and
third part of the window's complex basis gives its share of the three windows it is in, so that no sample is
multiplied twice and none is copied: windows are sums of neighbouring shares. Of a tone of amplitude A that
fills a window of n samples the result is A * n / 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.hearing.columns import Columns
from media.hearing.rows import SLICE_MS, Float32, Int64, Rows

WINDOW_SLICES = 3
HISTORY_SLICES = 5
"""Slices before a block of which energies are remembered."""
GATE_POWER = 2.0e4
"""Mean square of 16-bit PCM, -41 dBm0, below which a slice is not looked at: less than two of the quietest tones."""


@dataclass(frozen=True, slots=True)
class Windows:
    """What was heard at each slice of m tracks, in the window that ends with it; f frequencies, k slices.

    Attributes:
        row: (m,) int64, rows of `Rows` that were loud enough.
        re, im: (m, k + 1, f) float32, beginning with the window before.
        power: (m, k, f) float32, their squares.
        energy, known: (m, k) float32, sum of squares, and samples that were audio and not lost.
        slice_energy, slice_known: (m, HISTORY_SLICES + k) float32, the same of single slices.
        recent: (m, 2, h) float32, audio of the two slices before.
    """

    row: Int64
    re: Float32
    im: Float32
    power: Float32
    energy: Float32
    known: Float32
    slice_energy: Float32
    slice_known: Float32
    recent: Float32


class Spectrum:
    """Windows of one sample rate."""

    def __init__(self, frequencies_hz: Sequence[float], sample_rate_hz: int) -> None:
        self.slice_samples = h = sample_rate_hz * SLICE_MS // 1000
        self.window_samples = WINDOW_SLICES * h
        f = self._count = len(frequencies_hz)
        angle = 2 * np.pi / sample_rate_hz * np.outer(np.arange(self.window_samples), frequencies_hz)
        basis = np.concatenate([np.cos(angle), -np.sin(angle)], axis=1).astype(np.float32)
        # (samples of a slice, part of the window, re and im of each frequency)
        self._basis = np.ascontiguousarray(basis.reshape(WINDOW_SLICES, h, 2 * f).transpose(1, 0, 2)).reshape(h, -1)
        blank = np.zeros(
            1,
            [
                ("share", "f4", (2, 2 * f)),  # of the next window and the one behind, of what came so far
                ("last", "f4", (2 * f,)),  # the newest window
                ("energy", "f4", (HISTORY_SLICES,)),
                ("known", "f4", (HISTORY_SLICES,)),
                ("recent", "f4", (2, h)),
            ],
        )
        blank["known"] = h  # what was before the beginning is silence
        self._columns = Columns(blank)

    def reach(self, key: int) -> None:
        """Make room for tracks up to `key`."""
        self._columns.reach(key)

    def reset(self, key: Int64 | slice) -> None:
        """Forget what tracks sounded like."""
        self._columns.reset(key)

    def receive(self, rows: Rows, energy: Float32, wanted: NDArray[np.bool_]) -> Windows:
        """Return the windows of all rows that are loud, or `wanted` ((n,) bool); `energy` is (n, k) float32."""
        table, key = self._columns.table, rows.key
        before_energy, before_known = table["energy"][key], table["known"][key]
        energies = np.concatenate([before_energy, energy], axis=1)
        knowns = np.concatenate([before_known, rows.known], axis=1)
        loud = (energies[:, -energy.shape[1] - 2 :] > GATE_POWER * self.slice_samples / 2).any(axis=1) | wanted
        row = np.flatnonzero(loud)
        windows = self._windows(rows, row, energies[row], knowns[row])
        table["energy"][key], table["known"][key] = energies[:, -HISTORY_SLICES:], knowns[:, -HISTORY_SLICES:]
        quiet = key[~loud]
        table["share"][quiet] = table["last"][quiet] = 0
        self._remember_audio(rows)
        return windows

    def _remember_audio(self, rows: Rows) -> None:
        recent = self._columns.table["recent"]
        if rows.audio.shape[1] == 1:
            recent[rows.key, 0] = recent[rows.key, 1]
            recent[rows.key, 1] = rows.audio[:, 0]
        else:
            recent[rows.key] = rows.audio[:, -2:]

    def _windows(self, rows: Rows, row: Int64, energies: Float32, knowns: Float32) -> Windows:
        table, key, f = self._columns.table, rows.key[row], self._count
        m, k = len(row), rows.audio.shape[1]
        audio = rows.audio if m == len(rows) else rows.audio[row]
        part = (audio.reshape(-1, self.slice_samples) @ self._basis).reshape(m, k, WINDOW_SLICES, 2 * f)
        value = np.empty((m, k + 1, 2 * f), np.float32)
        value[:, 0] = table["last"][key]
        value[:, 1:] = part[:, :, 2]
        share = np.zeros((m, k + 2, 2 * f), np.float32)  # of windows that end with a slice, from slices before it
        share[:, :2] = table["share"][key]
        share[:, 1 : k + 1] += part[:, :, 1]
        share[:, 2:] += part[:, :, 0]
        value[:, 1:] += share[:, :k]
        table["share"][key], table["last"][key] = share[:, k:], value[:, k]
        square = value[:, 1:] ** 2
        return Windows(
            row=row,
            re=value[:, :, :f],
            im=value[:, :, f:],
            power=square[:, :, :f] + square[:, :, f:],
            energy=_over_windows(energies, k),
            known=_over_windows(knowns, k),
            slice_energy=energies,
            slice_known=knowns,
            recent=table["recent"][key],
        )


def _over_windows(slices: Float32, k: int) -> Float32:
    """Return the sums over the windows that end with each of the last `k` slices."""
    end = slices.shape[1]
    total: Float32 = slices[:, end - k :] + slices[:, end - k - 1 : end - 1] + slices[:, end - k - 2 : end - 2]
    return total
