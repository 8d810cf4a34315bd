"""`Echoes`: one side of a call heard again in the other one, later and quieter; in columns.

Envelopes are compared, not samples: the RMS of slices of 5 ms. Every four seconds, where one side was loud enough,
its envelope is correlated with that of the other side over delays from 0 to 500 ms, normalised by the mean and the
variance of both (by FFT, for all calls that are due at once). A delay at which the correlation is `MIN_CORRELATION`
is a sign of an echo; the same delay in two windows in a row is one. The slope of the regression there is its gain.

What it cannot: tell an echo while the other side speaks louder than it (double talk hides it), tell a delay better
than to a few milliseconds, hear what lies below the background, or follow an echo whose delay moves. Where both sides
carry the same thing - music, a conference - that is an echo to it, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.hearing.columns import Columns
from media.hearing.rows import SLICE_MS, Float32, Int64, Rows

MAX_DELAY_MS = 500
WINDOW_MS = 4000
MIN_CORRELATION = 0.75
MIN_SOURCE_RMS = 180.0
"""In 16-bit PCM, -45 dBFS: of the side that may be heard again, over the window."""
FLAT = 1e-6
"""An envelope that varies by less than its square root, as that of a tone, is like no other."""
MAX_GAIN = 2.0
"""What is louder than that is no echo."""
SAME_SLICES = 3
"""Delays this near one another are one."""
CALLS_AT_ONCE = 64
"""Whose windows are compared in one tick; the next ones' turn is the next tick."""

_LAGS = MAX_DELAY_MS // SLICE_MS
_WINDOW = WINDOW_MS // SLICE_MS
_REACH = _LAGS + _WINDOW
_FFT = 1 << (_REACH - 1).bit_length()
_RING = _REACH + 2000 // SLICE_MS
"""Tracks of a call may be two seconds apart."""
_NOWHERE = np.iinfo(np.int64).min
_ENVELOPE = np.dtype([("ring", "f4", _RING)])
_STATE = np.dtype(
    [
        ("end", "i8"),  # slices: behind the last one in the ring
        ("lag", "i2"),  # slices: of the last window that was a sign; -1: none
        ("windows", "i4"),  # windows with an echo
        ("delay", "f8"),  # sums over these, of slices,
        ("gain", "f8"),  # of the amplitude,
        ("correlation", "f8"),
    ]
)
_BLANK = np.array([(_NOWHERE, -1, 0, 0, 0, 0)], _STATE)


class Echo(NamedTuple):
    """An echo of the other side in a track, `key`: means over all windows in which it was heard."""

    key: int
    delay_ms: float
    loss_db: float
    correlation: float
    windows: int

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "delay_ms": round(self.delay_ms, 1),
            "loss_db": round(self.loss_db, 1),
            "correlation": round(self.correlation, 2),
            "windows": self.windows,
        }


@dataclass(frozen=True, slots=True)
class Match:
    """Where envelopes agree best, a row each.

    Attributes:
        lag: (m,) float64, slices.
        correlation: (m,) float64, -1 to 1.
        gain: (m,) float64, amplitude of what follows over that of the source.
    """

    lag: NDArray[np.float64]
    correlation: NDArray[np.float64]
    gain: NDArray[np.float64]


def match(source: Float32, follower: Float32) -> Match:
    """Find the source in what follows it.

    Args:
        source: (m, _REACH) float32, envelopes.
        follower: (m, _WINDOW) float32, of the last `_WINDOW` slices of the same time.
    """
    centred = follower - follower.mean(axis=1, keepdims=True, dtype=np.float64)
    behind = np.zeros(source.shape)
    behind[:, _LAGS:] = centred
    spectrum = np.fft.rfft(behind, _FFT) * np.conj(np.fft.rfft(source, _FFT))
    product = np.fft.irfft(spectrum, _FFT)[:, : _LAGS + 1].astype(np.float64)
    variance = _variances(source)
    energy = _but_rounding(np.square(centred).sum(axis=1), np.square(follower, dtype=np.float64).sum(axis=1))
    scale = np.sqrt(variance * energy[:, None])
    correlation = np.divide(product, scale, out=np.zeros_like(product), where=scale > 1e-6)
    np.clip(correlation, -1, 1, out=correlation)
    best, every = correlation.argmax(axis=1), np.arange(len(source))
    at = np.clip(best, 1, _LAGS - 1)
    left, here, right = (correlation[every, at + step] for step in (-1, 0, 1))
    bend = left - 2 * here + right
    shift = np.divide(left - right, 2 * bend, out=np.zeros_like(bend), where=(bend < 0) & (at == best))
    gain = product[every, best] / np.maximum(variance[every, best], 1e-6)
    return Match(best + shift, correlation[every, best], gain)


def _variances(source: Float32) -> NDArray[np.float64]:
    """Return (m, _LAGS + 1) float64, sum of squared deviations of the source in the window, moved by each lag."""
    sums = np.zeros((2, len(source), _REACH + 1))
    np.cumsum(source, axis=1, out=sums[0, :, 1:])
    np.cumsum(np.square(source, dtype=np.float64), axis=1, out=sums[1, :, 1:])
    start = _LAGS - np.arange(_LAGS + 1)
    total, squares = sums[:, :, start + _WINDOW] - sums[:, :, start]
    return _but_rounding(squares - np.square(total) / _WINDOW, squares)


