"""Audio for WAV files of all encodings, and what another program hears in them."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from media.sinks.wav import Encoding
from strep.g711 import Codec, decode

ENCODINGS = list(Encoding)


def noise(encoding: Encoding, count: int, seed: int = 0) -> NDArray[Any]:
    raw = np.random.default_rng((seed, count)).integers(0, 256, count * encoding.frame_bytes, dtype=np.uint8)
    return raw.view(encoding.dtype).reshape(count, 2)


def as_pcm(encoding: Encoding, frames: NDArray[Any]) -> NDArray[np.int16]:
    if encoding is Encoding.PCM16:
        return frames.astype(np.int16)
    return decode(frames, Codec.PCMU if encoding is Encoding.PCMU else Codec.PCMA)


def play(path: Path) -> NDArray[np.int16]:
    samples: NDArray[np.int16] = soundfile.read(path, dtype="int16", always_2d=True)[0]
    return samples


class DiskOf:
    """An `os.pwrite` for a disk of so many bytes; what lies within them can be written again."""

    def __init__(self, size_bytes: int, *, at_most: int = 1 << 30) -> None:
        self.size_bytes = size_bytes
        self.at_most = at_most
        self.pwrite = os.pwrite

    def __call__(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        room = min(self.size_bytes - offset, self.at_most)
        if room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.pwrite(fd, memoryview(data).cast("B")[:room], offset)
