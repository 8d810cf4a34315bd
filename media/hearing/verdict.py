"""Is a run of windows that say the same digit a digit? Judged as a whole, at its end; see `media.hearing.dtmf`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.hearing.rows import Bool, Int64

LOW_HZ = (697, 770, 852, 941)
HIGH_HZ = (1209, 1336, 1477, 1633)
FREQUENCIES_HZ = (*LOW_HZ, *HIGH_HZ)
DIGITS = "123A456B789C*0#D"
"""By ``4 * row + column`` of the keypad, section 2 of Q.23."""

MIN_TRUE_SHARE, SHARE_OF_EDGES = 0.9, 0.6
"""Of a run's energy, at its tones' true frequencies; less by the second over the number of its windows, for the first
and the last ones begin or end in a pause. With noise 15 dB below the tones have 0.97."""
MIN_BEST_SHARE = 0.86
"""Of the best window's, likewise."""
MIN_REST_SHARE = (1.0, 0.74, 0.68, 0.7, 0.74)
MIN_REST_BEST_SHARE = (1.0, 0.74, 0.725, 0.785, 0.82)
"""Instead of these, of what is left of a digit that was mostly lost; by the number of windows, up to 4."""
MAX_TRUE_TWIST = 11.5
"""10.6 dB, of a run's. Q.24's administrations accept up to 10 dB."""
MAX_DEVIATION, MAX_REST_DEVIATION = 0.0175, 0.0185
"""Of the frequency, and of that of what is left, which is measured less exactly."""
MIN_COHERENCE, MIN_REST_COHERENCE = 0.92, 0.94
"""Of the phase advances of a run: 1 for a steady tone."""
MAX_HARMONIC, MAX_REST_HARMONIC = 0.06, 0.08
"""Power at twice the frequency of a tone over that of both tones; of less than `MIN_WINDOWS` the second."""
HARMONIC_DISTANCE_HZ, REST_HARMONIC_DISTANCE_HZ = 75.0, 150.0
"""If the higher tone is nearer than that to twice the lower one's frequency, it would be taken for its harmonic."""
MIN_DURATION_MS = 30.0
MIN_WINDOWS = 4
MIN_HEARD_MS = 9.0
"""Of what is left of a digit that was mostly lost."""


class Digit(NamedTuple):
    """A key that was pressed.

    Attributes:
        key: the track, see `media.hearing.rows.Rows.key`.
        digit: one of `DIGITS`.
        position_samples: its beginning, since the call's origin.
        length_samples: of it.
        level_dbm0: of both tones together.
        twist_db: the higher tone over the lower.
        lost_samples: what was lost within it, and in the 30 ms that end with its first window.
    """

    key: int
    digit: str
    position_samples: int
    length_samples: int
    level_dbm0: float
    twist_db: float
    lost_samples: int


RUN = np.dtype(
    [
        ("digit", "i1"),  # index into DIGITS; -1: no run
        ("start", "f8"),  # samples: where its first window begins
        ("end", "f8"),  # where its newest window ends
        ("first_amplitude", "f4"),  # of both tones, of the first window and of the newest, per whole window
        ("last_amplitude", "f4"),
        ("windows", "f4"),  # that said the digit
        ("tone", "f4", (2,)),  # sum of |X|^2, low and high
        ("mean", "f4", (2,)),  # sum of |X|^2 / known^2
        ("turn_re", "f4", (2,)),  # sum of X * conj(X before), less the nominal advance
        ("turn_im", "f4", (2,)),
        ("turn_abs", "f4", (2,)),
        ("energy", "f4"),  # sum of known * energy
        ("best", "f4"),  # the largest share
        ("square_known", "f4"),  # sum of known^2
        ("harmonic", "f4", (2,)),  # sum of |X|^2 at twice the frequency
        ("alone", "?"),  # it was quiet before
        ("calm", "?"),  # it was quiet since the newest
        ("lost", "f4"),  # samples lost within, beside the first window, and since the newest
        ("lost_since", "f4"),
        ("off", "i2"),  # windows since the newest: without the tone, and all that are known
        ("since", "i2"),
    ]
)


def blank_run() -> NDArray[np.void]:
    """Return a row of the table of runs, in which none goes on."""
    blank = np.zeros(1, RUN)
    blank["digit"] = -1
    return blank


POWER_0_DBM0 = np.square(32124 / 10 ** (3.17 / 20)) / 2
"""Mean square of a tone of 0 dBm0 in PCM as mu-law is decoded, whose largest sine is +3.17 dBm0 (G.711, table 2)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What can be said of r runs.

    Attributes:
        off_hz: (r, 2), how far their tones are from those of the digit.
        coherence: (r, 2), of their phases.
        tone: (r, 2), power at the true frequencies, as sums of |X|^2.
        share: (r,), of the energy of all windows.
        best_share: (r,), of the best window's.
        start, length: (r,), samples.
    """

    off_hz: NDArray[np.float64]
    coherence: NDArray[np.float64]
    tone: NDArray[np.float64]
    share: NDArray[np.float64]
    best_share: NDArray[np.float64]
    start: NDArray[np.float64]
    length: NDArray[np.float64]


