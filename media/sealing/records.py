"""The layout of sealed files: segments of records, each sealed on its own, appended and never written over.

::

    file     one or more segments; a new process that goes on with a file begins another one
    segment  magic 8s "strepSE1" | envelope_bytes u32 | sample_rate_hz u32 | format u8 | 0 0 0
             envelope, an age file (`media.sealing.age`): the segment's key, 32 bytes
             records
    record   sealed_bytes u32 | number u32 | position u64 | count u32 | kind u8 | format u8 | channel u8 | 0
             `sealed_bytes` of AES-256-GCM, the last 16 of which are its tag

Numbers are little-endian. The nonce of a record is its number, 12 bytes big-endian. A number is used once, also by a
record that a full disk took in part and that was removed again; numbers grow. Authenticated with it are the places of
the segment and of the record in the file, the segment's head and the record's head (`_ASSOCIATED`): nothing can be
moved or relabelled within a file; where its end is there nothing is left out either, or replaced by what was there
before (`Kind.END`). Heads are in clear, so that who has no key knows how long the audio is.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from media.sealing import age
from media.sealing.keys import Recipients

MAGIC = b"strepSE1"
SUFFIX = ".sealed"
SEGMENT = struct.Struct("<8s I I B 3x")
RECORD = struct.Struct("<I I Q I B B B x")
_ASSOCIATED = struct.Struct(f"<Q Q {SEGMENT.size}s {RECORD.size}s")
_KEY_BYTES, TAG_BYTES = 32, 16
MAX_SEALED_BYTES = 4 << 20
"""Of a record; a reader takes no more at its word."""
MAX_ENVELOPE_BYTES = 64 << 10
_LAST_NUMBER = 0xFFFF_FFFF
BOTH = 2
"""Channel of frames that have both."""


class Kind(IntEnum):
    """What a record says. Later ones supersede earlier ones.

    Attributes:
        AUDIO: `count` samples of `channel`, or frames of both, are at `position`.
        LENGTH: the audio is `position` samples long now: silent where it grew, and what is behind is gone.
        TEXT: `count` bytes follow on those before.
        EDIT: JSON; what is to be left out when it is opened; `position` is the length without it.
        ABOUT: JSON; whose audio it is, and what happened in the call.
        END: the file is complete, and `position` samples long; SHA-256, `count` bytes, of the numbers of the
            segment's records before it.
    """

    AUDIO = 1
    LENGTH = 2
    TEXT = 3
    EDIT = 4
    ABOUT = 5
    END = 6


class Format(IntEnum):
    """What samples are."""

    PCM16 = 0
    PCMU = 1
    PCMA = 2
    NONE = 255


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it is in a file.

    Attributes:
        offset: where it begins.
        head: its head.
        envelope: its key, wrapped.
        sample_rate_hz: of audio; 0 for text.
        format: of audio until a record says another.
    """

    offset: int
    head: bytes
    envelope: bytes
    sample_rate_hz: int
    format: Format

    @property
    def end(self) -> int:
        """Where in the file its first record begins."""
        return self.offset + len(self.head) + len(self.envelope)


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it is in a file; see `Kind`.

    Attributes:
        offset: where its head is; what is sealed follows.
        segment: which it belongs to.
    """

    offset: int
    segment: Segment
    number: int
    kind: Kind
    format: Format
    channel: int
    position: int
    count: int
    sealed_bytes: int

    @property
    def content_offset(self) -> int:
        """Where in the file the sealed bytes are."""
        return self.offset + RECORD.size

    @property
    def end(self) -> int:
        """Where in the file it ends."""
        return self.content_offset + self.sealed_bytes


class Damaged(ValueError):
    """A file is not what was written; the text says where."""


def content_bytes(kind: Kind, format: Format, channel: int, count: int) -> int:
    """Return how many bytes a record has before it is sealed."""
    if kind is Kind.AUDIO:
        return count * (2 if format is Format.PCM16 else 1) * (2 if channel == BOTH else 1)
    return count


class Sealer:
    """Makes one segment, with a key that nobody else has and that is gone with this object.

    Attributes:
        segment: its beginning.
    """

    def __init__(self, recipients: Recipients, offset: int, sample_rate_hz: int = 0, format: Format = Format.NONE):
        """Make the key and wrap it.

        Args:
            recipients: who can open it; at least one.
            offset: where in the file the segment will be.
            sample_rate_hz, format: of audio.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        assert recipients, "what nobody can open is lost"
        key = os.urandom(_KEY_BYTES)
        envelope = age.encrypt(key, recipients)
        head = SEGMENT.pack(MAGIC, len(envelope), sample_rate_hz, format)
        self.segment = Segment(offset, head, envelope, sample_rate_hz, format)
        self._cipher = AESGCM(key)
        self._next = 0

    def seal(
        self,
        offset: int,
        kind: Kind,
        content: Any = b"",
        *,
        position: int = 0,
        count: int = 0,
        format: Format = Format.NONE,
        channel: int = BOTH,
    ) -> tuple[bytes, bytes]:
        """Return head and sealed bytes of the next record, which goes to `offset` of the file.

        Raises:
            OverflowError: there are no more numbers, or a place is none.
        """
        number, self._next = self._next, self._next + 1
        if number > _LAST_NUMBER:
            raise OverflowError("a segment has 2**32 records at the most")
        size = content_bytes(kind, format, channel, count) + TAG_BYTES
        head = RECORD.pack(size, number, position, count, kind, format, channel)
        sealed = self._cipher.encrypt(number.to_bytes(12, "big"), content, self._associated(offset, head))
        assert len(sealed) == size
        return head, sealed

    def open(self, record: Record, sealed: bytes) -> bytes:
        """Return the content of a record of this segment."""
        return opened(self._cipher, record, sealed)

    def _associated(self, offset: int, head: bytes) -> bytes:
        return _ASSOCIATED.pack(self.segment.offset, offset, self.segment.head, head)


def number_of(record: Record | bytes) -> bytes:
    """Return what goes into the sum of `Kind.END` for a record: its number, 4 bytes little-endian; also of a head."""
    return record[4:8] if isinstance(record, bytes) else record.number.to_bytes(4, "little")


def opened(cipher: Any, record: Record, sealed: bytes) -> bytes:
    """Return what is in a record.

    Args:
        cipher: AESGCM with the key of its segment.
        record: as found in the file.
        sealed: its sealed bytes.

    Raises:
        Damaged: it is not what was sealed.
    """
    from cryptography.exceptions import InvalidTag

    segment, fields = record.segment, (record.kind, record.format, record.channel)
    head = RECORD.pack(record.sealed_bytes, record.number, record.position, record.count, *fields)
    associated = _ASSOCIATED.pack(segment.offset, record.offset, segment.head, head)
    try:
        content: bytes = cipher.decrypt(record.number.to_bytes(12, "big"), sealed, associated)
    except InvalidTag:
        raise Damaged(f"the record at byte {record.offset} is not what was written") from None
    return content
