"""A recording as WAV, FLAC, MP3 or Opus, block by block.

======  =============================================================================================================
format  what is in it
======  =============================================================================================================
wav     the bytes of the recording, only cut
flac    16-bit samples, bit for bit those of the WAV, at any rate
mp3     constant bit rate (`MP3_KBITS`) by LAME, 0.4 dB softer, as LAME insists on; as long to the sample
opus    in Ogg, variable bit rate, at libopus' own choice (18 kbit/s a channel at 8 kHz); as long to the sample
======  =============================================================================================================

MP3 and Opus know certain rates only (`RATES_HZ`); audio at another one is resampled to the next that they know.
libsndfile would write MP3 as well, but 1.2.2 takes five times the time and makes noise of 16-bit stereo.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

import numpy as np

from media.codecs.mp3_tag import FrameHeader, header_at, tag_bytes, tag_frame
from media.delivery.audio import Audio, Pcm
from media.sinks.finished import FileFormat
from media.sinks.wav import Encoding, serialize_header

FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
RATES_HZ = (8000, 12_000, 16_000, 24_000, 48_000)
"""That both MP3 and Opus know, and at which all frames of an MP3 are of one size."""
MP3_KBITS = {8000: (32, 48), 12_000: (32, 48), 16_000: (64, 96), 24_000: (64, 96), 48_000: (64, 128)}
"""By rate: of mono and of stereo."""
_MP3_QUALITY = 5  # LAME's, 0 best, 9 fastest
_COPY_BYTES = 1 << 20
_SUBTYPES = {"PCM_16": Encoding.PCM16, "ULAW": Encoding.PCMU, "ALAW": Encoding.PCMA}


def encode(audio: Audio, format: FileFormat, path: Path) -> int:
    """Write the audio to `path`, mode 0600, whatever was there, and force it to the disk.

    Returns:
        The length in samples per channel, at the recording's rate, rounded.

    Raises:
        OSError: the disk refuses.
        ValueError: the audio cannot be read, or what was written is not as long.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if format == "wav":
            _cut(audio, fd)
        elif format == "mp3":
            _write_mp3(audio, path)
        else:
            _write(audio, path, *(("FLAC", "PCM_16") if format == "flac" else ("OGG", "OPUS")))
        os.fsync(fd)
    finally:
        os.close(fd)
    return _checked_length(audio, path)


def _checked_length(audio: Audio, path: Path) -> int:
    """Return how long the file is, as its readers see it."""
    made = Audio.of(path)
    length = round(made.length_samples * audio.sample_rate_hz / made.sample_rate_hz)
    if abs(length - audio.length_samples) > audio.sample_rate_hz // made.sample_rate_hz + 1:
        raise ValueError(f"{path.name} has {length} samples, and not {audio.length_samples} as the recording")
    return length


def _cut(audio: Audio, fd: int) -> None:
    """Copy a part of a WAV of ours, byte for byte, behind a header of its own."""
    encoding = wav_encoding(audio.path)
    frame_bytes = audio.channels * encoding.bits // 8
    os.write(fd, serialize_header(encoding, audio.sample_rate_hz, audio.length_samples, audio.channels))
    with audio.path.open("rb") as source:
        source.seek(encoding.data_offset + audio.first * frame_bytes)
        left = audio.length_samples * frame_bytes
        while left:
            piece = source.read(min(_COPY_BYTES, left))
            if not piece:
                raise ValueError(f"{audio.path.name} ends {left} bytes early")
            left -= len(piece)
            while piece:
                piece = piece[os.write(fd, piece) :]


def wav_encoding(path: Path) -> Encoding:
    """Return how a WAV of ours, in one channel or two, has its samples.

    Raises:
        ValueError: it is none of ours.
    """
    import soundfile

    info = soundfile.info(path)
    encoding = _SUBTYPES.get(info.subtype)
    with path.open("rb") as file:
        head = file.read(encoding.data_offset if encoding else 0)
    if encoding and head == serialize_header(encoding, info.samplerate, info.frames, info.channels):
        return encoding
    raise ValueError(f"{path.name} is no WAV of ours")


def _write(audio: Audio, path: Path, format: str, subtype: str) -> None:
    import soundfile

    rate_hz, blocks = _at_known_rate(audio) if subtype == "OPUS" else (audio.sample_rate_hz, audio.blocks())
    try:
        with soundfile.SoundFile(path, "w", rate_hz, audio.channels, format=format, subtype=subtype) as file:
            for block in blocks:
                file.write(block)
    except soundfile.LibsndfileError as error:
        raise OSError(f"{path.name} could not be written: {error.error_string}") from error


def _write_mp3(audio: Audio, path: Path) -> None:
    """Encode, leaving room for the tag, which can be written only when the audio has been."""
    rate_hz, blocks = _at_known_rate(audio)
    samples, audio_bytes, like = 0, 0, None
    with path.open("r+b") as file:
        for piece, count in _mp3_pieces(blocks, rate_hz, audio.channels):
            samples += count
            if piece and like is None:
                like = header_at(piece)
                file.seek(tag_bytes(like))
            file.write(piece)
            audio_bytes += len(piece)
        if like is not None:
            file.seek(0)
            file.write(_tag(like, samples, audio_bytes))


def _tag(like: FrameHeader, samples: int, audio_bytes: int) -> bytes:
    frames, rest = divmod(audio_bytes, like.size_bytes)
    assert rest == 0, "at these rates all frames are of one size"
    return tag_frame(like, samples=samples, before_samples=0, audio_bytes=audio_bytes, frames=frames)


def _mp3_pieces(blocks: Iterable[Pcm], rate_hz: int, channels: int) -> Iterator[tuple[bytes, int]]:
    """Yield bytes of the stream, and how many samples went in for them."""
    import lameenc

    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_channels(channels)
    encoder.set_in_sample_rate(rate_hz)
    encoder.set_out_sample_rate(rate_hz)
    encoder.set_bit_rate(MP3_KBITS[rate_hz][channels - 1])
    encoder.set_quality(_MP3_QUALITY)
    for block in blocks:
        yield bytes(encoder.encode(block.tobytes())), len(block)
    yield bytes(encoder.flush()), 0


def _at_known_rate(audio: Audio) -> tuple[int, Iterator[Pcm]]:
    """Return one of `RATES_HZ` and the audio at it."""
    rate_hz = next((rate for rate in RATES_HZ if rate >= audio.sample_rate_hz), RATES_HZ[-1])
    blocks = audio.blocks()
    return rate_hz, blocks if rate_hz == audio.sample_rate_hz else _resampled(audio, blocks, rate_hz)


def _resampled(audio: Audio, blocks: Iterator[Pcm], rate_hz: int) -> Iterator[Pcm]:
    import soxr

    stream = soxr.ResampleStream(audio.sample_rate_hz, rate_hz, audio.channels, dtype="int16")
    for block in blocks:
        yield stream.resample_chunk(block).reshape(-1, audio.channels)
    yield stream.resample_chunk(np.zeros((0, audio.channels), np.int16), last=True).reshape(-1, audio.channels)
