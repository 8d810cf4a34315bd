"""Names of files: taken in one step, never from another file, and never for one that has no beginning.

A file is made beside its name, under one with a dot and `TEMPORARY`, locked, and written to before it gets its own.
A process may be killed between any two of these steps. So whoever looks at a directory, at whatever moment, finds
files that are valid, and locked if somebody writes them; what is left under the other name is removed by the next
start.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

TEMPORARY = ".tmp"

_LEFT_OVER = (f".wav{TEMPORARY}", f".finish{TEMPORARY}", f".json{TEMPORARY}")
_NO_LINKS = frozenset({errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK})
"""link(2) of a file that we made a moment ago: this file system has no second names (FAT, some of FUSE and SMB)."""

F = TypeVar("F")


def make_directory(path: Path) -> None:
    """Make `path` and what is missing above it, closed to other users.

    Raises:
        OSError: it cannot be made.
    """
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def create_unused(directory: Path, name: str, ending: str, make: Callable[[Path], F], companion: str = ".json") -> F:
    """Make ``<name><ending>``, or ``<name>.2<ending>`` and so on where that or its companion file exists.

    The directory is made where it is missing.

    Args:
        directory, name, ending: of the file.
        make: makes it, and raises FileExistsError where there is one.
        companion: ending of the other file.

    Raises:
        OSError: none can be made.
    """
    number = 1
    while True:
        stem = os.path.join(directory, name if number == 1 else f"{name}.{number}")
        number += 1
        if not os.path.exists(stem + companion):
            try:
                return make(Path(stem + ending))
            except FileExistsError:
                pass
            except FileNotFoundError:
                make_directory(directory)
                return make(Path(stem + ending))


def create_begun(path: Path, begin: Callable[[int], None]) -> int:
    """Return a new file at `path`, begun when its name appears: mode 0600, locked, open for reading and writing.

    Where a file cannot have two names at once its name is there a moment before its beginning.

    Args:
        path: of it.
        begin: writes its beginning.

    Raises:
        FileExistsError: nothing is ever overwritten.
        OSError: it cannot be made; then there is nothing.
    """
    if os.path.lexists(path):  # which `link` would say as well, but at the price of a file
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    fd, temporary = _create_unnamed(path.parent)
    try:
        begin(fd)
        os.link(temporary, path)
    except BaseException as error:
        os.close(fd)
        if isinstance(error, OSError) and error.errno in _NO_LINKS:
            return _create_at_once(path, begin)
        raise
    finally:
        with suppress(OSError):
            os.unlink(temporary)
    return fd


def _create_unnamed(directory: Path) -> tuple[int, Path]:
    while True:
        path = directory / f".{secrets.token_hex(8)}.wav{TEMPORARY}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with suppress(OSError):  # there are no locks in this file system
            fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd, path
        os.close(fd)  # another process took it for left over before it was locked


def _create_at_once(path: Path, begin: Callable[[int], None]) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        lock(fd)
        begin(fd)
    except BaseException:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return fd


def create_locked(path: Path) -> int:
    """Return a new file, locked: without a lock it is one that a dead process left, and is removed."""
    while True:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)  # who else may have it removes it, and lets go at once
            if os.fstat(fd).st_nlink:
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def remove_left_over(path: Path) -> bool:
    """Remove `path` if it is what a process was writing when it died; return whether it was that."""
    if not (path.name.startswith(".") and path.name.endswith(_LEFT_OVER)):
        return False
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        if os.fstat(fd).st_nlink == 1:  # else the file has its own name, and may be locked under that
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)  # under the lock, so that who has made it a moment ago sees that it is gone
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def open_locked(path: Path) -> int | None:
    """Return the file that is at `path`, locked, to be read and written; None if somebody has it.

    Raises:
        OSError: it cannot be opened.
    """
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    if lock(fd):
        return fd
    os.close(fd)
    return None


def lock(fd: int) -> bool:
    """Lock the file for as long as it is open; False if somebody has it, or if files cannot be locked there."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