def weigh(runs: NDArray[np.void], sample_rate_hz: int, slice_samples: int, window_samples: int) -> Evidence:
    """Return what the sums of the runs come to."""
    windows, turn = runs["windows"], np.hypot(runs["turn_re"], runs["turn_im"])
    off_hz = np.arctan2(runs["turn_im"], runs["turn_re"]) * (sample_rate_hz / (2 * np.pi * slice_samples))
    known = np.sqrt(runs["square_known"] / windows)
    kept = np.square(np.sinc(off_hz * known[:, None] / sample_rate_hz))  # of the power, beside the line
    tone = runs["tone"] / np.maximum(kept, 0.2)
    both = tone.sum(axis=1)
    # A window that the tone fills in part has less of an amplitude: so far its edge is from the tone's.
    edges = np.stack([runs["first_amplitude"], runs["last_amplitude"]]) / amplitude_of(runs)
    ahead, behind = window_samples * (1 - np.minimum(edges, 1))
    return Evidence(
        off_hz=off_hz,
        coherence=turn / np.maximum(runs["turn_abs"], 1e-9),
        tone=tone,
        share=2 * both / np.maximum(runs["energy"], 1e-9),
        best_share=runs["best"] * both / np.maximum(runs["tone"].sum(axis=1), 1e-9),
        start=runs["start"] + ahead,
        length=runs["end"] - behind - runs["start"] - ahead,
    )


def amplitude_of(runs: NDArray[np.void]) -> NDArray[np.float64]:
    """Return (r,) the root of the mean of |X|^2 over the squared length of a window."""
    amplitude: NDArray[np.float64] = np.sqrt(runs["mean"].sum(axis=1) / runs["windows"])
    return amplitude


def are_digits(runs: NDArray[np.void], evidence: Evidence, quiet_after: Bool, sample_rate_hz: int) -> Bool:
    """Return (r,) bool; `quiet_after` ((r,) bool) says that nothing else sounds behind the run."""
    digit, windows, tone, length = runs["digit"].astype(np.int64), runs["windows"], evidence.tone, evidence.length
    hz = np.array(FREQUENCIES_HZ)[np.stack([digit // 4, 4 + digit % 4], axis=1)]
    lost = runs["lost"] + runs["lost_since"]
    min_length, min_rest = sample_rate_hz * MIN_DURATION_MS / 1000, sample_rate_hz * MIN_HEARD_MS / 1000
    is_whole = (length >= min_length) & (windows >= MIN_WINDOWS) & (evidence.best_share > MIN_BEST_SHARE)
    is_whole &= evidence.share > MIN_TRUE_SHARE - SHARE_OF_EDGES / windows
    is_rest = runs["alone"] & quiet_after & (lost > 0) & (length + lost >= min_length) & (length >= min_rest)
    few = np.minimum(windows, len(MIN_REST_SHARE) - 1).astype(np.int64)
    is_rest &= evidence.share > np.array(MIN_REST_SHARE)[few]
    is_rest &= evidence.best_share > np.array(MIN_REST_BEST_SHARE)[few]
    good: Bool = is_whole | is_rest
    deviation = np.where(is_whole, MAX_DEVIATION, MAX_REST_DEVIATION)[:, None]
    good &= (abs(evidence.off_hz) < deviation * hz).all(axis=1)
    coherence = np.where(is_whole, MIN_COHERENCE, MIN_REST_COHERENCE)[:, None]
    good &= (evidence.coherence > coherence).all(axis=1)
    good &= (tone[:, 1] < MAX_TRUE_TWIST * tone[:, 0]) & (tone[:, 0] < MAX_TRUE_TWIST * tone[:, 1])
    harmonic = runs["harmonic"].copy()
    is_short = windows < MIN_WINDOWS
    nearest = np.where(is_short, REST_HARMONIC_DISTANCE_HZ, HARMONIC_DISTANCE_HZ)
    harmonic[abs(2 * hz[:, 0] - hz[:, 1]) < nearest, 0] = 0
    most = np.where(is_short, MAX_REST_HARMONIC, MAX_HARMONIC) * tone.sum(axis=1)
    good &= (harmonic < most[:, None]).all(axis=1)
    return good


def digits_of(runs: NDArray[np.void], key: Int64, evidence: Evidence, good: Int64) -> list[Digit]:
    """Return those of the runs that are digits, by their indexes `good`."""
    level = 10 * np.log10(np.maximum(2 * amplitude_of(runs) ** 2, 1) / POWER_0_DBM0)
    twist = 10 * np.log10(np.maximum(evidence.tone[:, 1], 1) / np.maximum(evidence.tone[:, 0], 1))
    return [
        Digit(
            int(key[i]),
            DIGITS[runs["digit"][i]],
            round(float(evidence.start[i])),
            round(float(evidence.length[i])),
            round(float(level[i]), 1),
            round(float(twist[i]), 1),
            round(float(runs["lost"][i])),
        )
        for i in good.tolist()
    ]
