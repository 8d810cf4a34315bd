"""Audio for `benchmarks.machines`: what is heard when a call is answered, by whom or what; generated and seeded.

Everything is int16 at 8 kHz, as it comes out of mu-law, with the line's noise beneath. Voices are those of espeak-ng
and, where it is installed, flite: they speak more evenly than people do, and nobody interrupts himself.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from benchmarks.hearing_corpus import Pcm, as_mu_law, music
from strep.g711 import SAMPLE_RATE_HZ

Audio = NDArray[np.float64]

FULL_AMPLITUDE = 16_000.0
"""Of the loudest voices' peaks, about -6 dBm0."""
QUIETER_DB = 24.0
"""So much less has the quietest."""
NOISE_RMS = (2.0, 40.0)
"""Of the line, from an idle digital one to -55 dBm0."""
SECONDS = 24
"""Of every call."""

HELLOS = """
Hello?|Hi.|Yes?|Hello, hello?|Good morning.|Hello, this is Sophie.|Smith speaking.|Yes, hello?|Who is this?|
Hey, what's up?
""".replace("\n", "").split("|")
BUSINESS = """
Good morning, Hamilton insurance, Sophie speaking.|Hotel Valencia, how can I help you?|
Thank you for calling Oxford Dental, this is Michael.|Front desk, good evening.
""".replace("\n", "").split("|")
GREETINGS = """
Hi, you have reached Michael. I can't come to the phone right now. Please leave a message after the tone.|
Hello. You've reached the voice mail of Sophie Hamilton. Please leave your name and number, and I will call you back.|
Your call has been forwarded to an automated voice messaging system. The person you are calling is not available.
 At the tone, please record your message. When you have finished recording, you may hang up.|
The subscriber you have called is not reachable at the moment. Please try again later.|
Thank you for calling Oxford Dental. Our office is closed. Our hours are Monday to Friday, nine to five.
 If this is an emergency, press one. Otherwise, leave a message.|
Hey, it's Anna. Leave a message.|
You have reached the Millers. We are not at home. Leave a message after the beep, and have a nice day.|
We're sorry. The number you have dialed is not in service. Please check the number and dial again.
""".replace("\n", "").split("|")  # fmt: skip
VOICES = [
    f"espeak {language}+{variant}"
    for language in ("en-us", "en-gb", "en-gb-scotland", "en-us-nyc")
    for variant in ("m1", "m3", "m7", "f1", "f2", "f4")
]
FLITE_VOICES = ["flite kal", "flite awb", "flite rms", "flite slt"]


@dataclass(frozen=True)
class Answer:
    """A call that was answered.

    Attributes:
        kind: what answers, a name of `KINDS`.
        expected: what a listener should say: human, machine, fax_detected, silence.
        pcm: (n,) int16.
        greeting_end: of a machine: where its last word ends, in samples, or its beep; 0 of the others.
        beeps: whether a beep follows.
    """

    kind: str
    expected: str
    pcm: Pcm
    greeting_end: int = 0
    beeps: bool = False


@cache
def spoken(text: str, voice: str, speed: int) -> Audio:
    """Return (n,) speech with a peak of 1, without the silence before and behind.

    Raises:
        OSError: the engine is not installed.
    """
    engine, name = voice.split(" ")
    if engine == "espeak":
        command = ["espeak-ng", "-v", name, "-s", str(speed), "--stdout", text]
        content = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    else:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            stretch = f"duration_stretch={165 / speed:.2f}"
            command = ["flite", "-voice", name, "--setf", stretch, "-t", text, "-o", file.name]
            subprocess.run(command, check=True, timeout=60)
            content = Path(file.name).read_bytes()
    frames, rate_hz = soundfile.read(io.BytesIO(content), dtype="float64")
    audio: Audio = soxr.resample(frames, rate_hz, SAMPLE_RATE_HZ)
    audio /= np.abs(audio).max()
    loud = np.flatnonzero(np.abs(audio) > 0.02)
    return audio[loud[0] : loud[-1] + 1]


def voices() -> list[str]:
    """Return those that are installed."""
    there = VOICES if shutil.which("espeak-ng") else []
    return there + (3 * FLITE_VOICES if shutil.which("flite") else [])


def answers(count: int, random: np.random.Generator) -> list[Answer]:
    """Return `count` calls of each kind.

    Raises:
        OSError: there is no voice.
    """
    if not voices():
        raise OSError("no voices: apt-get install espeak-ng flite")
    return [make(kind, random) for kind, make in KINDS.items() for _ in range(count)]


