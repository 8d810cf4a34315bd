"""Audio for `benchmarks.hearing`: keys as Q.24 has them at their worst, and hours of what is no key; all seeded.

Everything is int16 at 8 kHz, as it comes out of mu-law. Packets of 20 ms are lost at random, and their places are
silence.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from media.hearing.verdict import DIGITS, HIGH_HZ, LOW_HZ
from strep.g711 import SAMPLE_RATE_HZ, Codec, decode, encode

Pcm = NDArray[np.int16]
Bool = NDArray[np.bool_]

PACKET_SAMPLES = 160
LEVEL_AMPLITUDE = 5600.0
"""Of both tones of a key together, -12 dBm0."""
SPEECH_AMPLITUDE = 12_000.0
LEAST_HEARD_SAMPLES = 120
"""15 ms: a key of which no longer piece arrived says nothing to anybody."""
LEADER_SAMPLES, TRAILER_SAMPLES = 1000, 1400


@dataclass(frozen=True)
class Press:
    """A key as it was made: its place in samples, and the longest piece of it that was not lost."""

    digit: str
    start: int
    length: int
    heard: int


@dataclass(frozen=True)
class Line:
    """Some audio, which samples of it are lost, and which keys are in it."""

    pcm: Pcm
    lost: Bool
    presses: list[Press]


@dataclass(frozen=True)
class Keys:
    """What keys are made of: `deviation` and `twist_db` at worst, either way; `snr_db` None is no noise."""

    on_ms: float = 40.0
    off_ms: float = 40.0
    deviation: float = 0.015
    twist_db: float = 8.0
    snr_db: float | None = 15.0
    level_db: float = 0.0


def key_line(keys: Keys, count: int, random: np.random.Generator, loss: float = 0.0, rate_hz: int = 8000) -> Line:
    """Return `count` keys in a row, every other one as far off as may be, the rest anywhere between."""
    on, off = round(keys.on_ms * rate_hz / 1000), round(keys.off_ms * rate_hz / 1000)
    start = LEADER_SAMPLES * rate_hz // SAMPLE_RATE_HZ + int(random.integers(rate_hz // 50))
    audio = np.zeros(start + count * (on + off) + TRAILER_SAMPLES * rate_hz // SAMPLE_RATE_HZ)
    made = []
    for number in range(count):
        digit = DIGITS[random.integers(16)]
        at = start + number * (on + off)
        audio[at : at + on] += _key(digit, on, keys, random, rate_hz)
        made.append((digit, at))
    if keys.snr_db is not None:
        rms = LEVEL_AMPLITUDE / np.sqrt(2) * 10 ** ((keys.level_db - keys.snr_db) / 20)
        audio += random.normal(0, rms, len(audio))
    pcm = as_mu_law(audio)
    lost = _lose(pcm, loss, random, rate_hz // 50)
    presses = [Press(digit, at, on, _longest(~lost[at : at + on])) for digit, at in made]
    return Line(pcm, lost, presses)


def _key(digit: str, length: int, keys: Keys, random: np.random.Generator, rate_hz: int) -> NDArray[np.float64]:
    code = DIGITS.index(digit)
    is_worst = random.random() < 0.5
    off_low, off_high, twist = random.choice([-1, 1], 3) if is_worst else random.uniform(-1, 1, 3)
    twist_db = twist * keys.twist_db
    ratio = 10 ** (twist_db / 20)
    amplitude = LEVEL_AMPLITUDE * 10 ** (keys.level_db / 20) / np.hypot(1, ratio)
    low_hz = LOW_HZ[code // 4] * (1 + off_low * keys.deviation)
    high_hz = HIGH_HZ[code % 4] * (1 + off_high * keys.deviation)
    seconds = 2 * np.pi * np.arange(length) / rate_hz
    phases = random.uniform(0, 2 * np.pi, 2)
    low, high = np.sin(low_hz * seconds + phases[0]), np.sin(high_hz * seconds + phases[1])
    tones: NDArray[np.float64] = amplitude * (low + ratio * high)
    return tones


def as_mu_law(audio: NDArray[np.float64]) -> Pcm:
    """Return audio as it comes out of mu-law."""
    return decode(encode(np.clip(audio, -32768, 32767).astype(np.int16), Codec.PCMU), Codec.PCMU)


def _lose(pcm: Pcm, loss: float, random: np.random.Generator, packet_samples: int) -> Bool:
    """Silence packets in place; return (samples,) bool."""
    packets = random.random(len(pcm) // packet_samples + 2) < loss
    shift = int(random.integers(packet_samples))
    lost: Bool = np.repeat(packets, packet_samples)[shift : shift + len(pcm)]
    pcm[lost] = 0
    return lost


def _longest(heard: Bool) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], heard, [False]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def lossy(line: Pcm, loss: float, random: np.random.Generator) -> Line:
    """Return audio without keys as it arrives over a network that loses packets."""
    pcm = line.copy()
    return Line(pcm, _lose(pcm, loss, random, PACKET_SAMPLES), [])


# -- what is no key ------------------------------------------------------------------------------------

_LANGUAGES = ("en-us", "en-gb", "de", "fr-fr", "es", "it", "pt", "nl", "pl", "sv", "ru", "tr", "hi")
_VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5", "croak", "whisper")
_WORDS = """
hello yes no please thank you order number address street one two three four five six seven eight nine zero
account balance payment delivery Tuesday morning doctor appointment insurance policy claim reference Michael Sophie
Hamilton Oxford Berlin Valencia hotel booking invoice reminder technician broken window kitchen telephone line busy
manager complaint apology certainly absolutely maybe tomorrow evening quarter half past station platform ticket
refund sixteen eighty hundred thousand spelling alpha bravo charlie november zulu victor whiskey oh really ah mhm
could would should because although between through enough laughing singing calling waiting holding transfer
""".split()  # noqa: SIM905


def speech(seconds: float, random: np.random.Generator) -> Iterator[Pcm]:
    """Yield pieces of speech by espeak-ng in many voices and languages, about `seconds` in all.

    Raises:
        OSError: there is no espeak-ng.
    """
    made = 0
    while made < seconds * SAMPLE_RATE_HZ:
        words = random.choice(_WORDS, 160)
        text = " ".join(word + random.choice(["", "", "", ",", ".", "?"]) for word in words)
        voice = f"{random.choice(_LANGUAGES)}+{random.choice(_VARIANTS)}"
        pitch, speed = random.integers(5, 95), random.integers(110, 240)
        command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "--stdout", text]
        spoken = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
        frames, rate_hz = soundfile.read(io.BytesIO(spoken), dtype="float64")
        audio = soxr.resample(frames, rate_hz, SAMPLE_RATE_HZ)
        pcm = as_mu_law(audio * (SPEECH_AMPLITUDE * random.uniform(0.2, 1.5) / np.abs(audio).max()))
        made += len(pcm)
        yield pcm


_TIMBRES = {  # amplitudes of the harmonics, and how fast they fade, per second
    "flute": ((1, 0.35, 0.15, 0.05), 0.5),
    "organ": ((1, 0.8, 0.5, 0.4, 0.2, 0.2), 0.1),
    "string": (tuple(1 / n for n in range(1, 12)), 0.7),
    "clarinet": ((1, 0.05, 0.6, 0.05, 0.35, 0.03, 0.2), 0.4),
    "piano": ((1, 0.7, 0.45, 0.3, 0.2, 0.12), 4.0),
    "bell": ((1, 0.6, 0.4, 0.25), 2.0),
}


def music(seconds: float, random: np.random.Generator) -> Iterator[Pcm]:
    """Yield pieces of a minute of something like music: chords, a melody above, sometimes drums."""
    for _ in range(max(round(seconds / 60), 1)):
        n = 60 * SAMPLE_RATE_HZ
        audio, beat_s = np.zeros(n), random.uniform(0.12, 0.6)
        tuning = 440 * 2 ** random.uniform(-0.03, 0.03)
        timbres = random.choice(list(_TIMBRES), 2)
        for beat in range(int(60 / beat_s)):
            at = int(beat * beat_s * SAMPLE_RATE_HZ)
            if beat % 4 == 0:
                root = int(random.integers(-24, 6))
                for step in random.choice([[0, 4, 7], [0, 3, 7], [0, 4, 7, 10], [0, 5, 7]][random.integers(4)], 3):
                    _play(audio, at, 4 * beat_s, tuning * 2 ** ((root + int(step)) / 12), timbres[0], 0.6)
            if random.random() < 0.8:
                _play(audio, at, beat_s, tuning * 2 ** (random.integers(-5, 24) / 12), timbres[1], 1.0)
            if random.random() < 0.3:
                length = min(800, n - at)
                audio[at : at + length] += random.normal(0, 1, length) * np.exp(-np.arange(length) / 150)
        yield as_mu_law(audio * (SPEECH_AMPLITUDE * random.uniform(0.3, 1.5) / np.abs(audio).max()))


def _play(audio: NDArray[np.float64], at: int, seconds: float, hz: float, timbre: str, amplitude: float) -> None:
    harmonics, fading = _TIMBRES[timbre]
    t = np.arange(min(int(seconds * SAMPLE_RATE_HZ), len(audio) - at)) / SAMPLE_RATE_HZ
    envelope = np.minimum(t / 0.01, 1) * np.exp(-fading * t) * np.minimum((seconds - t) / 0.02, 1)
    stretch = 1.3 if timbre == "bell" else 1.0
    for number, share in enumerate(harmonics, 1):
        partial = hz * number**stretch
        if partial < 3600:
            vibrato = 0.3 * np.sin(2 * np.pi * 5.5 * t) if timbre in ("string", "flute") else 0.0
            audio[at : at + len(t)] += (
                amplitude * share * envelope * np.sin(2 * np.pi * partial * t + number * vibrato)
            )


_SIGNALS = (
    (350, 440),
    (440, 480),
    (480, 620),
    (425,),
    (400, 450),
    (950,),
    (1400,),
    (1800,),
    (1100,),
    (2100,),
    (1000,),
)
"""Dial, ringback and busy tones, special information, fax, test tone, in Hz."""


def signals(seconds: float, random: np.random.Generator) -> Iterator[Pcm]:
    """Yield pieces of a minute of a telephone network's other tones, on and off."""
    for _ in range(max(round(seconds / 60), 1)):
        audio, at = np.zeros(60 * SAMPLE_RATE_HZ), 0
        while at < len(audio):
            tones, length = _SIGNALS[random.integers(len(_SIGNALS))], int(random.integers(400, 16_000))
            t = np.arange(min(length, len(audio) - at)) / SAMPLE_RATE_HZ
            for hz in tones:
                audio[at : at + len(t)] += 4000 * np.sin(2 * np.pi * hz * (1 + random.uniform(-0.02, 0.02)) * t)
            at += length + int(random.integers(400, 4000))
        yield as_mu_law(audio + random.normal(0, random.uniform(0, 60), len(audio)))
