"""`WordRuns`: stretches of voice between short silences - nearly words - of the tracks that somebody attends to.

`media.hearing.voice` bridges the pauses within a sentence, for it is asked who speaks. Who tells a machine from a
person asks how they speak, and needs the pauses: 50 ms, of a closed mouth, are one already. Frames that were lost are
neither voice nor silence. What is voiced and steady - a tone, a hum - is no word, however long; and what is nearly as
loud as the word before it, though the floor has risen to it - music - is no silence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.hearing.columns import Columns
from media.hearing.rows import FRAME_MS, Bool, Float32, Int64, Rows
from media.hearing.voice import LIVELY

LOUD = 0.25
"""-6 dB below the word: no silence. A voice stands out by 8 dB at least (`media.hearing.voice.ABOVE_FLOOR`)."""

MIN_WORD_MS = 4 * FRAME_MS
"""No word is known before its fourth voiced frame: then two frames within it tell whether it is steady."""


class Word(NamedTuple):
    """A word that began or ended.

    Attributes:
        key: the track, see `media.hearing.rows.Rows.key`.
        begins: it began; else it ended.
        position_samples: where it began or ended, since the call's origin.
        known_samples: how far the track was heard when that was known.
    """

    key: int
    begins: bool
    position_samples: int
    known_samples: int


_STATE = np.dtype(
    [
        ("is_attended", "?"),
        ("min_frames", "i2"),  # of a word
        ("gap_frames", "i2"),  # of a silence that ends one
        ("min_power", "f4"),  # mean square of 16-bit PCM, below which nothing is a voice
        ("speaks", "?"),
        ("voiced", "i4"),  # frames of the run, short silences left out
        ("quiet", "i2"),  # silent frames since the last other one
        ("power", "f4"),  # of the voiced frame before: it is an inner one when another follows
        ("sum", "f4"),  # of the powers of the voiced frames
        ("low", "f4"),  # quietest and loudest of the inner frames
        ("high", "f4"),
        ("onset", "i8"),  # samples: of the run, and the end of its last frame that is no silence
        ("sound_end", "i8"),
    ]
)


class WordRuns:
    """Words of the tracks of one sample rate."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._frame = sample_rate_hz * FRAME_MS // 1000
        self._columns = Columns(np.zeros(1, _STATE))

    def reach(self, key: int) -> None:
        """Make room for tracks up to `key`."""
        self._columns.reach(key)

    def attend(self, key: int, min_word_ms: int, gap_ms: int, min_level: float) -> None:
        """Listen to a track from now on; `min_level`, root mean square of 16-bit PCM, is the least of a voice."""
        self.reach(key)
        self.neglect(key)
        row = self._columns.table[key : key + 1]
        row["is_attended"], row["min_power"] = True, min_level**2
        row["min_frames"], row["gap_frames"] = max(-(-min_word_ms // FRAME_MS), 1), max(-(-gap_ms // FRAME_MS), 1)

    def neglect(self, key: int) -> None:
        """Listen to a track no more."""
        self.reach(key)
        self._columns.reset(slice(key, key + 1))

    def end(self, key: Int64) -> list[Word]:
        """End the words of tracks that are over or interrupted; they are attended to all the same."""
        table = self._columns.table
        speaking = key[table["speaks"][key]]
        ends = table["sound_end"][speaking].tolist()
        table["speaks"][key], table["voiced"][key], table["quiet"][key] = False, 0, 0
        return [Word(k, False, end, end) for k, end in zip(speaking.tolist(), ends, strict=True)]

    def receive(self, rows: Rows, voiced: Bool, known: Bool, power: Float32) -> list[Word]:
        """Return what began or ended; all are (n, frames), as `media.hearing.voice.VoiceActivity` has them."""
        chosen = np.flatnonzero(self._columns.table["is_attended"][rows.key])
        if not len(chosen):
            return []
        key, state = rows.key[chosen], self._columns.table[rows.key[chosen]]
        found: list[Word] = []
        for frame in range(voiced.shape[1]):
            end = rows.position[chosen] + (frame + 1) * self._frame
            at = power[chosen, frame]
            found += self._step(
                key, state, voiced[chosen, frame] & (at > state["min_power"]), known[chosen, frame], at, end
            )
        self._columns.table[key] = state
        return found

    def _step(
        self, key: Int64, state: NDArray[np.void], voiced: Bool, known: Bool, power: Float32, end: Int64
    ) -> list[Word]:
        begins = voiced & (state["voiced"] == 0)
        inner = voiced & (state["voiced"] > 1) & (state["quiet"] == 0)
        is_first = inner & (state["high"] == 0)
        before = state["power"]
        state["low"] = np.where(is_first, before, np.where(inner, np.minimum(state["low"], before), state["low"]))
        state["high"] = np.where(inner, np.maximum(state["high"], before), state["high"])
        state["high"][begins] = 0
        state["onset"] = np.where(begins, end - self._frame, state["onset"])
        state["voiced"] += voiced
        state["power"] = np.where(voiced, power, state["power"])
        state["sum"] = np.where(begins, 0, state["sum"]) + voiced * power
        silent = known & (power * np.maximum(state["voiced"], 1) < LOUD * state["sum"])
        sounds = voiced | ((state["voiced"] > 0) & known & ~silent)
        state["sound_end"] = np.where(sounds, end, state["sound_end"])
        state["quiet"] = np.where(sounds, 0, state["quiet"] + silent)
        lively = state["high"] > LIVELY * state["low"]
        starts = ~state["speaks"] & voiced & lively & (state["voiced"] >= state["min_frames"])
        state["speaks"] |= starts
        over = (state["voiced"] > 0) & (state["quiet"] >= state["gap_frames"])
        stops = over & state["speaks"]
        found = [
            Word(k, True, *places)
            for k, *places in zip(
                key[starts].tolist(), state["onset"][starts].tolist(), end[starts].tolist(), strict=True
            )
        ]
        found += [
            Word(k, False, *places)
            for k, *places in zip(
                key[stops].tolist(), state["sound_end"][stops].tolist(), end[stops].tolist(), strict=True
            )
        ]
        state["speaks"] &= ~over
        state["voiced"][over] = 0
        return found
