"""Recordings as the server leaves them, for tests of what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from media.sinks.wav import Encoding, WavFile
from strep.g711 import Codec, encode


def speech(seconds: float, rate_hz: int = 8000, seed: int = 1) -> NDArray[np.int16]:
    """Return (n, 2) of two who take turns: bursts of coloured noise, peaks at about -10 dBFS."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate_hz)
    noise = np.convolve(rng.normal(size=n + 7), np.hanning(8) / 3, "valid")[:n]
    turn = np.sin(np.arange(n) / rate_hz * np.pi) > 0
    both = np.stack((noise * turn, noise[::-1] * ~turn), axis=1)
    return (both * 3000).clip(-32_000, 32_000).astype(np.int16)


def make_wav(path: Path, pcm: NDArray[np.int16], rate_hz: int = 8000, encoding: Encoding = Encoding.PCM16) -> Path:
    """Write it as the recorder does."""
    wav = WavFile(path, encoding, rate_hz)
    if encoding is Encoding.PCM16:
        wav.write(0, np.ascontiguousarray(pcm))
    else:
        wav.write(0, encode(pcm.ravel(), Codec[encoding.name]).reshape(-1, 2))
    wav.close()
    return path


def read_json(path: Path) -> dict[str, Any]:
    """Return the document at `path`."""
    document: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return document
