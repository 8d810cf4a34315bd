"""`Spool`: deliveries that are not over, on the disk, so that the next process goes on with them.

A file a delivery, ``<spool>/<process>/<number>``, mode 0600: a line of JSON that says for whom, then the event. It is
written before the first attempt and removed when the delivery is over; a process that is killed between the two
leaves it, and its receiver may get the event once more. A machine that loses its power may lose those of
the last moment: `media.sinks.syncing` puts everything on the disk once a second, and nobody waits for it here.

Processes share a spool (``--workers``): each has a folder, whose file ``lock`` it holds as long as it lives. What
lies in a folder that nobody holds is *adopted* by whoever finds it, oldest folder first. Folders and files of other
names are nobody's business here; a file of ours that cannot be read is renamed, to ``.unreadable``, and stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from media.documents import read_document
from media.sinks.naming import make_directory

_LOG = logging.getLogger("strep.webhooks")
BLOCK_BYTES = 4096
"""What a file takes at least."""
_LOCK = "lock"
_FOLDER = re.compile(r"\d{20}-\d+")
_FILE = re.compile(r"\d{12}\.json")


def folder_name(wall_ns: int, process_id: int) -> str:
    """Return the name of a process' folder: it sorts behind those of processes before it."""
    return f"{wall_ns:020d}-{process_id}"


class Record(msgspec.Struct, frozen=True):
    """A delivery as it is kept.

    Attributes:
        url: of the receiver.
        call_id: of the event's call.
        born_wall_ns: wall time of the event, ns since the epoch.
        data: ``data`` of its envelope, JSON.
    """

    url: str
    call_id: str
    born_wall_ns: int
    data: msgspec.Raw


class Kept(NamedTuple):
    """Where a record is.

    Attributes:
        key: to be asked for by.
        size_bytes: that it takes.
        record: itself.
    """

    key: int
    size_bytes: int
    record: Record


class Memory:
    """Keeps records in memory: what is left when the process ends is lost."""

    def __init__(self) -> None:
        self.errors = 0
        self._keys = itertools.count(1)
        self._records: dict[int, bytes] = {}

    @property
    def in_memory(self) -> int:
        """How many records are lost when the process ends."""
        return len(self._records)

    def open(self) -> None:
        """Do nothing."""

    def put(self, record: Record) -> Kept:
        """Keep a record."""
        content = msgspec.json.encode(record)
        key = next(self._keys)
        self._records[key] = content
        return Kept(key, len(content), record)

    def get(self, key: int) -> Record:
        """Return a record.

        Raises:
            KeyError: it is gone.
        """
        return msgspec.json.decode(self._records[key], type=Record)

    def remove(self, key: int) -> None:
        """Forget a record."""
        self._records.pop(key, None)

    def adopt(self) -> Iterator[Kept]:
        """Yield nothing: nobody leaves anything behind."""
        return iter(())

    def close(self) -> None:
        """Do nothing."""


class Spool(Memory):
    """Keeps records in files, and in memory what the disk does not take.

    Attributes:
        errors: records that the disk did not take or give back.
        adopted: records of processes that are gone.
    """

    def __init__(self, directory: Path, name: str) -> None:
        """Prepare to keep records in a folder `name` (`folder_name`)."""
        super().__init__()
        self.adopted = 0
        self._directory, self._own = directory, directory / name
        self._paths: dict[int, Path] = {}
        self._held: dict[Path, int] = {}

    def open(self) -> None:
        """Make the folder.

        Raises:
            OSError: the disk does not let us.
        """
        try:
            self._make_folder()
        except OSError as error:
            text = f"cannot keep webhooks in {self._directory}: {error.strerror}"
            raise OSError(error.errno, text) from error

    def _make_folder(self) -> None:
        make_directory(self._directory)
        unborn = self._directory / f".{self._own.name}"
        unborn.mkdir(mode=0o700)  # nobody adopts it before it is held
        fd = self._lock(unborn)
        assert fd is not None
        unborn.rename(self._own)
        self._held[self._own] = fd

    def put(self, record: Record) -> Kept:
        """Write a record to a file of its own; keep it in memory if that fails."""
        content = msgspec.json.encode(record)
        key = next(self._keys)
        path = self._own / f"{key:012d}.json"
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(content)
        except OSError as error:
            self._complain(path, error)
            with contextlib.suppress(OSError):  # a disk that takes nothing may take no removal either
                path.unlink(missing_ok=True)
            self._records[key] = content
            return Kept(key, len(content), record)
        self._paths[key] = path
        return Kept(key, _size_on_disk(len(content)), record)

    def get(self, key: int) -> Record:
        """Return a record.

        Raises:
            KeyError: it is gone.
        """
        if key not in self._paths:
            return super().get(key)
        try:
            return read_document(self._paths[key].read_bytes(), Record)
        except (OSError, ValueError) as error:
            self._complain(self._paths[key], error)
            raise KeyError(key) from error

    def remove(self, key: int) -> None:
        """Remove a record's file."""
        super().remove(key)
        path = self._paths.pop(key, None)
        if path is not None:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                self._complain(path, error)

    def adopt(self) -> Iterator[Kept]:
        """Take over what processes that are gone have left behind, and yield it in order."""
        try:
            for folder in sorted(self._directory.iterdir()):
                if not _FOLDER.fullmatch(folder.name) or folder in self._held:
                    continue
                if (fd := self._lock(folder)) is not None:
                    self._held[folder] = fd
                    for path in _files(folder):
                        yield from self._adopted(path)
        except OSError as error:
            self._complain(self._directory, error)

    def _adopted(self, path: Path) -> Iterator[Kept]:
        try:
            content = path.read_bytes()
            record = read_document(content, Record)
        except OSError as error:
            self._complain(path, error)
            return
        except ValueError as error:  # its process was killed while it wrote
            self._complain(path, error)
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".unreadable"))
            return
        key = next(self._keys)
        self._paths[key] = path
        self.adopted += 1
        yield Kept(key, _size_on_disk(len(content)), record)

    def close(self) -> None:
        """Let go of the folders; those with nothing in them are removed."""
        for folder, fd in self._held.items():
            with contextlib.suppress(OSError):
                if not _files(folder):
                    (folder / _LOCK).unlink()
                    folder.rmdir()
            os.close(fd)
        self._held.clear()

    def _lock(self, folder: Path) -> int | None:
        """Return what holds a folder; None if somebody else does, or it was removed this moment."""
        try:
            fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        return fd

    def _complain(self, path: Path, error: Exception) -> None:
        if not self.errors:
            _LOG.warning("webhook spool: %s: %s; further ones are counted only", path, error)
        self.errors += 1


def _files(folder: Path) -> list[Path]:
    """Return the records in a folder, in order."""
    return sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name))


def _size_on_disk(size_bytes: int) -> int:
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES
