"""`VoiceActivity`: when somebody speaks, by energy above a noise floor that adapts; all tracks at once.

The floor follows what is quieter at once and what is louder slowly. What is louder and stays as it is - the level of
a tone or of a fan changes little from frame to frame, that of speech always does - is no voice and becomes
the floor. Nor are digits. A gate, cheap enough for every track: it does not tell speech from music.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.hearing.columns import Columns
from media.hearing.rows import CHANNELS, FRAME_MS, FRAME_SLICES, Bool, Float32, Int64, Rows

MIN_POWER = 60.0**2
"""Mean square of 16-bit PCM, -51 dBm0, below which nothing is a voice."""
MIN_FLOOR = 10.0**2
ABOVE_FLOOR = 6.3
"""8 dB."""
FLOOR_RISE = 10 ** (0.3 * FRAME_MS / 1000)
"""3 dB a second."""
FLOOR_FALL = 0.3
"""Of the way down, with every frame."""
LIVELY = 1.8
"""2.5 dB: the loudest of some frames over the quietest, if it is speech."""
ONSET_FRAMES = 3
STEADY_FRAMES = 25
"""Half a second of something steady, after which it is the floor."""
HANGOVER_FRAMES = 15
"""300 ms without a voice end speech: pauses within a sentence are shorter."""
MIN_TALK_OVER_MS = 200


class Voice(NamedTuple):
    """Speech that began or ended.

    Attributes:
        key: the track, see `media.hearing.rows.Rows.key`.
        speaks: it began; else it ended.
        position_samples: where it began or ended, since the call's origin.
        length_samples: of the speech that ended, or of the silence before what began.
    """

    key: int
    speaks: bool
    position_samples: int
    length_samples: int


class TalkOver(NamedTuple):
    """Both sides of a call spoke at once; `key` is of the track that stopped first."""

    key: int
    position_samples: int
    length_samples: int


_STATE = np.dtype(
    [
        ("floor", "f4"),  # mean square; 0 before the first frame
        ("speaks", "?"),
        ("voiced", "i2"),  # frames of a beginning
        ("low", "f4"),  # quietest and loudest of these but the first
        ("high", "f4"),
        ("quiet", "i2"),  # frames since the last voiced one
        (
            "begin",
            "i8",
        ),  # samples: of the speech or the silence that is now, of the beginning that may become speech,
        ("onset", "i8"),
        ("voiced_end", "i8"),  # and the end of the last voiced frame
    ]
)


class VoiceActivity:
    """Voices of the tracks of one sample rate.

    Attributes:
        voiced, known, power: (n, frames), of the rows that were received last: which frames are louder than the
            floor, which were not lost, and their mean square.
    """

    voiced: Bool
    known: Bool
    power: Float32

    def __init__(self, sample_rate_hz: int) -> None:
        self._frame = sample_rate_hz * FRAME_MS // 1000
        self._min_talk_over = sample_rate_hz * MIN_TALK_OVER_MS // 1000
        self._columns = Columns(np.zeros(1, _STATE))

    def reach(self, key: int) -> None:
        """Make room for tracks up to `key`."""
        self._columns.reach(key)

    def begin(self, key: Int64, position: Int64) -> None:
        """Let tracks begin, in silence, at `position` ((n,) int64)."""
        self._columns.reset(key)
        self._columns.table["begin"][key] = position

    def end(self, key: Int64) -> list[Voice | TalkOver]:
        """End the speech of tracks that are over."""
        table = self._columns.table
        speaking = key[table["speaks"][key]]
        return self._ended(speaking, table[speaking])

    def receive(self, rows: Rows, energy: Float32, is_digit: Bool) -> list[Voice | TalkOver]:
        """Return what changed; `energy` and `is_digit` are (n, k), of slices."""
        n, frames = len(rows), energy.shape[1] // FRAME_SLICES
        known = rows.known.reshape(n, frames, FRAME_SLICES).sum(axis=2)
        power = energy.reshape(n, frames, FRAME_SLICES).sum(axis=2) / np.maximum(known, 1)
        in_frames = is_digit.reshape(n, frames, FRAME_SLICES)
        digit: Bool = np.logical_or.reduce(in_frames, axis=2)
        state, found = self._columns.table[rows.key], []
        self.power, self.known, self.voiced = power, known >= self._frame / 2, np.zeros((n, frames), np.bool_)
        for frame in range(frames):
            end = rows.position + (frame + 1) * self._frame
            found += self._step(rows.key, state, frame, digit[:, frame], end)
        self._columns.table[rows.key] = state
        return found

    def _step(
        self, key: Int64, state: NDArray[np.void], frame: int, digit: Bool, end: Int64
    ) -> list[Voice | TalkOver]:
        power, enough, floor = self.power[:, frame], self.known[:, frame], state["floor"]
        fresh = enough & (floor == 0)
        floor[fresh] = np.clip(power[fresh], MIN_FLOOR, MIN_POWER)
        voiced = enough & ~digit & (power > ABOVE_FLOOR * floor) & (power > MIN_POWER)
        self.voiced[:, frame] = voiced
        moved = np.where(power < floor, floor + FLOOR_FALL * (power - floor), np.minimum(floor * FLOOR_RISE, power))
        state["floor"] = np.where(enough & ~digit, np.maximum(moved, MIN_FLOOR), floor)
        count = np.where(voiced, state["voiced"] + 1, np.where(enough, 0, state["voiced"]))
        onset = np.maximum(end - self._frame, state["begin"])  # a track may begin within a frame
        state["onset"] = np.where(count == 1, onset, state["onset"])
        inner = voiced & (count > 1)
        state["low"] = np.where(inner, np.where(count == 2, power, np.minimum(state["low"], power)), state["low"])
        state["high"] = np.where(inner, np.where(count == 2, power, np.maximum(state["high"], power)), state["high"])
        lively = state["high"] > LIVELY * state["low"]
        starts = ~state["speaks"] & inner & (count >= ONSET_FRAMES) & lively
        steady = ~lively & (count >= STEADY_FRAMES)
        state["floor"] = np.where(steady, power, state["floor"])
        state["voiced"] = np.where(steady | (count > 2 * STEADY_FRAMES), 0, count)
        state["quiet"] = np.where(voiced, 0, np.minimum(state["quiet"] + 1, HANGOVER_FRAMES))
        state["voiced_end"] = np.where(voiced & ~steady, end, state["voiced_end"])
        found: list[Voice | TalkOver] = []
        if starts.any():
            found += self._started(key, state, np.flatnonzero(starts))
        stops = state["speaks"] & ((state["quiet"] >= HANGOVER_FRAMES) | steady)
        if stops.any():
            which = np.flatnonzero(stops)
            over = state[which]
            self._columns.table[key] = state
            found += self._ended(key[which], over)
            state[which] = self._columns.table[key[which]]
        return found

    def _started(self, key: Int64, state: NDArray[np.void], which: Int64) -> list[Voice]:
        new = state[which]
        silence = new["onset"] - new["begin"]
        new["speaks"], new["begin"] = True, new["onset"]
        state[which] = new
        columns = key[which].tolist(), new["onset"].tolist(), silence.tolist()
        return [Voice(k, True, position, length) for k, position, length in zip(*columns, strict=True)]

    def _ended(self, key: Int64, over: NDArray[np.void]) -> list[Voice | TalkOver]:
        """Put tracks back into silence; both sides' speech is in the columns."""
        found: list[Voice | TalkOver] = []
        table = self._columns.table
        for k, begin, end in zip(key.tolist(), over["begin"].tolist(), over["voiced_end"].tolist(), strict=True):
            found.append(Voice(k, False, end, end - begin))
            other = table[k + 1 - 2 * (k % CHANNELS)]
            start = max(begin, int(other["begin"]))
            length = min(end, int(other["voiced_end"])) - start  # of the other side no more may have come
            if other["speaks"] and length >= self._min_talk_over:
                found.append(TalkOver(k, start, length))
            table["speaks"][k], table["begin"][k], table["voiced"][k] = False, end, 0
        return found
