"""`Spool`: messages on disk while there is nobody to take them: segment files, written once, read once, deleted.

A record is written in one piece and not forced to the disk: it survives the end of this process, however that comes,
and that of the machine if it is older than a moment (`media.sinks.syncing`). A record that was cut short, or that is
not what was written, ends its segment; so much is counted. ::

     0        4        8     10    12          20
    +--------+--------+-----+-----+-----------+---------+----+------+
    | CRC-32 | body   | sub | id  | wall, ns  | subject | id | body |
    +--------+--------+-----+-----+-----------+---------+----+------+

The CRC is that of all behind it; the lengths are in bytes; little-endian.

The directory belongs to one process at a time: each takes the first of its subdirectories ``0``, ``1``, ... that
nobody holds, so that several workers may be given the same one. What a process left in a subdirectory that nobody
holds any more, `Spool.adopt` takes over.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import zlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile

from media.nats.message import Message
from media.sinks.naming import make_directory

_RECORD = struct.Struct("<IIHHq")
_CRC_BYTES = 4
_SUFFIX = ".spool"
_MAX_HOLDERS = 1024
_READ_BYTES = 1 << 20


@dataclass(slots=True, eq=False)
class Segment:
    """A file of records.

    Attributes:
        path: of it.
        size_bytes: so much is written.
        read_bytes: so much of that has been read, or need not be.
        held: messages that were read, or need not be, and are not settled yet.
        is_closed: nothing is written to it any more.
        is_recovered: another process wrote it, and may have sent what is in it.
    """

    path: Path
    size_bytes: int = 0
    read_bytes: int = 0
    held: int = 0
    is_closed: bool = False
    is_recovered: bool = False
    descriptor: int = -1

    @property
    def is_done(self) -> bool:
        """Whether nobody needs it any more."""
        return self.held == 0 and self.read_bytes == self.size_bytes


@dataclass(slots=True)
class Spool:
    """The messages on disk, oldest first.

    Attributes:
        directory: of the segments; this process holds it.
        max_bytes: bound of them together.
        segment_bytes: a segment that has reached this gets no more.
        torn_bytes: so much could not be read, for it had not been written whole, or the disk would not.
        recovered_bytes: so much was here at the start.
    """

    directory: Path
    max_bytes: int
    segment_bytes: int
    torn_bytes: int = 0
    recovered_bytes: int = 0
    _segments: deque[Segment] = field(default_factory=deque)
    _next_number: int = 0
    _lock: int = -1

    @classmethod
    def open(cls, parent: Path, max_bytes: int) -> Spool:
        """Take a subdirectory of `parent`, with what is in it.

        Raises:
            OSError: it cannot be made or written to.
        """
        for number in range(_MAX_HOLDERS):
            directory = parent / str(number)
            make_directory(directory)
            lock = _hold(directory)
            if lock is None:
                continue
            spool = cls(directory, max_bytes, min(max(max_bytes // 16, 1 << 16), 64 << 20), _lock=lock)
            try:
                with TemporaryFile(dir=directory):
                    pass  # so it can be written to
                for path in _segments_in(directory):
                    spool._next_number = max(spool._next_number, int(path.stem))
                    spool._recover(path)
            except OSError:
                spool.close()
                raise
            return spool
        raise OSError(f"{parent}: {_MAX_HOLDERS} processes hold a spool there")

    def adopt(self) -> bool:
        """Take over what others left behind, if there is nothing here; return whether there was something.

        Raises:
            OSError: it cannot be read.
        """
        if self._segments:
            return False
        for path in _segments_in(self.directory.parent, "*/"):
            lock = _hold(path.parent) if path.parent != self.directory else None
            if lock is not None:
                try:
                    self._recover(path.rename(self._next_path()))
                finally:
                    os.close(lock)
        return bool(self._segments)

    def _recover(self, path: Path) -> None:
        self._next_number += 1  # the name is taken, whether it can be read or not
        size_bytes = path.stat().st_size
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._segments.append(Segment(path, size_bytes, is_closed=True, is_recovered=True, descriptor=descriptor))
        self.recovered_bytes += size_bytes

    def _next_path(self) -> Path:
        return self.directory / f"{self._next_number:016d}{_SUFFIX}"

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return sum(segment.size_bytes for segment in self._segments)

    @property
    def unread_bytes(self) -> int:
        """Bytes that `read` has not returned yet."""
        return sum(segment.size_bytes - segment.read_bytes for segment in self._segments)

    def append(self, message: Message, wall_ns: int, *, is_kept: bool) -> bool:
        """Write a message at the end.

        Args:
            message: to write; `is_kept` ones get their `Message.segment`.
            wall_ns: when it was offered, for the record.
            is_kept: it stays in memory as well: `read` does not return it. Nothing before it may be unread.

        Returns:
            Whether there was room.

        Raises:
            OSError: it could not be written, and is not there.
        """
        record = _pack(message, wall_ns)
        if self.size_bytes + len(record) > self.max_bytes:
            return False
        segment = self._writable()
        _write(segment, record)
        if is_kept:
            segment.read_bytes += len(record)
            segment.held += 1
            message.segment = segment
        return True

    def read(self, now_ns: int, wall_ns: int) -> list[Message]:
        """Return the messages of about a mebibyte, the oldest that were not read yet; each is held until `release`.

        Args:
            now_ns, wall_ns: both clocks at one moment: the age of a message outlives the process that took it.
        """
        segment = next((segment for segment in self._segments if segment.read_bytes < segment.size_bytes), None)
        if segment is None:
            return []
        try:
            data = os.pread(segment.descriptor, min(_READ_BYTES, segment.size_bytes), segment.read_bytes)
        except OSError:  # the rest of it is lost; others may be whole
            data = b""
        messages, place = [], 0
        while (found := _parse(data, place)) is not None:
            message, offered_wall_ns, place = found
            message.offered_ns = offered_wall_ns - wall_ns + now_ns
            message.segment = segment
            message.is_doubtful = segment.is_recovered
            messages.append(message)
        if not messages:  # not one record in a mebibyte: this one is not whole
            self.torn_bytes += segment.size_bytes - segment.read_bytes
            segment.read_bytes, segment.is_closed = segment.size_bytes, True
            self._sweep()
        segment.read_bytes += place
        segment.held += len(messages)
        return messages

    def release(self, segment: Segment) -> None:
        """Settle one of the messages that a segment holds; the last one deletes it."""
        segment.held -= 1
        if segment.is_done:
            self._sweep()

    def _sweep(self) -> None:
        for segment in [segment for segment in self._segments if segment.is_done]:
            self._segments.remove(segment)
            with contextlib.suppress(OSError):  # it is found again at the next start, and what is in it known
                os.close(segment.descriptor)
                segment.path.unlink(missing_ok=True)

    def _writable(self) -> Segment:
        last = self._segments[-1] if self._segments else None
        if last is None or last.is_closed or last.size_bytes >= self.segment_bytes:
            path = self._next_path()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._next_number += 1
            last = Segment(path, descriptor=descriptor)
            self._segments.append(last)
        return last

    def close(self) -> None:
        """Let go of the directory; what is unsettled stays for the next one."""
        for segment in self._segments:
            os.close(segment.descriptor)
        self._segments.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def probe(parent: Path) -> None:
    """Do nothing, if a spool can be in a directory.

    Raises:
        OSError: it cannot be made or written to.
    """
    Spool.open(parent, 0).close()


def _segments_in(directory: Path, below: str = "") -> list[Path]:
    """Return the segments in a directory, the oldest first; what else may lie there is nothing to us."""
    found = sorted(directory.glob(f"{below}*{_SUFFIX}"))
    return [path for path in found if path.stem.isdecimal() and path.stem.isascii() and path.is_file()]


def _hold(directory: Path) -> int | None:
    """Return the lock of a directory, None if another process holds it; closing it lets go."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _write(segment: Segment, record: bytes) -> None:
    try:
        written = os.write(segment.descriptor, record)
        if written != len(record):
            raise OSError(f"{segment.path}: {written} of {len(record)} bytes written")
    except OSError:
        segment.is_closed = True
        os.ftruncate(segment.descriptor, segment.size_bytes)
        raise
    segment.size_bytes += len(record)


