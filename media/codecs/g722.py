"""G.722 at 64 kbit/s (ITU-T G.722 mode 1; RFC 3551 section 4.5.2): an octet is two samples at 16 kHz."""

from __future__ import annotations

import numpy as np

from media.codecs.encoding import Encoding
from media.codecs.plain import check_frames
from media.codecs.pyav import av, context, frame_of, pcm_of
from media.talk.contract import Pcm

_PURPOSE = "the codec G722"


class G722Encoder:
    """See `FrameEncoder`. The codec is adaptive, so silence goes through it like everything else."""

    def __init__(self, encoding: Encoding) -> None:
        self.sample_rate_hz = encoding.sample_rate_hz
        self.frame_samples = encoding.frame_samples
        self.reset()

    def encode(self, pcm: Pcm) -> bytes:
        """See `FrameEncoder.encode`."""
        check_frames(pcm, self.frame_samples)
        packets = [
            packet
            for begin in range(0, len(pcm), self.frame_samples)
            for packet in self._context.encode(frame_of(pcm[begin : begin + self.frame_samples], self.sample_rate_hz))
        ]
        return b"".join(bytes(packet) for packet in packets)

    def silence(self) -> bytes:
        """See `FrameEncoder.silence`."""
        return self.encode(np.zeros(self.frame_samples, np.int16))

    def reset(self) -> None:
        """See `FrameEncoder.reset`."""
        self._context = context("g722", "w", self.sample_rate_hz, _PURPOSE)


class G722Decoder:
    """See `FrameDecoder`. It has no concealment of its own: a gap is silence, and its memory stays as it was."""

    def __init__(self, encoding: Encoding) -> None:
        self.sample_rate_hz = encoding.sample_rate_hz
        self._packet = av(_PURPOSE).Packet
        self.reset()

    def decode(self, payload: bytes | memoryview) -> Pcm:
        """See `FrameDecoder.decode`; every octet is a valid one."""
        return pcm_of(self._context.decode(self._packet(payload))) if payload else np.zeros(0, np.int16)

    def conceal(self, samples: int) -> Pcm:
        """See `FrameDecoder.conceal`."""
        return np.zeros(samples, np.int16)

    def reset(self) -> None:
        """See `FrameDecoder.reset`."""
        self._context = context("g722", "r", self.sample_rate_hz, _PURPOSE)
