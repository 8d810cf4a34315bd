"""What is said for `strep bench transcribe`, by whom, and how much of it was understood."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from strep.g711 import SAMPLE_RATE_HZ

Pcm = NDArray[np.int16]

PROGRAM = "flite"
SENTENCES: tuple[str, ...] = (
    "please call me back tomorrow morning",
    "i would like to speak to a manager about my account",
    "the package has not arrived at our office",
    "we will send you the money next week",
    "can you tell me the price of the ticket",
    "my name is robert and i live in boston",
    "there is a problem with the telephone in my room",
    "thank you very much for your help today",
    "the train to washington leaves in ten minutes",
    "i want to change the date of my flight to friday",
)
"""Ten, of words that people say on the telephone; written before they were heard, none was left out."""
DIGITS: tuple[str, ...] = (
    "one two three four five",
    "nine zero zero seven",
    "eight five five one two one two",
    "three one four one five nine two six five",
    "six oh seven four two",
)
PAUSE_S = 1.5


def speak(text: str, voice: str, scratch: Path) -> Pcm:
    """Return (samples,) int16 at the telephone's rate of a text that flite speaks."""
    path = scratch / "said.wav"
    subprocess.run([PROGRAM, "-voice", voice, "-t", text, "-o", str(path)], check=True, timeout=60)
    with wave.open(str(path)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        resampled: Pcm = soxr.resample(pcm, file.getframerate(), SAMPLE_RATE_HZ)
    return resampled


def monologue(texts: Iterable[str], voice: str, scratch: Path) -> Pcm:
    """Return the texts one after another, with pauses before, between and behind."""
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.int16)
    pieces = [pause]
    for text in texts:
        pieces += [speak(text, voice, scratch), pause]
    return np.concatenate(pieces)


def word_errors(said: str, heard: str) -> int:
    """Return how many words have to be put in, left out or exchanged to make one text of the other (Levenshtein)."""
    wanted, got = said.split(), heard.split()
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        above, row = row, [i] + [0] * len(got)
        for j, other in enumerate(got, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other))
    return row[-1]


def word_error_rate(said: str, heard: str) -> float:
    """Return `word_errors` over the words that were said; more than 1 if more is heard than was said."""
    return word_errors(said, heard) / len(said.split())
