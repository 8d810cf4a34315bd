"""The frame header of MP3, and the frame before all others that says how much of the audio is none.

MP3 delays what it encodes, and fills up its last frame. How much of both, says a tag in a first frame that has no
audio (Xing's, "Info" for constant bit rates, with LAME's extension), and decoders cut it off.

Sources: ISO/IEC 11172-3 section 2.4.2.3 (MPEG-1), ISO/IEC 13818-3 (MPEG-2), LAME's tag revision 1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

ENCODER_DELAY_SAMPLES = 576
"""LAME's; the 529 of every decoder come on top and are not said."""
GAIN = 0.95
"""LAME's, which makes room for what a lossy codec adds to a full scale; it has no switch."""

# 11 bits of ones, 2 version, 2 layer, 1 no CRC, 4 bit rate, 2 sample rate, 1 padded, 1 private, 2 channel mode, 6
# that do not matter here.
_HEADER_BYTES = 4
_LAYER_III = 0b011  # no CRC either
_MODE, _STEREO, _MONO = 0xC0, 0x00, 0xC0
_MPEG_1 = 3
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = {_MPEG_1: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}

# "Info", flags (all four fields follow), frames, bytes, seek table, quality; then LAME's extension: encoder, method
# (1, constant), lowpass, 8 of gain, flags, bit rate, 12 bits delay and 12 bits padding, misc, gain, preset, bytes,
# CRC of the audio, CRC of the tag (both not given).
_TAG = struct.Struct(">4sIII100sI9sBB8sBB3sBBHIHH")
_SEEK_TABLE = bytes(position * 255 // 99 for position in range(100))
_ALL_FIELDS, _CONSTANT = 0xF, 1


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What a frame header says.

    Attributes:
        version: 3 is MPEG-1, 2 MPEG-2, 0 MPEG-2.5.
        rate_index: of the sample rate, among those of the version.
        is_mono: it has one channel.
        size_bytes: of the frame.
    """

    version: int
    rate_index: int
    is_mono: bool
    size_bytes: int

    @property
    def rate_hz(self) -> int:
        """Of the audio."""
        return _RATES_HZ[self.version][self.rate_index]

    @property
    def samples(self) -> int:
        """Of the frame, per channel."""
        return _frame_samples(self.version)

    @property
    def side_bytes(self) -> int:
        """Of the side information, in which a decoder finds nothing to play if it is zero."""
        return (17 if self.is_mono else 32) if self.version == _MPEG_1 else (9 if self.is_mono else 17)


def header_at(audio: bytes | bytearray, offset: int = 0) -> FrameHeader:
    """Return the header of the frame of an encoder of ours at `offset`."""
    version, kbits_index = audio[offset + 1] >> 3 & 3, audio[offset + 2] >> 4
    rate_index, is_padded = audio[offset + 2] >> 2 & 3, audio[offset + 2] >> 1 & 1
    size_bytes = _frame_bytes(version, kbits_index, rate_index) + is_padded
    return FrameHeader(version, rate_index, audio[offset + 3] & _MODE == _MONO, size_bytes)


def tag_bytes(like: FrameHeader) -> int:
    """Return the length of the tag's frame before frames like `like`."""
    return _frame_bytes(like.version, _tag_kbits_index(like), like.rate_index)


def tag_frame(like: FrameHeader, *, samples: int, before_samples: int, audio_bytes: int, frames: int) -> bytes:
    """Return the frame that goes before the audio; its bit rate is the lowest that has the room.

    Args:
        like: header of an audio frame.
        samples: what a decoder is to give, per channel.
        before_samples: what was encoded before that and is to be cut off as well.
        audio_bytes: of all audio frames.
        frames: so many are they.
    """
    delay = ENCODER_DELAY_SAMPLES + before_samples
    padding = frames * like.samples - delay - samples
    index, size_bytes = _tag_kbits_index(like), tag_bytes(like)
    mode = _MONO if like.is_mono else _STEREO
    header = bytes([0xFF, 0xE0 | like.version << 3 | _LAYER_III, index << 4 | like.rate_index << 2, mode])
    cut = (delay << 12 | padding).to_bytes(3, "big")
    total = audio_bytes + size_bytes
    tag = _TAG.pack(
        *(b"Info", _ALL_FIELDS, frames, total, _SEEK_TABLE, 50),
        *(b"LAME3.100", _CONSTANT, 0, bytes(8), 0, 0, cut, 0, 0, 0, total, 0, 0),
    )
    return (header + bytes(like.side_bytes) + tag).ljust(size_bytes, b"\0")


def _tag_kbits_index(like: FrameHeader) -> int:
    needed = _HEADER_BYTES + like.side_bytes + _TAG.size
    indices = range(len(_KBITS_1))
    return next(i for i in indices if _frame_bytes(like.version, i, like.rate_index) >= needed)


def _frame_samples(version: int) -> int:
    return 1152 if version == _MPEG_1 else 576


def _frame_bytes(version: int, kbits_index: int, rate_index: int) -> int:
    kbits = (_KBITS_1 if version == _MPEG_1 else _KBITS_2)[kbits_index]
    return _frame_samples(version) // 8 * kbits * 1000 // _RATES_HZ[version][rate_index]
