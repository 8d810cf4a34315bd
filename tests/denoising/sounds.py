"""Seeded sounds for tests, as floats of 16-bit PCM."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.carrier.audio import CONVERSATION, load
from media.denoising.bank import Bank

Audio = NDArray[np.float64]
RATE_HZ = 8000


def hiss(seconds: float, rms: float, rate_hz: int = RATE_HZ, seed: int = 1) -> Audio:
    noise: Audio = np.random.default_rng(seed).normal(0, rms, round(seconds * rate_hz))
    return noise


def talk(seconds: float, channel: int = 0) -> Audio:
    """Return somebody who speaks from the first sample on."""
    pcm: Audio = load(CONVERSATION)[channel].astype(np.float64)
    begin = int(np.flatnonzero(np.abs(pcm) > 1000)[0])
    return pcm[begin : begin + round(seconds * RATE_HZ)]


def tone(seconds: float, *hz: float, amplitude: float = 3000.0, rate_hz: int = RATE_HZ) -> Audio:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    tones: Audio = np.sum([amplitude * np.sin(2 * np.pi * f * t + i) for i, f in enumerate(hz)], axis=0)
    return tones


def as_pcm(audio: Audio) -> NDArray[np.int16]:
    pcm: NDArray[np.int16] = np.rint(audio.clip(-32768, 32767)).astype(np.int16)
    return pcm


def denoised(audio: Audio, rate_hz: int = RATE_HZ, block: int = 0) -> NDArray[np.float32]:
    """Return all of a track through a bank, in place; in pieces of `block` samples, or at once."""
    bank = Bank(rate_hz)
    slot = np.array([bank.claim()])
    pcm = as_pcm(audio)[None]
    step = block or pcm.shape[1]
    made = [bank.receive(slot, pcm[:, start : start + step]) for start in range(0, pcm.shape[1], step)]
    return np.concatenate([*made, bank.flush(slot)], axis=1)[0, bank.hop_samples :]


def level_db(audio: NDArray[Any]) -> float:
    return float(10 * np.log10(np.mean(np.asarray(audio, np.float64) ** 2) + 1e-9))
