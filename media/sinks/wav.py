"""`WavFile`: a stereo WAV that grows, and that any player can open at any moment while it does.

Two rules make that true: data is written before the header that speaks of it, and the header is one small
write at the start of the file. Past 4 GiB the same bytes become RF64 in place: room for its sizes is kept
from the beginning.

Sources: Microsoft/IBM "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE, fact);
RFC 2361 (format tags of the G.711 laws); EBU Tech 3306 (RF64: JUNK becomes ds64).
"""

from __future__ import annotations

import errno
import os
import struct
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.sinks.naming import create_begun, create_unused, open_locked
from strep.g711 import Codec

CHANNELS = 2

_BEGINNING = "4s I 4s  4s I QQQI  4s I HHIIHH"
"""Of every header: "RIFF" or "RF64", size of the file - 8, "WAVE"; "JUNK" or "ds64", 28, size of the file - 8, of
data, samples, 0 rows; "fmt ", its size, tag, channels, rate, bytes/s, bytes per frame, bits."""
_PCM = struct.Struct(f"<{_BEGINNING}  4s I")  # "data", size
_G711 = struct.Struct(f"<{_BEGINNING} H  4s I I  4s I")  # no extra bytes of fmt; "fact", 4, samples; "data", size
_SAMPLES_OFFSET = struct.calcsize("<4s I 4s  4s I QQ")
_RATE_OFFSET = struct.calcsize("<4s I 4s  4s I QQQI  4s I HH")
_SIZE_BYTES = 4

_IN_DS64 = 0xFFFF_FFFF
"""A 32-bit size that says: look in ds64 (EBU Tech 3306 section 3)."""
_FILL_FRAMES = 32_768
_LAST_OFFSET = (1 << 63) - 1


class Encoding(Enum):
    """How a sample is stored: name in the sidecar, WAVE format tag, bits, byte of silence.

    Attributes:
        frame_bytes: a sample of each channel.
        data_offset: where the samples begin in the file, bytes.
        dtype: of a sample.
    """

    PCM16 = ("pcm16", 1, 16, 0)
    PCMU = ("pcmu", 7, 8, Codec.PCMU.silence)
    PCMA = ("pcma", 6, 8, Codec.PCMA.silence)

    def __init__(self, label: str, tag: int, bits: int, silence: int) -> None:
        self.label = label
        self.tag = tag
        self.bits = bits
        self.silence = silence
        self.frame_bytes = CHANNELS * bits // 8
        self.data_offset = (_PCM if bits == 16 else _G711).size  # a multiple of `frame_bytes`
        self.dtype: np.dtype[Any] = np.dtype("<i2" if bits == 16 else "u1")

    @classmethod
    def of(cls, codec: Codec) -> Encoding:
        """Return the encoding that stores the code bytes of `codec` as they are."""
        return cls.PCMU if codec is Codec.PCMU else cls.PCMA


LONGEST_HEADER_BYTES = max(encoding.data_offset for encoding in Encoding)


def serialize_header(encoding: Encoding, sample_rate_hz: int, length_samples: int, channels: int = CHANNELS) -> bytes:
    """Return everything before the samples, for `length_samples` samples in each channel."""
    frame = channels * encoding.bits // 8
    data = length_samples * frame
    riff = encoding.data_offset - 8 + data
    magic, room, riff_size, data_size = b"RIFF", b"JUNK", riff, data
    if riff >= _IN_DS64:
        magic, room, riff_size, data_size = b"RF64", b"ds64", _IN_DS64, _IN_DS64
    beginning = (magic, riff_size, b"WAVE", room, 28, riff, data, length_samples, 0)
    rate, bits = sample_rate_hz, encoding.bits
    if bits == 16:
        fmt = (b"fmt ", 16, encoding.tag, channels, rate, rate * frame, frame, bits)
        return _PCM.pack(*beginning, *fmt, b"data", data_size)
    fmt = (b"fmt ", 18, encoding.tag, channels, rate, rate * frame, frame, bits)
    fact = (b"fact", 4, min(length_samples, _IN_DS64))
    return _G711.pack(*beginning, *fmt, 0, *fact, b"data", data_size)


def parse_header(data: bytes) -> tuple[Encoding, int]:
    """Return encoding and sample rate from the beginning of a file of ours; how long it is, its size tells.

    Raises:
        ValueError: it is no file of ours.
    """
    for encoding in Encoding:
        if len(data) >= encoding.data_offset:
            (sample_rate_hz,) = struct.unpack_from("<I", data, _RATE_OFFSET)
            (samples,) = struct.unpack_from("<Q", data, _SAMPLES_OFFSET)
            if data[:4] != b"RF64":
                (data_size,) = struct.unpack_from("<I", data, encoding.data_offset - _SIZE_BYTES)
                samples = data_size // encoding.frame_bytes
            with suppress(struct.error):  # numbers that no header has
                if data.startswith(serialize_header(encoding, sample_rate_hz, samples)):
                    return encoding, sample_rate_hz
    raise ValueError("not a header of ours")


