"""`ToneRuns`: single steady tones - of fax machines, of answering machines - in all tracks at once.

A tone needs no table of frequencies. Let c be the cosine of its angle per sample: then a sample's neighbours add up
to s[n] = x[n-1] + x[n+1] = 2 c x[n], whatever its phase. So the mean of c over a frame's spectrum is sum(s x) /
2 sum(x x), that of c^2 is sum(s s) / 4 sum(x x), and their variance says how little lies elsewhere: 0 for a single
tone, 0.5 for white noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.hearing.columns import Columns
from media.hearing.rows import FRAME_MS, FRAME_SLICES, Bool, Float32, Int64, Rows

MIN_POWER = 150.0**2
"""Mean square of 16-bit PCM, -43 dBm0; T.30 has -43 dBm at least."""
MAX_SPREAD = 0.006
"""Variance of c: white noise 22 dB below the tone. Two tones of a digit have more, 941 and 1,209 Hz the least."""
MAX_BEAT = 1.8
"""2.6 dB, of the energies of a frame's slices: two tones that are near beat."""
MAX_CHANGE = 0.04
"""Of c from frame to frame: 40 Hz at 1,100 Hz."""
MAX_STEP = 2.0
"""3 dB, of the power from frame to frame."""
MIN_FRAMES = 5
"""100 ms: shorter ones are reported by nobody."""
MISSES = 1
"""Frames that may be something else: phase reversals of ANSam (V.8), a lost packet's edges."""

CNG_HZ, CED_HZ = (1100, 38), (2100, 15)
"""ITU-T T.30, 4.1 and 4.2: frequency and tolerance."""
CNG_MS = (425, 575)
"""0.5 s +- 15 %, every three seconds."""
CED_MS = (1500, 6000)
"""2.6 to 4.0 s; ANSam of V.8 up to 5 s. What is lost of it may be more."""
MEASURED_HZ = 3
"""To which frequencies are known in noise; durations are to the frames at both ends."""
BEEP_HZ = (500, 2600)
"""Below are dial, ringback and busy tones (350 to 480 Hz)."""
BEEP_MS = (120, 1500)


class Tone(NamedTuple):
    """A single steady tone that ended.

    Attributes:
        key: the track, see `media.hearing.rows.Rows.key`.
        kind: "cng" or "ced" (fax, calling and answering), "beep" if it may be an answering machine's.
        position_samples, length_samples: where it was, since the call's origin, to 20 ms.
        frequency_hz: of it.
    """

    key: int
    kind: str
    position_samples: int
    length_samples: int
    frequency_hz: float


_RUN = np.dtype(
    [
        ("frames", "i4"),  # of the tone; 0: there is none
        ("misses", "i4"),
        ("start", "i8"),  # samples
        ("end", "i8"),
        ("cosine", "f4"),  # of the newest frame
        ("power", "f4"),
        ("sums", "f8", (3,)),  # over the tone: of x x, s x and s s
    ]
)