# -- what answers --------------------------------------------------------------------------------------


def _pause(seconds: float) -> Audio:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ))


def _tone(hz: float, seconds: float, amplitude: float) -> Audio:
    tone: Audio = amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)
    return tone


def _amplitude(random: np.random.Generator) -> float:
    return float(FULL_AMPLITUDE * 10 ** (-random.uniform(0, QUIETER_DB) / 20))


def _say(text: str, random: np.random.Generator) -> Audio:
    """Say it in a voice, with the pauses that its sentences have; a recorder's voice starts where it starts."""
    voice, speed = str(random.choice(voices())), int(random.integers(140, 200) // 10 * 10)
    pieces: list[Audio] = []
    for sentence in text.strip().split(". "):
        pieces += [spoken(sentence, voice, speed), _pause(random.uniform(0.15, 0.6))]
    return np.concatenate(pieces[:-1])


def _call(pieces: list[Audio], random: np.random.Generator) -> Pcm:
    audio = np.concatenate([*pieces, _pause(SECONDS)])[: SECONDS * SAMPLE_RATE_HZ]
    noise = np.exp(random.uniform(*np.log(NOISE_RMS)))
    return as_mu_law(audio + random.normal(0, noise, len(audio)))


def _person(texts: list[str]) -> Callable[[str, np.random.Generator], Answer]:
    def make(kind: str, random: np.random.Generator) -> Answer:
        amplitude = _amplitude(random)
        hello = amplitude * _say(str(random.choice(texts)), random)
        again = amplitude * _say("Hello?", random)
        pcm = _call([_pause(random.uniform(0.1, 2)), hello, _pause(random.uniform(2, 4)), again], random)
        return Answer(kind, "human", pcm)

    return make


def _machine(*, beeps: bool) -> Callable[[str, np.random.Generator], Answer]:
    def make(kind: str, random: np.random.Generator) -> Answer:
        amplitude = _amplitude(random)
        before = _pause(random.uniform(0.1, 2.5))
        greeting = amplitude * _say(str(random.choice(GREETINGS)), random)
        end = len(before) + len(greeting)
        pieces = [before, greeting]
        if beeps:
            beep = _tone(random.uniform(600, 2000), random.uniform(0.2, 1.0), amplitude * random.uniform(0.2, 0.8))
            pieces += [_pause(random.uniform(0.3, 2.5)), beep]
            end = sum(map(len, pieces))
        return Answer(kind, "machine", _call(pieces, random), end, beeps)

    return make


def _music(kind: str, random: np.random.Generator) -> Answer:
    [piece] = music(60, random)
    start = int(random.integers(20)) * SAMPLE_RATE_HZ
    return Answer(kind, "machine", _call([_pause(random.uniform(0, 1)), piece[start:].astype(float)], random))


def _fax(kind: str, random: np.random.Generator) -> Answer:
    """V.25: 1.8 to 2.5 s of silence, then 2,100 +- 15 Hz for 2.6 to 4 s."""
    hz, seconds = 2100 + random.uniform(-15, 15), random.uniform(2.6, 4)
    level = FULL_AMPLITUDE / 2 * 10 ** (-random.uniform(0, QUIETER_DB) / 20)
    return Answer(kind, "fax_detected", _call([_pause(random.uniform(0.2, 2.5)), _tone(hz, seconds, level)], random))


def _calling_fax(kind: str, random: np.random.Generator) -> Answer:
    """T.30: 1,100 +- 38 Hz, half a second every three."""
    hz, level = 1100 + random.uniform(-38, 38), FULL_AMPLITUDE / 2 * 10 ** (-random.uniform(0, QUIETER_DB) / 20)
    beeps = [piece for _ in range(6) for piece in (_tone(hz, random.uniform(0.43, 0.57), level), _pause(3))]
    return Answer(kind, "fax_detected", _call([_pause(random.uniform(0.2, 2.5)), *beeps], random))


def _silence(kind: str, random: np.random.Generator) -> Answer:
    return Answer(kind, "silence", _call([], random))


KINDS: dict[str, Callable[[str, np.random.Generator], Answer]] = {
    "a person": _person(HELLOS),
    "a person at work": _person(BUSINESS),
    "a machine that beeps": _machine(beeps=True),
    "a machine that does not": _machine(beeps=False),
    "music": _music,
    "a fax": _fax,
    "a calling fax": _calling_fax,
    "silence": _silence,
}
