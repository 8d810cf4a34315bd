"""A chord for every party of every call, so that a crossed stream is heard by ear and found by a test.

A party is numbered ``4 * call + 2 * leg + direction``. That number is written as four digits to the base
13, followed by a check digit (their sum weighted 1, 2, 3, 4 modulo 13, so that one wrong digit or two
exchanged neighbours never give another party). Every digit is one of 13 tones of a band of its own: five
tones at once, all on a grid of 40 Hz and none near a DTMF frequency of the high group, so no chord can be
taken for a key. Quiet noise, seeded per party, makes every 20 ms of the 3.3 s loop unlike the others: with
pure tones a recording shifted by a whole period would look right.

`identify` adds up the *power* of short windows. Lost packets, silence and shifts between windows take
power away or smear it a little, but do not make another tone of the same band the strongest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.carrier.audio import AudioLoop, loop
from media.carrier.coding import Coding
from media.carrier.seeds import Purpose, random_stream
from strep.errors import ConfigurationError
from strep.g711 import SAMPLE_RATE_HZ
from strep.header import Direction, Leg

LOOP_SAMPLES = 26_400
"""3.3 s: a whole number of payloads of 10, 20, 30 and 60 ms and of the tones' common period."""
WINDOW_SAMPLES = 800
"""100 ms: 40 Hz are four of its spectral lines, and a Hann window blurs a tone over three."""

_BASE = 13
_WEIGHTS = np.array([1, 2, 3, 4])
_DIGITS = len(_WEIGHTS)
_TONES_HZ = np.concatenate([np.arange(300, 1141, 40), np.arange(1720, 3401, 40)])[: _BASE * (_DIGITS + 1)]
_BANDS_HZ = _TONES_HZ.reshape(_DIGITS + 1, _BASE)
_AMPLITUDE = 3_000
_NOISE = 150
_MIN_POWER = (_AMPLITUDE / 50) ** 2
_MIN_CONTRAST = 4.0
"""The strongest tone of a band has at least this many times the power of the second: 6 dB."""
MAX_CALLS = _BASE**_DIGITS // 4


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """One direction of one leg of one simulated call."""

    call: int
    leg: Leg
    direction: Direction

    @property
    def number(self) -> int:
        """What the chord spells."""
        return 4 * self.call + 2 * self.leg + self.direction


def frequencies_hz(party: Party) -> NDArray[np.int64]:
    """Return the (5,) int64 frequencies of `party`'s chord.

    Raises:
        ConfigurationError: more calls than there are chords.
    """
    if not 0 <= party.call < MAX_CALLS:
        raise ConfigurationError(f"tones: call {party.call}; there are chords for {MAX_CALLS} calls")
    digits = party.number // _BASE ** np.arange(_DIGITS) % _BASE
    check = digits @ _WEIGHTS % _BASE
    chosen: NDArray[np.int64] = _BANDS_HZ[np.arange(_DIGITS + 1), np.append(digits, check)]
    return chosen


def chord(party: Party, seed: int = 0) -> NDArray[np.int16]:
    """Return one turn of `party`'s chord, (LOOP_SAMPLES,) int16; it follows itself without a click."""
    random = random_stream(seed, Purpose.TONE, party.call, party.leg, party.direction)
    seconds = np.arange(LOOP_SAMPLES) / SAMPLE_RATE_HZ
    phases = 2 * np.pi * random.random(_DIGITS + 1)
    angles = 2 * np.pi * frequencies_hz(party)[:, None] * seconds[:400] + phases[:, None]
    period = np.sin(angles).sum(axis=0) * _AMPLITUDE  # 50 ms: every tone is a multiple of 20 Hz
    turn = random.normal(0, _NOISE, LOOP_SAMPLES)
    turn.reshape(-1, 400)[:] += period
    return turn.astype(np.int16)


def tone_loop(parties: list[Party], coding: Coding, seed: int = 0) -> AudioLoop:
    """Return the chords of `parties`, a row each."""
    rate_hz = coding.encoding.sample_rate_hz
    pcm = np.empty((len(parties), LOOP_SAMPLES * rate_hz // SAMPLE_RATE_HZ), np.int16)
    for row, party in enumerate(parties):
        turn = chord(party, seed)
        if rate_hz != SAMPLE_RATE_HZ:
            import soxr

            turn = soxr.resample(turn, SAMPLE_RATE_HZ, rate_hz)[: pcm.shape[1]]
        pcm[row] = turn
    return loop(pcm, coding)


def identify(pcm: NDArray[np.int16]) -> Party | None:
    """Return whose chord `pcm` ((samples,) int16 at 8 kHz, 100 ms or more) is; None if it is not clearly one.

    None is the answer to silence, to noise, to speech and to two chords on top of each other.
    """
    windows = len(pcm) // WINDOW_SAMPLES
    frames = pcm[: windows * WINDOW_SAMPLES].reshape(windows, WINDOW_SAMPLES) * np.hanning(WINDOW_SAMPLES)
    spectrum = np.abs(np.fft.rfft(frames, axis=1)[:, _BANDS_HZ * WINDOW_SAMPLES // SAMPLE_RATE_HZ])
    # A full tone's line is a quarter of the window times its amplitude (Hann halves it, and so does rfft).
    power = ((spectrum * 4 / WINDOW_SAMPLES) ** 2).sum(axis=0) / max(windows, 1)
    digits = power.argmax(axis=1)
    second, strongest = np.sort(power, axis=1)[:, -2:].T
    if (strongest < np.maximum(_MIN_POWER, _MIN_CONTRAST * second)).any():
        return None
    if digits[:_DIGITS] @ _WEIGHTS % _BASE != digits[_DIGITS]:
        return None
    number = int(digits[:_DIGITS] @ _BASE ** np.arange(_DIGITS))
    return Party(number // 4, Leg(number // 2 % 2), Direction(number % 2))