class WavFile:
    """An open file; positions and lengths count samples per channel.

    Every method that touches the disk raises `OSError` when the disk refuses; `length_samples` then still
    tells what is there, so that `flush_header` repairs the file without needing new space.

    While it is open the file is locked (flock): a file without a lock is one that nobody writes any more.

    Attributes:
        path: where it is.
        encoding: see `set_encoding`.
        sample_rate_hz: of both channels.
        length_samples: what is in the file, holes included.
    """

    def __init__(self, path: Path, encoding: Encoding, sample_rate_hz: int) -> None:
        """Create the file with an empty header, mode 0600.

        Raises:
            FileExistsError: nothing is ever overwritten.
            OSError: it cannot be made.
        """
        self.path = path
        self.encoding = encoding
        self.sample_rate_hz = sample_rate_hz
        self.length_samples = 0
        self._fd = create_begun(path, self._begin)

    def _begin(self, fd: int) -> None:
        self._fd = fd
        self.flush_header()

    @classmethod
    def reopen(cls, path: Path, described: tuple[Encoding, int] | None = None) -> WavFile | None:
        """Open a file that was left behind, to go on behind its last whole frame; None if somebody writes it.

        Args:
            path: of the file.
            described: encoding and sample rate of a file whose header never came to the disk, if that is known.

        Raises:
            ValueError: it is no file of ours.
            OSError: it cannot be read and written.
        """
        fd = open_locked(path)
        if fd is None:
            return None
        try:
            file = cls.__new__(cls)
            file.path, file._fd = path, fd
            header = os.pread(fd, LONGEST_HEADER_BYTES, 0)
            is_blank = described is not None and not any(header[: described[0].data_offset])
            file.encoding, file.sample_rate_hz = described if described and is_blank else parse_header(header)
            audio_bytes = os.fstat(fd).st_size - file.encoding.data_offset
            file.length_samples = max(audio_bytes, 0) // file.encoding.frame_bytes
        except BaseException:
            os.close(fd)
            raise
        return file

    @classmethod
    def create(
        cls, directory: Path, name: str, encoding: Encoding, sample_rate_hz: int, *, companion: str = ".json"
    ) -> WavFile:
        """Create ``<name>.wav``, or ``<name>.2.wav`` and so on; see `create_unused`."""
        return create_unused(directory, name, ".wav", lambda path: cls(path, encoding, sample_rate_hz), companion)

    def let_go(self) -> None:
        """Close the file as it is."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def set_encoding(self, encoding: Encoding) -> None:
        """Choose another encoding while the file is empty (the first packet tells the law)."""
        assert self.length_samples == 0, "a file has one encoding"
        self.encoding = encoding
        self.flush_header()

    def flush_header(self) -> None:
        """Make the header say what is in the file now."""
        header = serialize_header(self.encoding, self.sample_rate_hz, self.length_samples)
        if os.pwrite(self._fd, header, 0) != len(header):
            raise OSError(errno.EIO, "header written in part", str(self.path))

    def write(self, position_samples: int, frames: NDArray[Any]) -> None:
        """Put frames at a position; a hole before it becomes silence.

        Args:
            position_samples: of the first frame.
            frames: (n, 2) of the encoding's dtype, or (n,) of whole frames; contiguous.
        """
        if len(frames) == 0:
            return
        if position_samples > self.length_samples:
            self._fill(position_samples)
        self._pwrite(position_samples, frames)

    def read(self, position_samples: int, count: int) -> NDArray[Any]:
        """Return (count, 2) samples of the encoding's dtype, writable; beyond the end there is silence."""
        frames = np.full((count, CHANNELS), self.encoding.silence, self.encoding.dtype)
        present = min(max(self.length_samples - position_samples, 0), count)
        if present:
            frame_bytes = self.encoding.frame_bytes
            raw = os.pread(self._fd, present * frame_bytes, self._offset(position_samples))
            whole = len(raw) // frame_bytes
            stored = np.frombuffer(raw, self.encoding.dtype, whole * CHANNELS)
            frames[:whole] = stored.reshape(whole, CHANNELS)
        return frames

    def patch(self, channel: int, position_samples: int, samples: NDArray[Any]) -> None:
        """Put (n,) samples of one channel in their place; the other one stays as it is."""
        frames = self.read(position_samples, len(samples))
        frames[:, channel] = samples
        self.write(position_samples, frames)

    def extend(self, length_samples: int) -> None:
        """Lengthen the file with silence if it is shorter."""
        if length_samples <= self.length_samples:
            return
        self._fill(length_samples)
        if self.encoding is Encoding.PCM16:  # a hole reads as 0, which is silence
            os.ftruncate(self._fd, self._offset(length_samples))
            self.length_samples = length_samples

    def cut(self, length_samples: int) -> None:
        """Shorten the file if it is longer; `close` gives the disk back what is behind."""
        self.length_samples = min(self.length_samples, length_samples)

    def close(self) -> None:
        """Write the last header, cut off what a full disk left of a frame, and close, even on `OSError`."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            self._fd = fd
            self.flush_header()
            if os.fstat(fd).st_size > (end := self._offset(self.length_samples)):
                os.ftruncate(fd, end)
        finally:
            self._fd = -1
            os.close(fd)

    def _offset(self, position_samples: int) -> int:
        offset = self.encoding.data_offset + position_samples * self.encoding.frame_bytes
        if not 0 <= offset <= _LAST_OFFSET:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(self.path))
        return offset

    def _fill(self, until_samples: int) -> None:
        """Write silence up to `until_samples` where a hole would not be silent: byte 0 is loud in G.711."""
        if self.encoding is Encoding.PCM16:
            return
        shape = (min(_FILL_FRAMES, until_samples - self.length_samples), CHANNELS)
        silence = np.full(shape, self.encoding.silence, self.encoding.dtype)
        while (missing := until_samples - self.length_samples) > 0:
            self._pwrite(self.length_samples, silence[:missing])

    def _pwrite(self, position_samples: int, frames: NDArray[Any]) -> None:
        offset = self._offset(position_samples)
        size, written = frames.nbytes, 0
        try:
            written = os.pwrite(self._fd, frames.data, offset)
            while written < size:
                written += os.pwrite(self._fd, frames.data.cast("B")[written:], offset + written)
        finally:
            end = position_samples + written // self.encoding.frame_bytes
            if written and end > self.length_samples:
                self.length_samples = end
