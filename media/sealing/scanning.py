"""What is in a sealed file, as far as that is known without a key: its segments and records, and what is neither.

A machine that lost its power leaves a file of which any part did not come to the disk. Records have a length, so one
whose content is not there is passed by it; where heads are missing the next one is looked for by what every head has
(`_candidates`), which a byte of sealed content has by chance once in 2**60. It costs a look at each byte, once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from media.sealing.records import (
    BOTH,
    MAGIC,
    MAX_ENVELOPE_BYTES,
    MAX_SEALED_BYTES,
    RECORD,
    SEGMENT,
    TAG_BYTES,
    Damaged,
    Format,
    Kind,
    Record,
    Segment,
    content_bytes,
)

_STEP_BYTES, _FIRST_STEP_BYTES = 1 << 20, 1 << 12


class ReadAt(Protocol):
    """Returns up to `count` bytes of a file from `offset`, fewer at its end."""

    def __call__(self, count: int, offset: int, /) -> bytes:
        """Read."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Bytes of a file that are neither segment nor record, in front of others that are, or of its end."""

    offset: int
    end: int


def scan(read: ReadAt, size: int, start: int = 0) -> Iterator[Segment | Record]:
    """Yield all segments and records that are whole; see `survey`.

    Raises:
        Damaged: what comes next was never written by us.
    """
    for found in survey(read, size, start):
        if isinstance(found, Lost):
            raise Damaged(f"what begins at byte {found.offset} is not what was written")
        yield found


def survey(read: ReadAt, size: int, start: int = 0) -> Iterator[Segment | Record | Lost]:
    """Yield all segments and records that are whole, and what is lost between them; stop where the file is cut.

    Whether they are what was written only the key tells. What is behind the last one is a record that was being
    written, if anything: a part of it, or, where a machine lost power, one whose end is blank, as is all behind it.

    Args:
        read: from the file.
        size: of the file, bytes.
        start: where a segment begins.

    Raises:
        Damaged: there is no segment at `start`.
    """
    offset, segment = start, None
    while offset < size:
        try:
            found = _next(read, size, offset, segment)
        except Damaged:
            if segment is None:
                raise
            lost = Lost(offset, _search(read, size, offset + 1, segment))
            yield lost
            offset = lost.end
            continue
        if found is None:
            return
        if isinstance(found, Segment):
            segment = found
        yield found
        offset = found.end


def _next(read: ReadAt, size: int, offset: int, segment: Segment | None) -> Segment | Record | None:
    """Return what begins here; None where the file is cut."""
    head = read(max(SEGMENT.size, RECORD.size), offset)
    if head.startswith(MAGIC) or (len(head) < len(MAGIC) and MAGIC.startswith(head)):
        return _segment(read, size, offset, head)
    if segment is None:
        raise Damaged("this is no sealed file")
    if not any(head) and _is_blank(read, size, offset):  # a machine lost power before the disk had it
        return None
    if len(head) < RECORD.size or _is_cut(read, size, offset + RECORD.size):
        return None
    record = _record(segment, offset, head)
    return None if record.end > size or _is_cut(read, size, record.end - TAG_BYTES) else record


def _segment(read: ReadAt, size: int, offset: int, head: bytes) -> Segment | None:
    """Return the segment that begins here; None if not all of its beginning is there."""
    head = head[: SEGMENT.size]
    if len(head) < SEGMENT.size or _is_cut(read, size, offset + len(head)):
        return None
    _, envelope_bytes, sample_rate_hz, format = SEGMENT.unpack(head)
    if not 0 < envelope_bytes <= MAX_ENVELOPE_BYTES or head[-3:] != bytes(3):
        raise Damaged(f"the segment at byte {offset} is not what was written")
    end = offset + len(head) + envelope_bytes
    if end > size or _is_cut(read, size, end - TAG_BYTES):
        return None
    try:
        known = Format(format)
    except ValueError:
        raise Damaged(f"the segment at byte {offset} is of an unknown format") from None
    return Segment(offset, head, read(envelope_bytes, offset + len(head)), sample_rate_hz, known)


def _record(segment: Segment, offset: int, head: bytes) -> Record:
    sealed_bytes, number, position, count, kind, format, channel = RECORD.unpack(head)
    try:
        record = Record(offset, segment, number, Kind(kind), Format(format), channel, position, count, sealed_bytes)
    except ValueError:
        raise Damaged(f"the record at byte {offset} is not what was written") from None
    expected = content_bytes(record.kind, record.format, channel, count) + TAG_BYTES
    if sealed_bytes != expected or sealed_bytes > MAX_SEALED_BYTES or channel > BOTH or head[-1]:
        raise Damaged(f"the record at byte {offset} is not what was written")
    return record


def _search(read: ReadAt, size: int, start: int, segment: Segment) -> int:
    """Return where from `start` on the next segment or record begins, whole or not; `size` where none does."""
    for first in range(start, size, _STEP_BYTES):
        piece = read(_STEP_BYTES + max(SEGMENT.size, RECORD.size) - 1, first)
        for place in _candidates(piece):
            if place >= _STEP_BYTES:
                break
            head = piece[place : place + max(SEGMENT.size, RECORD.size)]
            try:
                if head.startswith(MAGIC):
                    _segment(read, size, first + place, head)
                else:
                    _record(segment, first + place, head)
            except Damaged:
                continue
            return first + place
    return size


def _candidates(piece: bytes) -> list[int]:
    """Return where in `piece` a segment or a record may begin: there is the magic, or a head's small numbers."""
    codes = np.frombuffer(piece, np.uint8)
    places = []
    if (ends := len(codes) - RECORD.size + 1) > 0:
        most_high_byte, kind, channel, zero = 2, 20, 22, 23  # in `RECORD`
        may = (codes[zero : zero + ends] == 0) & (codes[most_high_byte + 1 : most_high_byte + 1 + ends] == 0)
        may &= codes[most_high_byte : most_high_byte + ends] <= MAX_SEALED_BYTES >> 16
        may &= (codes[channel : channel + ends] <= BOTH) & (codes[kind : kind + ends] - np.uint8(1) < len(Kind))
        places = np.flatnonzero(may).tolist()
    place = piece.find(MAGIC)
    while place >= 0:
        places.append(place)
        place = piece.find(MAGIC, place + 1)
    return sorted(places)


def _is_cut(read: ReadAt, size: int, offset: int) -> bool:
    """Return whether what was sealed is blank from here on to the end of the file: it never came to the disk."""
    return not any(read(TAG_BYTES, offset)) and _is_blank(read, size, offset)


def _is_blank(read: ReadAt, size: int, offset: int) -> bool:
    step = _FIRST_STEP_BYTES
    while offset < size:
        if any(read(step, offset)):
            return False
        offset, step = offset + step, min(2 * step, _STEP_BYTES)
    return True


def reader_of(fd: int) -> Callable[[int, int], bytes]:
    """Return a `ReadAt` of an open file."""
    return lambda count, offset: os.pread(fd, count, offset)
