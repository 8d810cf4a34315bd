"""Is this one whole MP3? Read frame by frame, as strictly as a decoder that is given nothing else.

ISO/IEC 11172-3 section 2.4.1.3, 13818-3 section 2.4.2.3; MPEG-2.5 is what everybody added for 8 to 12 kHz::

     AAAAAAAA AAABBCCD EEEEFFGH IIJJKLMM     A sync  B version  C layer  D no CRC
                                             E bitrate  F sampling rate  G padding  I channel mode
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_HEADER_BYTES = 4
_ID3_BYTES, _ID3_OLD_BYTES = 10, 128
_LAYER_III = 1
_VERSION_2_5, _VERSION_1 = 0, 3  # 1 is reserved
_MONO = 3
_KBIT_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = (44_100, 48_000, 32_000)
_TAGS = (b"Xing", b"Info")
_XING_FIELD_BYTES = (4, 4, 100, 4)
"""Frames, bytes, table of contents, quality: there if bit 0, 1, 2, 3 of the flags is set."""


@dataclass(frozen=True, slots=True)
class Mp3:
    """One file.

    Attributes:
        frames: of MPEG audio, without ID3.
        tag: where in `frames` the LAME tag is: from its name to the end of the frame that carries it; empty without.
        sample_rate_hz: of all frames.
        samples: of all frames but the one with the tag.
    """

    frames: bytes
    tag: slice
    sample_rate_hz: int
    samples: int


@dataclass(frozen=True, slots=True)
class _Frame:
    length_bytes: int
    sample_rate_hz: int
    samples: int
    side_bytes: int


def parse(data: bytes) -> Mp3:
    """Return what `data`, bytes from the network, holds.

    Raises:
        ValueError: no MP3, one that stops in the middle of a frame, or one with something else inside.
    """
    place = start = _after_id3(data)
    end = len(data) - (_ID3_OLD_BYTES if data[-_ID3_OLD_BYTES:].startswith(b"TAG") else 0)
    samples, tag_end, first = 0, start, None
    while place < end:
        frame = _frame(data, place)
        if frame is None:
            what = "not an mp3 file" if place == start else f"no MPEG audio at byte {place} of {len(data)}"
            raise ValueError(what)
        if place + frame.length_bytes > end:
            raise ValueError(f"an mp3 file that is cut off in its last frame, at byte {len(data)}")
        if first is None:
            first = frame
            if data[place + _HEADER_BYTES + frame.side_bytes :].startswith(_TAGS):
                tag_end = place + frame.length_bytes
        elif frame.sample_rate_hz != first.sample_rate_hz:
            raise ValueError(f"an mp3 file that changes to {frame.sample_rate_hz} Hz at byte {place}")
        if place >= tag_end:
            samples += frame.samples
        place += frame.length_bytes
    if first is None or not samples:
        raise ValueError("an mp3 file without audio")
    tag_start = _lame(data, start + _HEADER_BYTES + first.side_bytes) if tag_end > start else tag_end
    return Mp3(data[start:end], slice(tag_start - start, tag_end - start), first.sample_rate_hz, samples)


def decode(mp3: Mp3, *, honours_tag: bool) -> NDArray[np.int16]:
    """Return (n,) int16, mono, at the file's own rate.

    Args:
        mp3: as `parse` returns it.
        honours_tag: cut off what the LAME tag says is not audio.

    Raises:
        ValueError: the frames are there, but a decoder does not like what is in them.
    """
    import soundfile

    frames = bytearray(mp3.frames)
    if not honours_tag:  # but count the frames, which is what it needs the rest of that frame for
        frames[mp3.tag] = bytes(mp3.tag.stop - mp3.tag.start)
    try:
        pcm, _ = soundfile.read(io.BytesIO(frames), dtype="int16", always_2d=True)
    except soundfile.SoundFileError as error:
        raise ValueError(f"an mp3 file that cannot be decoded: {error}") from error
    if not len(pcm):
        raise ValueError("an mp3 file without audio")
    mono: NDArray[np.int16] = pcm[:, 0] if pcm.shape[1] == 1 else pcm.mean(axis=1).astype(np.int16)
    if honours_tag:
        return np.ascontiguousarray(mono)
    # libmpg123 cuts its own delay of 529 samples, which are silent, wherever it has counted the frames.
    return np.concatenate([np.zeros(max(0, mp3.samples - len(mono)), np.int16), mono])


def _lame(data: bytes, info: int) -> int:
    """Return where LAME's part begins, behind what the flags of the Xing header at `info` announce."""
    flags = data[info + 7]
    return info + 8 + sum(size for bit, size in enumerate(_XING_FIELD_BYTES) if flags >> bit & 1)


def _after_id3(data: bytes) -> int:
    """Return where the first frame begins: behind an ID3v2 tag, whose length is four times seven bits."""
    if not data.startswith(b"ID3") or len(data) < _ID3_BYTES:
        return 0
    length = 0
    for byte in data[6:_ID3_BYTES]:
        length = length << 7 | (byte & 0x7F)
    return _ID3_BYTES + length


def _frame(data: bytes, place: int) -> _Frame | None:
    """Return the frame whose header is at `place`, None if there is none."""
    head = data[place : place + _HEADER_BYTES]
    if len(head) < _HEADER_BYTES or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if layer != _LAYER_III or version == 1 or rate == 3 or bitrate in (0, 15):
        return None
    is_1, is_mono = version == _VERSION_1, head[3] >> 6 == _MONO
    sample_rate_hz = _RATES_HZ[rate] // (1 if is_1 else 4 if version == _VERSION_2_5 else 2)
    samples = 1152 if is_1 else 576
    kbit = (_KBIT_1 if is_1 else _KBIT_2)[bitrate]
    length = samples // 8 * kbit * 1000 // sample_rate_hz + padding
    side_bytes = (17 if is_mono else 32) if is_1 else (9 if is_mono else 17)
    return _Frame(length, sample_rate_hz, samples, side_bytes)
