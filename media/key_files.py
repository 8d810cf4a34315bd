"""Files of private keys: their owner's alone, whole or not there, and on the disk before anybody relies on them."""

from __future__ import annotations

import os
from pathlib import Path


def write_key(path: Path, content: bytes) -> None:
    """Write a new private key to `path`, mode 0600.

    Raises:
        FileExistsError: the file is there; it stays as it is.
        OSError: it cannot be written; there is no file then.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)  # what is made with it, or for it, is worth nothing without it
    except OSError:
        path.unlink(missing_ok=True)  # half a key is none, and would be in the way of another
        raise
