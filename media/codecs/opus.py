"""Opus (RFC 6716, RFC 7587) by libopus: one packet a frame, at any of the rates that telephony has."""

from __future__ import annotations

import numpy as np

from media.codecs.encoding import FRAME_MS, Encoding
from media.codecs.opus_packet import CLOCK_HZ, frame_samples_at_48_khz, samples_at_48_khz
from media.codecs.plain import check_frames
from media.codecs.pyav import av, context, frame_of, pcm_of
from media.talk.contract import Pcm
from media.talk.resampler import Resampler
from strep.errors import WireError

_PURPOSE = "the codec OPUS"
BITS_PER_SECOND = {8000: 16_000, 16000: 24_000, 24000: 32_000, 48000: 40_000}
"""By sample rate; RFC 7587 section 3.1.1 has 8 to 12 kbit/s for narrowband speech, 28 to 40 for fullband."""
COMPLEXITY = 5
"""Of 10: three quarters of the processor time, and no difference that speech over a telephone shows."""
CONCEALED_MS = 60
"""How long a loss is guessed at; what follows is silence. The guess fades, but goes on humming for long."""
_NOTHING_YET = -1


class OpusEncoder:
    """See `FrameEncoder`; one frame at a time, for packets cannot be joined (`Encoding.can_be_joined`)."""

    def __init__(self, encoding: Encoding) -> None:
        self.sample_rate_hz = encoding.sample_rate_hz
        self.frame_samples = encoding.frame_samples
        self.reset()

    def encode(self, pcm: Pcm) -> bytes:
        """See `FrameEncoder.encode`: exactly one frame."""
        check_frames(pcm, self.frame_samples, most=1)
        [packet] = self._context.encode(frame_of(pcm, self.sample_rate_hz))
        return bytes(packet)

    def silence(self) -> bytes:
        """See `FrameEncoder.silence`: through the encoder, for its memory is also the decoder's."""
        return self.encode(np.zeros(self.frame_samples, np.int16))

    def reset(self) -> None:
        """See `FrameEncoder.reset`."""
        options = {"application": "voip", "frame_duration": str(FRAME_MS), "compression_level": str(COMPLEXITY)}
        self._context = context("libopus", "w", self.sample_rate_hz, _PURPOSE, **options)
        self._context.bit_rate = BITS_PER_SECOND[self.sample_rate_hz]


class OpusDecoder:
    """See `FrameDecoder`. PyAV always has libopus decode to 48 kHz; a resampler goes down from there.

    A packet of one frame without a byte is how DTX says that nothing was sent (RFC 6716 section 3.2.1), and libopus
    answers it with what it guesses; so does `conceal`.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.sample_rate_hz = encoding.sample_rate_hz
        self._av = av(_PURPOSE)
        self._resampler = Resampler(CLOCK_HZ, self.sample_rate_hz, delayed=True)
        self.reset()

    def decode(self, payload: bytes | memoryview) -> Pcm:
        """See `FrameDecoder.decode`."""
        samples = samples_at_48_khz(payload)
        try:
            wide = pcm_of(self._context.decode(self._av.Packet(payload)))
        except self._av.FFmpegError as error:
            raise WireError("PAYLOAD", f"no Opus packet ({len(payload)} bytes)") from error
        if len(wide) != samples:
            raise WireError("PAYLOAD", f"an Opus packet of {samples} samples that decodes to {len(wide)}")
        self._last_toc = payload[0]
        self._concealed = 0
        return self._resampler.process(wide)

    def conceal(self, samples: int) -> Pcm:
        """See `FrameDecoder.conceal`; before the first packet, and `CONCEALED_MS` into a gap, it is silence."""
        wanted = samples * CLOCK_HZ // self.sample_rate_hz
        pieces = [np.zeros(0, np.int16)]
        while wanted and self._last_toc != _NOTHING_YET and self._concealed < CONCEALED_MS * CLOCK_HZ // 1000:
            nothing = bytes([self._last_toc & 0b1111_1100])  # the mode of the last packet, one frame, no bytes
            pieces.append(pcm_of(self._context.decode(self._av.Packet(nothing)))[:wanted])
            wanted -= len(pieces[-1])
            self._concealed += frame_samples_at_48_khz(self._last_toc)
        return self._resampler.process(np.concatenate([*pieces, np.zeros(wanted, np.int16)]))

    def reset(self) -> None:
        """See `FrameDecoder.reset`."""
        self._context = context("libopus", "r", CLOCK_HZ, _PURPOSE)
        self._resampler.reset()
        self._last_toc = _NOTHING_YET
        self._concealed = 0  # samples at 48 kHz since the last packet
