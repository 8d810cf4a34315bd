"""`Bank`: tracks of one sample rate, each in a slot of its own, through noise suppression. Sans-I/O.

A frame is 40 ms, and there is one every 20 ms (`hop_samples`). The root of a Hann window is put on twice, so that
frames with gains of 1 add up to what came in, and frames with different gains fade over into each other. No gain is
above 1, so no energy is added.

What comes out lies `hop_samples` behind what came in, and what is no whole hop yet behind that; `flush` brings all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.denoising.gains import Float32, Gains, Int64
from media.hearing.columns import Columns

HOP_MS = 20
LEAST_RATE_HZ = 8000
_PARTS = 4
"""Of a hop: one that is silent is noticed."""
_FRAMES_AT_ONCE = 256
"""So that what is worked on stays in the cache of the processor, and needs no new pages of memory."""

Samples = NDArray[np.int16] | Float32


class Bank:
    """Filters.

    Attributes:
        sample_rate_hz: of all of them.
        hop_samples: the delay, and the grid.
        used: slots that are claimed.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        """Prepare for tracks of one rate.

        Raises:
            ValueError: less than 8 kHz.
        """
        if sample_rate_hz < LEAST_RATE_HZ:
            raise ValueError(f"noise is suppressed from {LEAST_RATE_HZ} Hz on, not at {sample_rate_hz}")
        self.sample_rate_hz = sample_rate_hz
        self.hop_samples = hop = sample_rate_hz * HOP_MS // 1000 // _PARTS * _PARTS
        self._gains = Gains(hop + 1, sample_rate_hz / (2 * hop), sample_rate_hz // hop)
        self._window = np.sin(np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop)).astype(np.float32)
        blank = np.zeros(
            1,
            [
                ("held", "f4", (2 * hop - 1,)),  # the hop before, and what is no whole one yet
                ("rest", "i4"),  # samples of the latter
                ("tail", "f4", (hop,)),  # second half of the last frame
            ],
        )
        self._columns = Columns(blank)
        self.used = self._size = 0
        self._free: list[int] = []

    def claim(self) -> int:
        """Return a slot for a track, of which nothing was heard."""
        self.used += 1
        if self._free:
            return self._free.pop()
        self._columns.reach(self._size)
        self._gains.reach(self._size)
        self._size += 1
        return self._size - 1

    def release(self, slot: int) -> None:
        """Forget a track."""
        self.used -= 1
        self.reset(np.array([slot]))
        self._free.append(slot)

    def reset(self, slot: Int64) -> None:
        """Let tracks begin anew, as if nothing had been heard of them."""
        self._columns.reset(slot)
        self._gains.reset(slot)

    def rest_samples(self, slot: Int64) -> Int64:
        """Return how much of each track is no whole hop yet, (n,) int64."""
        rest: Int64 = self._columns.table["rest"][slot].astype(np.int64)
        return rest

    def receive(self, slot: Int64, audio: Samples, *, dry: bool = False) -> Float32:
        """Take what follows of tracks that have the same `rest_samples`; return what is ready.

        Args:
            slot: (n,) distinct tracks.
            audio: (n, w) 16-bit PCM, as int16 or float32.
            dry: leave it as it is; what was filtered before fades over into it.

        Returns:
            (n, k * hop_samples) float32, of which the first lies a hop and the rest before the first of `audio`.
        """
        if not len(slot):
            return np.empty((0, 0), np.float32)
        hop, rest = self.hop_samples, int(self._columns.table["rest"][slot[0]])
        frames = (rest + audio.shape[1]) // hop
        out = np.empty((len(slot), frames * hop), np.float32)
        step = max(_FRAMES_AT_ONCE // max(frames, 1), 1)
        for start in range(0, len(slot), step):
            part = slice(start, start + step)
            self._filter(slot[part], audio[part], rest, out[part], dry=dry)
        return out

    def flush(self, slot: Int64, *, dry: bool = False) -> Float32:
        """Return what is held of tracks that have the same `rest_samples`; they go on with nothing before.

        Args:
            slot: (n,) distinct tracks.
            dry: see `receive`.

        Returns:
            (n, hop_samples + rest) float32, behind what was returned before.
        """
        if not len(slot):
            return np.empty((0, 0), np.float32)
        held = self.hop_samples + int(self._columns.table["rest"][slot[0]])
        silence = np.zeros((len(slot), 2 * self.hop_samples), np.float32)
        out = self.receive(slot, silence, dry=dry)
        self._columns.reset(slot)
        return out[:, :held]

    def _filter(self, slot: Int64, audio: Samples, rest: int, out: Float32, *, dry: bool) -> None:
        table, hop, n = self._columns.table, self.hop_samples, len(slot)
        held = hop + rest
        joined = np.empty((n, held + audio.shape[1]), np.float32)
        joined[:, :held] = table["held"][slot, :held]
        joined[:, held:] = audio
        k = out.shape[1] // hop
        keep = joined[:, k * hop :]
        if k:
            halves = joined[:, : (k + 1) * hop].reshape(n, k + 1, hop)
            whole = np.concatenate([halves[:, :-1], halves[:, 1:]], axis=2)
            whole *= self._window
            spectra = np.fft.rfft(whole, axis=2)
            power = (spectra.real**2 + spectra.imag**2).astype(np.float32, copy=False)
            parts = halves.reshape(n, k + 1, _PARTS, -1)
            energy: Float32 = np.einsum("nkph,nkph->nkp", parts, parts).min(axis=2)
            quiet = energy * np.float32(_PARTS / hop)
            gains = self._gains.receive(slot, power, np.minimum(quiet[:, :-1], quiet[:, 1:]))
            if not dry:
                spectra *= gains
            made = np.fft.irfft(spectra, 2 * hop, axis=2)
            made *= self._window
            sums = out.reshape(n, k, hop)
            sums[:] = made[:, :, :hop]
            sums[:, 0] += table["tail"][slot]
            sums[:, 1:] += made[:, :-1, hop:]
            table["tail"][slot] = made[:, -1, hop:]
        table["rest"][slot] = keep.shape[1] - hop
        table["held"][slot, : keep.shape[1]] = keep
