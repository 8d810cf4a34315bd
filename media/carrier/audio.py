"""What the simulated parties say: any audio file, as two tracks of encoded packets that repeat for ever.

The left channel of a stereo file is the inbound track, the right one the outbound track. A mono file is
the inbound track; the outbound track is silent then, so that it stays clear which track is which.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from strep.errors import ConfigurationError
from strep.g711 import SAMPLE_RATE_HZ, Codec, encode

CONVERSATION = Path(__file__).with_name("conversation.wav")
"""Twenty seconds of two people, made by `media.carrier.make_conversation`."""


@dataclass(frozen=True, slots=True)
class AudioLoop:
    """Encoded audio cut into payloads, repeated for as long as a call lasts.

    Attributes:
        payloads: (rows, payloads per turn, samples per packet) uint8 code bytes. What a row is, is up to
            the one who made it: a channel of a file, or a party of a call that speaks in tones.
    """

    payloads: NDArray[np.uint8]

    @property
    def samples_per_packet(self) -> int:
        """Samples, and for G.711 bytes, of a payload."""
        return int(self.payloads.shape[2])

    def take(self, rows: NDArray[np.int64], blocks: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, samples per packet) uint8, payload number `blocks` of each of `rows`."""
        taken: NDArray[np.uint8] = self.payloads[rows, blocks % self.payloads.shape[1]]
        return taken


def load(path: Path) -> NDArray[np.int16]:
    """Return (2, samples) int16 at 8 kHz, inbound and outbound, from a file of any format and rate.

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
    if rate_hz != SAMPLE_RATE_HZ:
        frames = soxr.resample(frames, rate_hz, SAMPLE_RATE_HZ)
    tracks = np.zeros((2, len(frames)), np.int16)
    tracks[: frames.shape[1]] = frames.T
    return tracks


def loop(tracks: NDArray[np.int16], codec: Codec, samples_per_packet: int) -> AudioLoop:
    """Encode (rows, samples) int16 and cut it into payloads, the last one filled up with silence."""
    rows, samples = tracks.shape
    count = -(-samples // samples_per_packet)
    encoded = np.full((rows, count * samples_per_packet), codec.silence, np.uint8)
    for row in range(rows):
        encoded[row, :samples] = encode(tracks[row], codec)
    return AudioLoop(encoded.reshape(rows, count, samples_per_packet))
