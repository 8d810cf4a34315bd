"""Codecs without a memory: the two laws of G.711, and PCM itself."""

from __future__ import annotations

import numpy as np

from media.codecs.encoding import Encoding, whole_samples
from media.talk.contract import Pcm
from strep.errors import UsageError
from strep.g711 import Codec, decode, encode


class PlainCodec:
    """Encoder and decoder in one, for there is nothing to remember: PCMU, PCMA, L16."""

    def __init__(self, encoding: Encoding) -> None:
        self.sample_rate_hz = encoding.sample_rate_hz
        self.frame_samples = encoding.frame_samples
        self._law = Codec[encoding.name] if encoding.name != "L16" else None
        self._type = ">i2" if encoding.big_endian else "<i2"

    def encode(self, pcm: Pcm) -> bytes:
        """See `FrameEncoder.encode`."""
        check_frames(pcm, self.frame_samples)
        return (encode(pcm, self._law) if self._law is not None else pcm.astype(self._type)).tobytes()

    def decode(self, payload: bytes | memoryview) -> Pcm:
        """See `FrameDecoder.decode`."""
        if self._law is not None:
            return decode(np.frombuffer(payload, np.uint8), self._law)
        return np.frombuffer(payload, self._type, whole_samples(payload)).astype(np.int16)

    def silence(self) -> bytes:
        """See `FrameEncoder.silence`."""
        if self._law is not None:
            return bytes([self._law.silence]) * self.frame_samples
        return bytes(2 * self.frame_samples)

    def conceal(self, samples: int) -> Pcm:
        """See `FrameDecoder.conceal`: silence."""
        return np.zeros(samples, np.int16)

    def reset(self) -> None:
        """There is nothing to forget."""


def check_frames(pcm: Pcm, frame_samples: int, *, most: int | None = None) -> None:
    """See that an encoder gets whole frames.

    Raises:
        UsageError: it does not.
    """
    frames, rest = divmod(len(pcm), frame_samples)
    if rest or not frames or (most is not None and frames > most):
        wanted = "one frame" if most == 1 else "whole frames"
        raise UsageError(f"an encoder takes {wanted} of {frame_samples} samples, not {len(pcm)} samples")
