"""`SealedWav`: a recording that only the holder of a private key can read, with the verbs of `WavFile`.

Nothing of it is ever on the disk in clear. What a late packet corrects is one more record, and so is what a file
loses when it is closed. What must not be there at all - a call was paused, and what one track had brought beyond that
is taken back; a take ended before what it has - is taken out of its records: they and all behind them are sealed
anew, with numbers that were not used before. A process keeps the key of what it writes in memory and nowhere else;
one that goes on with the file of another, or edits a closed one, adds a segment with a key of its own and needs only
the public keys. `media.sealing.records` has the layout.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from media.sealing.keys import Recipients
from media.sealing.playing import Tape, length_after
from media.sealing.records import BOTH, Damaged, Format, Kind, Record, Sealer, Segment, number_of
from media.sealing.scanning import Lost, reader_of, scan, survey
from media.sinks.naming import create_begun, open_locked
from media.sinks.wav import Encoding

_LOG = logging.getLogger(__name__)
_LAST_POSITION = (1 << 63) - 1
MAX_ABOUT_BYTES = 2 << 20
_SILENT = 8
"""What is not louder is silence; A-law has none that is softer (ITU-T G.711)."""


class SealedWav:
    """An open file, locked; positions and lengths count samples per channel.

    Every method that writes raises `OSError` when the disk refuses; what was there before is whole then, but behind
    the first record that something was to be taken out of: what could not be sealed anew is gone.

    Attributes:
        path: where it is.
        encoding: see `set_encoding`.
        sample_rate_hz: of both channels.
        length_samples: what is in the file, holes included.
        edited_samples: the length that an `edit` has left; None before.
        is_complete: it was closed, and nothing has been added since.
        was_complete: it was closed, and at most edited since.
    """

    def __init__(self, path: Path, encoding: Encoding, sample_rate_hz: int, recipients: Recipients) -> None:
        """Create the file, mode 0600.

        Raises:
            FileExistsError: nothing is ever overwritten.
            OSError: it cannot be made.
        """

        def begin(fd: int) -> None:
            self._set_up(path, fd, recipients, encoding, sample_rate_hz)
            self._begin_segment()

        create_begun(path, begin)

    def _set_up(self, path: Path, fd: int, recipients: Recipients, encoding: Encoding, sample_rate_hz: int) -> None:
        self.path, self._fd, self._recipients = path, fd, recipients
        self.encoding, self.sample_rate_hz = encoding, sample_rate_hz
        self.length_samples = 0
        self.edited_samples: int | None = None
        self.is_complete = self.was_complete = False
        self._end = 0
        self._sealer: Sealer | None = None
        self._before = 0  # up to here others have written

    @classmethod
    def reopen(cls, path: Path, recipients: Recipients) -> SealedWav | None:
        """Open a file that was left behind, to go on behind its last whole record; None if somebody writes it.

        Whether its records are what was written cannot be told here. What is none, amid them or behind them, stays.

        Args:
            path: of it.
            recipients: who can open what is added; without any nothing can be.

        Raises:
            ValueError: it is no file of ours.
            OSError: it cannot be read and written.
        """
        fd = open_locked(path)
        if fd is None:
            return None
        try:
            file = cls.__new__(cls)
            file._set_up(path, fd, recipients, Encoding.PCM16, 0)
            for found in survey(reader_of(fd), os.fstat(fd).st_size):
                file._look_at(found)
            if not file.sample_rate_hz:
                raise Damaged("nothing was written into it")
        except BaseException:
            os.close(fd)
            raise
        file._before = file.length_samples
        return file

    def _look_at(self, found: Segment | Record | Lost) -> None:
        """Take note of what is there, as far as that is known without a key."""
        self._end = found.end
        self.is_complete = isinstance(found, Record) and found.kind is Kind.END
        if isinstance(found, Lost):
            self.was_complete = False
            return
        if isinstance(found, Segment):
            self.sample_rate_hz = found.sample_rate_hz
        else:
            self.length_samples = length_after(self.length_samples, found)
            self.was_complete = self.is_complete or (self.was_complete and found.kind is Kind.EDIT)
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

    def blank(self, channel: int, position_samples: int, samples: NDArray[Any]) -> None:
        """Put (n,) samples of one channel in place of what was there, which must not be in the file any more.

        Costs a look at every record that this process wrote, and those behind the first concerned are written anew.
        """
        samples = np.ascontiguousarray(samples, self.encoding.dtype)
        if not len(samples):
            return
        self._take_out(channel, position_samples, samples)
        if position_samples < self._before or not self._is_silence(
            samples
        ):  # what others wrote cannot be opened here
            self._put(channel, position_samples, samples)
        self.extend(position_samples + len(samples))

    def _is_silence(self, samples: NDArray[Any]) -> bool:
        if self.encoding is not Encoding.PCM16:
            return bool((samples == self.encoding.silence).all())
        return bool((np.abs(samples.astype(np.int32)) <= _SILENT).all())

    def _take_out(self, channel: int, position: int, instead: NDArray[Any] | None) -> None:
        """Put other samples into the records that have some of a channel, or of `BOTH`, or nothing from there on."""
        if self._sealer is None:
            return
        sealer, read = self._sealer, reader_of(self._fd)
        until = position + len(instead) if instead is not None else _LAST_POSITION
        found = [one for one in scan(read, self._end, sealer.segment.offset) if isinstance(one, Record)]
        anew: list[tuple[Record, bytes]] = []  # from the first that is changed on
        for record in found:
            is_concerned = _overlaps(record, channel, position, until)
            if not anew and not is_concerned:
                continue
            content = sealer.open(record, read(record.sealed_bytes, record.content_offset))
            changed = self._without(record, content, channel, position, instead) if is_concerned else content
            if anew or changed != content:
                anew.append((record, changed))
        if not anew:
            return
        self._end = anew[0][0].offset
        self._numbers = hashlib.sha256()
        for record in found[: len(found) - len(anew)]:
            self._numbers.update(number_of(record))
        os.ftruncate(self._fd, self._end)
        try:
            for record, content in anew:
                place = {"position": record.position, "count": record.count}
                self._append(record.kind, content, **place, format=record.format, channel=record.channel)
        except OSError:
            self.length_samples = self._before
            for one in scan(read, self._end, sealer.segment.offset):
                if isinstance(one, Record):
                    self.length_samples = length_after(self.length_samples, one)
            raise

    def _without(
        self, record: Record, content: bytes, channel: int, position: int, instead: NDArray[Any] | None
    ) -> bytes:
        samples = np.frombuffer(content, self.encoding.dtype).copy()
        columns = samples.reshape(record.count, -1)  # one, or both
        column: slice | int = slice(None)
        if channel != BOTH:
            column = channel if record.channel == BOTH else 0
        first = max(position - record.position, 0)
        if instead is None:
            columns[first:, column] = self.encoding.silence
        else:
            last = min(position + len(instead) - record.position, record.count)
            skipped = record.position + first - position
            piece = instead[skipped : skipped + last - first]
            if self._is_silence(piece) and self._is_silence(columns[first:last, column]):
                return (
                    content  # neither says anything, A-law's silence and a hole's, though they are not the same bits
                )
            columns[first:last, column] = piece
        return samples.tobytes()

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
        """Shorten the file if it is longer."""
        if length_samples < self.length_samples:
            self._take_out(BOTH, length_samples, None)
            self._append(Kind.LENGTH, position=length_samples, format=Format[self.encoding.name])
            self.length_samples = length_samples

    def describe(self, about: dict[str, Any]) -> None:
        """Put in what is to be known of the call by those who can hear it, and by nobody else.

        Where that is too much, of "events" keys only, and no more of them than there is room for. What cannot be
        written is logged: the audio is whole without it.
        """
        try:
            content = msgspec.json.encode(about, enc_hook=repr)
            if len(content) > MAX_ABOUT_BYTES:
                keys = [event for event in about["events"] if "digit" in event]
                while (
                    len(content := msgspec.json.encode(about | {"events": keys}, enc_hook=repr)) > MAX_ABOUT_BYTES
                    and keys
                ):
                    keys = keys[: len(keys) // 2]
                _LOG.warning("%s has too many events: %d keys are sealed in it, no other", self.path.name, len(keys))
            self._append(Kind.ABOUT, content, count=len(content))
        except Exception as error:
            _LOG.warning("%s does not say whose it is, nor which keys were pressed: %s", self.path.name, error)

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
            if self._sealer is None:
                self._begin_segment()
            numbers, format = self._numbers.digest(), Format[self.encoding.name]
            self._append(Kind.END, numbers, position=self.length_samples, count=len(numbers), format=format)
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
        self._sealer, self._numbers = sealer, hashlib.sha256()

    def _append(self, kind: Kind, content: Any = b"", **place: Any) -> None:
        if not 0 <= place.get("position", 0) <= _LAST_POSITION:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(self.path))
        if self._sealer is None:
            self._begin_segment()
        assert self._sealer is not None
        head, sealed = self._sealer.seal(self._end, kind, content, **place)
        self._write(head, sealed)
        self._numbers.update(number_of(head))
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


def _overlaps(record: Record, channel: int, first: int, last: int) -> bool:
    is_of_it = channel == BOTH or record.channel in (channel, BOTH)
    is_there = record.position < last and first < record.position + record.count
    return record.kind is Kind.AUDIO and is_of_it and is_there
