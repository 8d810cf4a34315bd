"""`Gains`: which share of each frequency of a frame is speech, by what its track has sounded like; in columns.

The noise of every frequency is followed in two ways. By the probability that a frame has speech there (Gerkmann and
Hendriks, "Unbiased MMSE-based noise power estimation with low complexity and low tracking delay", IEEE TASLP 20(4),
2012): fast, but it does not find its way up from far below. And by the least that was there in the last seconds
(Martin, "Noise power spectral density estimation based on optimal smoothing and minimum statistics", IEEE TSAP 9(5),
2001): slow and a little too low, but it needs no pause and no start without speech. The noise is the larger of both.

The gain is Wiener's, of a signal-to-noise ratio by the decision-directed rule (Ephraim and Malah, "Speech
enhancement using a minimum mean-square error short-time spectral amplitude estimator", IEEE TASSP 32(6), 1984), and
never less than `FLOOR`: what is left of the noise masks the chirping of bins that come and go.

Not learnt from are frames with silence in them - lost packets, DTX - for behind them the noise is as it was, and, for
`TONE_HOLD_MS`, frames that are hardly more than a tone or two: keys, fax, the network's tones. What sounds for
longer is learnt: a whistle. So is a hum, which is lower, at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.hearing.columns import Columns

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

FLOOR = np.float32(10 ** (-18 / 20))
"""Nothing is turned down by more than 18 dB."""
DEAD_POWER = 100.0
"""Mean square of 16-bit PCM, -70 dB of full scale; A-law's silence has 64. Less is no noise, and nobody hears it."""
START_MS = 300
"""Of audio, before anything is turned down: less would take a first word for noise."""
LEAST_MS = 1500
"""The least of so long, to twice as long, is noise for certain."""
TONE_HOLD_MS = 5000
"""The longest tone of signalling, CED of T.30, takes 4 s."""
_TONE_HZ = 300
"""Tones are looked for above; hum is below."""
_TONE_SHARE = np.float32(0.2)
"""Sum of squares over square of sum of a spectrum: 0.5 of one tone, 0.25 of two, nearly nothing of noise."""
_FOLLOW = np.float32(0.85)  # per frame of 20 ms, as the others
_SMOOTH = np.float32(0.5)
_DIRECTED = np.float32(0.92)
_SPEECH_SNR = np.float32(10**1.5)  # of speech, where there is any: 15 dB
_LEAST_SNR = np.float32(10**-2.5)
_LEAST_NOISE = np.float32(1e-3)
_LARGEST = np.float32(1e6)


class Gains:
    """The noise of tracks, and the gains against it, at one frame length."""

    def __init__(self, bins: int, hz_per_bin: float, frames_per_second: int) -> None:
        """Prepare for spectra of `bins` from 0 Hz on."""
        self._tone_bin = round(_TONE_HZ / hz_per_bin)
        self._start, self._least, self._tone_hold = (
            max(ms * frames_per_second // 1000, 1) for ms in (START_MS, LEAST_MS, TONE_HOLD_MS)
        )
        blank = np.zeros(
            1,
            [
                ("noise", "f4", (bins,)),
                ("speech", "f4", (bins,)),  # power of the last frame, as it came out
                ("smooth", "f4", (bins,)),
                ("least", "f4", (bins,)),  # of `smooth`, since one to two times `LEAST_MS`
                ("next_least", "f4", (bins,)),  # the same, of what will be left of it
                ("learnt", "i4"),  # frames
                ("tone", "i4"),  # frames in a row
            ],
        )
        blank["noise"], blank["least"], blank["next_least"] = _LEAST_NOISE, np.inf, np.inf
        self._columns = Columns(blank)

    def reach(self, key: int) -> None:
        """Make room for tracks up to `key`."""
        self._columns.reach(key)

    def reset(self, key: Int64) -> None:
        """Forget what tracks sounded like."""
        self._columns.reset(key)

    def receive(self, key: Int64, power: Float32, quietest: Float32) -> Float32:
        """Return the gains of m frames in a row of n tracks, (n, m, bins) float32, `FLOOR` to 1.

        Args:
            key: (n,) distinct tracks.
            power: (n, m, bins) of the windowed frames.
            quietest: (n, m) mean square of the quietest part of each frame.
        """
        table = self._columns.table
        state = {name: table[name][key] for name in table.dtype.names or ()}
        gains = np.empty_like(power)
        live = quietest > DEAD_POWER
        for frame in range(power.shape[1]):
            now = np.ascontiguousarray(power[:, frame])
            self._learn(state, now, live[:, frame])
            gains[:, frame] = _gain(state, now)
        for name, column in state.items():
            table[name][key] = column
        return gains

    def _learn(self, state: dict[str, NDArray[Any]], power: Float32, live: Bool) -> None:
        tone = state["tone"]
        tone[:] = np.where(self._is_tone(power), tone + 1, 0)
        row = np.flatnonzero(live & ((tone == 0) | (tone > self._tone_hold)))
        if len(row) == len(power):
            self._follow(state, power)
        elif len(row):
            some = {name: column[row] for name, column in state.items()}
            self._follow(some, power[row])
            for name, column in some.items():
                state[name][row] = column

    def _follow(self, state: dict[str, NDArray[Any]], power: Float32) -> None:
        """Learn from a frame of each track."""
        noise, smooth, least, next_least = (state[name] for name in ("noise", "smooth", "least", "next_least"))
        learnt = state["learnt"]
        new = learnt == 0
        if new.any():
            smooth[new] = power[new]
        smooth += (1 - _SMOOTH) * (power - smooth)
        np.minimum(least, smooth, out=least)
        np.minimum(next_least, smooth, out=next_least)
        learnt += 1
        # The share of the noise in what is new, 1 - P(speech | power), times how fast it is followed.
        share = np.exp(power / noise * (-_SPEECH_SNR / (1 + _SPEECH_SNR)))
        share *= 1 + _SPEECH_SNR
        share /= 1 + share
        share *= 1 - _FOLLOW
        noise += share * (power - noise)
        old = learnt >= self._start
        np.maximum(noise, least if old.all() else least * old[:, None], out=noise)
        is_full = learnt % self._least == 0
        if is_full.any():
            least[is_full], next_least[is_full] = next_least[is_full], smooth[is_full]

    def _is_tone(self, power: Float32) -> Bool:
        """Tell whether there is hardly more than a tone or two, (n,) bool."""
        upper = power[:, self._tone_bin :]
        total = upper.sum(axis=1)
        square = np.einsum("nb,nb->n", upper, upper)
        is_tone: Bool = (square > _TONE_SHARE * total * total) & (2 * total > power.sum(axis=1))
        return is_tone


def _gain(state: dict[str, NDArray[Any]], power: Float32) -> Float32:
    noise, speech = state["noise"], state["speech"]
    after = power / noise
    after -= 1
    np.clip(after, 0, _LARGEST, out=after)
    after *= 1 - _DIRECTED
    before = speech / noise
    before *= _DIRECTED
    before += after
    np.clip(before, _LEAST_SNR, _LARGEST, out=before)
    gain: Float32 = before / (1 + before)
    np.multiply(gain * gain, power, out=speech)
    return np.maximum(gain, FLOOR, out=gain)
