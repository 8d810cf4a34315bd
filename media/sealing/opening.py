"""`Opened`: a sealed file and the private key that fits it: all of it is verified before any of it is given away.

What is not what was written is given to nobody: it is silent, or left out, and `Opened.damage` says where that is.
Only of what lies in clear about a damaged record something is believed: where it was, which silence depends on.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from media.sealing import age, damage
from media.sealing.damage import Damage, merged
from media.sealing.keys import Identity
from media.sealing.playing import Tape, length_after
from media.sealing.records import Damaged, Format, Kind, Record, Segment, content_bytes, number_of, opened
from media.sealing.scanning import Lost, reader_of, survey
from media.sinks.rewriting import kept, mixed
from media.sinks.wav import CHANNELS, Encoding, serialize_header

_BELIEVED_S = 3600
"""How much longer than all that is verified a damaged record may say that the audio is."""


class Edit(msgspec.Struct, frozen=True):
    """What is left out of audio; see `SealedWav.edit`."""

    omit: tuple[tuple[int, int], ...] = ()
    single: Literal["both", "inbound", "outbound"] | None = None


class Opened:
    """A file that was verified; to be used in a ``with`` block.

    Attributes:
        is_text: it holds lines and not audio.
        is_uncut: its end is there, as far as it has one: text has none, it may always grow.
        is_complete: it is uncut, and nothing of it is damaged.
        damage: what of it is not what was written.
        segments: processes that wrote it, one after the other, and edits of it.
        cut_bytes: behind the last whole record, of one that was being written.
        length_samples: of audio, per channel, as it is given out.
    """

    def __init__(self, path: Path, identities: Sequence[Identity]) -> None:
        """Open and verify it.

        Raises:
            NoKeyFits: it was sealed for others, or what says for whom was altered.
            Damaged: nothing of it is what was written, or it is no sealed file.
            OSError: it cannot be read.
        """
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._read = reader_of(self._fd)
            self._ciphers: dict[int, Any] = {}
            self._records: list[Record] = []
            self._segments: list[Segment] = []
            self._wrong: list[tuple[Record | Lost, str]] = []
            self._replaced: list[Damage] = []
            self._silent: dict[int, int] = {}
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
        for found in survey(self._read, size):
            end = found.end
            if isinstance(found, Segment):
                self._take_key(found, identities)
                last_number, numbers, self._has_end = -1, hashlib.sha256(), False
                continue
            if isinstance(found, Lost):
                self._has_end = False
                self._wrong.append((found, damage.NOT_WRITTEN))
                continue
            reason = self._wrong_with(found, last_number)
            self._has_end = found.kind is Kind.END and reason is None
            if self._has_end and self._content(found) != numbers.digest():
                start = found.segment.offset
                self._replaced.append(Damage(start, found.offset - start, damage.REPLACED))
            numbers.update(number_of(found))
            if reason is not None:
                self._wrong.append((found, reason))
            else:
                last_number = found.number
                self._records.append(found)
        self.cut_bytes = size - end

    def _take_key(self, segment: Segment, identities: Sequence[Identity]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._segments.append(segment)
        try:
            key = age.decrypt(segment.envelope, identities)
            self._ciphers[segment.offset] = AESGCM(key)
        except ValueError as error:
            is_other = isinstance(error, age.NoKeyFits)
            if is_other and len(self._segments) == 1:
                raise
            reason = damage.NO_KEY_FITS if is_other else damage.NOT_WRITTEN
            self._wrong.append((Lost(segment.offset, segment.end), reason))

    def _wrong_with(self, record: Record, last_number: int) -> str | None:
        if record.segment.offset not in self._ciphers:
            return damage.NO_KEY
        try:
            self._content(record)
        except Damaged:
            return damage.NOT_WRITTEN
        return damage.OUT_OF_ORDER if record.number <= last_number else None

    def _content(self, record: Record) -> bytes:
        if record.offset in self._silent:
            return bytes([self._encoding.silence]) * self._silent[record.offset]
        sealed = self._read(record.sealed_bytes, record.content_offset)
        return opened(self._ciphers[record.segment.offset], record, sealed)

    def _settle(self) -> None:
        """Understand what there is."""
        if not self._segments:
            raise Damaged("it is cut before anything was written into it")
        if self._wrong and not self._records:
            raise Damaged(
                f"from byte {self._wrong[0][0].offset} on it {self._wrong[0][1]}, nor is anything else in it"
            )
        rates = {one.segment.sample_rate_hz for one in self._records} or {
            one.sample_rate_hz for one in self._segments
        }
        formats = {record.format for record in self._records if record.kind is Kind.AUDIO}
        if len(rates) != 1 or len(formats) > 1:
            raise Damaged("it has audio of more than one kind")
        (self.sample_rate_hz,) = rates
        self.is_text = not self.sample_rate_hz
        said = [self._segments[0].format, *(one.format for one in self._records if one.format is not Format.NONE)]
        format = formats.pop() if formats else said[-1]
        self._encoding = Encoding.PCM16 if format is Format.NONE else Encoding[format.name]
        places, records = self._placed(format)
        self._tape = Tape(records, self._encoding.dtype, self._encoding.silence)
        self._edit = Edit()
        for record in self._records:
            if record.kind is Kind.EDIT:
                self._edit = self._edit_of(record)
        self.length_samples = sum(count for _, count in self._kept())
        self.damage = self._replaced + merged(self._damage(one, reason, places) for one, reason in self._wrong)
        self.is_uncut = not self.cut_bytes and (self.is_text or self._has_end)
        self.is_complete = self.is_uncut and not self.damage

    def _placed(self, format: Format) -> tuple[dict[int, tuple[int, int]], list[Record]]:
        """Return what of the audio is lost, and the records that it consists of, silence in place of damaged ones.

        What is lost, by where it is in the file: start and length in samples. Of a damaged record as its head says;
        of what has no head up to where the audio goes on.
        """
        wrong = {one.offset for one, _ in self._wrong}
        places: dict[int, tuple[int, int]] = {}
        since: list[int] = []  # damage since the last audio that is verified
        nowhere: list[int] = []  # what of it has no place yet
        records: list[Record] = []
        length = verified = 0
        believed = self._believed_samples()
        found = [*self._records, *(one for one, _ in self._wrong)]
        for one in sorted(found, key=lambda each: each.offset):
            if one.offset in wrong:
                since.append(one.offset)
                if not _is_believed(one, format, believed):
                    nowhere.append(one.offset)
                    continue
            assert isinstance(one, Record)
            if one.offset in wrong:
                if one.position > length:
                    places.update(dict.fromkeys(nowhere, (length, one.position - length)))
                    nowhere.clear()
                places[one.offset] = one.position, one.count
                self._silent[one.offset] = content_bytes(one.kind, one.format, one.channel, one.count)
            elif one.kind in (Kind.AUDIO, Kind.LENGTH, Kind.END):
                if one.position > verified:
                    places.update((at, _joined(places.get(at), verified, one.position)) for at in since)
                since.clear()
                nowhere.clear()
                verified = length_after(verified, one)
            records.append(one)
            length = length_after(length, one)
        return places, records

    def _believed_samples(self) -> int:
        """Return how long the audio may be by what damaged records say: anybody may have written them."""
        length = 0
        for record in self._records:
            if record.kind in (Kind.AUDIO, Kind.LENGTH, Kind.END):
                length = length_after(length, record)
        return length + _BELIEVED_S * self.sample_rate_hz

    def _damage(self, one: Record | Lost, reason: str, places: dict[int, tuple[int, int]]) -> Damage:
        size = one.end - one.offset
        if one.offset not in places or self.is_text:
            return Damage(one.offset, size, reason)
        start, count = places[one.offset]
        first, last = (self._opened_position(position) for position in (start, start + count))
        return Damage(one.offset, size, reason, first, last - first)

    def _opened_position(self, position: int) -> int:
        """Return where in the opened file a position of the sealed one is."""
        gone = sum(max(min(start + count, position) - start, 0) for start, count in self._edit.omit)
        return min(position - gone, self.length_samples)

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


def _is_believed(damaged: Record | Lost, format: Format, most_samples: int) -> bool:
    if not isinstance(damaged, Record) or (damaged.kind, damaged.format) != (Kind.AUDIO, format):
        return False
    return damaged.position + damaged.count <= most_samples


def _joined(place: tuple[int, int] | None, start: int, end: int) -> tuple[int, int]:
    """Return a place if it lies between two others, else one that has it and all between them."""
    if place is None:
        return start, end - start
    first, last = place[0], sum(place)
    return place if start <= first and last <= end else (min(first, start), max(last, end) - min(first, start))
