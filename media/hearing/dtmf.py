"""`DtmfRuns`: digits by their tones (ITU-T Q.23), over all tracks at once, from `media.hearing.spectrum.Windows`.

What a receiver accepts is ITU-T Q.24: 40 ms and more are a digit, 23 ms and less are none; so are pauses of 40 ms and
interruptions of 10 ms; +-1.5 % of the frequency are accepted, +-3.5 % are not. Between these, any answer is right.

Every window is judged alone, coarsely (`_hits`): its level, the twist, the strongest tone of each group against the
group's others, and the share that the two tones have of its whole energy. Windows in a row that say the same digit
are a *run*. At its end the run is judged as a whole (`media.hearing.verdict`), more strictly than a window can be: by
the phase that its tones advance from slice to slice their true frequencies are known to a few hertz, and with these
the share and the twist; then the second harmonics, which speech has and a telephone has not, and the duration.

**Loss.** What is lost is neither tone nor pause. A run goes on over it, and what is missing beside or within a run
counts for its duration if the rest is clean and stands alone: quiet, or lost, before and behind.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.hearing.columns import Columns
from media.hearing.rows import SLICE_MS, Bool, Float32, Int64, Rows
from media.hearing.spectrum import HISTORY_SLICES, WINDOW_SLICES, Windows
from media.hearing.verdict import FREQUENCIES_HZ, Digit, are_digits, blank_run, digits_of, weigh

MIN_AMPLITUDE = 220.0
"""Of each tone in 16-bit PCM, -40 dBm0; the quietest that Q.24's administrations want to be heard has -27 dBm."""
MIN_SHARE = 0.55
"""Of a window's energy: at 1.5 % off, the higher tones lose a third of theirs between the lines."""
MAX_TWIST = 16.0
"""12 dB, of a window's powers."""
MIN_CONTRAST = (2.0, 4.0)
"""Power of a tone over that of the others in its group, in windows of less than 12.5 ms and in longer ones."""
QUIET = 0.25
"""A tone with less power than this share of a run's is off."""
ALONE = 0.15
"""The same of all power before and behind what stands alone."""
OFF_WINDOWS = 4
"""Windows without the tone that end a run: a pause of 20 ms."""
OFF_WINDOWS_AT_LOSS = 2
"""The same where something is lost since the tone was last heard."""
MAX_UNSURE_WINDOWS = 12
"""Windows that are neither the tone nor its end, after which it is over all the same."""
MAX_LOST_MS = 100
"""A run does not go on over more than that."""


class DtmfRuns:
    """Digits of the tracks of one sample rate."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._slice = sample_rate_hz * SLICE_MS // 1000
        self._window = WINDOW_SLICES * self._slice
        self._columns = Columns(blank_run())
        hz = np.array(FREQUENCIES_HZ)
        advance = 2 * np.pi * hz * self._slice / sample_rate_hz
        self._back = np.cos(advance).astype(np.float32), -np.sin(advance).astype(np.float32)
        angle = 2 * np.pi / sample_rate_hz * np.outer(2 * hz, np.arange(self._window))
        self._harmonics = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)  # (8, 2, window)
        self._max_lost = MAX_LOST_MS * sample_rate_hz // 1000

    def reach(self, key: int) -> None:
        """Make room for tracks up to `key`."""
        self._columns.reach(key)

    def running(self, key: Int64) -> Bool:
        """Return (n,) bool, which tracks are within a digit."""
        within: Bool = self._columns.table["digit"][key] >= 0
        return within

    def end(self, key: Int64) -> list[Digit]:
        """End what goes on in tracks that are interrupted or over, and forget it."""
        key = key[self.running(key)]
        runs = self._columns.table[key]
        digits = self._accept(runs, key, np.ones(len(key), np.bool_))
        self._columns.reset(key)
        return digits

    def receive(self, rows: Rows, windows: Windows) -> tuple[list[Digit], Bool]:
        """Return the digits that ended, and (m, k) bool, the windows that sound like one."""
        hit = self._hits(windows)
        involved = np.flatnonzero(hit.any(axis=1) | self.running(rows.key[windows.row]))
        if not len(involved):
            return [], hit
        row = windows.row[involved]
        key, runs, digits = rows.key[row], self._columns.table[rows.key[row]], []
        for k in range(hit.shape[1]):
            digits += self._step(rows, windows, runs, involved, hit[involved, k], k)
        self._columns.table[key] = runs
        return digits, hit

    def _hits(self, windows: Windows) -> Bool:
        """Return (m, k) bool, the windows that may be part of a digit."""
        low, high = windows.power[:, :, :4].max(axis=2), windows.power[:, :, 4:8].max(axis=2)
        known = windows.known
        hit: Bool = 2 * (low + high) > MIN_SHARE * known * windows.energy
        hit &= np.minimum(low, high) > np.square(known * (MIN_AMPLITUDE / 2))
        hit &= (low < MAX_TWIST * high) & (high < MAX_TWIST * low)
        hit &= known >= 2 * self._slice
        return hit

    def _step(
        self, rows: Rows, windows: Windows, runs: NDArray[np.void], at: Int64, hit: Bool, k: int
    ) -> list[Digit]:
        """Take window `k` of each of the tracks `at` ((r,) rows of `windows`), whose `runs` ((r,)) go on."""
        power, known = windows.power[at, k, :8], windows.known[at, k]
        low, high = power[:, :4].argmax(axis=1), power[:, 4:].argmax(axis=1)
        hit = hit & _contrast(power, known, self._window)
        said = np.where(hit, 4 * low + high, -1)
        every = np.arange(len(at))
        goes_on = runs["digit"] >= 0
        again = hit & goes_on & (said == runs["digit"])
        # of the windows that do not say the run's digit: is the tone gone?
        row_, column = np.divmod(np.maximum(runs["digit"], 0), 4)
        own = np.stack([power[every, row_], power[every, 4 + column]], axis=1)
        mean = runs["mean"] / np.maximum(runs["windows"], 1)[:, None]
        gone = (own < QUIET * mean * np.square(known)[:, None]).any(axis=1) & (known >= self._slice)
        another = hit & ~again
        runs["off"] += goes_on & ~again & (gone | another)
        runs["since"] += goes_on & ~again & (known >= self._slice)
        now = HISTORY_SLICES + k
        loudest_pause = ALONE * 2 * mean.sum(axis=1) * windows.slice_known[at, now]
        is_calm = (windows.slice_energy[at, now] <= loudest_pause) & (windows.slice_known[at, now] > 0)
        runs["calm"] |= goes_on & ~again & is_calm
        lost_here = self._slice - windows.slice_known[at, HISTORY_SLICES + k]
        runs["lost_since"] += goes_on * lost_here
        needed = np.where(runs["lost_since"] > 0, OFF_WINDOWS_AT_LOSS, OFF_WINDOWS)
        is_overdue = (runs["since"] >= MAX_UNSURE_WINDOWS) | (runs["lost_since"] > self._max_lost)
        is_over = (runs["off"] >= needed) | is_overdue | (another & (known > 0.8 * self._window))
        over = goes_on & ~again & is_over
        digits: list[Digit] = []
        if over.any():
            closing = np.flatnonzero(over)
            quiet_after = runs["calm"] | another | (windows.slice_known[at, HISTORY_SLICES + k] == 0)
            digits = self._accept(runs[closing], rows.key[windows.row[at[closing]]], quiet_after[closing])
            runs[closing] = blank_run()
        begins = hit & (runs["digit"] < 0)
        end = rows.position[windows.row[at]] + (k + 1) * self._slice
        if begins.any():
            self._begin(windows, runs, at, np.flatnonzero(begins), said, end, k)
        counts = np.flatnonzero(again | begins)
        if len(counts):
            self._count(rows, windows, runs, at, counts, end, k)
        return digits

    def _begin(
        self, windows: Windows, runs: NDArray[np.void], at: Int64, new: Int64, said: Int64, end: Int64, k: int
    ) -> None:
        """Begin runs at window `k` of the tracks `new`, indexes into `runs` and `at`."""
        row = at[new]
        runs[new] = blank_run()
        fresh = runs[new]
        fresh["digit"], fresh["start"] = said[new], end[new] - self._window
        before = slice(HISTORY_SLICES + k - 5, HISTORY_SLICES + k - 3)  # in the one behind it may have begun
        energy, known = windows.slice_energy[row, before].sum(axis=1), windows.slice_known[row, before].sum(axis=1)
        tone = windows.energy[row, k] / np.maximum(windows.known[row, k], 1)
        fresh["alone"] = energy <= ALONE * tone * known
        nearby = windows.slice_known[row, HISTORY_SLICES + k - 5 : HISTORY_SLICES + k + 1]
        fresh["lost_since"] = (self._slice - nearby).sum(axis=1)
        runs[new] = fresh

    def _count(
        self, rows: Rows, windows: Windows, runs: NDArray[np.void], at: Int64, counts: Int64, end: Int64, k: int
    ) -> None:
        """Add window `k` to the runs `counts`, indexes into `runs` and `at`."""
        row, run = at[counts], runs[counts]
        low, column = np.divmod(run["digit"].astype(np.int64), 4)
        tones = np.stack([low, 4 + column], axis=1)
        every = row[:, None]
        power, known, energy = windows.power[every, k, tones], windows.known[row, k], windows.energy[row, k]
        re, im = windows.re[every, k + 1, tones], windows.im[every, k + 1, tones]
        re0, im0 = windows.re[every, k, tones], windows.im[every, k, tones]
        turn_re, turn_im = re * re0 + im * im0, im * re0 - re * im0
        cos, sin = self._back[0][tones], self._back[1][tones]
        run["turn_re"] += turn_re * cos - turn_im * sin
        run["turn_im"] += turn_re * sin + turn_im * cos
        run["turn_abs"] += np.hypot(turn_re, turn_im)
        run["tone"] += power
        run["mean"] += power / np.square(known)[:, None]
        run["energy"] += known * energy
        run["best"] = np.maximum(run["best"], 2 * power.sum(axis=1) / (known * energy))
        run["square_known"] += np.square(known)
        run["harmonic"] += self._harmonic_power(rows, windows, row, tones, k)
        amplitude = np.sqrt(power.sum(axis=1)) / known
        run["first_amplitude"] = np.where(run["windows"] == 0, amplitude, run["first_amplitude"])
        run["last_amplitude"], run["end"] = amplitude, end[counts]
        run["windows"] += 1
        run["lost"] += run["lost_since"]
        run["lost_since"] = run["off"] = run["since"] = 0
        run["calm"] = False
        runs[counts] = run

    def _harmonic_power(self, rows: Rows, windows: Windows, row: Int64, tones: Int64, k: int) -> Float32:
        """Return (c, 2) float32, power at twice the frequencies `tones` in window `k` of the `row`s of `windows`."""
        slices = [
            windows.recent[row, j + 2] if j < 0 else rows.audio[windows.row[row], j] for j in range(k - 2, k + 1)
        ]
        audio = np.concatenate(slices, axis=1)
        parts = np.einsum("cn,ctpn->ctp", audio, self._harmonics[tones])
        power: Float32 = np.square(parts).sum(axis=2)
        return power

    def _accept(self, runs: NDArray[np.void], key: Int64, quiet_after: Bool) -> list[Digit]:
        """Judge runs that are over; return those that are digits."""
        if not len(runs):
            return []
        evidence = weigh(runs, self._rate_hz, self._slice, self._window)
        good = are_digits(runs, evidence, quiet_after, self._rate_hz)
        return digits_of(runs, key, evidence, np.flatnonzero(good))


def _contrast(power: Float32, known: Float32, window: int) -> Bool:
    """Return (r,) bool, where one tone of each group stands out from the group's others."""
    ordered = np.sort(power.reshape(-1, 2, 4), axis=2)
    wanted = np.where(known < window * 5 / 6, *MIN_CONTRAST)
    clear = ordered[:, :, 3] > wanted[:, None] * ordered[:, :, 2]
    both: Bool = clear[:, 0] & clear[:, 1]
    return both
