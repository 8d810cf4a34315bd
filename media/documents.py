"""Documents of ours in JSON, written and read back where something else may lie by now."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TypeVar

import msgspec

T = TypeVar("T")


def read_document(content: bytes, kind: type[T]) -> T:
    """Return what `content` says, as a `kind`.

    Raises:
        ValueError: it is none, whatever is wrong with it: no JSON, no UTF-8, other fields, nested too deeply.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except RecursionError as error:  # the only one that is no ValueError
        raise ValueError(str(error)) from None


def create_temporary(path: str) -> int:
    """Return a new file, mode 0600, locked where files can be: without a lock a dead process left it.

    What is in its place, such a process left, or somebody who wants us to write elsewhere: it is removed.

    Raises:
        OSError: it cannot be made.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except FileExistsError:
        os.unlink(path)
        fd = os.open(path, flags, 0o600)
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd
