"""Writing a sidecar over the one that is there: on a disk that has no room for a second file.

So it does not say "recording" for ever; `media.sinks.sidecar` leaves room for the end in every first one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from media.sinks.naming import make_directory
from media.sinks.sidecar import Sidecar, plain, replace

_ERROR_CHARACTERS = 200
"""Length to which an error is cut: room is short."""


def put(path: Path, document: Sidecar) -> OSError | None:
    """Replace the sidecar at `path`, or, on a disk without room for another file, write over the one that is there.

    Returns:
        None, or why not all of the document is there.

    Raises:
        OSError: nothing could be written.
        UNSERIALIZABLE: the document cannot be JSON.
    """
    try:
        try:
            replace(path, document)
        except FileNotFoundError:  # somebody removed the directory, or it could not be made before
            make_directory(path.parent)
            replace(path, document)
    except OSError as error:
        reason = f"{type(error).__name__}: {error}"
        try:
            is_whole = overwrite(path, document, f"the audio is whole, its description is not: {reason}")
        except OSError:  # there is none yet, or worse: what happened first is what counts
            raise error from None
        return None if is_whole else error
    return None


def overwrite(path: Path, document: Sidecar, reason: str) -> bool:
    """Write the document over the one at `path`, in the space that it takes on the disk: nothing else is left.

    As much of the document as there is room for: all of it, else without ledgers and events, without tracks,
    without identity. A document from which something had to be left out does not claim to be complete.

    Args:
        path: where a document is.
        document: what to write.
        reason: the error of a document that would be complete if all of it had room.

    Returns:
        True when the whole document is there.

    Raises:
        OSError: there is none at `path`, or not even that can be written.
        UNSERIALIZABLE: the document cannot be JSON.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size = os.fstat(fd).st_size
        room = max(size, os.fstat(fd).st_blocks * 512)
        for number, candidate in enumerate(_shorter(document, reason)):
            content = msgspec.json.encode(candidate, enc_hook=plain)
            content = content.ljust(size - 1) + b"\n"
            if len(content) <= room:
                if _covers(fd, content):
                    return number == 0
                os.ftruncate(fd, size)  # what was written behind the old end
    finally:
        os.close(fd)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _shorter(document: Sidecar, reason: str) -> Iterator[Sidecar]:
    """Yield the document, and what is left of it when there is less and less room."""
    yield document
    error = (document.error or reason)[:_ERROR_CHARACTERS]
    document = msgspec.structs.replace(document, state="failed", error=error, events=[], sinks=[])
    bare = [msgspec.structs.replace(track, ledger=[], ledger_truncated=True) for track in document.tracks]
    yield msgspec.structs.replace(document, tracks=bare)
    yield (document := msgspec.structs.replace(document, tracks=[]))
    yield msgspec.structs.replace(document, identity={})


def _covers(fd: int, content: bytes) -> bool:
    """Write at the beginning of the file, and return whether all of it could be written."""
    try:
        return os.pwrite(fd, content, 0) == len(content)
    except OSError:
        return False