def _pack(message: Message, wall_ns: int) -> bytes:
    subject, message_id = message.subject.encode(), message.message_id.encode()
    fixed = _RECORD.pack(0, len(message.body), len(subject), len(message_id), wall_ns)
    rest = b"".join((fixed[_CRC_BYTES:], subject, message_id, message.body))
    return zlib.crc32(rest).to_bytes(_CRC_BYTES, "little") + rest


def _parse(data: bytes, place: int) -> tuple[Message, int, int] | None:
    """Return the message at a place, its wall clock and where the next one begins; None if it is not whole."""
    if len(data) - place < _RECORD.size:
        return None
    crc, body_bytes, subject_bytes, id_bytes, wall_ns = _RECORD.unpack_from(data, place)
    subject_at = place + _RECORD.size
    id_at = subject_at + subject_bytes
    body_at = id_at + id_bytes
    end = body_at + body_bytes
    if end > len(data) or zlib.crc32(memoryview(data)[place + _CRC_BYTES : end]) != crc:
        return None
    try:
        subject, message_id = data[subject_at:id_at].decode(), data[id_at:body_at].decode()
    except UnicodeDecodeError:  # the checksum tells what was torn, not who has written
        return None
    return Message(subject, message_id, data[body_at:end]), wall_ns, end
