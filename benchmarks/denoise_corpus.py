"""Noisy speech for `benchmarks.denoise`: voices that begin with the first sample, and four kinds of noise; seeded.

Everything is at 8 kHz, in float64 of 16-bit PCM. A voice has a pause of half a second at least every four seconds.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.hearing_corpus import speech
from media.carrier.audio import CONVERSATION, load
from strep.g711 import SAMPLE_RATE_HZ

Audio = NDArray[np.float64]

LEVEL = 1500.0
"""Root mean square of a voice while it speaks, -27 dB of full scale."""
_QUIET = 30.0
"""Less is a pause: the noise of mu-law, and silence."""


def voices(seconds: float, random: np.random.Generator) -> dict[str, list[Audio]]:
    """Return voices by their origin; those of espeak-ng only where there is one."""
    both = load(CONVERSATION)[:, : round(seconds * SAMPLE_RATE_HZ)]
    made = {"conversation": [_voice(side, seconds) for side in both]}
    if shutil.which("espeak-ng"):
        pieces = [next(speech(1, random)) for _ in range(6)]
        made["espeak-ng"] = [_voice(piece, seconds) for piece in pieces]
    return made


def _voice(pcm: NDArray[np.int16], seconds: float) -> Audio:
    begin = int(np.flatnonzero(np.abs(pcm.astype(np.int32)) > 1000)[0])
    audio: Audio = np.resize(pcm[begin:].astype(np.float64), round(seconds * SAMPLE_RATE_HZ))
    audio[np.arange(len(audio)) % (4 * SAMPLE_RATE_HZ) >= 3.5 * SAMPLE_RATE_HZ] = 0
    audio *= LEVEL / np.sqrt(np.mean(audio[~pauses(audio)] ** 2))
    return audio


def pauses(voice: Audio, least_ms: int = 200) -> NDArray[np.bool_]:
    """Return where nobody has spoken for a while, nor will: (samples,) bool."""
    width = least_ms * SAMPLE_RATE_HZ // 2000
    loud = np.concatenate([[0], np.cumsum(np.abs(voice) > _QUIET)])
    at = np.arange(len(voice))
    near = loud[np.minimum(at + width, len(voice))] - loud[np.maximum(at - width, 0)]
    is_pause: NDArray[np.bool_] = near == 0
    return is_pause


def noisy(voice: Audio, noise: Audio, snr_db: float) -> tuple[Audio, Audio]:
    """Return voice and noise, together and the noise alone; the ratio is that of the voice while it speaks."""
    rms = LEVEL * 10 ** (-snr_db / 20)
    scaled = noise * rms / np.sqrt(np.mean(noise**2))
    return voice + scaled, scaled


def _white(samples: int, random: np.random.Generator) -> Audio:
    hiss: Audio = random.normal(0, 1, samples)
    return hiss


def _hum(samples: int, random: np.random.Generator) -> Audio:
    """Return mains and its odd harmonics, and some hiss."""
    t = np.arange(samples) / SAMPLE_RATE_HZ
    parts = [(50, 1.0), (100, 0.5), (150, 0.7), (250, 0.3), (350, 0.2), (450, 0.1)]
    hum = np.sum([level * np.sin(2 * np.pi * hz * t + random.uniform(0, 6)) for hz, level in parts], axis=0)
    return np.asarray(hum + random.normal(0, 0.05, samples))


def _street(samples: int, random: np.random.Generator) -> Audio:
    """Return a rumble that comes and goes, as engines do, and some hiss."""
    spectrum = np.fft.rfft(random.normal(0, 1, samples))
    hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    rumble = np.fft.irfft(spectrum / (1 + hz / 150), samples)
    t = np.arange(samples) / SAMPLE_RATE_HZ
    swell = 1 + 0.6 * np.sin(2 * np.pi * 0.3 * t) + 0.3 * np.sin(2 * np.pi * 0.71 * t + 1)
    return np.asarray((rumble / rumble.std() + random.normal(0, 0.2, samples)) * swell)


def _babble(samples: int, random: np.random.Generator) -> Audio:
    """Return twelve people who speak at once."""
    both = load(CONVERSATION).astype(np.float64)
    crowd = np.zeros(samples)
    for number in range(12):
        begin = int(random.integers(both.shape[1]))
        crowd += np.resize(np.roll(both[number % 2], -begin), samples) * random.uniform(0.5, 1)
    return crowd


NOISES: dict[str, Callable[[int, np.random.Generator], Audio]] = {
    "white": _white,
    "hum": _hum,
    "street": _street,
    "babble": _babble,
}