def _but_rounding(deviations: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums of squared deviations; 0 where they are nothing beside the squares, as those of a plain tone."""
    return np.where(deviations > FLAT * squares, deviations, 0.0)


class Echoes:
    """The two tracks of each call, by `media.hearing.rows.Rows.key`."""

    def __init__(self) -> None:
        self._envelopes = Columns(np.zeros(1, _ENVELOPE))
        self._states = Columns(_BLANK)
        self._due = np.zeros(0, np.int64)

    def reach(self, key: int) -> None:
        """Make room for tracks up to `key`, the second one of a call."""
        self._envelopes.reach(key)
        self._states.reach(key)
        missing = len(self._states.table) // 2 - len(self._due)
        if missing > 0:
            self._due = np.concatenate([self._due, np.full(missing, _NOWHERE)])

    def reset(self, key: Int64) -> None:
        """Forget the tracks of calls."""
        self._envelopes.reset(key)
        self._states.reset(key)
        self._due[key // 2] = _NOWHERE

    def receive(self, rows: Rows, energy: Float32) -> None:
        """Take a block of each of some tracks; `energy` is (n, k) float32, of slices."""
        slice_samples = rows.audio.shape[2]
        start, count = rows.position // slice_samples, energy.shape[1]
        end, ring = self._states.table["end"], self._envelopes.table["ring"]
        is_again = end[rows.key] == start + count  # the other part of a block that leaves in two
        for i in np.flatnonzero(~is_again & (end[rows.key] != start)).tolist():
            _skip(ring[rows.key[i]], int(end[rows.key[i]]), int(start[i]))
        rms = np.sqrt(energy / np.maximum(rows.known, 1))
        places = rows.key[:, None], (start[:, None] + np.arange(count)) % _RING
        ring[places] = np.where(is_again[:, None] & (rows.known == 0), ring[places], rms)
        end[rows.key] = start + count

    def look(self) -> list[Echo]:
        """Compare the windows that are full; return the echoes that are new."""
        end = self._states.table["end"].reshape(-1, 2)
        together = end.min(axis=1)
        calls = np.flatnonzero((together != _NOWHERE) & (together >= self._due))
        if not len(calls):
            return []
        is_young = self._due[calls] == _NOWHERE
        self._due[calls[is_young]] = together[calls[is_young]] + _REACH
        calls = calls[~is_young][:CALLS_AT_ONCE]
        self._due[calls] = together[calls] + _WINDOW
        calls = calls[end[calls].max(axis=1) - together[calls] <= _RING - _REACH]
        found: list[Echo] = []
        for channel in (0, 1):
            found += self._compare(2 * calls + channel, together[calls])
        return found

    def _compare(self, key: Int64, end: Int64) -> list[Echo]:
        """Look for the tracks `key` in the other ones of their calls, up to slice `end`."""
        columns = (end[:, None] + np.arange(-_REACH, 0)) % _RING
        ring = self._envelopes.table["ring"]
        source = ring[key[:, None], columns]
        loud = np.flatnonzero(np.square(source).mean(axis=1) >= MIN_SOURCE_RMS**2)
        if not len(loud):
            return []
        follower = key[loud] ^ 1
        found = match(source[loud], ring[follower[:, None], columns[loud, _LAGS:]])
        return self._judge(follower, found)

    def _judge(self, key: Int64, found: Match) -> list[Echo]:
        state = self._states.table
        is_sign = (found.correlation >= MIN_CORRELATION) & (found.gain <= MAX_GAIN)
        lag = np.rint(found.lag)
        again = is_sign & (state["lag"][key] >= 0) & (np.abs(lag - state["lag"][key]) <= SAME_SLICES)
        state["lag"][key] = np.where(is_sign, lag, -1)
        heard = key[again]
        is_new = state["windows"][heard] == 0
        state["windows"][heard] += 1
        for name in ("lag", "gain", "correlation"):
            state["delay" if name == "lag" else name][heard] += getattr(found, name)[again]
        return [echo for k in heard[is_new].tolist() if (echo := self.of(k)) is not None]

    def of(self, key: int) -> Echo | None:
        """Return the echo in a track, if there is any; from any thread."""
        state = self._states.table[key]
        windows = int(state["windows"])
        if not windows:
            return None
        loss_db = -20 * math.log10(max(float(state["gain"]) / windows, 1e-5))
        delay_ms, correlation = float(state["delay"]) / windows * SLICE_MS, float(state["correlation"]) / windows
        return Echo(key, max(delay_ms, 0.0), loss_db, correlation, windows)


def _skip(ring: Float32, end: int, start: int) -> None:
    """Empty a track's ring from slice `end` to `start`, of which nothing came."""
    if end == _NOWHERE or not 0 <= start - end < _RING:
        ring[:] = 0
    else:
        ring[np.arange(end, start) % _RING] = 0
