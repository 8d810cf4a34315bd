"""`Opened`: a sealed file and the private key that fits it: all of it is verified before any of it is given away."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from media.sealing import age
from media.sealing.keys import Identity
from media.sealing.playing import Tape
from media.sealing.records import Damaged, Format, Kind, Record, Segment, number_of, opened, reader_of, scan
from media.sinks.rewriting import kept, mixed
from media.sinks.wav import CHANNELS, Encoding, serialize_header


class Edit(msgspec.Struct, frozen=True):
    """What is left out of audio; see `SealedWav.edit`."""

    omit: tuple[tuple[int, int], ...] = ()
    single: Literal["both", "inbound", "outbound"] | None = None


class Opened:
    """A file that was verified; to be used in a ``with`` block.

    Attributes:
        is_text: it holds lines and not audio.
        is_complete: its end is there, as far as it has one: text has none, it may always grow.
        segments: processes that wrote it, one after the other, and edits of it.
        cut_bytes: behind the last whole record, of one that was being written.
        length_samples: of audio, per channel, as it is given out.
    """

    def __init__(self, path: Path, identities: Sequence[Identity]) -> None:
        """Open and verify it.

        Raises:
            NoKeyFits: it was sealed for others, or what says for whom was altered.
            Damaged: it was altered, or is no sealed file.
            OSError: it cannot be read.
        """
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._read = reader_of(self._fd)
            self._ciphers: dict[int, Any] = {}
            self._records: list[Record] = []
            self._segments: list[Segment] = []
            self._verify(os.fstat(self._fd).st_size, identities)
            self._settle()
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        os.close(self._fd)

    @property
    def segments(self) -> int:
        """How many there are."""
        return len(self._segments)

    def _verify(self, size: int, identities: Sequence[Identity]) -> None:
        end, last_number, numbers = 0, -1, hashlib.sha256()
        for found in scan(self._read, size):
            if isinstance(found, Segment):
                self._take_key(found, identities)
                end, last_number, numbers, self._has_end = found.end, -1, hashlib.sha256(), False
                continue
            if found.number <= last_number:
                raise Damaged(f"the record at byte {found.offset} is not in its order")
            content = self._content(found)
            if found.kind is Kind.END and content != numbers.digest():
                raise Damaged(f"records before byte {found.offset} were replaced by others that it had once")
            numbers.update(number_of(found))
            self._records.append(found)
            end, last_number, self._has_end = found.end, found.number, found.kind is Kind.END
        self.cut_bytes = size - end

    def _take_key(self, segment: Segment, identities: Sequence[Identity]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            key = age.decrypt(segment.envelope, identities)
            self._ciphers[segment.offset] = AESGCM(key)
        except age.NoKeyFits:
            if not self._segments:
                raise
            raise age.NoKeyFits(f"none of the keys fits from byte {segment.offset} on") from None
        except ValueError as error:
            raise Damaged(f"the segment at byte {segment.offset} is not what was written: {error}") from None
        self._segments.append(segment)

    def _content(self, record: Record) -> bytes:
        sealed = self._read(record.sealed_bytes, record.content_offset)
        return opened(self._ciphers[record.segment.offset], record, sealed)

    def _settle(self) -> None:
        """Understand what there is."""
        if not self._segments:
            raise Damaged("it is cut before anything was written into it")
        rates = {segment.sample_rate_hz for segment in self._segments}
        formats = {record.format for record in self._records if record.kind is Kind.AUDIO}
        if len(rates) != 1 or len(formats) > 1:
            raise Damaged("it has audio of more than one kind")
        (self.sample_rate_hz,) = rates
        self.is_text = not self.sample_rate_hz
        self.is_complete = not self.cut_bytes and (self.is_text or self._has_end)
        said = [self._segments[0].format, *(one.format for one in self._records if one.format is not Format.NONE)]
        format = formats.pop() if formats else said[-1]
        self._encoding = Encoding.PCM16 if format is Format.NONE else Encoding[format.name]
        self._tape = Tape(self._records, self._encoding.dtype, self._encoding.silence)
        self._edit = Edit()
        for record in self._records:
            if record.kind is Kind.EDIT:
                self._edit = self._edit_of(record)
        self.length_samples = sum(count for _, count in self._kept())

    def _edit_of(self, record: Record) -> Edit:
        try:
            edit = msgspec.json.decode(self._content(record), type=Edit)
        except msgspec.MsgspecError:
            edit = None
        if (
            edit is None
            or any(a + count > b for (a, count), (b, _) in pairwise(edit.omit))
            or any(start < 0 or count < 0 for start, count in edit.omit)
            or (edit.single is not None and self._encoding is not Encoding.PCM16)
        ):
            raise Damaged(f"the record at byte {record.offset} says what cannot be")
        return edit

    def _kept(self) -> Iterator[tuple[int, int]]:
        return kept(self._edit.omit, self._tape.length_samples)

    def about(self) -> list[dict[str, Any]]:
        """Return what was sealed of the call beside its audio, by each process that has ended it.

        Raises:
            Damaged: it was not written by us.
        """
        found = (record for record in self._records if record.kind is Kind.ABOUT)
        try:
            return [msgspec.json.decode(self._content(record)) for record in found]
        except msgspec.MsgspecError as error:  # whoever has the public key can seal anything
            raise Damaged(f"what is said beside the audio is no JSON: {error}") from None

    def chunks(self) -> Iterator[bytes]:
        """Yield the file that it would be in clear: a WAV, or text."""
        if self.is_text:
            yield from (self._content(record) for record in self._records if record.kind is Kind.TEXT)
            return
        channels = 1 if self._edit.single else CHANNELS
        yield serialize_header(self._encoding, self.sample_rate_hz, self.length_samples, channels)
        for start, count in self._kept():
            frames = self._tape.read(start, count, self._content)
            yield (mixed(frames, self._edit.single) if self._edit.single else frames).tobytes()
