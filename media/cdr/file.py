"""`RecordFile`: records as JSON lines in a file that several processes and a log rotation share.

* The file is opened for each batch, by its name: a rotation that moves it away needs to tell nobody. ``{date}`` in
  the name is the day, by UTC, on which it is written.
* A batch is written under a lock of the file and synced before the lock goes, so that lines of several processes
  (``--workers``, a hand-over) neither mix nor tear.
* What a process that was killed, or a full disk, left of a line is put right by the next who has the lock: cut off,
  or, where only its end is missing, ended.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from media.cdr.record import CallRecord, line_of
from media.events.files import append_or_nothing
from media.sinks.naming import make_directory
from strep.clock import iso8601

_LOG = logging.getLogger("strep.cdr")
DATE = "{date}"
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK_BACK_BYTES = 1 << 20
"""A line is shorter."""
_HEAD = b'{"schema_version":'
"""What our lines begin with: nothing else is ever cut off, whatever file somebody has named."""


class RecordFile:
    """Where records are appended, mode 0600."""

    name = "file"

    def __init__(self, path: Path) -> None:
        """Write to `path`."""
        self._path = path

    def open(self, wall_ns: int) -> None:
        """Make the file if it is not there, and put its end right.

        Raises:
            OSError: it cannot be written to.
        """
        try:
            make_directory(self._path.parent)
            path = str(self.path_at(wall_ns))
            fd = _open_locked(path)
            try:
                _mend(fd, path)
            finally:
                os.close(fd)
        except OSError as error:
            raise OSError(error.errno, f"cannot write call records to {self._path}: {error.strerror}") from error

    def write(self, records: Sequence[CallRecord], wall_ns: int) -> None:
        """Append records, and put them on the disk.

        Raises:
            OSError: none of them is there.
        """
        path = str(self.path_at(wall_ns))
        fd = _open_locked(path)
        try:
            size = _mend(fd, path)
            append_or_nothing(fd, b"".join(map(line_of, records)), size)
            try:
                os.fsync(fd)
            except OSError:  # they are tried again, and must not be there twice
                os.ftruncate(fd, size)
                raise
        finally:
            os.close(fd)

    def close(self) -> None:
        """Do nothing: it is open only while it is written to."""

    def path_at(self, wall_ns: int) -> Path:
        """Return the file of the day."""
        return Path(str(self._path).replace(DATE, iso8601(wall_ns)[:10]))


def _open_locked(path: str) -> int:
    """Return the file that has this name once we have its lock."""
    while True:
        fd = os.open(path, _FLAGS, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_at(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # it was moved away while we waited


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _mend(fd: int, path: str) -> int:
    """Let the file end behind a whole line; return its size.

    Raises:
        OSError: it cannot be put right.
    """
    size = os.fstat(fd).st_size
    if not size:
        return size
    start = max(size - _LOOK_BACK_BYTES, 0)
    tail = os.pread(fd, size - start, start)
    torn = tail[tail.rfind(b"\n") + 1 :]
    if not torn:
        return size
    kept = _whole_of(torn)
    if len(kept) < len(torn):
        _LOG.warning("the last line of %s was torn; %d bytes are cut off", path, len(torn) - len(kept))
    end = size - len(torn) + len(kept)
    os.ftruncate(fd, end)
    return end + os.write(fd, b"\n") if kept else end


def _whole_of(torn: bytes) -> bytes:
    """Return the line without its end that there is, empty if it is only a part of one of ours."""
    said = torn.rstrip(b"\0")  # lost power leaves room in a file, and nothing in it
    if not said or _HEAD.startswith(said):
        return b""
    if not said.startswith(_HEAD):
        return torn
    try:
        msgspec.json.decode(said)
    except msgspec.DecodeError:
        return b""
    return said
