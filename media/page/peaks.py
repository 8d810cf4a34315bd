"""The waveform of a recording: for each of so many pieces the largest sample and the mean power, per channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from media.page.levels import half_db

MAX_BUCKETS = 4000
READ_FRAMES = 1 << 18
"""At a time: 2 MB, so that the memory for it does not grow with the recording."""


def peaks_of(file: Path | int, buckets: int) -> dict[str, Any]:
    """Return JSON values: ``sample_rate_hz``, ``length_samples``, ``bucket_samples``, ``channels``.

    A channel is ``{"peak": [...], "rms": [...]}``, half decibels below full scale, as `media.page.levels` has them.

    Args:
        file: one that libsndfile reads, or its descriptor.
        buckets: pieces at the most, 1 to `MAX_BUCKETS`; the last one may be shorter.

    Raises:
        soundfile.LibsndfileError: it does not.
    """
    with soundfile.SoundFile(file, closefd=False) as audio:
        frames, channels = audio.frames, audio.channels
        bucket = max(-(-frames // buckets), 1)
        at_once = max(READ_FRAMES // bucket, 1) * bucket
        peak, power = list[NDArray[Any]](), list[NDArray[Any]]()
        while len(block := _read(audio, at_once, bucket)):
            edges = np.arange(0, len(block), bucket)
            count = np.diff(np.append(edges, len(block)))[:, None]
            peak.append(np.maximum.reduceat(np.abs(block), edges))
            power.append(np.add.reduceat(block * block, edges) / count)
        loud = half_db(np.concatenate([np.empty((0, channels), np.float32), *peak]) * 32768)
        mean = half_db(np.sqrt(np.concatenate([np.empty((0, channels), np.float32), *power])) * 32768)
        told = [{"peak": loud[:, at].tolist(), "rms": mean[:, at].tolist()} for at in range(channels)]
        return {
            "sample_rate_hz": audio.samplerate,
            "length_samples": frames,
            "bucket_samples": bucket,
            "channels": told,
        }


def _read(file: soundfile.SoundFile, frames: int, bucket: int) -> NDArray[np.float32]:
    """Return (n, channels), a whole number of pieces unless the file ends."""
    block: NDArray[np.float32] = file.read(frames, dtype="float32", always_2d=True)
    return block
