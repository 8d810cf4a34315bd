"""What the simulated parties say: any audio file, as two tracks of encoded packets that repeat for ever.

The left channel of a stereo file is the inbound track, the right one the outbound track. A mono file is
the inbound track; the outbound track is silent then, so that it stays clear which track is which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.carrier.coding import Coding
from strep.clock import NS_PER_SECOND
from strep.errors import ConfigurationError
from strep.g711 import SAMPLE_RATE_HZ

CONVERSATION = Path(__file__).with_name("conversation.wav")
"""Twenty seconds of two people, made by `media.carrier.make_conversation`."""


@dataclass(frozen=True, slots=True)
class AudioLoop:
    """Encoded audio cut into payloads, repeated for as long as a call lasts.

    Attributes:
        payloads: (rows, payloads per turn, bytes of the longest) uint8. What a row is, is up to the one who made it:
            a channel of a file, or a party of a call that speaks in tones.
        lengths: (rows, payloads per turn) int64, bytes of each; they differ for Opus only.
    """

    payloads: NDArray[np.uint8]
    lengths: NDArray[np.int64]

    @property
    def width_bytes(self) -> int:
        """Of the longest payload."""
        return int(self.payloads.shape[2])

    def take(self, rows: NDArray[np.int64], blocks: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, bytes of the longest) uint8, payload number `blocks` of each of `rows`."""
        taken: NDArray[np.uint8] = self.payloads[rows, blocks % self.payloads.shape[1]]
        return taken

    def take_lengths(self, rows: NDArray[np.int64], blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (n,) int64, how many bytes of what `take` returns are the payload."""
        taken: NDArray[np.int64] = self.lengths[rows, blocks % self.payloads.shape[1]]
        return taken


def load(path: Path, sample_rate_hz: int = SAMPLE_RATE_HZ) -> NDArray[np.int16]:
    """Return (2, samples) int16, inbound and outbound, from a file of any format and rate.

    Raises:
        ConfigurationError: no such file, not audio, empty, or more than two channels.
    """
    import soundfile
    import soxr

    try:
        frames, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise ConfigurationError(f"audio: cannot read {path}: {error}") from error
    if not 1 <= frames.shape[1] <= 2:
        raise ConfigurationError(f"audio: {path} has {frames.shape[1]} channels; one or two are of use")
    if not len(frames):
        raise ConfigurationError(f"audio: {path} is empty")
    if rate_hz != sample_rate_hz:
        frames = soxr.resample(frames, rate_hz, sample_rate_hz)
    tracks = np.zeros((2, len(frames)), np.int16)
    tracks[: frames.shape[1]] = frames.T
    return tracks


def loop(tracks: NDArray[np.int16], coding: Coding) -> AudioLoop:
    """Encode (rows, samples) int16 and cut it into payloads, the last one filled up with silence."""
    return AudioLoop(*coding.encode(tracks))


def spoken(says: Sequence[tuple[int, Path]], duration_ns: int, sample_rate_hz: int) -> NDArray[np.int16]:
    """Return (2, samples) int16 of a whole call: the first channel of each file, inbound at its time; else silence.

    Raises:
        ConfigurationError: a file cannot be used.
    """
    tracks = np.zeros((2, duration_ns * sample_rate_hz // NS_PER_SECOND), np.int16)
    for time_ns, path in says:
        start = time_ns * sample_rate_hz // NS_PER_SECOND
        words = load(path, sample_rate_hz)[0, : tracks.shape[1] - start]
        tracks[0, start : start + len(words)] = words
    return tracks
