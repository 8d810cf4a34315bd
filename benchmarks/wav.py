"""Reading a recording back, by its chunks alone: nothing of the code that wrote it is used."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PCM, A_LAW, MU_LAW = 1, 6, 7
"""WAVE format tags."""


class Audio(NamedTuple):
    """A WAV file.

    Attributes:
        tag: WAVE format tag.
        rate_hz: of the samples.
        frames: (n, channels), int16 for PCM, uint8 code bytes for the others.
    """

    tag: int
    rate_hz: int
    frames: NDArray[np.int16] | NDArray[np.uint8]


def read(path: Path) -> Audio:
    """Return what is in the file.

    Raises:
        ValueError: it is no WAV file, or not all there.
    """
    data = path.read_bytes()
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE" or int.from_bytes(data[4:8], "little") != len(data) - 8:
        raise ValueError("no RIFF header of the file's length")
    chunks, offset = {}, 12
    while offset + 8 <= len(data):
        size = int.from_bytes(data[offset + 4 : offset + 8], "little")
        chunks[data[offset : offset + 4]] = data[offset + 8 : offset + 8 + size]
        offset += 8 + size + size % 2
    if b"fmt " not in chunks or b"data" not in chunks:
        raise ValueError("no fmt or data chunk")
    tag, channels = (int.from_bytes(chunks[b"fmt "][i : i + 2], "little") for i in (0, 2))
    rate_hz = int.from_bytes(chunks[b"fmt "][4:8], "little")
    dtype = "<i2" if tag == PCM else "u1"
    return Audio(tag, rate_hz, np.frombuffer(chunks[b"data"], dtype).reshape(-1, channels))