class ToneRuns:
    """Tones of the tracks of one sample rate."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._frame = sample_rate_hz * FRAME_MS // 1000
        self._columns = Columns(np.zeros(1, _RUN))

    def reach(self, key: int) -> None:
        """Make room for tracks up to `key`."""
        self._columns.reach(key)

    def end(self, key: Int64) -> list[Tone]:
        """End what goes on in tracks that are interrupted or over, and forget it."""
        found = self._over(key, self._columns.table[key])
        self._columns.reset(key)
        return found

    def going_on(self, key: int) -> Tone | None:
        """Return the tone of a track that has not ended, of no kind yet; None if there is none of `MIN_FRAMES`."""
        run = self._columns.table[key : key + 1]
        if not len(run) or run["frames"][0] < MIN_FRAMES:
            return None
        length = int(run["end"][0] - run["start"][0])
        return Tone(key, "", int(run["start"][0]), length, round(float(self._frequency_hz(run)[0]), 1))

    def receive(self, rows: Rows, energy: Float32) -> list[Tone]:
        """Return the tones that ended; `energy` is (n, k), of slices."""
        n, frames = len(rows), energy.shape[1] // FRAME_SLICES
        r0 = energy.reshape(n, frames, FRAME_SLICES).sum(axis=2)
        loud = r0 > MIN_POWER * self._frame
        chosen = np.flatnonzero(loud.any(axis=1) | (self._columns.table["frames"][rows.key] > 0))
        if not len(chosen):
            return []
        key, run = rows.key[chosen], self._columns.table[rows.key[chosen]]
        x = rows.audio[chosen].reshape(len(chosen), frames, self._frame)
        around = x[:, :, :-2] + x[:, :, 2:]
        x = x[:, :, 1:-1]
        sums = [np.einsum("nfs,nfs->nf", left, right) for left, right in ((x, x), (around, x), (around, around))]
        known = rows.known[chosen].reshape(len(chosen), frames, FRAME_SLICES).sum(axis=2)
        xx = np.maximum(sums[0], 1)
        cosine = sums[1] / (2 * xx)
        is_tone = loud[chosen] & (sums[2] / (4 * xx) - np.square(cosine) < MAX_SPREAD)
        power = r0[chosen] / np.maximum(known, 1)
        slices = energy[chosen].reshape(len(chosen), frames, FRAME_SLICES)
        is_tone &= slices.max(axis=2) < MAX_BEAT * slices.min(axis=2)
        found: list[Tone] = []
        for frame in range(frames):
            end = rows.position[chosen] + (frame + 1) * self._frame
            at = [column[:, frame] for column in (power, cosine, *sums)]
            whole = known[:, frame] == self._frame
            found += self._step(key, run, is_tone[:, frame] & whole, whole, at, end)
        self._columns.table[key] = run
        return found

    def _step(
        self, key: Int64, run: NDArray[np.void], is_tone: Bool, whole: Bool, at: list[Float32], end: Int64
    ) -> list[Tone]:
        power, cosine, *sums = at
        going = run["frames"] > 0
        same = is_tone & going & (abs(cosine - run["cosine"]) < MAX_CHANGE)
        same &= (power < MAX_STEP * run["power"]) & (run["power"] < MAX_STEP * power)
        run["misses"] += going & ~same & whole
        over = np.flatnonzero(going & ~same & ((run["misses"] > MISSES) | (end - run["end"] > 10 * self._frame)))
        found = self._over(key[over], run[over]) if len(over) else []
        run["frames"][over] = 0
        begins = is_tone & (run["frames"] == 0)
        run["start"] = np.where(begins, end - self._frame, run["start"])
        run["sums"][begins] = 0
        counts = begins | same
        for name, value in (("end", end), ("cosine", cosine), ("power", power), ("misses", 0)):
            run[name] = np.where(counts, value, run[name])
        run["frames"] += counts
        run["sums"] += np.where(counts[:, None], np.stack(sums, axis=1), 0)
        return found

    def _over(self, key: Int64, run: NDArray[np.void]) -> list[Tone]:
        """Return what those of the runs are that are something."""
        long_enough = run["frames"] >= MIN_FRAMES
        key, run = key[long_enough], run[long_enough]
        hz = self._frequency_hz(run)
        length = run["end"] - run["start"]
        columns = key.tolist(), run["start"].tolist(), length.tolist(), hz.tolist()
        found = []
        for k, start, samples, frequency_hz in zip(*columns, strict=True):
            kind = kind_of(frequency_hz, samples * 1000 / self._rate_hz)
            if kind:
                found.append(Tone(k, kind, start, samples, round(frequency_hz, 1)))
        return found

    def _frequency_hz(self, run: NDArray[np.void]) -> NDArray[np.float64]:
        xx, sx, ss = run["sums"].T
        # White noise of power v makes these S + v, 2 c S and 4 c^2 S + 2 v: solved for the tone's own power S.
        tone = (2 * xx - ss + np.sqrt((2 * xx - ss) ** 2 + 8 * sx**2)) / 4
        hz: NDArray[np.float64] = np.arccos(np.clip(sx / np.maximum(2 * tone, 1), -1, 1)) * (
            self._rate_hz / (2 * np.pi)
        )
        return hz


def kind_of(frequency_hz: float, duration_ms: float) -> str:
    """Return what a tone is, as in `Tone`; "" if it is nothing."""
    for kind, (hz, tolerance_hz), span_ms in (("cng", CNG_HZ, CNG_MS), ("ced", CED_HZ, CED_MS)):
        if abs(frequency_hz - hz) <= tolerance_hz + MEASURED_HZ and _within(duration_ms, span_ms, 2 * FRAME_MS):
            return kind
    return "beep" if _within(frequency_hz, BEEP_HZ) and _within(duration_ms, BEEP_MS, 2 * FRAME_MS) else ""


def _within(value: float, span: tuple[int, int], slack: float = 0) -> bool:
    return span[0] - slack <= value <= span[1] + slack
