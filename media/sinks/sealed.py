"""`SealedWav`: a recording that only the holder of a private key can read, with the verbs of `WavFile`.

Nothing of it is ever on the disk in clear, nor is anything written over: what a late packet corrects is one more
record, and so is what a file loses when it is closed. A process keeps the key of what it writes in memory and
nowhere else; one that goes on with the file of another, or edits a closed one, adds a segment with a key of its own
and needs only the public keys. `media.sealing.records` has the layout.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from media.sealing.keys import Recipients
from media.sealing.playing import Tape, length_after
from media.sealing.records import BOTH, Damaged, Format, Kind, Record, Sealer, Segment, reader_of, scan
from media.sinks.wav import Encoding, lock

_LAST_POSITION = (1 << 63) - 1
MAX_ABOUT_BYTES = 2 << 20


class SealedWav:
    """An open file, locked; positions and lengths count samples per channel.

    Every method that writes raises `OSError` when the disk refuses; what was there before is whole then.

    Attributes:
        path: where it is.
        encoding: see `set_encoding`.
        sample_rate_hz: of both channels.
        length_samples: what is in the file, holes included.
        edited_samples: the length that an `edit` has left; None before.
        is_complete: it was closed, and nothing has been added since.
    """

    def __init__(self, path: Path, encoding: Encoding, sample_rate_hz: int, recipients: Recipients) -> None:
        """Create the file, mode 0600.

        Raises:
            FileExistsError: nothing is ever overwritten.
            OSError: it cannot be made.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._set_up(path, fd, recipients, encoding, sample_rate_hz)
        try:
            lock(fd)
            self._begin_segment()
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise

    def _set_up(self, path: Path, fd: int, recipients: Recipients, encoding: Encoding, sample_rate_hz: int) -> None:
        self.path, self._fd, self._recipients = path, fd, recipients
        self.encoding, self.sample_rate_hz = encoding, sample_rate_hz
        self.length_samples = 0
        self.edited_samples: int | None = None
        self.is_complete = False
        self._end = 0
        self._sealer: Sealer | None = None

    @classmethod
    def reopen(cls, path: Path, recipients: Recipients) -> SealedWav | None:
        """Open a file that was left behind, to go on behind its last whole record; None if somebody writes it.

        Args:
            path: of it.
            recipients: who can open what is added; without any nothing can be.

        Raises:
            ValueError: it is no file of ours.
            OSError: it cannot be read and written.
        """
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        if not lock(fd):
            os.close(fd)
            return None
        try:
            file = cls.__new__(cls)
            file._set_up(path, fd, recipients, Encoding.PCM16, 0)
            for found in scan(reader_of(fd), os.fstat(fd).st_size):
                file._look_at(found)
            if not file.sample_rate_hz:
                raise Damaged("nothing was written into it")
        except BaseException:
            os.close(fd)
            raise
        return file

    def _look_at(self, found: Segment | Record) -> None:
        """Take note of what is there, as far as that is known without a key."""
        self._end = found.end
        self.is_complete = isinstance(found, Record) and found.kind is Kind.END
        if isinstance(found, Segment):
            self.sample_rate_hz = found.sample_rate_hz
        else:
            self.length_samples = length_after(self.length_samples, found)
            if found.kind is Kind.EDIT:
                self.edited_samples = found.position
        if found.format is not Format.NONE:
            self.encoding = Encoding[found.format.name]

    def let_go(self) -> None:
        """Close the file as it is."""
        fd, self._fd = self._fd, -1
        self._sealer = None
        if fd >= 0:
            os.close(fd)

    def set_encoding(self, encoding: Encoding) -> None:
        """Choose another encoding while the file is empty (the first packet tells the law)."""
        assert self.length_samples == 0, "a file has one encoding"
        self.encoding = encoding

    def flush_header(self) -> None:
        """Do nothing: every record says what it holds."""

    def write(self, position_samples: int, frames: NDArray[Any]) -> None:
        """Put frames at a position; a hole before it is silence. A record has a second of them at the most.

        Args:
            position_samples: of the first frame.
            frames: (n, 2) of the encoding's dtype, or (n,) of whole frames; contiguous.
        """
        self._put(BOTH, position_samples, frames)

    def patch(self, channel: int, position_samples: int, samples: NDArray[Any]) -> None:
        """Put (n,) samples of one channel in their place; the other one stays as it is."""
        self._put(channel, position_samples, np.ascontiguousarray(samples, self.encoding.dtype))

    def _put(self, channel: int, position: int, samples: NDArray[Any]) -> None:
        step, format = self.sample_rate_hz, Format[self.encoding.name]
        for first in range(0, len(samples), step):
            piece = samples[first : first + step]
            place = {"position": position + first, "count": len(piece), "format": format, "channel": channel}
            self._append(Kind.AUDIO, piece.data.cast("B"), **place)
            self.length_samples = max(self.length_samples, position + first + len(piece))

    def read(self, position_samples: int, count: int) -> NDArray[Any]:
        """Return (count, 2) samples of what this process has written, writable; elsewhere there is silence."""
        if self._sealer is None:
            return np.full((count, 2), self.encoding.silence, self.encoding.dtype)
        sealer, read = self._sealer, reader_of(self._fd)
        found = scan(read, self._end, sealer.segment.offset)
        tape = Tape((one for one in found if isinstance(one, Record)), self.encoding.dtype, self.encoding.silence)
        return tape.read(
            position_samples,
            count,
            lambda record: sealer.open(record, read(record.sealed_bytes, record.content_offset)),
        )

    def extend(self, length_samples: int) -> None:
        """Lengthen the file with silence if it is shorter."""
        if length_samples > self.length_samples:
            self._append(Kind.LENGTH, position=length_samples, format=Format[self.encoding.name])
            self.length_samples = length_samples

    def cut(self, length_samples: int) -> None:
        """Shorten the file if it is longer: what is behind is left out when it is opened."""
        if length_samples < self.length_samples:
            self._append(Kind.LENGTH, position=length_samples, format=Format[self.encoding.name])
            self.length_samples = length_samples

    def describe(self, about: dict[str, Any]) -> None:
        """Put in what is to be known of the call by those who can hear it, and by nobody else."""
        content = msgspec.json.encode(about, enc_hook=repr)
        if len(content) <= MAX_ABOUT_BYTES:
            self._append(Kind.ABOUT, content, count=len(content))

    def edit(self, omit: Sequence[tuple[int, int]], single: str | None) -> int:
        """Let spans be left out and two channels be made one when it is opened; return the length, per channel.

        Args:
            omit: start and length, in samples of the file; in order, without overlap.
            single: the track that the one channel is to be, or "both", mixed; None: two channels.
        """
        length = self.length_samples
        gone = sum(max(min(start + count, length) - start, 0) for start, count in omit)
        content = msgspec.json.encode({"omit": omit, "single": single})
        self._append(Kind.EDIT, content, position=length - gone, count=len(content))
        self.edited_samples = length - gone
        return length - gone

    def close(self) -> None:
        """Say that the file is complete, and close it, even on `OSError`."""
        if self._fd < 0:
            return
        try:
            self._append(Kind.END, position=self.length_samples)
        finally:
            self.let_go()

    def _begin_segment(self) -> None:
        if not self._recipients:
            raise ValueError(f"{self.path.name} is sealed, and for whom to go on is not said: give encrypt_to")
        if os.fstat(self._fd).st_size > self._end:  # a record that a dead process was writing
            os.ftruncate(self._fd, self._end)
        format = Format[self.encoding.name]
        sealer = Sealer(self._recipients, self._end, self.sample_rate_hz, format)
        self._write(sealer.segment.head, sealer.segment.envelope)
        self._sealer = sealer

    def _append(self, kind: Kind, content: Any = b"", **place: Any) -> None:
        if not 0 <= place.get("position", 0) <= _LAST_POSITION:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(self.path))
        if self._sealer is None:
            self._begin_segment()
        assert self._sealer is not None
        self._write(*self._sealer.seal(self._end, kind, content, **place))
        self.is_complete = kind is Kind.END

    def _write(self, *pieces: bytes) -> None:
        """Write behind the last whole record, all of it or nothing; what was written in part there is gone."""
        size = sum(map(len, pieces))
        try:
            written = os.pwritev(self._fd, pieces, self._end)
            while written < size:
                written += os.pwrite(self._fd, b"".join(pieces)[written:], self._end + written)
        except OSError:
            os.ftruncate(self._fd, self._end)
            raise
        self._end += size


def edit(path: Path, recipients: Recipients, omit: Sequence[tuple[int, int]], single: str | None) -> int:
    """Add to a closed file what is to be left out of it; see `SealedWav.edit`. What there is stays as it is.

    Raises:
        OSError: it cannot be done, or somebody has the file.
        ValueError: it is no file of ours, or none of which this can be made.
    """
    file = SealedWav.reopen(path, recipients)
    if file is None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path))
    try:
        if single is not None and file.encoding is not Encoding.PCM16:
            raise ValueError(f"{path.name} is {file.encoding.label}: only PCM can be mixed")
        length = file.edit(omit, single)
        file.close()
    finally:
        file.let_go()
    return length


def edited_length(path: Path) -> int | None:
    """Return the length that an `edit` of the file has left; None: there was none.

    Raises:
        OSError: it cannot be read, or somebody has it.
        ValueError: it is no file of ours.
    """
    file = SealedWav.reopen(path, ())
    if file is None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path))
    file.let_go()
    return file.edited_samples if file.is_complete else None
